//go:build unix

package httpserver

import (
	"io"
	"net"
	"os"
	"syscall"
)

// This file contains what differs on Unix in the opening of files and in the reading
// and writing of connections. conn_other.go is its counterpart for other systems.

// openNonblock makes an open of a FIFO or a device return at once.
const openNonblock = syscall.O_NONBLOCK

// sendStep is the largest number of bytes of a large file that are sent under one
// write deadline. When that passes, the system says how many were sent. Steps of
// 64 MiB take a quarter more time.
const sendStep = 1 << 30

// writeTries is how often a write is tried within the timeout. A new try fills whatever room
// the system's buffer has; a try that waits goes on only when a good part of it is free.
const writeTries = 5

// hasArrived reports whether a connection of the system has received something that was not
// read, of which it drops a byte: a close would then destroy what the client has not read.
func hasArrived(conn net.Conn) bool {
	n := 0
	if raw := rawConn(conn); raw != nil {
		raw.Read(func(fd uintptr) bool {
			n, _ = syscall.Read(int(fd), make([]byte, 1))
			return true
		})
	}
	return n > 0
}

// rawConn returns the raw connection of a connection of the system. It returns nil for one of
// another type, whose methods may do more than use its descriptor.
func rawConn(conn net.Conn) syscall.RawConn {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		if raw, err := conn.(syscall.Conn).SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}

// A waiter reads the first bytes of a request into a buffer that it provides when
// they have arrived: an idle connection has none.
type waiter struct {
	raw syscall.RawConn // nil before the first wait
	try func(fd uintptr) bool
	n   int
	err error
}

// wait waits and stores the result of the read in n and err. It returns false for a
// connection without a raw one.
func (w *waiter) wait(c *connReader) bool {
	if w.raw == nil && !w.open(c) {
		return false
	}
	if err := w.raw.Read(w.try); err != nil { // of a deadline or of Close
		w.n, w.err = 0, err
	}
	return true
}

func (w *waiter) open(c *connReader) bool {
	if w.raw = rawConn(c.conn); w.raw == nil {
		return false
	}
	w.try = func(fd uintptr) bool { return w.read(c, int(fd)) } // made once, as it allocates
	return true
}

// read reads once. It returns false if nothing has arrived.
func (w *waiter) read(c *connReader, fd int) bool {
	c.grow()
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
