//go:build !portable

package httpserver_test

import (
	"bytes"
	"io"
	"testing"
	"time"

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
	together := 0
	for range 50 {
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		response := make([]byte, 4096)
		n, err := conn.Read(response)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasSuffix(response[:n], []byte("hello\n")) {
			together++
			continue
		}
		if _, err := io.ReadFull(conn, response[:len("hello\n")]); err != nil {
			t.Fatal(err)
		}
	}
	if together < 25 { // the machine may pause for a millisecond in between
		t.Errorf("head and body came together %d times of 50", together)
	}
}

// Without a body the head leaves within milliseconds, where the system alone would
// keep it for 200; FlushHeaders and Hijack send it at once.
func TestKeptHeadLeavesSoon(t *testing.T) {
	t.Parallel()
	answered := make(chan struct{})
	s, _ := start(t, func() httpserver.Handler {
		return &ended{then: func(*ended) { <-answered }}
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
