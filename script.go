package httpserver

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// This file holds a running script: its processes, its pipes, and its end.

const (
	killDelay   = 2 * time.Second        // from SIGTERM to SIGKILL
	outputGrace = 2 * time.Second        // how long output may pause once the script has exited: others hold its pipe
	goneGrace   = time.Second            // for an answer to a client that has ended its side of the connection
	exitGrace   = 250 * time.Millisecond // for the script to exit after its output
)

// Limits of what is logged of a script's standard error.
const (
	maxErrorLines = 100
	maxErrorLine  = 1 << 10 // bytes
)

// A script is a running CGI script. Its process group is its own.
type script struct {
	url    string
	cmd    *exec.Cmd
	stdin  *scriptInput // nil if the request has no body to copy
	stdout *os.File
	stderr *os.File
	output *bufio.Reader // of stdout
	errors chan string   // lines of stderr; closed at its end

	exited   chan struct{} // closed when the script, not each child of its own, has ended
	attended chan struct{} // closed when attend has returned
	inputErr error         // of stdin; once attended is closed
	finished chan struct{} // closed by endScript
	leaving  atomic.Bool   // attend is to return
	timedOut atomic.Bool
	refusal  atomic.Int32 // status code, if the request's body could not be had
	cut      atomic.Bool  // cutOff was called: the output is not whole
	ended    atomic.Bool  // terminate was called
	closing  atomic.Bool  // close was called
	killed   atomic.Bool
	end      sync.Once
	limit    *time.Timer // of ScriptTimeout
}

// startScript starts a script and what looks after it. Standard input is the
// spool, or the request's body as it comes.
func (h *CGIHandler) startScript(r scriptRequest, spool *os.File, length int64) (*script, error) {
	command := append([]string{r.file}, arguments(h.Command, targetQuery(h.Path))...)
	if runtime.GOOS == "windows" && h.scripts().IsPython(r.file) {
		command = append([]string{"python"}, command...)
	}
	s := &script{
		url:      r.url,
		cmd:      exec.Command(command[0], command[1:]...),
		errors:   make(chan string, maxErrorLines),
		exited:   make(chan struct{}),
		attended: make(chan struct{}),
		finished: make(chan struct{}),
	}
	s.cmd.Dir = filepath.Dir(r.file)
	s.cmd.Env = h.environment(r, length)
	if err := isolate(s.cmd, h.RunAsServer); err != nil {
		return nil, err
	}
	free, ok := h.takeSlot()
	if !ok {
		return nil, errGone
	}
	if err := s.start(spool, length, cmp.Or(h.MaxBody, defaultMaxBody)); err != nil {
		free()
		return nil, err
	}
	s.output = bufio.NewReader((*scriptOutput)(s))
	forget := h.Server.atClose(s.close)
	if h.ScriptTimeout > 0 {
		s.limit = time.AfterFunc(h.ScriptTimeout, func() {
			s.timedOut.Store(true)
			s.cutOff()
		})
	}
	go s.wait(free, forget)
	go s.readErrors()
	go h.attend(s)
	return s, nil
}

// start makes the pipes and the process.
func (s *script) start(spool *os.File, length, maxSpool int64) (err error) {
	var theirs, ours []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
		if err != nil {
			for _, f := range ours {
				f.Close()
			}
		}
	}()
	pipe := func() (r, w *os.File) {
		if err == nil {
			r, w, err = os.Pipe()
		}
		return r, w
	}
	out, outW := pipe()
	errs, errW := pipe()
	ours, theirs = []*os.File{out, errs}, []*os.File{outW, errW}
	s.stdout, s.stderr = out, errs
	s.cmd.Stdout, s.cmd.Stderr = outW, errW
	if spool != nil {
		s.cmd.Stdin = spool
	} else if length > 0 {
		in, inW := pipe()
		ours, theirs = append(ours, inW), append(theirs, in)
		s.stdin, s.cmd.Stdin = &scriptInput{pipe: inW, limit: maxSpool}, in
	}
	if err == nil {
		give(s.cmd, append(theirs, spool))
		err = s.cmd.Start()
	}
	return err
}

// takeSlot waits for a place among the scripts that may run, and gives what
// leaves it to another. It is not ok if the client goes away meanwhile.
func (h *CGIHandler) takeSlot() (free func(), ok bool) {
	if h.Slots == nil {
		return func() {}, true
	}
	free = func() { <-h.Slots }
	select {
	case h.Slots <- struct{}{}:
		return free, true
	default:
	}
	if h.body.err == nil { // what is unread of it hides the client's end
		h.Slots <- struct{}{}
		return free, true
	}
	var gone bool
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		gone = h.watch()
	}()
	select {
	case h.Slots <- struct{}{}:
		h.interrupt(watched)
		return free, true
	case <-watched:
	}
	if !gone {
		h.Slots <- struct{}{}
		return free, true
	}
	select {
	case h.Slots <- struct{}{}:
		return free, true
	case <-time.After(goneGrace):
		return nil, false
	}
}

// wait waits for the script to exit. From then on its output may not pause for
// long.
func (s *script) wait(free, forget func()) {
	s.cmd.Wait()
	free()
	close(s.exited)
	s.stdout.SetReadDeadline(time.Now().Add(outputGrace))
	s.stderr.SetReadDeadline(time.Now().Add(outputGrace))
	<-s.finished // a child may still be writing
	forget()
}

// close ends a script with the server, and waits for its end. Called again, it
// waits no longer.
func (s *script) close() {
	patience := killDelay
	if s.closing.Swap(true) {
		patience = 0
	}
	s.cutOff()
	select {
	case <-s.exited:
	case <-time.After(patience):
	}
	s.kill() // also children that the script has left behind
}

// cutOff ends a script that may not have said all it has to say.
func (s *script) cutOff() {
	s.cut.Store(true)
	s.terminate()
}

// terminate ends the script's process group, first politely. It may be called
// from anywhere.
func (s *script) terminate() {
	s.end.Do(func() {
		s.ended.Store(true)
		signalGroup(s.cmd.Process, false)
		time.AfterFunc(killDelay, s.kill)
	})
}

func (s *script) kill() {
	signalGroup(s.cmd.Process, true)
	s.killed.Store(true)
	s.stdout.SetReadDeadline(time.Unix(1, 0)) // should one have left the group
}

// scriptOutput is the reading end of a script's standard output.
type scriptOutput script

// Read ends when nothing has come for outputGrace after the script exited: then
// a child of it holds the pipe, and is ended.
func (o *scriptOutput) Read(p []byte) (int, error) {
	s := (*script)(o)
	for again := false; ; again = true {
		n, err := s.stdout.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if again || s.killed.Load() {
			s.terminate()
			return 0, io.EOF
		}
		s.stdout.SetReadDeadline(time.Now().Add(outputGrace))
	}
}

// Read gives the script's output.
func (s *script) Read(p []byte) (int, error) { return s.output.Read(p) }

// readErrors cuts standard error into lines. What is more than can be logged is
// read and dropped.
func (s *script) readErrors() {
	defer s.stderr.Close()
	defer close(s.errors)
	r := bufio.NewReaderSize(s.stderr, maxErrorLine)
	for {
		line, isPrefix, err := r.ReadLine()
		if err != nil {
			return
		}
		select {
		case s.errors <- string(line):
		default:
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
	if !h.watch() {
		return
	}
	select {
	case <-s.exited:
	case <-time.After(goneGrace):
		s.cutOff()
	}
}

// copyBody copies the request's body to the script. It is false where there is
// nothing to watch for after that.
func (h *CGIHandler) copyBody(s *script) bool {
	_, err := io.Copy(s.stdin, h.RFile)
	s.stdin.end()
	if err == nil {
		return true
	}
	if s.leaving.Load() {
		return false
	}
	switch {
	case h.body.err == nil || h.body.err == io.EOF:
		s.inputErr = err // of the spool
		s.refusal.Store(500)
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.refusal.Store(408)
	}
	s.cutOff()
	return false
}

// watch waits for the client to end its side of the connection, of which it is
// true, or for interrupt. Requests that come early are buffered; more than some
// end the watch.
func (h *CGIHandler) watch() (gone bool) {
	h.Connection.SetReadDeadline(time.Time{})
	for len(h.in.buffered()) < maxLine {
		if err := h.in.fill(); err != nil {
			return !errors.Is(err, os.ErrDeadlineExceeded)
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
		h.Connection.SetReadDeadline(time.Unix(1, 0)) // again, as another may just have been set
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
	s.leaving.Store(true)
	if s.stdin != nil {
		s.stdin.abort()
	}
	h.interrupt(s.attended)
	if errors.Is(h.body.err, os.ErrDeadlineExceeded) && s.refusal.Load() == 0 {
		h.body.err = nil
	}
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
		if !s.cmd.ProcessState.Success() && !s.ended.Load() {
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

// endLate ends a script that has not exited although its answer is long sent.
func (s *script) endLate() {
	select {
	case <-s.exited:
	default:
		s.terminate()
	}
}
