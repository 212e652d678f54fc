package httpserver

import (
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"time"
)

// This file holds the way of a request's body to a script: through a pipe and,
// where the script is slow to read, through a file.

// stallTime is how long a script may leave its standard input unread before what
// comes for it goes into a file.
const stallTime = 250 * time.Millisecond

// A scriptInput is the standard input of a script. What is written to it reaches
// the script in time; Write does not wait for that for long, as only a client
// that is read from can be seen to go.
type scriptInput struct {
	pipe  *os.File
	limit int64  // bytes that the spool may hold
	deaf  bool   // the script has closed its end
	spool *spool // from when the script has stalled
}

// Write passes p on to the script. What a script that reads no more is given
// is dropped.
func (in *scriptInput) Write(p []byte) (int, error) {
	switch {
	case in.deaf:
		return len(p), nil
	case in.spool != nil:
		return in.spool.Write(p)
	}
	in.pipe.SetWriteDeadline(time.Now().Add(stallTime))
	n, err := in.pipe.Write(p)
	if err == nil {
		return n, nil
	}
	if in.deaf = !errors.Is(err, os.ErrDeadlineExceeded); in.deaf {
		return len(p), nil
	}
	file, err := createSpool()
	if err != nil {
		return n, err
	}
	in.pipe.SetWriteDeadline(time.Time{})
	in.spool = newSpool(file, in.limit)
	go in.spool.copyTo(in.pipe)
	m, err := in.spool.Write(p[n:])
	return n + m, err
}

// end tells the script that there is no more, once it has read what there is.
func (in *scriptInput) end() {
	if in.spool != nil {
		in.spool.end()
	} else {
		in.pipe.Close()
	}
}

// abort ends a Write that waits for the script, from another goroutine. The
// script gets no more.
func (in *scriptInput) abort() { in.pipe.Close() }

// A spool is a file of bytes that one goroutine appends and another one takes.
type spool struct {
	file  *os.File
	limit int64 // bytes; more wait until all are taken

	mu      sync.Mutex
	changed sync.Cond
	r, w    int64 // bytes of the file that were taken, that were written
	ended   bool  // no more will be written
	deaf    bool  // no more will be taken
}

func newSpool(file *os.File, limit int64) *spool {
	s := &spool{file: file, limit: limit}
	s.changed.L = &s.mu
	return s
}

// createSpool makes a file that has no name, or none for long.
func createSpool() (*os.File, error) {
	f, err := os.CreateTemp("", "httpserver-body-")
	if err == nil {
		os.Remove(f.Name()) // what is open stays, but on Windows
	}
	return f, err
}

func closeSpool(f *os.File) {
	f.Close()
	if runtime.GOOS == "windows" {
		os.Remove(f.Name())
	}
}

// Write appends p. The file begins anew where all of it was taken.
func (s *spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.w+int64(len(p)) > s.limit && s.r < s.w && !s.deaf {
		s.changed.Wait()
	}
	if s.deaf {
		return len(p), nil
	}
	if s.r == s.w {
		s.r, s.w = 0, 0
	}
	n, err := s.file.WriteAt(p, s.w)
	s.w += int64(n)
	s.changed.Broadcast()
	return n, err
}

// Read takes what there is, and waits for some.
func (s *spool) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.r == s.w && !s.ended {
		s.changed.Wait()
	}
	if s.r == s.w {
		return 0, io.EOF
	}
	n, err := s.file.ReadAt(p[:min(int64(len(p)), s.w-s.r)], s.r)
	s.r += int64(n)
	s.changed.Broadcast()
	if n > 0 {
		err = nil
	}
	return n, err
}

// end lets Read give io.EOF after what there is.
func (s *spool) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.changed.Broadcast()
}

// copyTo writes all of the spool to a pipe, and closes both.
func (s *spool) copyTo(pipe *os.File) {
	io.Copy(struct{ io.Writer }{pipe}, s)
	pipe.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deaf = true
	s.changed.Broadcast()
	closeSpool(s.file)
}
