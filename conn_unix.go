//go:build unix

package httpserver

import (
	"io"
	"net"
	"os"
	"syscall"
)

// openNonblock keeps an open of a FIFO or a device from waiting.
//
//lint:ignore U1000 it is used by the code for other systems than Linux
const openNonblock = syscall.O_NONBLOCK

// sendStep is how many bytes of a large file go out at most before it is looked
// whether the connection has been closed, and under one write deadline, which is
// no limit, as the system tells how far it came when that passes. Steps of 64 MiB
// cost a quarter of the speed.
const sendStep = 1 << 30

// A waiter reads the first bytes of a request into a buffer that it takes when
// they are there: a connection that waits for them holds none.
type waiter struct {
	raw syscall.RawConn // nil before the first wait
	try func(fd uintptr) bool
	n   int
	err error
}

// wait leaves what was read in n and err. It is false for a connection whose
// descriptor it must not read from, as that would go past a Read of its own.
func (w *waiter) wait(c *connReader) bool {
	if w.raw == nil && !w.open(c) {
		return false
	}
	w.n = 0
	if err := w.raw.Read(w.try); err != nil {
		w.err = err // a deadline, or Close
	}
	return true
}

func (w *waiter) open(c *connReader) bool {
	var err error
	switch conn := c.conn.(type) {
	case *net.TCPConn:
		w.raw, err = conn.SyscallConn()
	case *net.UnixConn:
		w.raw, err = conn.SyscallConn()
	default:
		return false
	}
	w.try = func(fd uintptr) bool { return w.read(c, int(fd)) }
	return err == nil
}

// read reads once. It is false if there is nothing yet.
func (w *waiter) read(c *connReader, fd int) bool {
	c.takeBuffer()
	w.n, w.err = syscall.Read(fd, c.buf)
	for w.err == syscall.EINTR {
		w.n, w.err = syscall.Read(fd, c.buf)
	}
	switch {
	case w.err == syscall.EAGAIN:
		c.release()
		return false
	case w.err != nil:
		w.n, w.err = 0, os.NewSyscallError("read", w.err)
	case w.n == 0:
		w.err = io.EOF
	}
	return true
}
