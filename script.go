package httpserver

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// This file holds a running script: its processes, its pipes, and its end.

const (
	killDelay   = 2 * time.Second        // from SIGTERM to SIGKILL
	outputGrace = 2 * time.Second        // how long output may pause once the script has exited: others hold its pipe
	goneGrace   = time.Second            // for an answer to a client that has ended its side of the connection
	exitGrace   = 250 * time.Millisecond // for the script to exit after its output
	errorsTime  = 500 * time.Millisecond // how often standard error is logged while there is no output
)

// Limits of what is logged of a script's standard error.
const (
	maxErrorLines = 100
	maxErrorLine  = 1 << 10 // bytes
)

// A script is a CGI script, from when its input is read on to its end. Its
// process group is its own.
type script struct {
	url    string
	cmd    *exec.Cmd
	stdin  *scriptInput // nil if the request has no body to copy
	stdout *os.File
	stderr *os.File
	output *bufio.Reader // of stdout
	errors chan string   // lines of stderr; closed at its end

	attended chan struct{} // closed when attend has returned
	inputErr error         // of stdin; once attended is closed
	over     chan struct{} // closed by cutOff: the output will not be whole
	exited   chan struct{} // closed when the script, not each child of its own, has ended
	finished chan struct{} // closed by endScript
	leaving  chan struct{} // closed when attend is to return
	timedOut atomic.Bool
	refusal  atomic.Int32 // status code, if the request's body could not be had
	limit    *time.Timer  // of ScriptTimeout

	mu      sync.Mutex
	started bool
	ended   bool // terminate was called
	closing bool // close was called
	killed  bool
	gone    bool // no process of the group is left
}

// startScript starts a script and what looks after it. Standard input is the
// spool, or the request's body as it comes. The error is a *statusError, errClientGone,
// or that of the system.
func (h *CGIHandler) startScript(r scriptRequest, spool *os.File, length int64) (*script, error) {
	command := []string{r.file}
	if suffix := strings.ToLower(filepath.Ext(r.file)); suffix != ".bat" && suffix != ".cmd" { // cmd.exe takes words for commands
		command = append(command, arguments(h.Command, targetQuery(h.Path))...)
	}
	if runtime.GOOS == "windows" && h.scripts().IsPython(r.file) {
		command = append([]string{"python"}, command...)
	}
	s := &script{
		url:      r.url,
		cmd:      exec.Command(command[0], command[1:]...),
		errors:   make(chan string, maxErrorLines+1),
		attended: make(chan struct{}),
		leaving:  make(chan struct{}),
		over:     make(chan struct{}),
		exited:   make(chan struct{}),
		finished: make(chan struct{}),
	}
	s.cmd.Dir = filepath.Dir(r.file)
	s.cmd.Env = h.environment(r, length)
	if err := isolate(s.cmd, h.RunAsServer); err != nil {
		return nil, err
	}
	theirs, err := h.makePipes(s, spool, length)
	defer closeAll(theirs)
	if err != nil {
		return nil, err
	}
	s.output = bufio.NewReader(&scriptOutput{script: s, logErrors: func() { h.logErrors(s) }})
	if !h.Server.beginWork() {
		return nil, errClientGone
	}
	stop, stopUrgent := context.AfterFunc(h.Server.ctx, s.close), context.AfterFunc(h.Server.urgent, s.close)
	forget := sync.OnceFunc(func() { stop(); stopUrgent(); h.Server.work.Done() })
	go h.attend(s)
	if err := h.runScript(s, forget); err != nil {
		close(s.exited)
		forget()
		h.leave(s)
		closeAll([]*os.File{s.stdout, s.stderr})
		return nil, err
	}
	return s, nil
}

// runScript starts the process when there is a place for it.
func (h *CGIHandler) runScript(s *script, forget func()) error {
	free := func() {}
	if h.Slots != nil {
		select {
		case h.Slots <- struct{}{}:
			free = func() { <-h.Slots }
		case <-s.over:
			return s.whyOver()
		}
	}
	if err := s.start(); err != nil {
		free()
		return err
	}
	if h.ScriptTimeout > 0 {
		s.limit = time.AfterFunc(h.ScriptTimeout, func() {
			s.timedOut.Store(true)
			s.cutOff()
		})
	}
	go s.wait(free, forget)
	go s.readErrors()
	return nil
}

// makePipes makes the pipes, and gives those ends of them that the process is to
// have.
func (h *CGIHandler) makePipes(s *script, spool *os.File, length int64) (theirs []*os.File, err error) {
	var ours []*os.File
	pipe := func(open func() (r, w *os.File, err error)) (r, w *os.File) {
		if err == nil {
			r, w, err = open()
		}
		return r, w
	}
	out, outW := pipe(outputPipe)
	errs, errW := pipe(outputPipe)
	ours, theirs = []*os.File{out, errs}, []*os.File{outW, errW}
	s.stdout, s.stderr = out, errs
	s.cmd.Stdout, s.cmd.Stderr = outW, errW
	switch {
	case spool != nil:
		s.cmd.Stdin = spool
	case length > 0:
		in, inW := pipe(os.Pipe)
		ours, theirs = append(ours, inW), append(theirs, in)
		s.stdin, s.cmd.Stdin = &scriptInput{pipe: inW, limit: cmp.Or(h.MaxBody, defaultMaxBody)}, in
	}
	if err != nil {
		closeAll(ours)
		return theirs, err
	}
	chownPipes(s.cmd, append(theirs, spool))
	return theirs, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// start starts the process, unless there is no need for it any more.
func (s *script) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isClosed(s.over) {
		return s.whyOver()
	}
	err := s.cmd.Start()
	s.started = err == nil
	if errors.Is(err, syscall.E2BIG) { // the environment, which holds the header
		return &statusError{code: 431}
	}
	return err
}

// whyOver says why a script was cut off before it could run.
func (s *script) whyOver() error {
	if code := s.refusal.Load(); code != 0 {
		return &statusError{code: int(code)}
	}
	return errClientGone
}

// wait waits for the script to exit. From then on what it has left behind may
// not keep standard error for long.
func (s *script) wait(free, forget func()) {
	s.cmd.Wait()
	free()
	s.mu.Lock()
	s.gone = groupEnded(s.cmd.Process)
	s.mu.Unlock()
	close(s.exited)
	s.stderr.SetReadDeadline(time.Now().Add(outputGrace))
	<-s.finished // a child may still be writing
	forget()
}

// close ends a script with the server, and waits for its end. Called again, it
// waits no longer.
func (s *script) close() {
	s.cutOff()
	s.mu.Lock()
	patience := killDelay
	if s.closing {
		patience = 0
	}
	s.closing = true
	s.mu.Unlock()
	select {
	case <-s.exited:
	case <-time.After(patience):
	}
	s.kill() // also children that the script has left behind
}

// cutOff ends a script that may not have said all it has to say.
func (s *script) cutOff() {
	s.mu.Lock()
	if !isClosed(s.over) {
		close(s.over)
	}
	s.mu.Unlock()
	s.terminate()
}

// terminate ends the script's process group, first politely. It may be called
// from anywhere.
func (s *script) terminate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || !s.started {
		return
	}
	s.ended = true
	signalGroup(s.cmd.Process, false)
	time.AfterFunc(killDelay, s.kill)
}

func (s *script) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started && !s.gone {
		signalGroup(s.cmd.Process, true)
	}
	s.killed = true
}

// A scriptOutput is the reading end of a script's standard output.
type scriptOutput struct {
	*script
	logErrors func()
}

// Read logs standard error while it waits. It ends when nothing has come for
// outputGrace after the script exited: then a child of it holds the pipe, and is
// ended.
func (o *scriptOutput) Read(p []byte) (int, error) {
	for quiet := time.Duration(0); ; {
		o.stdout.SetReadDeadline(time.Now().Add(errorsTime))
		n, err := o.stdout.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		o.logErrors()
		if isClosed(o.exited) {
			quiet += errorsTime
		}
		if quiet >= outputGrace || o.wasKilled() {
			o.terminate()
			return 0, io.EOF
		}
	}
}

func (s *script) wasKilled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.killed
}

// Read gives the script's output.
func (s *script) Read(p []byte) (int, error) { return s.output.Read(p) }

// crashed tells whether the script, whose output has ended, was ended by a
// signal or an error of the system: then the output may not be whole.
func (s *script) crashed() bool {
	select {
	case <-s.exited:
		return !s.cmd.ProcessState.Exited()
	case <-time.After(exitGrace):
		return false
	}
}

// readErrors cuts standard error into lines. What is more than may be logged is
// read and dropped.
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

// attend copies the request's body to the script, then watches the connection:
// a script whose client has gone is ended.
func (h *CGIHandler) attend(s *script) {
	defer close(s.attended)
	if s.stdin != nil && !h.copyBody(s) {
		return
	}
	if !h.watch(s) {
		return
	}
	select {
	case <-s.exited:
	case <-s.leaving:
	case <-time.After(goneGrace):
		s.cutOff()
	}
}

// copyBody copies the request's body to the script. It is false where there is
// nothing to watch for after that.
func (h *CGIHandler) copyBody(s *script) bool {
	_, err := io.Copy(s.stdin, h.RFile)
	defer s.stdin.end()
	if err == nil {
		return true
	}
	switch {
	case isClosed(s.leaving):
		return false
	case h.body.err == nil || h.body.err == io.EOF:
		s.inputErr = err // of the spool
		s.refusal.Store(500)
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.refusal.Store(408)
	}
	s.cutOff()
	select { // or it would take what it has for the whole
	case <-s.exited:
	case <-s.leaving:
	}
	return false
}

// watch waits for the client to end its side of the connection, of which it is
// true, or for leave. Requests that come early are buffered. If they are too many,
// and the script takes its time, they are dropped and never answered.
func (h *CGIHandler) watch(s *script) (gone bool) {
	h.Connection.SetReadDeadline(time.Time{})
	for !isClosed(s.leaving) {
		if err := h.in.fill(); err != nil {
			return !errors.Is(err, os.ErrDeadlineExceeded)
		}
		n := len(h.in.buffered())
		if n < maxLine {
			continue
		}
		select {
		case <-s.leaving:
		case <-time.After(goneGrace):
			h.in.consume(n)
			h.dropped = true
		}
	}
	return false
}

// interrupt ends what another goroutine reads of the connection, and waits for
// done.
func (h *CGIHandler) interrupt(done <-chan struct{}) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting; {
		err := h.Connection.SetReadDeadline(time.Unix(1, 0)) // again, as another may just have been set
		if err != nil {
			h.broken = true
			h.Connection.Close() // nothing else ends a read
		}
		select {
		case <-done:
			waiting = false
		case <-tick.C:
		}
	}
	h.Connection.SetReadDeadline(time.Time{})
}

// leave makes attend return, whatever it waits for. What it has not read of the
// body can be read on.
func (h *CGIHandler) leave(s *script) {
	close(s.leaving)
	if s.stdin != nil {
		s.stdin.abort()
	}
	h.interrupt(s.attended)
	if errors.Is(h.body.err, os.ErrDeadlineExceeded) && s.refusal.Load() == 0 {
		h.body.err = nil
	}
	h.broken = h.broken || h.dropped
}

// endScript leaves a script whose output has been sent. It gets some time to
// exit, most of it when the client is no longer waiting.
func (h *CGIHandler) endScript(s *script) {
	defer close(s.finished)
	if s.limit != nil {
		s.limit.Stop()
	}
	s.stdout.Close()
	h.leave(s)
	if s.inputErr != nil {
		h.scripts().LogError("CGI script %s: %v", s.url, s.inputErr)
	}
	timer := time.NewTimer(exitGrace)
	defer timer.Stop()
	select {
	case <-s.exited:
		if !s.cmd.ProcessState.Success() && !s.wasEnded() {
			h.scripts().LogError("CGI script %s: %v", s.url, s.cmd.ProcessState)
		}
	case <-timer.C:
		time.AfterFunc(killDelay, s.endLate)
		h.logErrors(s)
		return
	}
	for {
		select {
		case line, more := <-s.errors:
			if !more {
				return
			}
			h.scripts().LogError("%s: %s", s.url, line)
		case <-timer.C:
			return
		}
	}
}

func (s *script) wasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// endLate ends a script that has not exited although its answer is long sent.
func (s *script) endLate() {
	if !isClosed(s.exited) {
		s.terminate()
	}
}
