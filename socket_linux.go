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

// copyLimit is up to how many bytes of a file reading and writing is cheaper than
// the system's own copying.
const copyLimit = 32 << 10

// A socket sends what its connection, if that is of TCP, is to send in one of
// these ways.
type socket struct {
	conn   *net.TCPConn // or nil
	raw    syscall.RawConn
	kept   atomic.Bool // the system keeps the end of what was sent
	keeper *keeper
	queued bool // keeper has it

	callHead, callRest func(fd uintptr) bool // sendHead and sendRest

	// of the call under way
	head   []byte
	taken  int // bytes of it
	file   int
	offset int64 // in the file
	left   int64 // bytes still to be sent
	err    error
}

// attach makes s the socket of a connection.
func (s *socket) attach(conn net.Conn, k *keeper) {
	s.conn, _ = conn.(*net.TCPConn)
	s.keeper = k
}

// open finds the descriptor before the first use of it. It is false if there is none.
func (s *socket) open() bool {
	if s.raw != nil || s.conn == nil {
		return s.raw != nil
	}
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return false
	}
	s.raw, s.callHead, s.callRest = raw, s.sendHead, s.sendRest
	return true
}

// sendMore sends p, or the part of it that it gives the size of, in a way that
// lets the system keep it until more is sent. It does not wait.
func (s *socket) sendMore(p []byte) int {
	if !s.open() {
		return 0
	}
	s.head, s.taken = p, 0
	s.raw.Write(s.callHead) // after an error nothing is taken, and is written the ordinary way
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

// sendFile sends size bytes, which is sendStep or less, of a file from offset on.
// Where the file ends before, n is less.
func (s *socket) sendFile(file int, offset, size int64) (n int64, err error) {
	if !s.open() {
		return 0, errNoSendfile
	}
	s.file, s.offset, s.left, s.err = file, offset, size, nil
	err = s.raw.Write(s.callRest)
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

// pushDelay is how long the system keeps a head that no body follows, at most.
const pushDelay = time.Millisecond

// A keeper sees to it that what the system keeps of a server's responses leaves
// soon, also when nothing follows. One timer for all costs less than one each.
type keeper struct {
	mu      sync.Mutex
	sockets []*socket // that may have something kept; not empty while the timer runs
}

// pushSoon calls push within pushDelay.
func (s *socket) pushSoon() {
	if !s.kept.Load() {
		return
	}
	k := s.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	if s.queued {
		return
	}
	s.queued = true
	if k.sockets = append(k.sockets, s); len(k.sockets) == 1 {
		time.AfterFunc(pushDelay, k.pushAll)
	}
}

func (k *keeper) pushAll() {
	k.mu.Lock()
	sockets := k.sockets
	k.sockets = nil
	for _, s := range sockets {
		s.queued = false
	}
	k.mu.Unlock()
	for _, s := range sockets {
		s.push()
	}
}

// push makes the system send what it keeps.
func (s *socket) push() {
	if s.kept.CompareAndSwap(true, false) {
		s.raw.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, 0) })
	}
}

// nothingKept notes that something was sent the ordinary way, and with it what
// was kept.
func (s *socket) nothingKept() { s.kept.Store(false) }
