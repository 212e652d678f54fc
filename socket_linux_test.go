//go:build !portable && (amd64 || arm64)

package httpserver_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"httpserver"
)

// A head that a body follows at once leaves in one packet with it.
func TestHeadLeavesWithBody(t *testing.T) {
	t.Parallel()
	s, _ := start(t, func() httpserver.Handler {
		h := new(hello)
		h.ProtocolVersion = "HTTP/1.1"
		return h
	}, nil)
	conn := dial(t, s.Addr())
	const requests = 50
	response := make([]byte, 4096)
	for range requests {
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		for n := 0; !bytes.HasSuffix(response[:n], []byte("hello\n")); {
			m, err := conn.Read(response[n:])
			if n += m; err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := packetsReceived(t, conn); n > requests*3/2 { // the machine may pause for a millisecond in between
		t.Errorf("%d responses came in %d packets", requests, n)
	}
}

// packetsReceived gives how many packets with data have come (tcpi_data_segs_in).
func packetsReceived(t *testing.T, conn net.Conn) int {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info [256]byte
	size := uint32(len(info))
	raw.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.IPPROTO_TCP, syscall.TCP_INFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if errno != 0 || size < 156 {
			t.Skipf("no TCP_INFO: %v", errno)
		}
	})
	return int(binary.NativeEndian.Uint32(info[152:]))
}

// Without a body the head leaves within milliseconds, where the system alone would
// keep it for 200.
func TestKeptHeadLeavesSoon(t *testing.T) {
	t.Parallel()
	answered := make(chan struct{})
	s, _ := start(t, func() httpserver.Handler {
		return &ended{then: func(h *ended) {
			h.WFile.Write(nil) // is no body
			<-answered
		}}
	}, nil)
	fastest := time.Hour
	for range 5 {
		conn := dial(t, s.Addr())
		begun := time.Now()
		io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
		if _, err := io.ReadAtLeast(conn, make([]byte, 4096), 1); err != nil {
			t.Fatal(err)
		}
		fastest = min(fastest, time.Since(begun))
		answered <- struct{}{}
	}
	if fastest > 100*time.Millisecond {
		t.Errorf("took %v", fastest)
	}
}

// FlushHeaders and Hijack do not wait for that.
func TestFlushKeptHead(t *testing.T) {
	t.Parallel()
	for name, flush := range map[string]func(h *ended){
		"FlushHeaders": func(h *ended) { h.FlushHeaders() },
		"Hijack":       func(h *ended) { conn, _ := h.Hijack(); conn.Close() },
	} {
		s, _ := start(t, func() httpserver.Handler {
			return &ended{then: func(h *ended) {
				if flush(h); httpserver.HeadKept(h) {
					t.Errorf("after %s the system keeps the head", name)
				}
			}}
		}, nil)
		exchange(t, s.Addr(), "GET / HTTP/1.0\r\n\r\n")
	}
}
