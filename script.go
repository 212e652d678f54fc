package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// This file contains a running script, from its start to the end of its processes, and
// its standard input, which is a request body that has arrived whole. Neither knows a
// handler.

const (
	killDelay   = 2 * time.Second        // from SIGTERM to SIGKILL
	outputGrace = 2 * time.Second        // how long the children of a script that has exited may write nothing
	lateGrace   = 2 * time.Second        // for a script to exit after the response was sent
	exitGrace   = 250 * time.Millisecond // how long a handler waits for that
	errorsTime  = 500 * time.Millisecond // how often standard error is logged while there is no output
)

const (
	maxErrorLines = 100     // of standard error that are logged
	maxErrorLine  = 1 << 10 // bytes
)

var (
	errTimedOut     = errors.New("httpserver: the script took too long")
	errBodyTooLarge = errors.New("httpserver: the request body is larger than MaxBody")
	errStoreFull    = errors.New("httpserver: the request bodies in temporary files are larger than MaxStored")
)

// A script is a process that runs a CGI script, and the leader of a process group. The
// caller sets the first group of fields, calls start, reads output, and calls close. A
// goroutine, for which the server waits, calls wait.
type script struct {
	url      string          // of the script, for log lines
	cmd      *exec.Cmd       // made with ctx
	ctx      context.Context // canceled when the script is to end, with the reason as its cause
	cancel   context.CancelCauseFunc
	body     *storedBody
	slots    chan struct{}     // the script has a place in it until it has exited; nil means no limit
	logError func(line string) // called by Read, logErrors and close for each line of standard error

	output     *bufio.Reader // reads from the script, by Read
	stdout     *os.File
	stderr     *os.File
	errors     chan string // lines of stderr; closed at its end
	limit      *time.Timer // cancels ctx
	terminated time.Time   // when the process group was sent SIGTERM

	exited chan struct{} // closed when the script has exited; its children may not have
	err    error         // why the script failed by itself; set before exited is closed
	closed chan struct{} // closed by close
}

// start waits for a place among the scripts that run at once, and starts the script, which
// has to end within limit. A limit of 0 means none. If ctx is canceled before the script
// runs, start returns the cause.
func (s *script) start(server *HTTPServer, limit time.Duration) error {
	if s.slots != nil {
		select {
		case s.slots <- struct{}{}:
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		case <-server.done: // Shutdown has waited long enough
			return ErrServerClosed
		}
	}
	if !server.beginWork() {
		s.freeSlot()
		return ErrServerClosed
	}
	if err := s.startProcess(); err != nil {
		server.work.Done()
		s.freeSlot()
		if cause := context.Cause(s.ctx); cause != nil {
			return cause
		}
		return err
	}
	s.output = bufio.NewReader(s)
	s.errors = make(chan string, maxErrorLines+1) // with the line that says that there were more
	s.exited, s.closed = make(chan struct{}), make(chan struct{})
	if limit <= 0 {
		limit = math.MaxInt64
	}
	s.limit = time.AfterFunc(limit, func() { s.cancel(errTimedOut) })
	go s.wait(server)
	return nil
}

func (s *script) freeSlot() {
	if s.slots != nil {
		<-s.slots
	}
}

// startProcess makes the pipes and starts the process.
func (s *script) startProcess() error {
	stdout, outW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer outW.Close()
	stderr, errW, err := os.Pipe()
	if err != nil {
		stdout.Close()
		return err
	}
	defer errW.Close()
	chownFiles(s.cmd, outW, errW, s.body.file)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = s.body.reader(), outW, errW
	s.cmd.Cancel, s.cmd.WaitDelay = s.terminate, killDelay
	if err := s.cmd.Start(); err != nil {
		stdout.Close()
		stderr.Close()
		return err
	}
	s.stdout, s.stderr = stdout, stderr
	return nil
}

// terminate asks the process group to end. It is called when ctx is canceled.
func (s *script) terminate() error {
	s.terminated = time.Now()
	return signalGroup(s.cmd.Process, false)
}

// wait waits until the script has exited and close was called. If ctx is canceled, it
// waits until the process group has ended.
func (s *script) wait(server *HTTPServer) {
	defer server.work.Done()
	defer s.cancel(nil)
	defer context.AfterFunc(server.urgent, s.kill)()
	var reading sync.WaitGroup
	reading.Go(s.readErrors)
	defer reading.Wait()

	err := s.cmd.Wait()
	childrenLeft := groupExists(s.cmd.Process) // if not, the group's number may become another's
	if s.ctx.Err() == nil {
		s.err = err
	}
	s.freeSlot()
	s.body.close()
	close(s.exited)
	s.stderr.SetReadDeadline(time.Now().Add(outputGrace)) // children may not keep it open for longer
	select {
	case <-s.closed: // until then, children may write output
	case <-s.ctx.Done():
	}
	s.limit.Stop()
	if childrenLeft && s.ctx.Err() != nil {
		s.endGroup(server.urgent)
	}
	if childrenLeft {
		poll(server.ctx, reapGroup, s.cmd.Process)
	}
}

// kill is called when the server does not wait for scripts any longer.
func (s *script) kill() {
	if !isClosed(s.exited) { // else endGroup does it
		signalGroup(s.cmd.Process, true)
	}
	s.stderr.SetReadDeadline(time.Now())
}

// endGroup ends the processes that a script has left behind. They are killed killDelay
// after they were asked to end, or at once when urgent is canceled.
func (s *script) endGroup(urgent context.Context) {
	if s.terminated.IsZero() {
		s.terminate()
	}
	patience, cancel := context.WithDeadline(urgent, s.terminated.Add(killDelay))
	defer cancel()
	if poll(patience, groupExists, s.cmd.Process) {
		signalGroup(s.cmd.Process, true)
		killed, cancel := context.WithTimeout(context.Background(), killDelay)
		defer cancel()
		poll(killed, reapGroup, s.cmd.Process)
	}
}

// poll calls more, at growing intervals, until that returns false or ctx is done. It
// returns what more returned last.
func poll(ctx context.Context, more func(*os.Process) bool, p *os.Process) bool {
	for interval := time.Millisecond; more(p); interval = min(2*interval, 100*time.Millisecond) {
		if ctx.Err() != nil {
			return true
		}
		select {
		case <-time.After(interval):
		case <-ctx.Done():
		}
	}
	return false
}

// Read reads the output of the script, and logs standard error while there is none. It
// returns the cause of ctx if that was canceled before the output ended. If the script
// has exited and its children write nothing for outputGrace, Read returns io.EOF and
// ends them.
func (s *script) Read(p []byte) (int, error) {
	for quiet := time.Duration(0); quiet < outputGrace; {
		s.stdout.SetReadDeadline(time.Now().Add(errorsTime))
		n, err := s.stdout.Read(p)
		if n > 0 {
			return n, nil
		}
		if cause := context.Cause(s.ctx); cause != nil {
			return 0, cause
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
		s.logErrors()
		if isClosed(s.exited) {
			quiet += errorsTime
		}
	}
	s.cancel(nil)
	return 0, io.EOF
}

// readErrors splits standard error into lines. It reads on after the last one that may
// be logged, so that the script need not wait.
func (s *script) readErrors() {
	defer s.stderr.Close()
	defer close(s.errors)
	r := bufio.NewReaderSize(s.stderr, maxErrorLine)
	for lines := 0; ; lines++ {
		line, isPrefix, err := r.ReadLine()
		if err != nil {
			return
		}
		switch {
		case lines < maxErrorLines:
			s.errors <- string(line)
		case lines == maxErrorLines:
			s.errors <- "further lines are not logged"
		}
		for isPrefix && err == nil {
			_, isPrefix, err = r.ReadLine()
		}
	}
}

// logErrors logs what the script has written to standard error so far.
func (s *script) logErrors() {
	for {
		select {
		case line, ok := <-s.errors:
			if !ok {
				return
			}
			s.logError(line)
		default:
			return
		}
	}
}

// crashed reports whether a signal ended the script. Then its output, which has ended,
// may not be complete.
func (s *script) crashed() bool {
	select {
	case <-s.exited:
		var exit *exec.ExitError
		return errors.As(s.err, &exit) && !exit.Exited()
	case <-time.After(exitGrace):
		return false
	}
}

// close ends the reading of output. It waits for the script to exit, but not for long:
// after that, the script has lateGrace left. close logs the last lines of standard error,
// and returns why the script failed, if it has exited without being told to.
func (s *script) close() error {
	defer close(s.closed)
	defer s.limit.Reset(lateGrace)
	s.stdout.Close()
	timer := time.NewTimer(exitGrace)
	defer timer.Stop()
	exited, lines := s.exited, s.errors
	for exited != nil || lines != nil {
		select {
		case <-exited:
			exited = nil
		case line, ok := <-lines:
			if ok {
				s.logError(line)
			} else {
				lines = nil
			}
		case <-timer.C:
			exited, lines = nil, nil
		}
	}
	if !isClosed(s.exited) {
		return nil
	}
	return s.err
}

// A bodyStore counts the bytes of the request bodies that the handlers of a server have
// in temporary files.
type bodyStore struct{ size atomic.Int64 }

// A storedBody is a request body that has arrived whole: a small one is in memory, and a
// large one in a temporary file.
type storedBody struct {
	size    int64
	data    []byte   // the body if it is in memory
	file    *os.File // it has no name, except on Windows
	store   *bodyStore
	maxSize int64 // limit of store.size
}

// readFrom reads the body from r. Up to memory bytes stay in memory. The error is
// errBodyTooLarge if there are more than limit bytes, errStoreFull, that of r, or a
// *fs.PathError about the file.
func (b *storedBody) readFrom(r io.Reader, memory, limit int64) (err error) {
	r = io.LimitReader(r, limit+1)
	b.data, err = io.ReadAll(io.LimitReader(r, memory+1))
	b.size = int64(len(b.data))
	if err == nil && b.size > memory {
		err = b.moveToFile(r)
	}
	if err == nil && b.size > limit {
		err = errBodyTooLarge
	}
	if err != nil {
		b.close()
	}
	return err
}

// moveToFile moves what was read of the body to a file, and adds the rest.
func (b *storedBody) moveToFile(rest io.Reader) (err error) {
	start := bytes.NewReader(b.data)
	b.data, b.size = nil, 0
	if b.file, err = os.CreateTemp("", "httpserver-body-"); err != nil {
		return fmt.Errorf("httpserver: a request body needs a temporary file: %w", err)
	}
	os.Remove(b.file.Name())
	if _, err = io.Copy(b, io.MultiReader(start, rest)); err != nil {
		return err
	}
	_, err = b.file.Seek(0, io.SeekStart)
	return err
}

// Write appends to the file.
func (b *storedBody) Write(p []byte) (int, error) {
	n := int64(len(p))
	b.size += n
	if b.store.size.Add(n) > b.maxSize {
		return 0, errStoreFull
	}
	return b.file.Write(p)
}

// reader returns the body as the standard input of a command.
func (b *storedBody) reader() io.Reader {
	switch {
	case b.file != nil:
		return b.file
	case len(b.data) > 0:
		return bytes.NewReader(b.data)
	}
	return nil
}

// close deletes the file.
func (b *storedBody) close() {
	if b.file == nil {
		return
	}
	b.file.Close()
	if runtime.GOOS == "windows" { // which does not remove a file that is open
		os.Remove(b.file.Name())
	}
	b.store.size.Add(-b.size)
}
