package httpserver_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"httpserver"
)

// A recordingListener records all writes to its connections.
type recordingListener struct {
	net.Listener
	mu     sync.Mutex
	writes []string
}

func (l *recordingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &recordingConn{conn, l}, nil
}

type recordingConn struct {
	net.Conn
	l *recordingListener
}

func (c *recordingConn) Write(p []byte) (int, error) {
	c.l.mu.Lock()
	c.l.writes = append(c.l.writes, string(p))
	c.l.mu.Unlock()
	return c.Conn.Write(p)
}

// bodies returns the writes, with the heads of responses abridged.
func (l *recordingListener) bodies() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	bodies := slices.Clone(l.writes)
	for i, s := range bodies {
		if head, body, ok := strings.Cut(s, "\r\n\r\n"); ok && strings.HasPrefix(head, "HTTP/1.") {
			bodies[i] = "head " + body
		}
	}
	return bodies
}

// TestHold checks the writes that a response consists of.
func TestHold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		then func(h *ended)
		want []string
	}{
		{"Write", func(h *ended) { io.WriteString(h.WFile, "body") }, []string{"head body"}},
		{"two writes", func(h *ended) { io.WriteString(h.WFile, "bo"); io.WriteString(h.WFile, "dy") }, []string{"head bo", "dy"}},
		{"a large write", func(h *ended) { io.WriteString(h.WFile, strings.Repeat("x", 100<<10)) }, []string{"head ", strings.Repeat("x", 100<<10)}},
		{"a large write with a timeout", func(h *ended) { h.Timeout = time.Hour; io.WriteString(h.WFile, strings.Repeat("x", 100<<10)) }, []string{"head ", strings.Repeat("x", 64<<10), strings.Repeat("x", 36<<10)}},
		{"FlushHeaders", func(h *ended) { h.FlushHeaders(); io.WriteString(h.WFile, "body") }, []string{"head ", "body"}},
		{"Hijack", func(h *ended) { conn, _ := h.Hijack(); io.WriteString(conn, "body"); conn.Close() }, []string{"head ", "body"}},
		{"return", func(h *ended) {}, []string{"head "}},
		{"another response", func(h *ended) { h.SendError(500, "", "x"); h.CloseConnection = true }, []string{"head 500"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // where no millisecond passes in between
				l := newPipeListener()
				recording := &recordingListener{Listener: l}
				start(t, func() httpserver.Handler {
					h := &ended{then: tt.then}
					h.ErrorMessageFormat = "%(code)d"
					return h
				}, func(s *httpserver.HTTPServer) {
					s.Listener.Close()
					s.Listener = recording
				})
				conn := l.dial(t)
				io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
				io.ReadAll(conn)
				if got := recording.bodies(); !slices.Equal(got, tt.want) {
					t.Errorf("got %.40q, want %.40q", got, tt.want)
				}
			})
		})
	}
}

// A response whose head another response or its own body interrupts is the last of its
// connection.
func TestHeadInterrupted(t *testing.T) {
	t.Parallel()
	for once, interrupt := range map[string]func(h *headInterrupted){ // by what is in the answer once
		"HTTP/1.1 500":          func(h *headInterrupted) { h.FlushHeaders(); h.SendError(500, "", "") },
		"Content-Length: 4\r\n": func(h *headInterrupted) { io.WriteString(h.WFile, "body"); h.EndHeaders() },
	} {
		s, _ := start(t, func() httpserver.Handler {
			h := &headInterrupted{by: interrupt}
			h.ProtocolVersion = "HTTP/1.1"
			return h
		}, nil)
		if got := exchange(t, s.Addr(), getHello+getHello); strings.Count(got, once) != 1 {
			t.Errorf("%q is not once in %q", once, got)
		}
	}
}

type headInterrupted struct {
	httpserver.BaseRequestHandler
	by func(h *headInterrupted)
}

func (h *headInterrupted) DoGET() {
	h.SendResponse(200, "")
	h.SendHeader("Content-Length", "4")
	h.by(h)
}

// A head without a body is sent although the method has not returned.
func TestHoldExpires(t *testing.T) {
	t.Parallel()
	received := make(chan struct{})
	s, _ := start(t, func() httpserver.Handler {
		return &ended{then: func(h *ended) {
			<-received
			io.WriteString(h.WFile, "body")
		}}
	}, nil)
	_, r := send(t, s.Addr(), "GET / HTTP/1.0\r\n\r\n")
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	close(received)
	if body, err := io.ReadAll(r); string(body) != "body" || err != nil {
		t.Errorf("got %q, %v", body, err)
	}
}

// A client that is sending a body which nobody reads gets the response, as long as it
// keeps sending; one that stops is left after two seconds, and any after thirty.
func TestRefusedUpload(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		pause  time.Duration // between the pieces of the body
		pieces int           // of 1 KiB
		taken  bool          // whether the server takes all of them
	}{
		{"slow", time.Second, 20, true},
		{"stuck", 3 * time.Second, 2, false},
		{"endless", time.Second, 40, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := new(httpserver.MemoryListener)
				s := new(httpserver.ThreadingHTTPServer)
				s.Listener, s.NewHandler, s.Stderr = l, httpserver.New[httpserver.SimpleHandler], io.Discard
				served := make(chan error, 1)
				go func() { served <- s.ServeForever() }()
				defer func() { s.Close(); <-served }()
				conn := dialMemory(t, l)
				defer conn.Close()
				io.WriteString(conn, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
				taken := true
				for range tt.pieces {
					_, err := conn.Write(make([]byte, 1024))
					taken = taken && err == nil
					<-time.Tick(tt.pause) // of the bubble
				}
				if taken != tt.taken {
					t.Errorf("the server took all of it: %v", taken)
				}
				response, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil || response.StatusCode != 501 {
					t.Errorf("got %v, %v", response, err)
				}
			})
		})
	}
}

// cutter sends a part of a body without a length, and then calls a function.
type cutter struct {
	httpserver.BaseRequestHandler
	then func()
}

func (h *cutter) DoGET() {
	h.SendResponse(200, "")
	h.EndHeaders()
	io.WriteString(h.WFile, "begun")
	h.then()
}

// A response without a length that was cut does not look complete: the connection is
// reset, and over TLS it ends without close_notify.
func TestCutResponseIsReset(t *testing.T) {
	t.Parallel()
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	t.Cleanup(certificate.Close)
	for _, tt := range []struct {
		name string
		then func()
		cut  bool
	}{
		{"return", func() {}, false},
		{"panic", func() { panic("of a test") }, true},
		{"Goexit", func() { runtime.Goexit() }, true},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,TLS=%v", tt.name, secure), func(t *testing.T) {
				t.Parallel()
				begun := make(chan struct{})
				s, _ := start(t, func() httpserver.Handler {
					return &cutter{then: func() { <-begun; tt.then() }}
				}, func(s *httpserver.HTTPServer) {
					s.HandleError = func(net.Conn, error) {}
					if secure {
						s.Listener = tls.NewListener(s.Listener, certificate.TLS)
					}
				})
				conn := dial(t, s.Addr())
				if secure {
					conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
				}
				io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
				r := bufio.NewReader(conn)
				for got := ""; !strings.HasSuffix(got, "begun"); {
					c, err := r.ReadByte()
					if err != nil {
						t.Fatal(err)
					}
					got += string(c)
				}
				close(begun)
				if _, err := r.ReadByte(); (err != io.EOF) != tt.cut {
					t.Errorf("the response ends with %v", err)
				}
			})
		}
	}
}

// A client that reads 4 KiB a second makes progress within ten seconds, over TLS as well.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	t.Cleanup(certificate.Close)
	for _, secure := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := new(httpserver.MemoryListener)
			start(t, func() httpserver.Handler {
				h := &ended{then: func(h *ended) { h.WFile.Write(make([]byte, 300_000)) }}
				h.Timeout = 10 * time.Second
				return h
			}, func(s *httpserver.HTTPServer) {
				s.Listener.Close()
				s.Listener = l
				if secure {
					s.Listener = tls.NewListener(l, certificate.TLS)
				}
			})
			conn := dialMemory(t, l)
			if secure {
				conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
			}
			io.WriteString(conn, "GET /f HTTP/1.0\r\n\r\n")
			var got bytes.Buffer
			for {
				if _, err := io.CopyN(&got, conn, 4<<10); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("TLS=%v, after %d bytes: %v", secure, got.Len(), err)
				}
				time.Sleep(time.Second) // takes no time here
			}
			if got.Len() < 300_000 {
				t.Errorf("TLS=%v: got %d bytes", secure, got.Len())
			}
		})
	}
}

// Over TLS, a client that takes little within each timeout gets the whole response, however
// large the buffers of the system are.
func TestSlowReaderOverTLS(t *testing.T) {
	t.Parallel()
	if httpserver.Portable || runtime.GOOS != "linux" {
		t.Skip("the system decides how much it has here")
	}
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	t.Cleanup(certificate.Close)
	const size, timeout, step = 16 << 20, 2 * time.Second, 16 << 10
	s, log := start(t, func() httpserver.Handler {
		h := &ended{then: func(h *ended) { h.WFile.Write(make([]byte, size)) }}
		h.Timeout = timeout
		return h
	}, func(s *httpserver.HTTPServer) { s.Listener = tls.NewListener(s.Listener, certificate.TLS) })
	conn := tls.Client(dial(t, s.Addr()), &tls.Config{InsecureSkipVerify: true})
	io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	got := int64(0)
	for begin := time.Now(); time.Since(begin) < timeout*3/2; time.Sleep(timeout / 20) {
		n, err := io.CopyN(io.Discard, conn, step)
		if got += n; err != nil {
			t.Fatal(got, err, log)
		}
	}
	n, err := io.Copy(io.Discard, conn)
	if got += n; got < size || err != nil {
		t.Errorf("got %d bytes, %v: %s", got, err, log)
	}
}

// A stalledConn is a connection whose client reads nothing. Its system takes what is written
// first, one byte of each of the next two writes, and nothing more.
type stalledConn struct {
	net.Conn
	writes   int
	deadline time.Time
}

func (c *stalledConn) SetWriteDeadline(t time.Time) error { c.deadline = t; return nil }

func (c *stalledConn) Write(p []byte) (n int, err error) {
	switch c.writes++; c.writes {
	case 1:
		return len(p), nil
	case 2, 3:
		n = 1
	}
	pass(time.Until(c.deadline))
	return n, os.ErrDeadlineExceeded
}

// A stalledListener accepts stalled connections.
type stalledListener struct{ *pipeListener }

func (l stalledListener) Accept() (net.Conn, error) {
	conn, err := l.pipeListener.Accept()
	return &stalledConn{Conn: conn}, err
}

// What the system takes although the client reads nothing extends the timeout by half of it
// at most.
func TestClientReadsNothing(t *testing.T) {
	t.Parallel()
	notOnWindows(t, "it does not say how much of a write was sent")
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		start(t, func() httpserver.Handler {
			h := &ended{then: func(h *ended) { h.WFile.Write(make([]byte, 300_000)) }}
			h.Timeout = time.Minute
			return h
		}, func(s *httpserver.HTTPServer) {
			s.Listener.Close()
			s.Listener = stalledListener{l}
		})
		conn, begin := l.dial(t), time.Now()
		io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
		io.ReadAll(conn)
		if took := time.Since(begin); took != 90*time.Second+time.Millisecond { // with a last look
			t.Errorf("closed after %v", took)
		}
	})
}

// An idle connection keeps nothing of its last request.
func TestIdleConnectionKeepsNothing(t *testing.T) {
	if !alone(t) {
		return
	}
	s, _ := start(t, persistent(nil, nil), func(s *httpserver.HTTPServer) { s.Stderr = io.Discard })
	request := "GET /" + strings.Repeat("p", 60_000) + " HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("a: "+strings.Repeat("b", 2000)+"\r\n", 90) + "\r\n"
	const connections = 100
	before := heap()
	for range connections {
		_, r := send(t, s.Addr(), request)
		readResponse(t, r)
	}
	if each := (int64(heap()) - int64(before)) / connections; each > 50_000 {
		t.Errorf("%d bytes are kept for each connection", each)
	}
}
