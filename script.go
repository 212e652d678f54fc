package httpserver

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// This file runs a script, from its wait for a place to the end of its last process, and
// stores its standard input, which is a request body that has arrived whole. Neither needs
// a handler.

const (
	// scriptGrace limits each wait for a script, or for the children that it left, to end.
	scriptGrace = 2 * time.Second

	// errorsTime is how long a handler waits for the end of standard error when the script
	// has exited.
	errorsTime = 500 * time.Millisecond

	maxErrorLines = 100     // how many lines of standard error are logged
	maxErrorLine  = 1 << 10 // length of a logged line, in bytes
)

var (
	errTimedOut     = errors.New("httpserver: the script timed out")
	errNoOutput     = errors.New("no output")
	errBodyTooLarge = errors.New("httpserver: the request body is larger than MaxBody")
	errStoreFull    = errors.New("httpserver: the request bodies in temporary files are larger than MaxStored")
)

// A script is a running CGI script: a process, and the process group that it leads. The
// caller sets the first group of fields, calls start, reads output, and calls finish, or close
// if it panics. The server waits for three goroutines that start begins: when the process has
// exited, wait frees what it used; readErrors reads standard error; conclude ends the process
// group if ctx is canceled.
type script struct {
	url      string           // of the script, for log lines
	command  func() *exec.Cmd // makes cmd, whose environment may be large, when the script has a place
	ctx      context.Context  // canceled when the script must end, with the reason as its cause
	cancel   context.CancelCauseFunc
	body     *storedBody
	slots    chan struct{}     // holds a value for each script that has a place, until it has exited
	logError func(line string) // called by Read and finish for lines of standard error

	cmd            *exec.Cmd
	stdout, stderr *os.File      // the ends of the pipes that the server reads
	output         *bufio.Reader // reads from the script, by Read
	errorLines     chan string   // lines of stderr; has room for all that readErrors sends
	errorsEnded    chan struct{} // closed after the last line
	limit          *time.Timer   // cancels ctx; set by start and, for the script's exit, by close

	exited       chan struct{}   // closed by wait when the process has exited
	exitErr      error           // of the exit, unless ctx was canceled before; set before exited is closed
	childrenLeft bool            // other processes of the group are left; set by wait, then by groupLeft
	response     context.Context // canceled with ctx, and by close, when the response has ended
	endResponse  context.CancelFunc
}

// start waits for a place in slots and starts the script. The script and its response must
// end within limit; 0 means no limit. If ctx is canceled before the script runs, start
// returns the cause. After the server has stopped accepting, start does not wait for a place
// but returns ErrServerClosed. After an error, ctx is canceled and the body closed, and the
// caller calls no other method.
func (s *script) start(server *HTTPServer, limit time.Duration) error {
	hasPlace := false
	defer func() { // also if command panics
		if s.exited != nil {
			return // the process was started, and wait does this
		}
		if hasPlace {
			<-s.slots
		}
		s.cancel(nil)
		s.body.close()
	}()
	select {
	case s.slots <- struct{}{}: // also if the server stops, as the request came before
	default:
		select {
		case s.slots <- struct{}{}:
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		case <-server.stopping:
			return ErrServerClosed
		}
	}
	hasPlace = true
	if err := context.Cause(s.ctx); err != nil {
		return err
	}
	return s.startProcess(server, limit)
}

// startProcess makes the pipes, and starts the process and the goroutines.
func (s *script) startProcess(server *HTTPServer, limit time.Duration) (err error) {
	if s.cmd = s.command(); s.cmd.Err != nil { // for example, if there is no user nobody
		return s.cmd.Err
	}
	if !server.beginWork() {
		return ErrServerClosed
	}
	defer server.work.Done()    // the goroutines are counted by then
	var outEnd, errEnd *os.File // the script's ends of the pipes; Close of nil does nothing
	if s.stdout, outEnd, err = os.Pipe(); err == nil {
		s.stderr, errEnd, err = os.Pipe()
	}
	defer outEnd.Close()
	defer errEnd.Close()
	if err == nil {
		chownFiles(s.cmd, outEnd, errEnd, s.body.file)
		s.cmd.Stdout, s.cmd.Stderr = outEnd, errEnd
		if s.body.file != nil {
			s.cmd.Stdin = s.body.file
		}
		err = s.cmd.Start()
	}
	if err != nil {
		s.stdout.Close()
		s.stderr.Close()
		return err
	}
	s.output = bufio.NewReader(s)
	s.errorLines = make(chan string, maxErrorLines+1) // one more, which says that there were more
	s.errorsEnded, s.exited = make(chan struct{}), make(chan struct{})
	s.response, s.endResponse = context.WithCancel(s.ctx)
	if limit <= 0 {
		limit = math.MaxInt64
	}
	s.limit = time.AfterFunc(limit, func() { s.cancel(errTimedOut) })
	server.work.Go(s.wait)
	server.work.Go(s.readErrors)
	server.work.Go(func() { s.conclude(server) })
	return nil
}

// wait waits until the script has exited, and frees its input and its place.
func (s *script) wait() {
	if err := s.cmd.Wait(); s.ctx.Err() == nil { // it was not told to end
		s.exitErr = err
	}
	s.childrenLeft = signalGroup(s.cmd.Process, 0) == nil
	s.body.close() // before finish returns, and the client can send the next body
	close(s.exited)
	s.wake()
	<-s.slots
	s.stderr.SetReadDeadline(time.Now().Add(scriptGrace)) // children may keep it open
}

// conclude waits until the script has exited and its response has ended. If ctx is canceled
// before, it ends the process group.
func (s *script) conclude(server *HTTPServer) {
	select {
	case <-s.exited:
	case <-s.ctx.Done():
	}
	// Look at the group all the time: once it is empty, another one may get its number.
	poll(s.response, s.groupLeft)
	<-s.response.Done()
	if s.ctx.Err() != nil {
		s.wake()
		s.endGroup(server.urgent)
	}
	<-s.exited
	s.limit.Stop()
	s.cancel(nil)
	// A server that is the first process of a container has to reap what the script has left.
	poll(server.ctx, func() bool { return s.childrenLeft && reapGroup(s.cmd.Process) })
}

// endGroup asks the process group to end, and kills it scriptGrace later, or at once when
// urgent is canceled.
func (s *script) endGroup(urgent context.Context) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if !s.groupLeft() {
			return
		}
		signalGroup(s.cmd.Process, sig)
		patience, cancel := context.WithTimeout(urgent, scriptGrace)
		poll(patience, s.groupLeft)
		cancel()
	}
}

// groupLeft reports whether processes of the group are left. Once there were none, it does
// not look at the group again, because its number may belong to another one by now.
func (s *script) groupLeft() bool {
	if !isClosed(s.exited) {
		return true
	}
	s.childrenLeft = s.childrenLeft && (reapGroup(s.cmd.Process) || signalGroup(s.cmd.Process, 0) == nil)
	return s.childrenLeft
}

// poll calls more, at growing intervals, until more returns false or ctx is done.
func poll(ctx context.Context, more func() bool) {
	for interval := time.Millisecond; more() && ctx.Err() == nil; interval = min(2*interval, 100*time.Millisecond) {
		pause(interval, ctx.Done())
	}
}

// Read reads the output of the script, and logs what it has written to standard error. It
// returns the cause of ctx if that was canceled before the output ended. If the script
// has exited and its children write nothing for scriptGrace, Read returns io.EOF and
// cancels ctx, so that conclude ends them.
func (s *script) Read(p []byte) (int, error) {
	for {
		deadline := time.Now().Add(scriptGrace)
		s.stdout.SetReadDeadline(deadline) // before the checks: a later wake interrupts the read
		exited := isClosed(s.exited)
		s.logErrors()
		if cause := context.Cause(s.ctx); cause != nil {
			return 0, cause
		}
		n, err := s.stdout.Read(p)
		switch {
		case n > 0:
			return n, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, cmp.Or(context.Cause(s.ctx), err)
		case exited && !time.Now().Before(deadline):
			s.cancel(nil)
			return 0, io.EOF
		}
	}
}

// wake interrupts a Read that waits for output, so that it checks what has changed. On
// Windows, where pipes have no deadlines, it does nothing.
func (s *script) wake() { s.stdout.SetReadDeadline(time.Unix(1, 0)) }

// readErrors splits standard error into lines, and a line of more than maxErrorLine bytes
// into several. It continues after the last line that is logged, because a script that
// writes to a full pipe would wait.
func (s *script) readErrors() {
	defer close(s.errorsEnded)
	defer s.stderr.Close()
	r := bufio.NewReaderSize(s.stderr, maxErrorLine)
	split := false // the line continues the last one
	for lines := 0; ; lines++ {
		line, more, err := r.ReadLine()
		if split && err == nil && len(line) == 0 { // it ended with the last part
			line, more, err = r.ReadLine()
		}
		split = more
		switch {
		case err != nil:
			return
		case lines < maxErrorLines:
			s.errorLines <- string(line)
			s.wake()
		case lines == maxErrorLines:
			s.errorLines <- "further lines are not logged"
		}
	}
}

// finish ends the response. It waits scriptGrace for the script to exit and then errorsTime
// for the end of standard error, and logs the rest of standard error. It returns the error of
// the exit, unless the script was told to end.
func (s *script) finish() (err error) {
	s.close()
	pause(scriptGrace, s.exited)
	if isClosed(s.exited) {
		pause(errorsTime, s.errorsEnded)
		err = s.exitErr
	}
	s.logErrors()
	return err
}

// logErrors logs the lines of standard error that are there.
func (s *script) logErrors() {
	for len(s.errorLines) > 0 {
		s.logError(<-s.errorLines)
	}
}

// close ends the response, unless it has ended. The script has twice scriptGrace left to
// exit. If it does, its children may run on.
func (s *script) close() {
	s.stdout.Close()
	if s.response.Err() == nil {
		s.limit.Reset(2 * scriptGrace)
		s.endResponse()
	}
}

// A bodyStore counts the bytes of the request bodies that the handlers of a server have
// in temporary files.
type bodyStore struct{ size atomic.Int64 }

// A storedBody is a request body that has arrived whole, in a temporary file.
type storedBody struct {
	size    int64
	file    *os.File // nil if the body is empty; it has no name, except on Windows
	store   *bodyStore
	maxSize int64 // limit of store.size, the MaxStored of a handler
}

// readFrom reads the body from r. The error is errBodyTooLarge if the body has more than limit
// bytes, errStoreFull, an error of r, or an error of the file, which wraps a *fs.PathError.
// After an error, the body is closed.
func (b *storedBody) readFrom(r io.Reader, limit int64) error {
	w := bufio.NewWriterSize(b, smallBody) // r may return little at a time
	_, err := io.Copy(w, io.LimitReader(r, limit+1))
	if err == nil {
		err = w.Flush()
	}
	switch {
	case err == nil && b.size > limit:
		err = errBodyTooLarge
	case err == nil && b.file != nil:
		_, err = b.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		b.close()
	}
	return err
}

// Write appends to the file.
func (b *storedBody) Write(p []byte) (n int, err error) {
	if b.file == nil {
		if b.file, err = os.CreateTemp("", "httpserver-body-"); err != nil {
			return 0, fmt.Errorf("httpserver: a request body needs a temporary file: %w", err)
		}
		os.Remove(b.file.Name())
	}
	b.size += int64(len(p))
	if b.store.size.Add(int64(len(p))) > b.maxSize {
		return 0, errStoreFull
	}
	return b.file.Write(p)
}

// close deletes the file. Children of the script that still have it find it empty.
func (b *storedBody) close() {
	if b.file != nil {
		b.file.Truncate(0)
		b.file.Close()
		if runtime.GOOS == "windows" { // which does not remove a file that is open
			os.Remove(b.file.Name())
		}
		b.store.size.Add(-b.size)
	}
}
