package httpserver_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"httpserver"
)

// ok is a sound response: 17, 19 and 2 bytes of head, 5 of body.
var ok = httpserver.Response(200, "hello")

// A testRecord is a TB that keeps what it is told.
type testRecord struct {
	mu           sync.Mutex
	logs, errors []string
	cleanups     []func()
}

func (r *testRecord) Helper()          {}
func (r *testRecord) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *testRecord) Logf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logs = append(r.logs, fmt.Sprintf(format, args...))
}

func (r *testRecord) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *testRecord) failures() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.errors)
}

// inMemory returns a fixture on a network in memory, and a client that uses it.
func inMemory(t httpserver.TB) (*httpserver.Fixture, *http.Client) {
	l := new(httpserver.MemoryListener)
	f := httpserver.NewFixture(t)
	f.Listener = l
	return f, &http.Client{Transport: &http.Transport{DialContext: l.DialContext}}
}

// wire is a connection on which requests are written as text.
type wire struct {
	net.Conn
	r *bufio.Reader
}

func dialFixture(t *testing.T, f *httpserver.Fixture) *wire {
	t.Helper()
	f.Addr() // begins to serve
	conn := dialMemory(t, f.Listener.(*httpserver.MemoryListener))
	return &wire{conn, bufio.NewReader(conn)}
}

func dialMemory(t *testing.T, l *httpserver.MemoryListener) net.Conn {
	t.Helper()
	conn, err := l.DialContext(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ask sends a request and returns the status and the body of its response.
func (w *wire) ask(t *testing.T, request string) string {
	t.Helper()
	io.WriteString(w, request)
	return w.response(t)
}

func (w *wire) response(t *testing.T) string {
	t.Helper()
	response, body := readResponse(t, w.r)
	return fmt.Sprint(response.StatusCode, " ", body)
}

func getText(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }

func postText(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

func text(s string) httpserver.Answer { return httpserver.Send(httpserver.Response(200, s)) }

func next(t *testing.T, f *httpserver.Fixture) *httpserver.Request {
	t.Helper()
	r, err := f.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A program that tests with a fixture gets nothing with it that it did not ask for.
func TestImports(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no files ", err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range file.Imports {
			switch imported.Path.Value {
			case `"testing"`, `"net/http"`, `"reflect"`, `"unsafe"`, `"crypto/tls"`:
				t.Errorf("%s imports %s", name, imported.Path.Value)
			}
		}
	}
}

// wantPanic calls f, which has to panic with a text that begins in this way.
func wantPanic(t *testing.T, begin string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if v := fmt.Sprint(recover()); !strings.HasPrefix(v, begin) {
			t.Errorf("panics with %q, want %q", v, begin)
		}
	}()
	f()
}

// Rule 1.
func TestFixtureReply(t *testing.T) {
	t.Parallel()
	f, _ := inMemory(t)
	w := dialFixture(t, f)
	check := func(request, want string) {
		t.Helper()
		if got := w.ask(t, request); got != "200 "+want {
			t.Errorf("%.30q: got %q, want %q", request, got, want)
		}
	}
	f.Reply("", text("all"))
	f.Reply("GET", text("get"))
	f.Reply("/x", text("x"))
	f.Reply("GET /x", text("first"), text("second"), text("last"))
	f.Reply("GET //two", text("slashes"))
	f.Reply("OPTIONS *", text("star"))
	f.Reply("/", text("root"))
	check(postText("/", ""), "root")
	check(postText("/y", ""), "all")
	check(getText("/y"), "get")
	check(getText("//x?y"), "get")
	check(postText("/x", ""), "x")
	check(getText("/x"), "first")
	check(getText("/x?query=/y"), "second")
	check(getText("/x"), "last")
	check(getText("/x#fragment"), "last")
	check(getText("http://x/x?y"), "last")
	check(getText("http://x"), "root")
	check(getText("//two"), "slashes")
	check(getText("/two"), "get")
	check("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "star")
	check("SPAM /x HTTP/1.1\r\nHost: x\r\n\r\n", "x")

	f.Reply("GET /x", text("new"), text("newer"))
	check(getText("/x"), "new")
	f.Reply("GET /x", text("newest"))
	check(getText("/x"), "newest")
	f.Reply("GET /x")
	check(getText("/x"), "x")
	if got := dialFixture(t, f).ask(t, getText("/y")); got != "200 get" {
		t.Errorf("on another connection: %q", got)
	}
	for _, requests := range []string{" ", "GET ", "GET  /x", "/x?y", "GET /x#y", " /x", "GET /x HTTP/1.1", "a:b"} {
		wantPanic(t, "httpserver: Reply(", func() { f.Reply(requests, text("")) })
	}
}

// Rule 2: the order of what happens, seen from the client.
func TestFixtureOrder(t *testing.T) {
	t.Parallel()
	const head = "POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n"
	t.Run("continue", func(t *testing.T) {
		f, _ := inMemory(t)
		f.Reply("/x", text("first"), text("second"))
		w := dialFixture(t, f)
		io.WriteString(w, head)
		if line, _ := w.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("got %q", line)
		}
		w.r.ReadString('\n')
		f.Reply("/x", text("too late"))
		if n := len(f.Requests()); n != 0 {
			t.Errorf("%d requests were recorded before the body came", n)
		}
		if got := w.ask(t, "0123456789"); got != "200 first" {
			t.Errorf("got %q", got)
		}
		if r := next(t, f); r.Body != "0123456789" || r.Raw != head+r.Body || r.Err != nil {
			t.Errorf("recorded %q, %q, %v", r.Body, r.Raw, r.Err)
		}
		if got := w.ask(t, getText("/x")); got != "200 too late" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("refused", func(t *testing.T) {
		f, _ := inMemory(t)
		f.Reply("/x", httpserver.Answer{}.Read(0).Send(httpserver.Response(413, "")))
		w := dialFixture(t, f)
		if got := w.ask(t, head); got != "413 " {
			t.Errorf("got %q", got)
		}
		if _, err := w.r.ReadByte(); err != io.EOF { // nobody knows whether the body is to come
			t.Errorf("the connection goes on: %v", err)
		}
		if r := next(t, f); r.Raw != head || r.Body != "" {
			t.Errorf("recorded %q, %q", r.Raw, r.Body)
		}
	})
	t.Run("no body to refuse", func(t *testing.T) {
		f, _ := inMemory(t)
		f.Reply("/x", httpserver.Answer{}.Read(0).Send(ok))
		w := dialFixture(t, f)
		for range 2 { // the connection goes on
			if got := w.ask(t, "GET /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n"); got != "200 hello" {
				t.Errorf("got %q", got)
			}
		}
	})
	t.Run("part", func(t *testing.T) {
		f, _ := inMemory(t)
		f.Reply("/x", httpserver.Answer{}.Read(3).Send(ok))
		w := dialFixture(t, f)
		head, _, _ := strings.Cut(postText("/x", "0123456789"), "0123")
		if got := w.ask(t, head+"012"); got != "200 hello" {
			t.Errorf("got %q", got)
		}
		r := next(t, f)
		if r.Body != "012" || r.Raw != head+"012" {
			t.Errorf("recorded %q, %q", r.Body, r.Raw)
		}
		if got := w.ask(t, "3456789"+getText("/x")); got != "200 hello" { // what is left of the body is skipped
			t.Errorf("got %q", got)
		}
		if r := next(t, f); r.Raw != getText("/x") || r.Conn != 1 {
			t.Errorf("recorded %q on %d", r.Raw, r.Conn)
		}
	})
	t.Run("chunks", func(t *testing.T) {
		f, _ := inMemory(t)
		f.Reply("", text(""))
		request := "PUT /x HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n"
		dialFixture(t, f).ask(t, request)
		r := next(t, f)
		if r.Raw != request || r.Body != "abcde" || r.Command != "PUT" || r.Path != "/x" || r.RequestVersion != "HTTP/1.1" || r.RequestLine != "PUT /x HTTP/1.1" || r.Headers[1].Name != "transfer-encoding" {
			t.Errorf("recorded %+v", r)
		}
	})
}

// Rule 2: a request is recorded before its steps, and done after them.
func TestFixtureDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, _ := inMemory(t)
		f.Reply("", httpserver.Send(ok).Pause(time.Hour).Close())
		begin := time.Now()
		w := dialFixture(t, f)
		io.WriteString(w, getText("/"))
		r := next(t, f)
		if took := time.Since(begin); took != 0 {
			t.Errorf("recorded after %v", took)
		}
		<-r.Done
		if took := time.Since(begin); took != time.Hour {
			t.Errorf("done after %v", took)
		}
		if got, err := io.ReadAll(w.r); string(got) != ok || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// A watchedListener keeps what is written to its connections, write by write.
type watchedListener struct {
	httpserver.MemoryListener
	writes chan string
	upper  bool // the connections are like those of TLS
}

func (l *watchedListener) Accept() (net.Conn, error) {
	conn, err := l.MemoryListener.Accept()
	watched := watchedConn{conn, l.writes}
	if l.upper {
		return upperConn{watched}, err
	}
	return watched, err
}

type upperConn struct{ watchedConn }

func (c upperConn) NetConn() net.Conn { return c.Conn }

type watchedConn struct {
	net.Conn
	writes chan<- string
}

func (c watchedConn) Write(p []byte) (int, error) {
	c.writes <- string(p)
	return c.Conn.Write(p)
}

// A Send is one write, and each byte of a Drip another.
func TestFixtureWrites(t *testing.T) {
	t.Parallel()
	for _, upper := range []bool{false, true} {
		l := &watchedListener{writes: make(chan string, 100), upper: upper}
		f := httpserver.NewFixture(t)
		f.Listener = l
		big := httpserver.Response(200, strings.Repeat("big", 1<<16))
		f.Reply("", httpserver.Send(ok+ok).Send("").Send("x\r\n\x00\xff").Send(big).Drip("abc", 0).Close())
		conn := dialMemory(t, &l.MemoryListener)
		io.WriteString(conn, getText("/"))
		io.Copy(io.Discard, conn)
		want := []string{ok + ok, "x\r\n\x00\xff", big, "a", "b", "c"}
		for i := range want {
			if got := <-l.writes; got != want[i] {
				t.Errorf("upper %t: write %d is %d bytes, %.50q, want %d, %.50q", upper, i+1, len(got), got, len(want[i]), want[i])
			}
		}
		if len(l.writes) > 0 {
			t.Errorf("upper %t: another write of %.50q", upper, <-l.writes)
		}
	}
}

// Rule 3.
func TestFixtureConnection(t *testing.T) {
	t.Parallel()
	f, _ := inMemory(t)
	f.Reply("", text("").Send("garbage"))
	for request, ends := range map[string]bool{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n":                      false,
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n": true,
		"GET / HTTP/1.0\r\n\r\n":                                 true,
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n":       false,
		"GET /\r\n": true,
	} {
		w := dialFixture(t, f)
		io.WriteString(w, request)
		io.CopyN(io.Discard, w.r, int64(len(httpserver.Response(200, "")+"garbage")))
		if ends {
			if n, err := io.Copy(io.Discard, w.r); n != 0 || err != nil {
				t.Errorf("%q: %d more bytes, %v", request, n, err)
			}
		} else if got := w.ask(t, request); got != "200 " {
			t.Errorf("%q: %q", request, got)
		}
	}
	pipelined := dialFixture(t, f)
	f.Reply("", text("a"), text("b"), text("c"))
	requests := []string{getText("/1"), "\r\n" + postText("/2", "body"), getText("/3")}
	for range f.Requests() {
		next(t, f)
	}
	io.WriteString(pipelined, strings.Join(requests, ""))
	for i, want := range []string{"200 a", "200 b", "200 c"} {
		if got := pipelined.response(t); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if r := next(t, f); r.Raw != requests[i] {
			t.Errorf("recorded %q, want %q", r.Raw, requests[i])
		}
	}
}

// Rule 4, on each kind of connection: what the client gets, and that it is there when
// Done is closed.
func TestFixtureEnds(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other words for a reset, and Wine not always one")
	}
	const big = 1 << 20
	for network, listen := range networks {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			f := httpserver.NewFixture(t)
			l, dial := listen(t)
			f.Listener = l
			f.Reply("/close", httpserver.Send(ok).Close())
			f.Reply("/half", httpserver.Send(ok).CloseWrite().Do(func(h *httpserver.BaseRequestHandler) {}))
			f.Reply("/early", httpserver.Answer{}.Read(0).Send(ok).Close())
			f.Reply("/reset", httpserver.Send(ok).Reset().Send("never"))
			f.Reply("/ok", httpserver.Send(ok))
			f.URL()
			for _, path := range []string{"/close", "/half", "/early", "/reset"} {
				conn := dial()
				io.WriteString(conn, getText("/ok"))
				r := bufio.NewReader(conn)
				readResponse(t, r)
				next(t, f)
				if path == "/early" {
					fmt.Fprintf(conn, "PUT /early HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", big)
				} else {
					io.WriteString(conn, getText(path))
				}
				<-next(t, f).Done
				if path == "/early" {
					conn.Write(make([]byte, big)) // it is read and dropped
				}
				got, err := io.ReadAll(r)
				if string(got) != ok {
					t.Errorf("%s: got %q", path, got)
				}
				if path == "/reset" {
					isReset := errors.Is(err, syscall.ECONNRESET) || network == "tls" && errors.Is(err, io.ErrUnexpectedEOF)
					if runtime.GOOS == "windows" || network == "unix" {
						isReset = err != nil || network == "unix"
					}
					if !isReset {
						t.Errorf("%s: %v", path, err)
					}
				} else if err != nil {
					t.Errorf("%s: %v", path, err)
				}
				if path == "/half" {
					io.WriteString(conn, getText("/ok")) // is still received
					if r := next(t, f); r.Path != "/ok" {
						t.Errorf("%s: got %q", path, r.Path)
					}
				}
				conn.Close()
			}
		})
	}
}

// networks return a listener of each kind and a function that connects to it.
var networks = map[string]func(t *testing.T) (l net.Listener, dial func() net.Conn){
	"tcp":           dialTCP,
	"tls":           func(t *testing.T) (net.Listener, func() net.Conn) { return secured(dialTCP(t)) },
	"unix":          dialUnix,
	"memory":        memoryNetwork,
	"tls in memory": func(t *testing.T) (net.Listener, func() net.Conn) { return secured(memoryNetwork(t)) },
}

func dialTCP(t *testing.T) (net.Listener, func() net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l, func() net.Conn { return dial(t, l.Addr()) }
}

func dialUnix(t *testing.T) (net.Listener, func() net.Conn) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Skip("no unix sockets: ", err)
	}
	return l, func() net.Conn { return dial(t, l.Addr()) }
}

func memoryNetwork(t *testing.T) (net.Listener, func() net.Conn) {
	l := new(httpserver.MemoryListener)
	return l, func() net.Conn { return dialMemory(t, l) }
}

// secured is TLS on a network.
func secured(l net.Listener, dial func() net.Conn) (net.Listener, func() net.Conn) {
	return tls.NewListener(l, certificate()), func() net.Conn {
		return tls.Client(dial(), &tls.Config{InsecureSkipVerify: true})
	}
}

// certificate returns the certificate of net/http/httptest.
var certificate = sync.OnceValue(func() *tls.Config {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates}
})

// Rule 5, without a handler.
func TestFixtureUnanswered(t *testing.T) {
	t.Parallel()
	record := new(testRecord)
	f, _ := inMemory(record)
	defer f.Close()
	w := dialFixture(t, f)
	if got := w.ask(t, postText("/missing?x", "body")); !strings.HasPrefix(got, "501 ") {
		t.Errorf("got %.50q", got)
	}
	f.Reply("GET /there", text(""))
	f.Reply("/elsewhere", text(""))
	f.Reply("/missing", text(""))
	f.Reply("/missing") // takes that back
	w.ask(t, getText("/missing"))
	want := []string{
		`^httpserver: connection 1: nobody answers "POST /missing\?x HTTP/1.1"; there are replies to \[\]$`,
		`^httpserver: connection 1: nobody answers "GET /missing HTTP/1.1"; there are replies to \["/elsewhere" "GET /there"\]$`,
	}
	matchAll(t, record.failures(), want)
	if r := next(t, f); r.Body != "body" {
		t.Errorf("recorded %+v", r)
	}
}

// matchAll compares texts with expressions.
func matchAll(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i := range got {
		if !regexp.MustCompile(want[i]).MatchString(got[i]) {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
}

// Rule 5: what is malformed is recorded whole, and answered as ever.
func TestFixtureMalformed(t *testing.T) {
	t.Parallel()
	plain, _ := start(t, func() httpserver.Handler { return &httpserver.BaseRequestHandler{ProtocolVersion: "HTTP/1.1"} }, nil)
	for _, c := range []struct {
		name, request, err, response string
		end                          bool // the client ends its side then
	}{
		{"request line", "GARBAGE IN THIS HTTP/1.1\r\nX: y\r\n\r\n", "400 Bad request syntax ('GARBAGE IN THIS HTTP/1.1')", "400", false},
		{"version", "GET / HTTP/9.1\r\nHost: x\r\n\r\n", "505 Invalid HTTP version (9.1)", "505", false},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "400 Host is missing", "400", false},
		{"field", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", "400 Bad header line ('Host : x')", "400", false},
		{"long", "GET /" + strings.Repeat("x", 1<<16) + " HTTP/1.1\r\n\r\n", "414 URI Too Long", "414", false},
		{"long line", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 1<<16) + "\r\n\r\n", "431 Line too long", "431", false},
		{"framing", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "400 Content-Length differs ('2')", "400", false},
		{"line cut", "GET / HT", "400 Incomplete request", "400", true},
		{"head cut", "GET / HTTP/1.1\r\nHost: x\r\nX-", "400 Incomplete request", "400", true},
		{"body cut", "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123", "unexpected EOF", "400", true},
		{"bad chunk", "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\ndef\r\n0\r\n\r\n", "malformed chunked body", "400", false},
		{"chunk cut", "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", "unexpected EOF", "400", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, _ := inMemory(t)
			f.Reply("", text("sound"))
			w := dialFixture(t, f)
			w.ask(t, getText("/"))
			next(t, f)
			io.WriteString(w, c.request)
			if c.end {
				w.Conn.(interface{ CloseWrite() error }).CloseWrite()
			}
			got, err := io.ReadAll(w.r)
			if !strings.HasPrefix(string(got), "HTTP/1.1 "+c.response+" ") || err != nil {
				t.Errorf("response %.50q, %v", got, err)
			}
			if strings.HasPrefix(c.err, c.response) { // else it is in the body
				want := exchange(t, plain.Addr(), getText("/")+c.request) // after a 501
				if !strings.HasSuffix(withoutDate(want), withoutDate(string(got))) {
					t.Errorf("got  %q\nwant %q", got, want)
				}
			}
			r := next(t, f)
			if want := "httpserver: " + c.err; r.Err == nil || r.Err.Error() != want && r.Err.Error() != c.err {
				t.Errorf("Err is %v, want %s", r.Err, want)
			}
			if r.Raw != c.request && !(len(c.request) > 1<<16 && strings.HasPrefix(c.request, r.Raw)) {
				t.Errorf("Raw is %.100q", r.Raw)
			}
			<-r.Done
		})
	}
	t.Run("reset", func(t *testing.T) {
		f, _ := inMemory(t)
		w := dialFixture(t, f)
		io.WriteString(w, "GET / HTTP/1.1\r\nHo")
		w.Conn.(interface{ SetLinger(int) error }).SetLinger(0)
		w.Close()
		if r := next(t, f); !errors.Is(r.Err, syscall.ECONNRESET) || r.Raw != "GET / HTTP/1.1\r\nHo" {
			t.Errorf("recorded %q, %v", r.Raw, r.Err)
		}
	})
}

// besides is a handler of a suite; it answers what no Reply does.
type besides struct {
	httpserver.BaseRequestHandler
	release chan struct{}
}

func (h *besides) DoGET() {
	body := "handler"
	h.SendResponse(200, "")
	h.SendHeader("Content-Length", fmt.Sprint(len(body)))
	h.EndHeaders()
	io.WriteString(h.WFile, body)
	if h.Path == "/slow" {
		<-h.release
	}
}

func (h *besides) DoPOST() {
	if h.Path == "/echo" {
		body, _ := io.ReadAll(h.RFile)
		h.SendResponse(200, "")
		h.SendHeader("Content-Length", fmt.Sprint(len(body)))
		h.EndHeaders()
		h.WFile.Write(body)
		return
	}
	h.DoGET()
}

func (h *besides) DoPUT() {
	io.ReadFull(h.RFile, make([]byte, 3))
	panic("in the middle")
}

// Rule 5, with a handler.
func TestFixtureHandler(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	for _, version := range []string{"HTTP/1.0", "HTTP/1.1"} {
		t.Run(version, func(t *testing.T) {
			f, _ := inMemory(t)
			f.HandleError = func(net.Conn, error) {}
			f.NewHandler = func() httpserver.Handler {
				h := &besides{release: release}
				h.ProtocolVersion = version
				return h
			}
			f.Reply("/reply", text("reply"))
			w := dialFixture(t, f)
			w.ask(t, getText("/reply"))
			if got := w.ask(t, postText("/reply", "body")); got != "200 reply" {
				t.Errorf("got %q", got)
			}
			if got := w.ask(t, postText("/echo", "body")); got != "200 body" {
				t.Errorf("got %q", got)
			}
			requests := f.Requests() // there when the response is
			if last := requests[len(requests)-1]; len(requests) != 3 || last.Body != "body" || last.Raw != postText("/echo", "body") {
				t.Errorf("%d requests, the last one is %+v", len(requests), last)
			}
			unread := dialFixture(t, f)
			if got := unread.ask(t, postText("/unread", "body")); got != "200 handler" {
				t.Errorf("got %q", got)
			}
			if n := len(f.Requests()); n != 4 {
				t.Errorf("%d requests", n)
			}
			for range 3 {
				next(t, f)
			}
			if r := next(t, f); r.Path != "/unread" || version == "HTTP/1.1" && r.Body != "body" {
				t.Errorf("recorded %+v", r)
			}
			io.WriteString(dialFixture(t, f), "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc")
			if r := next(t, f); r.Body != "abc" || r.Err != nil {
				t.Errorf("recorded %+v", r)
			}
		})
	}
	t.Run("slow", func(t *testing.T) {
		f, _ := inMemory(t)
		f.NewHandler = func() httpserver.Handler { return &besides{release: release} }
		w := dialFixture(t, f)
		w.ask(t, postText("/slow", "body"))
		if requests := f.Requests(); len(requests) != 1 || requests[0].Path != "/slow" {
			t.Errorf("%d requests", len(requests))
		}
		close(release)
		<-next(t, f).Done
	})
}

// A script's request is recorded as it reads it.
func TestFixtureCGI(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a shell script")
	}
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "cgi-bin"), 0o777)
	if err := os.WriteFile(filepath.Join(dir, "cgi-bin", "cat"), []byte("#!/bin/sh\necho Content-Type: text/plain\necho\ncat\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	f, client := inMemory(t)
	f.NewHandler = func() httpserver.Handler {
		h := new(httpserver.CGIHandler)
		h.Directory, h.RunAsServer = dir, true
		return h
	}
	f.Reply("/other", text(""))
	for _, body := range []string{"body", strings.Repeat("0123456789", 1<<17)} {
		response, err := client.Post(f.URL()+"/cgi-bin/cat", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		if string(got) != body || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if r := next(t, f); r.Body != body || !strings.HasSuffix(r.Raw, "\r\n\r\n"+body) || r.Err != nil {
			t.Errorf("recorded %d bytes, %v", len(r.Body), r.Err)
		}
	}
}

// Do has the handler and the body.
func TestFixtureDo(t *testing.T) {
	t.Parallel()
	record := new(testRecord)
	f, _ := inMemory(record)
	defer f.Close()
	echo := func(h *httpserver.BaseRequestHandler) {
		body, _ := io.ReadAll(h.RFile)
		h.SendResponse(200, "")
		h.SendHeader("Content-Length", fmt.Sprint(len(body)))
		h.EndHeaders()
		h.WFile.Write(body)
	}
	f.Reply("/echo", httpserver.Answer{}.Do(echo), httpserver.Answer{}.Read(2).Do(echo).Send(ok))
	f.Reply("/head", httpserver.Answer{}.Do(func(h *httpserver.BaseRequestHandler) {
		h.SendResponse(200, "")
		h.SendHeader("Content-Length", "5")
		h.EndHeaders()
	}).Send("hello"))
	f.Reply("/short", httpserver.Answer{}.Do(func(h *httpserver.BaseRequestHandler) { h.SendResponse(200, "") }).Send(ok))
	f.Reply("/twice", httpserver.Send(ok).Do(echo).Do(echo))
	f.Reply("/hijack", httpserver.Answer{}.Do(func(h *httpserver.BaseRequestHandler) {
		conn, _ := h.Hijack()
		io.WriteString(conn, ok)
	}).Send("never"))
	w := dialFixture(t, f)
	for _, c := range []struct{ request, want string }{
		{postText("/echo", "body"), "200 body"}, {postText("/echo", "bodies"), "200 bodies"}, {"", "200 hello"},
		{postText("/twice", "body"), "200 hello"}, {"", "200 body"}, {"", "200 "},
		{getText("/head"), "200 hello"}, {getText("/short"), "200 hello"}, {getText("/hijack"), "200 hello"},
	} {
		if got := w.ask(t, c.request); got != c.want {
			t.Errorf("%.30q: %q", c.request, got)
		}
	}
	f.Close() // closes what was hijacked
	if rest, err := io.ReadAll(w.r); len(rest) > 0 || err != nil {
		t.Errorf("got %q, %v", rest, err)
	}
	if log := strings.Join(record.logs, "\n"); !strings.Contains(log, "Do returned without EndHeaders") {
		t.Errorf("log: %s", log)
	}
}

// A Do at the end is held to its Content-Length, like a DoGET. What it writes without a
// status line may be anything, as the bytes of a Send may.
func TestFixtureDoLength(t *testing.T) {
	t.Parallel()
	body := func(text string) func(*httpserver.BaseRequestHandler) {
		return func(h *httpserver.BaseRequestHandler) {
			h.SendResponse(200, "")
			h.SendHeader("Content-Length", "5")
			h.EndHeaders()
			io.WriteString(h.WFile, text)
		}
	}
	raw := func(h *httpserver.BaseRequestHandler) { io.WriteString(h.WFile, ok) }
	for _, c := range []struct {
		name   string
		answer httpserver.Answer
		body   string
		log    string // of the end of the connection; "" if it goes on
	}{
		{"short", httpserver.Answer{}.Do(body("hel")), "hel", "Response has 3 bytes, Content-Length is 5"},
		{"long", httpserver.Answer{}.Do(body("hello!")), "hello!", "Response has 6 bytes, Content-Length is 5"},
		{"second", httpserver.Answer{}.Do(body("hello")).Do(body("")), "hello", "Response has 0 bytes, Content-Length is 5"},
		{"right", httpserver.Answer{}.Do(body("hello")), "hello", ""},
		{"continued", httpserver.Answer{}.Do(body("hel")).Send("lo"), "hello", ""},
		{"raw", httpserver.Answer{}.Do(raw), "hello", ""},
		{"raw at the end", httpserver.Send("").Do(raw), "hello", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			record := new(testRecord)
			f, _ := inMemory(record)
			defer f.Close()
			f.Reply("/", c.answer)
			f.Reply("/end", httpserver.Answer{}.Close())
			w := dialFixture(t, f)
			io.WriteString(w, getText("/")+getText("/end"))
			got, err := io.ReadAll(w.r)
			_, rest, _ := strings.Cut(string(got), "\r\n\r\n")
			if !strings.HasPrefix(rest, c.body) || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			f.Close()
			log := strings.Join(record.logs, "\n")
			if ended := len(f.Requests()) == 1; ended != (c.log != "") || !strings.Contains(log, c.log) || !ended && strings.Contains(log, "Content-Length") {
				t.Errorf("%d requests, log: %s", len(f.Requests()), log)
			}
		})
	}
}

// A Do that does not return fails the test.
func TestFixtureDoEnds(t *testing.T) {
	t.Parallel()
	record := new(testRecord)
	f, _ := inMemory(record)
	defer f.Close()
	fails := httpserver.Answer{}.Do(func(*httpserver.BaseRequestHandler) { panic("bug in the test") })
	exits := text("").Do(func(*httpserver.BaseRequestHandler) { runtime.Goexit() })
	f.Reply("/panic", fails)
	f.Reply("/exit", exits)
	f.Accept(httpserver.Answer{}, httpserver.Answer{}, fails)
	w := dialFixture(t, f)
	if got := w.ask(t, getText("/panic")); !strings.HasPrefix(got, "500 ") {
		t.Errorf("got %q", got)
	}
	w = dialFixture(t, f)
	w.ask(t, getText("/exit"))
	if _, err := w.r.ReadByte(); err != io.EOF {
		t.Errorf("the connection goes on: %v", err)
	}
	io.Copy(io.Discard, dialFixture(t, f))
	matchAll(t, record.failures(), []string{
		`^httpserver: a function panicked \(bug in the test\): connection 1, "GET /panic HTTP/1.1": answer 1 of 1 of the Reply at fixture_test.go:\d+, step 1 of 1: Do, for `,
		`^httpserver: a function called runtime.Goexit, as t.FailNow does: connection 2, "GET /exit HTTP/1.1": answer 1 of 1 of the Reply at fixture_test.go:\d+, step 2 of 2: Do, for `,
		`^httpserver: a function panicked \(bug in the test\): connection 3: answer 3 of 3 of the Accept at fixture_test.go:\d+, step 1 of 1: Do, for `,
	})
	f.Close()
	if log := strings.Join(record.logs, "\n"); !strings.Contains(log, "TestFixtureDoEnds.func1(") {
		t.Errorf("the log does not say where the panic was: %s", log)
	}
}

// HandleError takes the place of that failure for a panic, but not for runtime.Goexit.
func TestFixtureDoHandleError(t *testing.T) {
	t.Parallel()
	record, errs := new(testRecord), make(chan error, 1)
	f, _ := inMemory(record)
	defer f.Close()
	f.HandleError = func(_ net.Conn, err error) { errs <- err }
	f.Reply("/panic", httpserver.Answer{}.Do(func(*httpserver.BaseRequestHandler) { panic(io.EOF) }))
	f.Reply("/exit", httpserver.Answer{}.Do(func(*httpserver.BaseRequestHandler) { runtime.Goexit() }))
	for _, path := range []string{"/panic", "/exit"} {
		w := dialFixture(t, f)
		io.WriteString(w, getText(path))
		io.Copy(io.Discard, w.r)
	}
	var p *httpserver.PanicError
	if err := <-errs; !errors.As(err, &p) || p.Value != io.EOF {
		t.Errorf("got %v", err)
	}
	matchAll(t, record.failures(), []string{`^httpserver: a function called runtime.Goexit, .* "GET /exit HTTP/1.1"`})
}

func TestFixtureAccept(t *testing.T) {
	t.Parallel()
	f, _ := inMemory(t)
	f.Reply("", text("served"))
	f.Accept(httpserver.Send("220 hello\r\n").Close(), httpserver.Answer{}.Reset(), httpserver.Answer{})
	f.Accept(httpserver.Send("greeting "), httpserver.Answer{}.Do(func(h *httpserver.BaseRequestHandler) {
		io.Copy(h.WFile, h.RFile)
		h.Hijack()
	}).Send("never"))
	conns := make([]*wire, 6)
	for i := range conns {
		conns[i] = dialFixture(t, f)
	}
	if got, err := io.ReadAll(conns[0].r); string(got) != "220 hello\r\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := io.ReadAll(conns[1].r); len(got) > 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %q, %v", got, err)
	}
	if got := conns[2].ask(t, getText("/")); got != "200 served" {
		t.Errorf("got %q", got)
	}
	if got, _ := conns[3].r.ReadString(' '); got != "greeting " {
		t.Errorf("got %q", got)
	}
	for _, i := range []int{3, 5} {
		if got := conns[i].ask(t, getText("/")); got != "200 served" {
			t.Errorf("got %q", got)
		}
		if r := f.Requests(); r[len(r)-1].Conn != i+1 {
			t.Errorf("connection %d, not %d", r[len(r)-1].Conn, i+1)
		}
	}
}

// Before a TLS handshake, too, a connection can end.
func TestFixtureAcceptTLS(t *testing.T) {
	t.Parallel()
	f := httpserver.NewFixture(t)
	l, dial := networks["tls in memory"](t)
	f.Listener = l
	f.Reply("", text("served"))
	f.Accept(httpserver.Answer{}.Close(), httpserver.Answer{}.Reset())
	for _, want := range []error{io.EOF, syscall.ECONNRESET, nil} {
		conn := dial()
		if err := conn.(*tls.Conn).Handshake(); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
		conn.Close()
	}
}

// Rule 6, in a bubble: its end shows that no goroutine is left, and the clock how long
// Close took.
func TestFixtureClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		record := new(testRecord)
		f, _ := inMemory(record)
		never := make(chan struct{})
		f.Reply("/pause", httpserver.Answer{}.Pause(time.Hour).Do(func(*httpserver.BaseRequestHandler) { t.Error("after the Pause") }))
		f.Reply("/wait", httpserver.Answer{}.Wait(never).Send(ok))
		f.Reply("/nil", httpserver.Answer{}.Wait(nil))
		f.Reply("/drip", httpserver.Answer{}.Drip(ok, time.Hour))
		f.Reply("/big", httpserver.Send(strings.Repeat(ok, 1<<14)))
		f.Reply("/linger", httpserver.Answer{}.Close())
		for _, request := range []string{"", "GET / HT", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", getText("/pause"), getText("/wait"), getText("/nil"), getText("/drip"), getText("/big"), getText("/linger")} {
			io.WriteString(dialFixture(t, f), request)
		}
		synctest.Wait()
		begin := time.Now()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { f.Close() })
		}
		wg.Wait()
		if took := time.Since(begin); took != 0 {
			t.Errorf("Close took %v", took)
		}
		for _, r := range f.Requests() {
			<-r.Done
		}
		if n := len(f.Requests()); n != 8 { // also those cut in the head and in the body
			t.Errorf("%d requests", n)
		}
		if failures := record.failures(); len(failures) > 0 {
			t.Errorf("failures: %q", failures)
		}
		if _, err := f.Listener.(*httpserver.MemoryListener).DialContext(t.Context(), "", ""); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialed a closed listener: %v", err)
		}
	})
}

// stuck is a handler that does not return.
type stuck struct {
	httpserver.BaseRequestHandler
	release chan struct{}
}

func (h *stuck) DoGET() { <-h.release }

// Rule 6: only functions that do not return keep Close waiting.
func TestFixtureStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		record := new(testRecord)
		f, _ := inMemory(record)
		release := make(chan struct{})
		f.NewHandler = func() httpserver.Handler { return &stuck{release: release} }
		f.Reply("/do", text(""), httpserver.Send(ok).Do(func(h *httpserver.BaseRequestHandler) {
			<-release
			h.LogMessage("after the test")
			h.SendError(500, "", "")
		}).Send(ok))
		w := dialFixture(t, f)
		w.ask(t, getText("/do"))
		io.WriteString(w, postText("/do", "x"))
		io.WriteString(dialFixture(t, f), getText("/handler"))
		synctest.Wait()
		f.Accept(httpserver.Answer{}.Do(func(*httpserver.BaseRequestHandler) { <-release }))
		dialFixture(t, f)
		pass(time.Minute)
		begin := time.Now()
		record.cleanups[0]()
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("Close took %v", took)
		}
		const prefix = `^httpserver: the fixture was closed 5s ago, and this has not returned: `
		matchAll(t, record.failures(), []string{
			prefix + `connection 1, "POST /do HTTP/1.1": answer 2 of 2 of the Reply at fixture_test.go:\d+, step 2 of 3: Do, for 1m5s$`,
			prefix + `connection 2, "GET /handler HTTP/1.1": being answered by a \*httpserver_test.stuck, for 1m5s$`,
			prefix + `connection 3: answer 1 of 1 of the Accept at fixture_test.go:\d+, step 1 of 1: Do, for 1m5s$`,
		})
		begin = time.Now()
		f.Close()
		if took := time.Since(begin); took != 0 {
			t.Errorf("another Close took %v", took)
		}
		n := len(record.logs)
		close(release)
		synctest.Wait()
		if len(record.logs) != n {
			t.Errorf("logged after the end: %q", record.logs[n:])
		}
	})
}

// A connection whose hook has not returned does not wait for a request.
func TestFixtureStuckHook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		record, release := new(testRecord), make(chan struct{})
		f, _ := inMemory(record)
		f.VerifyRequest = func(net.Conn) bool { <-release; return true }
		dialFixture(t, f)
		synctest.Wait()
		f.Close()
		matchAll(t, record.failures(), []string{`^httpserver: the fixture was closed 5s ago, and this has not returned: connection 1: accepted, for 5s$`})
		close(release)
	})
}

// What ends the server from within does not wait for itself.
func TestFixtureCloseFromHandler(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(f *httpserver.Fixture){
		"Do": func(f *httpserver.Fixture) {
			f.Reply("/", httpserver.Answer{}.Do(func(*httpserver.BaseRequestHandler) { go f.Close() }))
		},
		"Accept": func(f *httpserver.Fixture) {
			f.Accept(httpserver.Answer{}.Do(func(*httpserver.BaseRequestHandler) { go f.Close() }))
		},
		"hook": func(f *httpserver.Fixture) { f.VerifyRequest = func(net.Conn) bool { go f.Close(); return true } },
	} {
		synctest.Test(t, func(t *testing.T) {
			f, _ := inMemory(t)
			set(f)
			f.Reply("GET", text(""))
			w := dialFixture(t, f)
			begin := time.Now()
			io.WriteString(w, getText("/"))
			io.ReadAll(w.r)
			f.Close()
			if took := time.Since(begin); took != 0 {
				t.Errorf("%s: Close took %v", name, took)
			}
		})
	}
}

// deaf is a listener whose Accept does not end.
type deaf struct{ httpserver.MemoryListener }

func (*deaf) Close() error { return nil }

func TestFixtureStuckListener(t *testing.T) {
	t.Parallel()
	for _, actions := range []func(){nil, func() {}} {
		synctest.Test(t, func(t *testing.T) {
			record, l := new(testRecord), new(deaf)
			f := httpserver.NewFixture(record)
			f.Listener, f.ServiceActions = l, actions
			f.URL()
			synctest.Wait() // Accept has begun
			f.Close()
			matchAll(t, record.failures(), []string{`^httpserver: the fixture was closed 5s ago, and this has not returned: ServeForever$`})
			l.MemoryListener.Close()
		})
	}
}

// The error of Next says what every connection is doing.
func TestFixtureNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, _ := inMemory(t)
		f.Reply("/", text(""))
		f.Reply("/slow", text(""), text("").Pause(time.Hour).Send(ok))
		f.Reply("/end", text("").Close())
		for _, request := range []string{"", getText("/"), getText("/slow"), getText("/slow"), "GET /\x1b HT", "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n0123", getText("/end")} {
			io.WriteString(dialFixture(t, f), request)
			synctest.Wait()
			pass(time.Millisecond)
		}
		for range 4 {
			next(t, f)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := f.Next(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		matchAll(t, strings.Split(err.Error(), "\n"), []string{
			`^httpserver: no request after the first 4, on 7 open connections: context deadline exceeded$`,
			`^	connection 1: waiting for a request, for 1.007s$`,
			`^	connection 2: waiting for a request, for 1.006s$`,
			`^	connection 3: waiting for a request, for 1.005s$`,
			`^	connection 4, "GET /slow HTTP/1.1": answer 2 of 2 of the Reply at fixture_test.go:\d+, step 2 of 3: Pause 1h0m0s, for 1.004s$`,
			`^	connection 5: waiting for a request, for 1.003s; of that, 9 bytes have come: "GET /\\x1b HT"$`,
			`^	connection 6, "PUT / HTTP/1.1": reading the body, for 1.002s; 4 bytes of the body have come$`,
			`^	connection 7: answer 1 of 1 of the Reply at fixture_test.go:\d+, step 2 of 2: Close, for 1.001s$`,
		})
		f.Close()
		next(t, f) // the two that Close has cut
		next(t, f)
		if _, err := f.Next(t.Context()); !errors.Is(err, httpserver.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// Rule 7, and what changes without a test.
func TestFixtureLog(t *testing.T) {
	t.Parallel()
	record, output := new(testRecord), new(logBuffer)
	f, _ := inMemory(record)
	f.Reply("/", text(""))
	w := dialFixture(t, f)
	w.ask(t, getText("/"))
	w.ask(t, "GARBAGE IN HERE HTTP/1.1\r\n\r\n")
	f.Close()
	matchAll(t, record.logs, []string{
		`^memory - - \[.*\] "GET / HTTP/1.1" on connection 1: answer 1 of 1 of the Reply at fixture_test.go:\d+$`,
		`^memory - - \[.*\] code 400, message Bad request syntax \('GARBAGE IN HERE HTTP/1.1'\)$`,
		`^memory - - \[.*\] "GARBAGE IN HERE HTTP/1.1" 400 -$`,
	})
	f, _ = inMemory(nil)
	defer f.Close()
	f.Stderr = output
	dialFixture(t, f).ask(t, getText("/"))
	if log := output.String(); !strings.Contains(log, "httpserver: connection 1: nobody answers \"GET / HTTP/1.1\"; there are replies to []\n") {
		t.Errorf("log: %s", log)
	}
}

// Close works at once, whatever was used.
func TestFixtureUnused(t *testing.T) {
	t.Parallel()
	httpserver.NewFixture(t)
	for range 100 {
		f := httpserver.NewFixture(nil)
		f.Stderr = io.Discard
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	f, client := inMemory(nil)
	f.Stderr = io.Discard
	f.Close()
	f.Reply("/", text(""))
	if _, err := client.Get(f.URL()); err == nil {
		t.Error("a closed fixture answers")
	}
}

// uncomparable is a listener that cannot be compared with ==.
type uncomparable struct {
	*httpserver.MemoryListener
	_ []int
}

// What is set after the first call of a method fails the test.
func TestFixtureLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		record := new(testRecord)
		f := httpserver.NewFixture(record)
		f.Listener = uncomparable{MemoryListener: new(httpserver.MemoryListener)}
		f.URL()
		f.Close()
		matchAll(t, record.failures(), nil)

		f, _ = inMemory(record)
		defer f.Close()
		f.Reply("/x", text("x"))
		synctest.Wait() // the server has read the fields
		f.NewHandler = httpserver.New[besides]
		w := dialFixture(t, f)
		if got := w.ask(t, getText("/y")); !strings.HasPrefix(got, "501 ") {
			t.Errorf("got %q", got)
		}
		synctest.Wait()
		defer f.Listener.Close()
		f.Listener = new(httpserver.MemoryListener)
		f.URL()
		f.Requests()
		matchAll(t, record.failures(), []string{
			`^httpserver: connection 1: nobody answers "GET /y HTTP/1.1"; there are replies to \["/x"\]; NewHandler was set after the first call of a method$`,
			`^httpserver: Listener was set after the first call of a method$`,
		})
	})
}

func TestFixtureShutdown(t *testing.T) {
	t.Parallel()
	f, _ := inMemory(t)
	release := make(chan struct{})
	f.Reply("", httpserver.Send(ok[:10]).Wait(release).Send(ok[10:]))
	w := dialFixture(t, f)
	io.WriteString(w, getText("/"))
	next(t, f)
	shut := make(chan error)
	go func() { shut <- f.Shutdown(t.Context()) }()
	close(release)
	if got := w.response(t); got != "200 hello" {
		t.Errorf("got %q", got)
	}
	if err := <-shut; err != nil {
		t.Error(err)
	}
	if r, err := f.Next(t.Context()); !errors.Is(err, httpserver.ErrServerClosed) {
		t.Errorf("then came %v, %v", r, err)
	}
}

// Requests read the same however they are split, and nothing of them is lost.
func FuzzFixture(f *testing.F) {
	httpserver.AddRequests(f, func(request string) { f.Add([]byte(request), uint16(7), uint16(40)) })
	f.Add([]byte(postText("/", "body")+getText("/x")), uint16(70), uint16(1))
	f.Fuzz(func(t *testing.T, requests []byte, first, second uint16) {
		var want string
		for _, cuts := range [][]int{{}, {int(first)}, {int(first), int(first) + int(second)}} {
			fixture, _ := inMemory(nil)
			fixture.Stderr = io.Discard
			fixture.Reply("", text(""))
			w := dialFixture(t, fixture)
			at := 0
			for _, cut := range append(cuts, len(requests)) {
				cut = max(at, min(cut, len(requests)))
				w.Write(requests[at:cut])
				at = cut
			}
			w.Conn.(interface{ CloseWrite() error }).CloseWrite()
			io.Copy(io.Discard, w.r)
			fixture.Close()
			var got, raw strings.Builder
			for _, r := range fixture.Requests() {
				fmt.Fprintf(&got, "%q %q %q %q %v %v\n", r.RequestLine, r.Path, r.Headers, r.Body, r.Err, r.Conn)
				raw.WriteString(r.Raw)
			}
			if !bytes.HasPrefix(requests, []byte(raw.String())) {
				t.Errorf("received %q of %q", raw.String(), requests)
			}
			if want == "" {
				want = got.String()
			}
			if got.String() != want {
				t.Errorf("got  %s\nwant %s", got.String(), want)
			}
		}
	})
}

// The faults of the documentation. Each is met by two clients, on a connection that is
// new or in use, by requests with and without a body.
var faults = []struct {
	name   string
	answer httpserver.Answer
	client string // what net/http makes of it, a regular expression
	curl   []int  // the exit codes of curl
}{
	{"hello", httpserver.Send(ok), `^200 "hello"$`, []int{0}},
	{"cut body", httpserver.Send(ok[:len(ok)-2]).Close(), `^200 "hel" unexpected EOF$`, []int{18}},
	{"cut head", httpserver.Send(ok[:30]).Close(), `malformed MIME header`, []int{0, 8, 18, 52, 56}},
	{"nothing", httpserver.Answer{}.Close(), `EOF$`, []int{52}},
	{"reset", httpserver.Answer{}.Reset(), resetText, []int{55, 56}},
	{"reset in the body", httpserver.Send(ok[:len(ok)-2]).Reset(), `^200 "hel?" .*` + resetText, []int{18, 56}},
	{"1xx first", httpserver.Send(httpserver.Response(103, "", "Link: </style.css>") + ok), `^200 "hello"$`, []int{0}},
	{"drip", httpserver.Answer{}.Drip(ok, time.Microsecond), `^200 "hello"$`, []int{0}},
	{"trailers", httpserver.Send(httpserver.Response(200, "5\r\nhello\r\n0\r\nX-Sum: 532\r\n\r\n", "Transfer-Encoding: chunked", "Trailer: X-Sum")), `^200 "hello"$`, []int{0}},
	{"bad chunk", httpserver.Send(httpserver.Response(200, "5\r\nhello\r\nx\r\n", "Transfer-Encoding: chunked")).Close(), `^200 "hello" invalid byte in chunk length$`, []int{56}},
	{"bad status", httpserver.Send(strings.Replace(ok, "200", "2x0", 1)).Close(), `malformed HTTP status code`, []int{1, 8, 56}},
	{"bad field", httpserver.Send(strings.Replace(ok, ":", " ", 1)).Close(), `malformed MIME header`, []int{0, 8}},
	{"early 413", httpserver.Answer{}.Read(0).Send(httpserver.Response(413, "", "Connection: close")).Close(), `^413 ""$`, []int{0}},
	{"upload reset", httpserver.Answer{}.Read(10).Reset(), resetText, []int{55, 56}},
}

// resetText matches the error of a connection that was reset. The next to last ones are
// those of Windows; the last one is what net/http may say of a body that it was sending.
const resetText = `(connection reset by peer|broken pipe|forcibly closed|aborted|use of closed network connection)`

func TestFixtureFaults(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other words for a reset, and Wine not always one")
	}
	for _, fault := range faults {
		for _, body := range []string{"", strings.Repeat("0123456789", 1000)} {
			for _, reused := range []bool{false, true} {
				name := fmt.Sprintf("%s/body=%t/reused=%t/", fault.name, body != "", reused)
				t.Run(name+"net-http", func(t *testing.T) {
					t.Parallel()
					f := newFaulty(t, fault.answer)
					if got := meetFault(t, f.URL(), body, reused); !regexp.MustCompile(fault.client).MatchString(got) {
						t.Errorf("got %s", got)
					}
					checkConn(t, f, reused)
				})
				t.Run(name+"curl", func(t *testing.T) {
					t.Parallel()
					f := newFaulty(t, fault.answer)
					if code := curlFault(t, f.URL(), body, reused); !slices.Contains(fault.curl, code) {
						t.Errorf("curl exits with %d", code)
					}
					checkConn(t, f, reused)
				})
			}
		}
	}
}

func newFaulty(t *testing.T, answer httpserver.Answer) *httpserver.Fixture {
	f := httpserver.NewFixture(t)
	f.Reply("/ok", httpserver.Send(ok))
	f.Reply("/fault", answer)
	return f
}

// checkConn checks that /fault was asked for on a new connection or on that of /ok.
func checkConn(t *testing.T, f *httpserver.Fixture, reused bool) {
	t.Helper()
	r := next(t, f)
	if reused {
		r = next(t, f)
	}
	if r.Conn != 1 || r.Path != "/fault" {
		t.Errorf("%s on connection %d", r.Path, r.Conn)
	}
}

// meetFault returns what net/http makes of /fault: status, body, error.
func meetFault(t *testing.T, url, body string, reused bool) string {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	if reused {
		response, err := client.Get(url + "/ok")
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	var response *http.Response
	var err error
	if body == "" {
		response, err = client.Get(url + "/fault")
	} else {
		response, err = client.Post(url+"/fault", "text/plain", strings.NewReader(body))
	}
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Sprintf("%d %q %v", response.StatusCode, got, err)
	}
	return fmt.Sprintf("%d %q", response.StatusCode, got)
}

// curlFault returns the exit code of curl for /fault.
func curlFault(t *testing.T, url, body string, reused bool) int {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl here: ", err)
	}
	args := []string{"-sS", "--noproxy", "*"}
	if reused {
		args = append(args, "-o", os.DevNull, url+"/ok", "--next", "-sS", "--noproxy", "*")
	}
	args = append(args, "-o", os.DevNull)
	if body != "" {
		args = append(args, "--data-binary", "@-", "-H", "Expect:")
	}
	cmd := exec.CommandContext(t.Context(), "curl", append(args, url+"/fault")...)
	cmd.Stdin = strings.NewReader(body)
	output, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	t.Logf("%s", output)
	return cmd.ProcessState.ExitCode()
}

// What has a time of its own: the client has got the first part when the second is sent.
func TestFixtureStall(t *testing.T) {
	t.Parallel()
	f := httpserver.NewFixture(t)
	release := make(chan struct{})
	f.Reply("", httpserver.Send(ok[:len(ok)-3]).Wait(release).Send(ok[len(ok)-3:]))
	response, err := http.Get(f.URL())
	if err != nil {
		t.Fatal(err)
	}
	part := make([]byte, 2)
	io.ReadFull(response.Body, part)
	close(release)
	rest, err := io.ReadAll(response.Body)
	if string(part)+string(rest) != "hello" || err != nil {
		t.Errorf("got %q and %q, %v", part, rest, err)
	}
}

// A plain connection answers a TLS handshake with an alert.
func TestFixtureAlert(t *testing.T) {
	t.Parallel()
	f := httpserver.NewFixture(t)
	f.Reply("", text("plain"))
	alert := httpserver.Send("\x15\x03\x03\x00\x02\x02\x28").Close()
	f.Accept(alert, alert)
	url := "https" + strings.TrimPrefix(f.URL(), "http")
	if _, err := http.Get(url); err == nil || !strings.Contains(err.Error(), "tls: handshake failure") {
		t.Error(err)
	}
	if code := curlFault(t, url, "", false); code != 35 {
		t.Errorf("curl exits with %d", code)
	}
}

// Hours pass in no time, and the client sees the same errors as on a network.
func TestMemoryListenerSynctest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, client := inMemory(t)
		f.Reply("/slow", httpserver.Send(ok[:20]).Pause(time.Hour).Send(ok[20:]))
		f.Reply("/drip", httpserver.Answer{}.Drip(ok, time.Minute))
		f.Reply("/reset", httpserver.Send(ok[:40]).Pause(time.Hour).Reset())
		f.Reply("/stall", httpserver.Send(ok[:40]).Pause(24*time.Hour))
		f.Reply("/close", httpserver.Send(ok).Close())
		for _, c := range []struct {
			path, want string
			took       time.Duration
		}{
			{"/slow", "hello <nil>", time.Hour},
			{"/drip", "hello <nil>", time.Duration(len(ok)-1) * time.Minute},
			{"/reset", "he read memory memory:1->memory: read: connection reset by peer", time.Hour},
			{"/close", "hello <nil>", 0},
			{"/stall", "he context deadline exceeded", 3 * time.Hour},
		} {
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
			request, _ := http.NewRequestWithContext(ctx, "GET", f.URL()+c.path, nil)
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if got := fmt.Sprint(string(body), " ", err); got != c.want && runtime.GOOS == "linux" {
				t.Errorf("%s: %s", c.path, got)
			}
			if took := time.Since(begin); took != c.took {
				t.Errorf("%s took %v", c.path, took)
			}
			cancel()
		}
	})
}

// A connection in memory is like one of TCP.
func TestMemoryListenerConn(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	memory := new(httpserver.MemoryListener)
	for network, pair := range map[string]func() (net.Conn, net.Conn){
		"tcp": func() (net.Conn, net.Conn) {
			client := dial(t, tcp.Addr())
			server, err := tcp.Accept()
			if err != nil {
				t.Fatal(err)
			}
			return client, server
		},
		"memory": func() (net.Conn, net.Conn) {
			client := dialMemory(t, memory)
			server, err := memory.Accept()
			if err != nil {
				t.Fatal(err)
			}
			return client, server
		},
	} {
		t.Run(network, func(t *testing.T) { testConn(t, pair) })
	}
}

func testConn(t *testing.T, pair func() (net.Conn, net.Conn)) {
	type half interface {
		CloseWrite() error
		SetLinger(int) error
	}
	p := make([]byte, 16)
	t.Run("data", func(t *testing.T) {
		client, server := pair()
		defer client.Close()
		defer server.Close()
		big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		go func() {
			client.Write(big)
			client.(half).CloseWrite()
		}()
		got, err := io.ReadAll(server)
		if !bytes.Equal(got, big) || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		io.WriteString(server, "answer") // the other direction is open
		if n, err := client.Read(p); string(p[:n]) != "answer" || err != nil {
			t.Errorf("%q, %v", p[:n], err)
		}
		if _, err := client.Write(p); !errors.Is(err, syscall.EPIPE) && runtime.GOOS == "linux" {
			t.Errorf("write after CloseWrite: %v", err)
		}
		if client.RemoteAddr().String() != server.LocalAddr().String() || client.LocalAddr().String() != server.RemoteAddr().String() {
			t.Errorf("%v -> %v is %v -> %v", client.LocalAddr(), client.RemoteAddr(), server.RemoteAddr(), server.LocalAddr())
		}
	})
	t.Run("two writes", func(t *testing.T) {
		client, server := pair()
		defer server.Close()
		const size = 1 << 20
		var wg sync.WaitGroup
		for _, c := range []string{"a", "b"} {
			wg.Go(func() { client.Write(bytes.Repeat([]byte(c), size)) })
		}
		go func() {
			wg.Wait()
			client.Close()
		}()
		got, err := io.ReadAll(server)
		if err != nil || len(got) != 2*size {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		for _, half := range [][]byte{got[:size], got[size:]} {
			if n := bytes.Count(half, half[:1]); n != size {
				t.Errorf("%d bytes of another write are among those of the first", size-n)
			}
		}
	})
	t.Run("deadlines", func(t *testing.T) {
		client, server := pair()
		defer client.Close()
		defer server.Close()
		timedOut := func(err error) bool {
			var ne net.Error
			return errors.Is(err, os.ErrDeadlineExceeded) && errors.As(err, &ne) && ne.Timeout()
		}
		io.WriteString(server, "data")
		client.SetDeadline(time.Unix(1, 0))
		if _, err := client.Read(p); !timedOut(err) {
			t.Error(err)
		}
		if _, err := client.Write(p); !timedOut(err) {
			t.Error(err)
		}
		client.SetDeadline(time.Time{})
		if n, err := client.Read(p); string(p[:n]) != "data" || err != nil {
			t.Errorf("%q, %v", p[:n], err)
		}
		client.SetDeadline(time.Now().Add(time.Millisecond))
		if _, err := client.Read(p); !timedOut(err) {
			t.Error(err)
		}
		client.SetWriteDeadline(time.Now().Add(time.Millisecond))
		if n, err := client.Write(make([]byte, 64<<20)); !timedOut(err) {
			t.Errorf("%d bytes, %v", n, err)
		}
		client.SetReadDeadline(time.Time{})
		read := make(chan error)
		go func() { _, err := client.Read(p); read <- err }()
		client.SetReadDeadline(time.Unix(1, 0)) // ends a Read that waits
		if err := <-read; !timedOut(err) {
			t.Error(err)
		}
	})
	t.Run("close", func(t *testing.T) {
		client, server := pair()
		read := make(chan error)
		go func() { _, err := client.Read(p); read <- err }()
		io.WriteString(client, "data")
		client.Close()
		if err := <-read; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if got, err := io.ReadAll(server); string(got) != "data" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		for _, err := range []error{client.Close(), client.SetDeadline(time.Now())} {
			if !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}
		if _, err := client.Write(p); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		server.Close()
	})
	t.Run("close by the peer", func(t *testing.T) {
		client, server := pair()
		defer client.Close()
		written := make(chan error)
		go func() { _, err := client.Write(make([]byte, 64<<20)); written <- err }()
		io.ReadFull(server, p) // the Write has begun, and more than its beginning does not fit
		server.SetReadDeadline(time.Unix(1, 0))
		server.Close()
		if err := <-written; !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) && runtime.GOOS != "windows" {
			t.Error(err)
		}
		if _, err := server.Read(p); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	t.Run("reset", func(t *testing.T) {
		client, server := pair()
		server.(half).SetLinger(0)
		server.Close()
		if _, err := client.Read(p); runtime.GOOS != "windows" && !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
		if _, err := client.Write(p); err == nil {
			t.Error("a write worked after a reset")
		}
		client.Close()
	})
}

// Writes that wait for the other side to read, or for each other, do not keep each other
// awake: otherwise no time would pass in a bubble of synctest.
func TestMemoryListenerWritesWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(httpserver.MemoryListener)
		client := dialMemory(t, l)
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, conn := range []net.Conn{client, server} {
			defer conn.Close()
			conn.SetWriteDeadline(time.Now().Add(time.Hour))
			for range 2 {
				wg.Go(func() {
					if _, err := conn.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("Write: %v", err)
					}
				})
			}
		}
		wg.Wait()
	})
}

func TestMemoryListenerClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(httpserver.MemoryListener)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		l.Close()
		wg.Wait()
		var unused httpserver.MemoryListener
		conn := dialMemory(t, &unused)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := unused.DialContext(ctx, "", ""); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		unused.Close()
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
	})
}

// The answers that are built on a common one do not disturb each other.
func TestAnswerIsImmutable(t *testing.T) {
	t.Parallel()
	f, _ := inMemory(t)
	common := httpserver.Send("HTTP/1.1 200 OK\r\n").Send("Content-Length: 1\r\n").Send("\r\n")
	f.Reply("/a", common.Send("a"))
	f.Reply("/b", common.Send("b"))
	f.Reply("/c", common.Send("c"))
	w := dialFixture(t, f)
	for _, name := range []string{"a", "b", "c"} {
		if got := w.ask(t, getText("/"+name)); got != "200 "+name {
			t.Errorf("got %q", got)
		}
	}
	wantPanic(t, "httpserver: Answer.Read is not the first step", func() { common.Read(1) })
}

func TestFixtureResponse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		got, want string
	}{
		{ok, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{httpserver.Response(404, "", "x-a:b", "X-C: d "), "HTTP/1.1 404 Not Found\r\nx-a:b\r\nX-C: d \r\nContent-Length: 0\r\n\r\n"},
		{httpserver.Response(200, "x", "content-length: 7"), "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nx"},
		{httpserver.Response(200, "0\r\n\r\n", "Transfer-Encoding: chunked"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{httpserver.Response(103, ""), "HTTP/1.1 103 Early Hints\r\n\r\n"},
		{httpserver.Response(204, ""), "HTTP/1.1 204 No Content\r\n\r\n"},
		{httpserver.Response(304, "", "ETag: \"x\""), "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"},
		{httpserver.Response(299, ""), "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"},
	} {
		if c.got != c.want {
			t.Errorf("got  %q\nwant %q", c.got, c.want)
		}
	}
	for _, f := range []func(){
		func() { httpserver.Response(204, "x") },
		func() { httpserver.Response(200, "", "X") },
		func() { httpserver.Response(200, "", "X: a\r\nY: b") },
	} {
		wantPanic(t, "httpserver: Response: ", f)
	}
}

// A module that uses the fixture to test its client passes.
func TestFixtureModule(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command here: ", err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", ".")
	cmd.Dir = filepath.Join("testdata", "client")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// BenchmarkFixture and BenchmarkHTTPTest start a server, make a request, and close it.
// The client is a plain connection, which costs the same with both.
func BenchmarkFixture(b *testing.B) {
	for b.Loop() {
		f := httpserver.NewFixture(nil)
		f.Stderr = io.Discard
		f.Reply("GET /", httpserver.Send(ok))
		benchRequest(b, f.Addr())
		f.Close()
	}
}

func BenchmarkHTTPTest(b *testing.B) {
	for b.Loop() {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
		benchRequest(b, s.Listener.Addr())
		s.Close()
	}
}

func benchRequest(b *testing.B, addr net.Addr) {
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, getText("/"))
	response := make([]byte, 1<<10)
	for n := 0; !bytes.HasSuffix(response[:n], []byte("hello")); {
		m, err := conn.Read(response[n:])
		if n += m; err != nil {
			b.Fatalf("%q, %v", response[:n], err)
		}
	}
}
