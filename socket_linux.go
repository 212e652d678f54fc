//go:build !portable

package httpserver

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// This file holds what sockets of Linux can do beyond net.Conn: to keep a head
// until its body follows, so that both leave in one packet though they are two
// writes, and to copy a file behind it. Its twin for other systems is
// socket_other.go.

// copyLimit is from how many bytes on the system's own copying is cheaper than
// reading and writing.
const copyLimit = 32 << 10

// A socket sends what its connection, if that is of TCP, is to send in one of
// these ways.
type socket struct {
	conn *net.TCPConn // or nil
	raw  syscall.RawConn
	kept atomic.Bool // the system keeps the end of what was sent

	// of the call under way
	more, copy func(fd uintptr) bool
	head       []byte
	taken      int // bytes of it
	file       int
	offset     int64 // in the file
	left       int64 // bytes still to be sent
	err        error
}

// attach makes s the socket of a connection.
func (s *socket) attach(conn net.Conn) { s.conn, _ = conn.(*net.TCPConn) }

// open finds the descriptor before the first use of it. It is false if there is none.
func (s *socket) open() bool {
	if s.raw != nil || s.conn == nil {
		return s.raw != nil
	}
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return false
	}
	s.raw, s.more, s.copy = raw, s.sendHead, s.sendRest
	return true
}

// sendMore sends p, or the part of it that it gives the size of, in a way that
// lets the system keep it until more is sent. It does not wait.
func (s *socket) sendMore(p []byte) int {
	if !s.open() {
		return 0
	}
	s.head, s.taken = p, 0
	s.raw.Write(s.more) // an error comes again from what is written next
	s.head = nil
	s.kept.Store(s.taken > 0)
	return s.taken
}

func (s *socket) sendHead(fd uintptr) bool {
	n, err := syscall.SendmsgN(int(fd), s.head, nil, nil, syscall.MSG_MORE|syscall.MSG_NOSIGNAL)
	if err == nil {
		s.taken = n
	}
	return true
}

// sendFile sends size bytes of a file from offset on, at most sendStep. Where the
// file ends before, n is less.
func (s *socket) sendFile(file int, offset, size int64) (n int64, err error) {
	if !s.open() {
		return 0, errNoSendfile
	}
	s.file, s.offset, s.left, s.err = file, offset, size, nil
	err = s.raw.Write(s.copy)
	if err == nil {
		err = s.err
	}
	return size - s.left, err
}

func (s *socket) sendRest(fd uintptr) bool {
	for s.left > 0 {
		n, err := syscall.Sendfile(int(fd), s.file, &s.offset, int(s.left))
		s.left -= int64(max(n, 0))
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return false
		case err == syscall.EINVAL, err == syscall.ENOSYS, err == syscall.EOPNOTSUPP:
			s.err = errNoSendfile
			return true
		case err != nil:
			s.err = os.NewSyscallError("sendfile", err)
			return true
		case n == 0:
			return true
		}
	}
	return true
}

// A keeper sees to it that what the system keeps leaves soon, also when nothing
// follows.
var keeper struct {
	sync.Mutex
	sockets []*socket // that may have something kept; not empty while a push is due
}

// pushDelay is how long the system keeps a head that no body follows.
const pushDelay = time.Millisecond

// pushSoon calls push after pushDelay, if it should still be needed then.
func (s *socket) pushSoon() {
	if !s.kept.Load() {
		return
	}
	keeper.Lock()
	defer keeper.Unlock()
	if keeper.sockets = append(keeper.sockets, s); len(keeper.sockets) == 1 {
		time.AfterFunc(pushDelay, pushAll)
	}
}

func pushAll() {
	keeper.Lock()
	sockets := keeper.sockets
	keeper.sockets = nil
	keeper.Unlock()
	for _, s := range sockets {
		s.push()
	}
}

// push makes the system send what it keeps.
func (s *socket) push() {
	if s.kept.Load() && s.kept.Swap(false) {
		s.raw.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, 0) })
	}
}

// sent notes that something was sent the ordinary way, and with it what was kept.
func (s *socket) sent() {
	if s.kept.Load() {
		s.kept.Store(false)
	}
}
