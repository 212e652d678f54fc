package httpserver_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"httpserver"
)

// This file ends servers at each stage of an exchange, on each kind of listener.

// A stage is what a client and a handler have done when the server ends, and what they
// do afterwards.
type stage struct {
	name     string
	sent     string // by the client
	answered int    // responses that it has read
	begun    bool   // it has read the first byte of another one
	enters   bool   // the handler waits in proceed, or reads a body
	raw      bool   // of TLS: the client has not completed the handshake
	timed    bool   // the times or the buffers of a system could change the result

	later string        // sent by the client after the server was told to end
	after time.Duration // how much later; then the handler continues, too
	last  string        // sent by the client a minute after that

	shut   string        // what the client gets from a server that is shut down
	took   time.Duration // by Shutdown
	closed string        // what it gets from a server that is closed
}

const (
	headOf     = " HTTP/1.1\r\nHost: x\r\n"
	inTime     = 200 * time.Millisecond
	aMinute    = time.Minute
	contextEnd = 100 * time.Millisecond
	idleEnd    = 500 * time.Millisecond // a quarter of a second for a request, and one for the client to leave
	lingers    = 2 * time.Second        // for the client to leave
)

var stages = []stage{
	{name: "silent", shut: "EOF", took: idleEnd, closed: "EOF"},
	{name: "silent, then a request", timed: true, later: getHello, after: inTime, shut: "200 hello close, EOF", took: inTime, closed: "EOF"},
	{name: "empty line", sent: "\r\n", shut: "EOF", took: idleEnd, closed: "EOF"},
	{name: "request line", sent: "GET /", shut: "EOF", took: time.Second + lingers, closed: "EOF"},
	{name: "request line, then the rest", timed: true, sent: "GET /", later: headOf + "\r\n", after: inTime, shut: "200 hello close, EOF", took: inTime, closed: "EOF"},
	{name: "header", sent: "GET /" + headOf, shut: "EOF", took: time.Second + lingers, closed: "EOF"},
	{name: "header, then the rest", timed: true, sent: "GET /" + headOf, later: "\r\n", after: inTime, shut: "200 hello close, EOF", took: inTime, closed: "EOF"},
	{name: "header, then the rest and a slow body", timed: true, sent: "POST /body" + headOf, later: "Content-Length: 5\r\n\r\nhe", after: inTime, last: "llo", shut: "200 hello close, EOF", took: inTime + aMinute, closed: "EOF"},
	{name: "body", sent: "POST /body" + headOf + "Content-Length: 5\r\n\r\nhe", enters: true, later: "llo", after: aMinute, shut: "200 hello close, EOF", took: aMinute, closed: "EOF"},
	{name: "chunked body", sent: "POST /body" + headOf + "Transfer-Encoding: chunked\r\n\r\n5\r\nhe", enters: true, later: "llo\r\n0\r\n\r\n", after: aMinute, shut: "200 hello close, EOF", took: aMinute, closed: "EOF"},
	{name: "body to continue", sent: "POST /body" + headOf + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", answered: 1, later: "hello", after: aMinute, shut: "200 hello close, EOF", took: aMinute, closed: "EOF"},
	{name: "handler", sent: "GET /wait" + headOf + "\r\n", enters: true, after: aMinute, shut: "200 hello close, EOF", took: aMinute, closed: "EOF"},
	{name: "head held", timed: true, sent: "GET /held" + headOf + "\r\n", enters: true, after: aMinute, shut: "200 hello, EOF", took: aMinute + idleEnd, closed: "EOF"},
	{name: "response", sent: "GET /length" + headOf + "\r\n", enters: true, after: aMinute, shut: "200 hello, EOF", took: aMinute + idleEnd, closed: "200 cut, EOF"},
	{name: "chunked response", sent: "GET /chunked" + headOf + "\r\n", enters: true, after: aMinute, shut: "200 hello, EOF", took: aMinute + idleEnd, closed: "200 cut, EOF"},
	{name: "unframed response", sent: "GET /unframed" + headOf + "\r\n", enters: true, after: aMinute, shut: "200 hello close, EOF", took: aMinute, closed: "200 cut, reset"},
	{name: "response that is not read", timed: true, sent: "GET /large" + headOf + "\r\n", begun: true, after: aMinute, shut: "200 large, EOF", took: aMinute + idleEnd, closed: "200 cut, EOF"},
	{name: "unframed response that is not read", timed: true, sent: "GET /endless" + headOf + "\r\n", begun: true, after: aMinute, shut: "200 large close, EOF", took: aMinute, closed: "200 cut, reset"},
	{name: "body that is skipped", sent: "POST /" + headOf + "Content-Length: 5\r\n\r\nhe", answered: 1, shut: "EOF", took: time.Second + lingers, closed: "EOF"},
	{name: "body that is skipped, then the rest", timed: true, sent: "POST /" + headOf + "Content-Length: 5\r\n\r\nhe", answered: 1, later: "llo", after: inTime, shut: "EOF", took: inTime + idleEnd, closed: "EOF"},
	{name: "response, and a body to skip", sent: "POST /length" + headOf + "Content-Length: 5\r\n\r\nhe", enters: true, after: aMinute, shut: "200 hello, EOF", took: aMinute + lingers, closed: "200 cut, EOF"},
	{name: "between requests", sent: getHello, answered: 1, shut: "EOF", took: idleEnd, closed: "EOF"},
	{name: "between requests, then another", timed: true, sent: getHello, answered: 1, later: getHello, after: inTime, shut: "200 hello close, EOF", took: inTime, closed: "EOF"},
	{name: "request without a head", sent: "GET /wait\r\n", enters: true, after: aMinute, shut: "0 hello, EOF", took: aMinute, closed: "reset"},
	{name: "response without a head", sent: "GET /length\r\n", enters: true, after: aMinute, shut: "0 hello, EOF", took: aMinute, closed: "0 cut, reset"},
	{name: "two requests", sent: "GET /wait" + headOf + "\r\n" + getHello, enters: true, after: aMinute, shut: "200 hello close, EOF", took: aMinute + lingers, closed: "EOF"},
	{name: "lingering", timed: true, sent: "GET /" + headOf + "bad\r\n\r\n", answered: 1, shut: "EOF", took: lingers, closed: "EOF"},
	{name: "lingering, with more to read", timed: true, sent: "GET /" + headOf + "bad\r\n\r\n", answered: 1, later: "more", after: time.Second, shut: "EOF", took: lingers, closed: "EOF"},
	{name: "hijacked", sent: "GET /hijack" + headOf + "\r\n", enters: true, after: aMinute, shut: "200 hello, EOF", took: 5 * time.Millisecond, closed: "200 hello, EOF"},
	{name: "handshake not begun", raw: true, shut: "EOF", took: idleEnd / 2, closed: "EOF"},
	{name: "within the handshake", timed: true, raw: true, sent: "\x16\x03\x01\x02\x00\x01\x00", shut: "EOF", took: idleEnd / 2, closed: "EOF"},
}

// staged answers the requests of the stages.
type staged struct {
	httpserver.BaseRequestHandler
	entered, release chan struct{}
}

func (h *staged) proceed() {
	close(h.entered)
	<-h.release
}

// answer sends a head with a field for the framing, which may be "", and the parts of a
// body.
func (h *staged) answer(field, value string, parts ...string) {
	h.SendResponse(200, "")
	if field != "" {
		h.SendHeader(field, value)
	}
	h.EndHeaders()
	for i, part := range parts {
		if i > 0 {
			h.proceed()
		}
		if part != "" {
			io.WriteString(h.WFile, part)
		}
	}
}

const large = 1 << 18 // more than a connection in memory takes when nobody reads

func (h *staged) DoGET() {
	switch h.Path {
	case "/wait":
		h.proceed()
		h.answer("Content-Length", "5", "hello")
	case "/held":
		h.answer("Content-Length", "5", "", "hello")
	case "/length":
		h.answer("Content-Length", "5", "he", "llo")
	case "/chunked":
		h.answer("Transfer-Encoding", "chunked", "2\r\nhe\r\n", "3\r\nllo\r\n0\r\n\r\n")
	case "/unframed":
		h.answer("", "", "he", "llo")
	case "/large":
		h.answer("Content-Length", fmt.Sprint(large), strings.Repeat("x", large))
	case "/endless":
		h.answer("", "", strings.Repeat("x", large))
	case "/hijack":
		conn, _ := h.Hijack()
		defer conn.Close()
		h.proceed()
		io.WriteString(conn, httpserver.Response(200, "hello"))
	default:
		h.answer("Content-Length", "5", "hello")
	}
}

func (h *staged) DoPOST() {
	if h.Path == "/body" {
		begin := make([]byte, 1)
		h.RFile.Read(begin)
		close(h.entered)
		rest, err := io.ReadAll(h.RFile)
		if err != nil {
			return
		}
		h.answer("Content-Length", fmt.Sprint(1+len(rest)), string(begin)+string(rest))
		return
	}
	h.DoGET()
}

// receive reads at most count responses, and returns their codes and bodies, and how the
// connection has ended if there are fewer.
func receive(r *bufio.Reader, count int) string {
	var got []string
	for len(got) < count {
		begin, err := r.Peek(1)
		if err != nil {
			got = append(got, howEnded(err))
			break
		}
		response := &http.Response{Body: io.NopCloser(r)} // without a head
		if begin[0] == 'H' {
			response, err = http.ReadResponse(r, nil)
		}
		if err != nil {
			got = append(got, err.Error())
			break
		}
		body, err := io.ReadAll(response.Body)
		text := string(body)
		if len(body) == large {
			text = "large"
		}
		if response.Close {
			text += " close"
		}
		if err != nil {
			got = append(got, fmt.Sprint(response.StatusCode, " cut"), howEnded(err))
			break
		}
		got = append(got, fmt.Sprint(response.StatusCode, " ", text))
	}
	return strings.Join(got, ", ")
}

func howEnded(err error) string {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return "EOF"
	}
	return "reset"
}

// reach connects to a server and replays a stage up to its end.
func (e *stage) reach(t *testing.T, dial func() net.Conn, accepted, entered <-chan struct{}, bubble bool) (net.Conn, *bufio.Reader) {
	settle := func() {
		if bubble {
			synctest.Wait()
		}
	}
	dial().Close() // so that the end of a connection is not that of the server
	<-accepted
	settle()
	conn := dial()
	if secure, ok := conn.(*tls.Conn); ok && e.raw {
		conn = secure.NetConn()
	} else if ok && secure.Handshake() != nil {
		t.Fatal("the handshake failed")
	}
	<-accepted
	if half := len(e.sent) / 2; half > 0 {
		io.WriteString(conn, e.sent[:half])
		settle()
		io.WriteString(conn, e.sent[half:])
	}
	r := bufio.NewReader(conn)
	receive(r, e.answered)
	if e.begun {
		r.Peek(1)
	}
	if e.enters {
		<-entered
	}
	settle()
	return conn, r
}

// end replays a stage and ends the server: by "Shutdown", by one whose "context" ends, or
// by "Close". In a bubble of synctest it checks how long that takes.
func (e *stage) end(t *testing.T, listen func(*testing.T) (net.Listener, func() net.Conn), way string, bubble bool) {
	accepted, entered, release := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
	l, dial := listen(t)
	s, log := start(t, func() httpserver.Handler {
		h := &staged{entered: entered, release: release}
		h.ProtocolVersion = "HTTP/1.1"
		return h
	}, func(s *httpserver.HTTPServer) {
		s.Listener.Close()
		s.Listener = l
		s.VerifyRequest = func(net.Conn) bool { accepted <- struct{}{}; return true }
	})
	conn, r := e.reach(t, dial, accepted, entered, bubble)
	httpserver.AwaitConnections(&s.HTTPServer, 1) // the first one may not have ended yet

	want, took := e.shut, e.took
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	switch way {
	case "context":
		took = min(took, contextEnd)
		if cancel(); bubble {
			ctx, cancel = context.WithTimeout(t.Context(), contextEnd)
		}
	case "Close":
		want, took = e.closed, 0
	}
	defer cancel()
	begin, begun := time.Now(), make(chan struct{})
	ctx = &noticed{Context: ctx, open: begun}
	var calls sync.WaitGroup
	for range 2 {
		calls.Go(func() {
			var err error
			if way == "Close" {
				err = s.Close()
			} else {
				err = s.Shutdown(ctx)
			}
			if elapsed := time.Since(begin); bubble && elapsed != took {
				t.Errorf("%s took %v, want %v", way, elapsed, took)
			}
			if took == contextEnd && errors.Is(err, ctx.Err()) && strings.Contains(err.Error(), conn.LocalAddr().String()) {
				return
			} else if err == nil && !bubble && time.Since(begin) >= e.took {
				return // the machine is slow, and the connection has ended by itself
			} else if took == contextEnd || err != nil {
				t.Errorf("%s returned %v", way, err)
			}
		})
	}
	if way == "Shutdown" {
		<-begun
	} else {
		calls.Wait()
	}

	if bubble {
		pass(e.after - time.Since(begin))
	}
	close(release)
	if e.later != "" { // an empty write could take the error of a reset
		io.WriteString(conn, e.later)
	}
	if e.last != "" {
		pass(aMinute)
		io.WriteString(conn, e.last)
	}
	got := receive(r, 9)
	if !bubble && way == "Close" && strings.HasSuffix(got, "reset") { // which may take the place of more
		got = want
	}
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	calls.Wait()
	conn.Close()
	closeServer(t, s)
	if bubble {
		synctest.Wait()
		if n := httpserver.Connections(&s.HTTPServer); n > 0 {
			t.Errorf("the server knows %d connections", n)
		}
	}
	if log := log.String(); e.sent+e.later == "" && log != "" {
		t.Errorf("log: %s", log)
	}
}

func TestEnding(t *testing.T) {
	if !alone(t) {
		return
	}
	certificate() // outside of the bubbles
	before := descriptors(t)
	var replays sync.WaitGroup // all at once, as they wait most of the time
	for _, e := range stages {
		for _, way := range []string{"Shutdown", "context", "Close"} {
			for network, listen := range networks {
				bubble := strings.Contains(network, "memory")
				if e.raw && !strings.HasPrefix(network, "tls") || e.timed && !bubble {
					continue
				}
				if network == "tls" && !e.raw && !e.enters && e.answered == 0 {
					continue // the server may not have completed the handshake, and then there is a reset
				}
				if strings.HasSuffix(e.closed, "reset") && (network == "unix" || runtime.GOOS == "windows" && !bubble) {
					continue // a unix socket cannot be reset, and Wine does not always do it
				}
				replays.Go(func() {
					t.Run(fmt.Sprintf("%s/%s/%s", e.name, way, network), func(t *testing.T) {
						if bubble {
							synctest.Test(t, func(t *testing.T) { e.end(t, listen, way, true) })
						} else {
							e.end(t, listen, way, false)
						}
					})
				})
			}
		}
	}
	replays.Wait()
	wantNothingLeft(t, before)
}
