package httpserver_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"httpserver"
)

// Handlers, listeners and helpers.

// hello responds to GET at once, and to POST after release was closed.
type hello struct {
	httpserver.BaseRequestHandler
	entered, release chan struct{}
}

func (h *hello) DoGET() {
	h.SendResponse(200, "")
	h.SendHeader("Content-Length", "6")
	h.EndHeaders()
	io.WriteString(h.WFile, "hello\n")
}

func (h *hello) DoPOST() {
	h.entered <- struct{}{}
	<-h.release
	h.DoGET()
}

func persistent(entered, release chan struct{}) func() httpserver.Handler {
	return func() httpserver.Handler {
		h := &hello{entered: entered, release: release}
		h.ProtocolVersion = "HTTP/1.1"
		return h
	}
}

const (
	getHello  = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	postHello = "POST / HTTP/1.1\r\nHost: x\r\n\r\n"
)

// readResponse reads one response with its body.
func readResponse(t *testing.T, r *bufio.Reader) (*http.Response, string) {
	t.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// send sends a request on a new connection, and returns a reader of the responses.
func send(t *testing.T, addr net.Addr, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn := dial(t, addr)
	io.WriteString(conn, request)
	return conn, bufio.NewReader(conn)
}

// A wrapped connection is one that a ProcessRequest has wrapped around another.
type wrapped struct {
	net.Conn
	written atomic.Int64
	halved  atomic.Bool // CloseWrite was called
}

func (w *wrapped) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.written.Add(int64(n))
	return n, err
}

func (w *wrapped) CloseWrite() error {
	w.halved.Store(true)
	return w.Conn.(*net.TCPConn).CloseWrite()
}

// A gate is a listener that accepts once it is open.
type gate struct {
	net.Listener
	open chan struct{}
}

func (l *gate) Accept() (net.Conn, error) {
	<-l.open
	return l.Listener.Accept()
}

// A pipeListener is a listener in memory, with a queue like that of other listeners. Its
// address is the same for all connections.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn, 64), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close closes what is in the queue, too.
func (l *pipeListener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		for len(l.conns) > 0 {
			(<-l.conns).Close()
		}
	})
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// dial connects to the server.
func (l *pipeListener) dial(t testing.TB) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	l.conns <- server
	t.Cleanup(func() { client.Close() })
	return client
}

// startInMemory is like start for a server on a pipeListener. In a bubble of synctest its
// deadlines pass when nothing else can happen, however slow the machine is.
func startInMemory(t testing.TB, newHandler func() httpserver.Handler, set func(*httpserver.HTTPServer)) (*httpserver.ThreadingHTTPServer, *logBuffer, *pipeListener) {
	t.Helper()
	l := newPipeListener()
	s, log := start(t, newHandler, func(s *httpserver.HTTPServer) {
		s.Listener.Close()
		s.Listener = l
		if set != nil {
			set(s)
		}
	})
	return s, log, l
}

// pass lets time pass in a bubble of synctest, where that takes none.
func pass(d time.Duration) { <-time.NewTimer(d).C }

// alone runs a test in a process of its own, so that no other test changes what it
// counts. It reports whether this is that process.
func alone(t *testing.T) bool {
	t.Helper()
	const variable = "HTTPSERVER_TEST_ALONE"
	if os.Getenv(variable) == t.Name() {
		if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
			l.Close() // the runtime keeps two descriptors from the first one on
		}
		return true
	}
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout="+(9*time.Minute+2**soak).String(), "-soak="+soak.String())
	cmd.Env = append(os.Environ(), variable+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
	return false
}

// descriptors returns the number of descriptors of this process, or 0 where that is not
// known.
func descriptors(t *testing.T) int {
	t.Helper()
	if runtime.GOOS == "windows" {
		return 0 // under Wine there may be a /proc
	}
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

// wantNothingLeft looks for what servers that have ended may have left in this process:
// more descriptors than before, and goroutines that wait. A goroutine that is about to
// end does not wait.
func wantNothingLeft(t *testing.T, before int) {
	t.Helper()
	if now := descriptors(t); now > before {
		t.Errorf("%d descriptors were %d", now, before)
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if waiting.Match(stack) && ofServer.Match(stack) {
			t.Errorf("a goroutine is left:\n%s", stack)
		}
	}
}

var (
	waiting  = regexp.MustCompile(`^goroutine [^\[]*\[(IO wait|chan |select|semacquire|sync\.(Cond|WaitGroup)|syscall|sleep)`)
	ofServer = regexp.MustCompile(`(?m)^(created by )?(httpserver|os/exec)\.`)
)

// Accepting and serving connections.

func TestHTTPServerServesInTurn(t *testing.T) {
	t.Parallel()
	s, err := httpserver.NewHTTPServer("127.0.0.1:0", httpserver.New[hello])
	if err != nil {
		t.Fatal(err)
	}
	s.Stderr = io.Discard
	served := make(chan error)
	go func() { served <- s.ServeForever() }()
	first := dial(t, s.Addr()) // sends nothing, so the second has to wait
	second, r := send(t, s.Addr(), getHello)
	second.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := r.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the second connection was answered before the first had ended: %v", err)
	}
	second.SetReadDeadline(time.Now().Add(testLimit))
	first.Close()
	if _, body := readResponse(t, r); body != "hello\n" {
		t.Errorf("got %q", body)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != httpserver.ErrServerClosed {
		t.Error(err)
	}
}

func TestThreadingServesAtOnce(t *testing.T) {
	t.Parallel()
	s, _ := start(t, httpserver.New[hello], nil)
	dial(t, s.Addr())
	_, r := send(t, s.Addr(), getHello)
	if _, body := readResponse(t, r); body != "hello\n" {
		t.Errorf("got %q", body)
	}
}

func TestNewHandlerIsNotCalledTwiceAtOnce(t *testing.T) {
	t.Parallel()
	const connections = 50
	var busy sync.Mutex
	var arrived sync.WaitGroup
	arrived.Add(connections)
	s, _ := start(t, func() httpserver.Handler {
		if !busy.TryLock() {
			t.Error("NewHandler was called twice at once")
			return new(hello)
		}
		defer busy.Unlock()
		arrived.Wait() // the others are about to call it
		return new(hello)
	}, func(s *httpserver.HTTPServer) {
		s.VerifyRequest = func(net.Conn) bool { arrived.Done(); return true }
	})
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() { exchange(t, s.Addr(), getHello) })
	}
	wg.Wait()
}

func TestHandleRequest(t *testing.T) {
	t.Parallel()
	s, err := httpserver.NewHTTPServer("127.0.0.1:0", httpserver.New[hello])
	if err != nil {
		t.Fatal(err)
	}
	timeouts := 0
	s.Stderr = io.Discard
	s.HandleTimeout = func() { timeouts++ }
	s.Timeout = time.Millisecond
	for range 2 { // the second takes up the Accept of the first
		if err := s.HandleRequest(); err != nil {
			t.Fatal(err)
		}
	}
	if timeouts != 2 {
		t.Errorf("HandleTimeout was called %d times", timeouts)
	}
	s.Timeout = testLimit
	_, r := send(t, s.Addr(), getHello)
	if err := s.HandleRequest(); err != nil {
		t.Fatal(err)
	}
	readResponse(t, r)
	s.Close()
	if err := s.HandleRequest(); err != httpserver.ErrServerClosed {
		t.Errorf("after Close: %v", err)
	}
}

func TestMaxConnections(t *testing.T) {
	t.Parallel()
	var running, most atomic.Int32
	s, _ := start(t, httpserver.New[hello], func(s *httpserver.HTTPServer) {
		s.MaxConnections = 2
		s.ProcessRequest = func(conn net.Conn) {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			s.FinishRequest(conn)
			running.Add(-1)
			s.ShutdownRequest(conn)
		}
	})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { exchange(t, s.Addr(), getHello) })
	}
	wg.Wait()
	if most.Load() > 2 {
		t.Errorf("%d connections at once", most.Load())
	}
}

// A server that waits for the end of a connection before it accepts another one can be
// closed.
func TestMaxConnectionsClose(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s, err := httpserver.NewThreadingHTTPServer("127.0.0.1:0", persistent(entered, release))
	if err != nil {
		t.Fatal(err)
	}
	s.Stderr, s.MaxConnections = io.Discard, 1
	served := make(chan error)
	go func() { served <- s.ServeForever() }()
	send(t, s.Addr(), postHello)
	<-entered
	s.Close()
	if err := <-served; err != httpserver.ErrServerClosed {
		t.Error(err)
	}
	close(release)
	closeServer(t, s)
}

// A flakyListener fails to accept a few times.
type flakyListener struct {
	net.Listener
	failures atomic.Int32
	err      error
}

func (l *flakyListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", l.err)}
	}
	return l.Listener.Accept()
}

func TestAcceptErrorsPass(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ECONNABORTED} {
		l := &flakyListener{err: errno}
		l.failures.Store(4)
		s, log := start(t, httpserver.New[hello], func(s *httpserver.HTTPServer) {
			l.Listener = s.Listener
			s.Listener = l
		})
		if got := exchange(t, s.Addr(), getHello); !strings.HasSuffix(got, "hello\n") {
			t.Errorf("got %q", got)
		}
		if n := strings.Count(log.String(), errno.Error()); n != 1 {
			t.Errorf("%v was logged %d times:\n%s", errno, n, log)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := &httpserver.HTTPServer{Listener: l, NewHandler: httpserver.New[hello]}
	if err := s.ServeForever(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a listener that somebody closed: %v", err)
	}
}

// Hooks.

func TestHooks(t *testing.T) {
	t.Parallel()
	var verified, processed atomic.Int32
	failed, acted := make(chan error, 1), make(chan struct{})
	var s *httpserver.ThreadingHTTPServer
	s, _ = start(t, func() httpserver.Handler {
		if verified.Load() == 3 {
			panic("no handler")
		}
		return new(hello)
	}, func(s *httpserver.HTTPServer) {
		s.VerifyRequest = func(net.Conn) bool { return verified.Add(1) != 1 }
		s.ProcessRequest = func(conn net.Conn) {
			processed.Add(1)
			s.FinishRequest(conn)
			s.ShutdownRequest(conn)
		}
		s.HandleError = func(_ net.Conn, err error) { failed <- err }
		s.PollInterval = time.Millisecond
		s.ServiceActions = func() {
			select {
			case acted <- struct{}{}:
			default:
			}
		}
	})
	refused := func(what string) {
		_, r := send(t, s.Addr(), getHello)
		if got, err := io.ReadAll(r); len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a connection %s got %q, %v", what, got, err)
		}
	}
	refused("that was turned away")
	if got := exchange(t, s.Addr(), getHello); !strings.HasSuffix(got, "hello\n") {
		t.Errorf("got %q", got)
	}
	refused("without a handler")
	var p *httpserver.PanicError
	if err := <-failed; !errors.As(err, &p) || p.Value != "no handler" || len(p.Stack) == 0 {
		t.Errorf("HandleError got %v", err)
	}
	if processed.Load() != 2 {
		t.Errorf("ProcessRequest was called %d times", processed.Load())
	}
	for range 3 {
		<-acted
	}
}

func TestProcessRequestWraps(t *testing.T) {
	t.Parallel()
	for _, inGoroutine := range []bool{false, true} {
		served := make(chan *wrapped, 1)
		s, _ := start(t, httpserver.New[hello], func(s *httpserver.HTTPServer) {
			process := func(conn net.Conn) {
				w := &wrapped{Conn: conn}
				s.FinishRequest(w)
				s.ShutdownRequest(w)
				served <- w
			}
			s.ProcessRequest = process
			if inGoroutine {
				s.ProcessRequest = func(conn net.Conn) { go process(conn) }
			}
		})
		_, r := send(t, s.Addr(), "GET / HTTP/1.0\r\n\r\n") // the client's side stays open
		got, _ := io.ReadAll(r)
		w := <-served
		if int64(len(got)) != w.written.Load() {
			t.Errorf("got %q", got)
		}
		if w.halved.Load() {
			t.Error("the connection lingered with nothing unread")
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A valueConn is a connection whose type cannot be compared, with the address of another
// one or, if own is set, one of a type that cannot be compared either.
type valueConn struct {
	net.Conn
	own valueAddr
}

func (c valueConn) RemoteAddr() net.Addr {
	if c.own != nil {
		return c.own
	}
	return c.Conn.RemoteAddr()
}

type valueAddr []string

func (a valueAddr) Network() string { return a[0] }
func (a valueAddr) String() string  { return a[1] }

type valueListener struct {
	net.Listener
	own valueAddr
}

func (l valueListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return valueConn{conn, l.own}, err
}

func TestConnectionsOfAnyType(t *testing.T) {
	t.Parallel()
	for _, own := range []valueAddr{nil, {"test", "client"}} {
		s, _ := start(t, httpserver.New[hello], func(s *httpserver.HTTPServer) {
			s.Listener = valueListener{s.Listener, own}
			s.ProcessRequest = func(conn net.Conn) {
				w := valueConn{conn, own}
				s.FinishRequest(w)
				s.ShutdownRequest(w)
			}
		})
		_, r := send(t, s.Addr(), getHello)
		if got, err := io.ReadAll(r); err != nil || !strings.HasSuffix(string(got), "hello\n") {
			t.Errorf("%v: got %q, %v", own, got, err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// interrupted panics in a body that the end of the connection ends.
type interrupted struct{ httpserver.BaseRequestHandler }

func (h *interrupted) DoGET() {
	h.SendResponse(200, "")
	h.EndHeaders()
	io.WriteString(h.WFile, "half")
	panic("of a test")
}

// However a ProcessRequest serves connections, a response that is not complete does not
// look complete.
func TestProcessRequestResets(t *testing.T) {
	t.Parallel()
	notOnWindows(t, "Wine shows an end instead of a reset")
	for name, process := range map[string]func(s *httpserver.HTTPServer, conn net.Conn){
		"goroutine": func(s *httpserver.HTTPServer, conn net.Conn) {
			go func() {
				s.FinishRequest(conn)
				s.ShutdownRequest(conn)
			}()
		},
		"wrapped": func(s *httpserver.HTTPServer, conn net.Conn) {
			w := &wrapped{Conn: conn}
			s.FinishRequest(w)
			s.ShutdownRequest(w)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := start(t, httpserver.New[interrupted], func(s *httpserver.HTTPServer) {
				s.ProcessRequest = func(conn net.Conn) { process(s, conn) }
				s.HandleError = func(net.Conn, error) {}
			})
			conn, _ := send(t, s.Addr(), getHello)
			if got, err := io.ReadAll(conn); err == nil {
				t.Errorf("got %q, which looks complete", got)
			}
		})
	}
}

// unfinished panics a second time when the connection has ended.
type unfinished struct{ interrupted }

func (h *unfinished) Finish() { panic("of a test") }

func TestPanicInFinishResets(t *testing.T) {
	t.Parallel()
	notOnWindows(t, "Wine shows an end instead of a reset")
	s, _ := start(t, httpserver.New[unfinished], func(s *httpserver.HTTPServer) {
		s.HandleError = func(net.Conn, error) {}
	})
	conn, _ := send(t, s.Addr(), getHello)
	if got, err := io.ReadAll(conn); err == nil {
		t.Errorf("got %q, which looks complete", got)
	}
}

// A ProcessRequest may serve connections in goroutines of its own. Shutdown waits for
// them.
func TestProcessRequestInGoroutine(t *testing.T) {
	t.Parallel()
	entered, release, returned := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s, _ := start(t, persistent(entered, release), func(s *httpserver.HTTPServer) {
		s.ProcessRequest = func(conn net.Conn) {
			finishing := make(chan struct{})
			go func() {
				defer s.ShutdownRequest(conn)
				close(finishing)
				s.FinishRequest(conn)
			}()
			<-finishing
			<-entered
			close(returned)
		}
	})
	_, r := send(t, s.Addr(), postHello)
	<-returned
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown did not wait: %v", err)
	}
	close(release)
	if _, body := readResponse(t, r); body != "hello\n" {
		t.Errorf("got %q", body)
	}
}

// A ProcessRequest may leave connections to the goroutines of a pool. Those that wait for one
// are counted, and Shutdown waits for them, unless they are closed instead.
func TestProcessRequestPool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := make(chan net.Conn, 3)
		s, _, l := startInMemory(t, httpserver.New[hello], func(s *httpserver.HTTPServer) {
			s.MaxConnections = 1
			s.ProcessRequest = func(conn net.Conn) { pool <- conn }
		})
		l.dial(t)
		l.dial(t)
		synctest.Wait()
		if len(pool) != 1 {
			t.Errorf("%d connections are in use", len(pool))
		}
		(<-pool).Close()
		pass(2 * time.Second)
		if len(pool) != 1 {
			t.Error("a connection that was closed is in use")
		}
		(<-pool).Close()
		client := l.dial(t)
		pass(2 * time.Second)
		done, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Shutdown(done); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown did not wait: %v", err)
		}
		go func() {
			conn := <-pool
			s.FinishRequest(conn)
			s.ShutdownRequest(conn)
		}()
		io.WriteString(client, getHello)
		if got, err := io.ReadAll(client); err != nil || !strings.HasSuffix(string(got), "hello\n") {
			t.Errorf("got %q, %v", got, err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A connection is one to a Fixture, however many methods are called with it.
func TestProcessRequestFixture(t *testing.T) {
	f := httpserver.NewFixture(t)
	f.ProcessRequest = func(conn net.Conn) {
		go func() {
			f.FinishRequest(conn)
			f.ShutdownRequest(conn)
		}()
	}
	f.Reply("", httpserver.Send(httpserver.Response(200, "hello")))
	for i := range 3 {
		exchange(t, f.Addr(), getHello)
		if requests := f.Requests(); requests[i].Conn != i+1 {
			t.Errorf("request %d came on connection %d", i+1, requests[i].Conn)
		}
	}
}

// Connections with equal addresses, and connections whose address is new each time, are
// told apart.
func TestConnectionsAreFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		entered, release := make(chan struct{}), make(chan struct{})
		s := &httpserver.ThreadingHTTPServer{}
		s.NewHandler = func() httpserver.Handler { return &hijacking{entered: entered, release: release} }
		serve := func(wrap func(net.Conn) net.Conn, path string) (client net.Conn, ended chan struct{}) {
			client, server := net.Pipe()
			server, ended = wrap(server), make(chan struct{})
			go func() {
				s.FinishRequest(server)
				s.ShutdownRequest(server)
				close(ended)
			}()
			io.WriteString(client, "GET "+path+" HTTP/1.0\r\n\r\n")
			return client, ended
		}
		plain := func(conn net.Conn) net.Conn { return conn }
		fresh := func(conn net.Conn) net.Conn { return freshConn{conn} }
		first, firstEnded := serve(plain, "/hijack")
		second, _ := serve(plain, "/")
		if got, err := io.ReadAll(second); err != nil || !strings.HasSuffix(string(got), "hello\n") {
			t.Errorf("got %q, %v", got, err)
		}
		third, thirdEnded := serve(fresh, "/hijack")
		for range 2 {
			<-entered
			release <- struct{}{}
		}
		<-firstEnded
		<-thirdEnded
		for _, client := range []net.Conn{first, third} {
			client.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a hijacked connection: %v", err)
			}
		}
		if n := httpserver.Connections(&s.HTTPServer); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}

// A freshConn has another address each time it is asked.
type freshConn struct{ net.Conn }

func (freshConn) RemoteAddr() net.Addr { return &net.UnixAddr{Name: "client", Net: "unix"} }

// hijacking hijacks connections, in Setup if early is set.
type hijacking struct {
	hello
	early            bool
	entered, release chan struct{}
}

func (h *hijacking) Setup() {
	if h.early {
		h.Hijack()
	}
}

func (h *hijacking) DoGET() {
	if h.Path != "/hijack" {
		h.hello.DoGET()
		return
	}
	h.Hijack()
	h.entered <- struct{}{}
	<-h.release
}

// What a client sends on a connection that was hijacked in Setup is not read.
func TestHijackInSetup(t *testing.T) {
	t.Parallel()
	s := &httpserver.ThreadingHTTPServer{}
	s.NewHandler = func() httpserver.Handler { return &hijacking{early: true} }
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close(); server.Close() })
	go io.WriteString(client, getHello)
	s.FinishRequest(server)
	got := make([]byte, 1)
	if _, err := server.Read(got); err != nil || string(got) != "G" {
		t.Errorf("read %q, %v", got, err)
	}
}

// The timeout limits what TLS writes while the server reads, too.
func TestTimeoutOfHandshake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &httpserver.ThreadingHTTPServer{}
		s.Stderr = io.Discard
		s.NewHandler = func() httpserver.Handler {
			h := new(hello)
			h.Timeout = time.Minute
			return h
		}
		client, server := net.Pipe()
		defer client.Close()
		go tls.Client(unread{client}, &tls.Config{InsecureSkipVerify: true}).Handshake()
		s.FinishRequest(tls.Server(server, certificate()))
		server.Close()
	})
}

// An unread connection has nothing to read.
type unread struct{ net.Conn }

func (u unread) Read([]byte) (int, error) { return 0, io.EOF }

// A connection that has no deadlines is not waited for.
func TestShutdownRequestWithoutDeadlines(t *testing.T) {
	t.Parallel()
	s := new(httpserver.HTTPServer)
	client, server := net.Pipe()
	defer client.Close()
	s.ShutdownRequest(timeless{halfClosing{server}})
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection is not closed: %v", err)
	}
}

// A timeless connection has no deadlines.
type timeless struct{ halfClosing }

func (timeless) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// lengthy sends more than the system takes at once, when it is released.
type lengthy struct {
	httpserver.BaseRequestHandler
	entered, release chan struct{}
}

const lengthySize = 3 << 19

func (h *lengthy) DoGET() {
	h.entered <- struct{}{}
	<-h.release
	h.SendResponse(200, "")
	h.SendHeader("Content-Length", strconv.Itoa(lengthySize))
	h.EndHeaders()
	h.WFile.Write(make([]byte, lengthySize))
}

func (h *lengthy) DoPOST() { h.DoGET() }

// The end of a connection does not destroy a response because something has arrived that
// was not read, whatever type the connection has.
func TestUnreadDoesNotDestroy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		request, more string
		wrap          bool
	}{
		{request: getHello, more: getHello},
		{request: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", more: "\r\n"},
		{request: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", more: strings.Repeat("x", 20<<20), wrap: true},
	} {
		if runtime.GOOS == "windows" && !c.wrap {
			continue // hasArrived does not ask Windows
		}
		entered, release := make(chan struct{}), make(chan struct{})
		s, _ := start(t, func() httpserver.Handler { return &lengthy{entered: entered, release: release} }, func(s *httpserver.HTTPServer) {
			if c.wrap {
				s.Listener = plainListener{s.Listener}
			}
		})
		conn, r := send(t, s.Addr(), c.request)
		<-entered
		some := min(len(c.more), 1<<10)
		io.WriteString(conn, c.more[:some])
		go io.WriteString(conn, c.more[some:])
		close(release)
		head, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, head.Body); n != lengthySize || err != nil {
			t.Errorf("%.20q: %d bytes, %v", c.request, n, err)
		}
		conn.Close()
	}
}

// A plainListener accepts connections that have the methods of a net.Conn alone.
type plainListener struct{ net.Listener }

func (l plainListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return struct{ net.Conn }{conn}, err
}

// A halfClosing connection pretends to have ended its own side.
type halfClosing struct{ net.Conn }

func (halfClosing) CloseWrite() error { return nil }

// Close ends a connection that waits for its client to close it, too, whatever goroutine
// that is in.
func TestProcessRequestLingers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		served, closed := make(chan struct{}), make(chan struct{})
		s, _, l := startInMemory(t, persistent(nil, nil), func(s *httpserver.HTTPServer) {
			s.ProcessRequest = func(conn net.Conn) {
				go func() {
					conn := halfClosing{conn}
					s.FinishRequest(conn)
					close(served)
					s.ShutdownRequest(conn)
					close(closed)
				}()
			}
		})
		conn := l.dial(t)
		io.WriteString(conn, strings.Replace(getHello, "Host", "Connection: close\r\nHost", 1))
		if _, body := readResponse(t, bufio.NewReader(conn)); body != "hello\n" {
			t.Errorf("got %q", body)
		}
		<-served
		synctest.Wait()
		begin := time.Now()
		s.Close()
		<-closed
		if took := time.Since(begin); took != 0 {
			t.Errorf("closed after %v", took)
		}
	})
}

func TestPrintError(t *testing.T) {
	t.Parallel()
	log := new(logBuffer)
	s := &httpserver.HTTPServer{Stderr: log}
	conn, other := net.Pipe()
	defer conn.Close()
	defer other.Close()
	s.PrintError(conn, errors.New("a\nb"))
	s.PrintError(conn, &httpserver.PanicError{Value: "boom", Stack: []byte("the stack\n")})
	want := "httpserver: connection from pipe: a\\x0ab\nhttpserver: connection from pipe: panic in a handler: boom\nthe stack\n"
	if log.String() != want {
		t.Errorf("got %q", log.String())
	}
}

// Addresses and listeners.

// A zoneListener listens on an address that is local to a link.
type zoneListener struct{ net.Listener }

func (zoneListener) Addr() net.Addr {
	return &net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 80, Zone: "lo"}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ network, addr, url string }{
		{"tcp", "127.0.0.1:0", "http://127.0.0.1:"},
		{"tcp4", ":0", "http://127.0.0.1:"},
		{"tcp6", "[::1]:0", "http://[::1]:"},
		{"tcp6", "[::]:0", "http://[::1]:"},
		{"unix", filepath.Join(t.TempDir(), "s"), "http://localhost"},
	} {
		l, err := net.Listen(c.network, c.addr)
		if err != nil {
			t.Logf("skipping %s %s: %v", c.network, c.addr, err)
			continue
		}
		s := &httpserver.HTTPServer{Listener: l}
		if url := s.URL(); !strings.HasPrefix(url, c.url) || s.Addr() != l.Addr() {
			t.Errorf("%s: URL %s", c.addr, url)
		}
		s.Close()
	}
	local := &httpserver.HTTPServer{Listener: zoneListener{}}
	if u, err := url.Parse(local.URL()); err != nil || u.Host != "[fe80::1%lo]:80" {
		t.Errorf("URL %s, %v", local.URL(), err)
	}
	s, err := httpserver.NewHTTPServer(":0", httpserver.New[hello])
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, port, _ := net.SplitHostPort(s.Addr().String()); fmt.Sprint(s.ServerPort) != port || s.ServerName == "" {
		t.Errorf("ServerName %q, ServerPort %d for %v", s.ServerName, s.ServerPort, s.Addr())
	}
	if s.ServerName == "::" { // dual stack
		conn, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", s.ServerPort))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}

func TestListenErrors(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for addr, want := range map[string]string{
		l.Addr().String(): "address already in use (another program",
		"192.0.2.1:0":     "cannot assign requested address (no interface",
		"127.0.0.1":       "missing port in address",
	} {
		_, err := httpserver.NewHTTPServer(addr, httpserver.New[hello])
		if err == nil || !strings.HasPrefix(err.Error(), "httpserver: listen on "+addr+": ") ||
			runtime.GOOS == "linux" && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	_, err = httpserver.NewHTTPServer(l.Addr().String(), httpserver.New[hello])
	if !errors.Is(err, syscall.EADDRINUSE) && runtime.GOOS == "linux" {
		t.Errorf("the cause is lost: %v", err)
	}
	if _, err := httpserver.NewHTTPServer("127.0.0.1:0", nil); err == nil {
		t.Error("no error without a handler")
	}
	if err := new(httpserver.HTTPServer).ServeForever(); err == nil {
		t.Error("no error without a listener")
	}
}

func TestDualStackLogsIPv4AsSuch(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	s, log := start(t, httpserver.New[hello], func(s *httpserver.HTTPServer) { s.Listener.Close(); s.Listener = l })
	_, port, _ := net.SplitHostPort(s.Addr().String())
	addr, _ := net.ResolveTCPAddr("tcp", "127.0.0.1:"+port)
	exchange(t, addr, getHello)
	if !strings.HasPrefix(log.String(), "127.0.0.1 - - [") {
		t.Errorf("log %s", log)
	}
}

func TestListeners(t *testing.T) {
	t.Parallel()
	site := makeSite(t)
	files := func() httpserver.Handler {
		h := new(httpserver.SimpleHandler)
		h.Directory, h.ProtocolVersion = site, "HTTP/1.1"
		h.Timeout = testLimit
		return h
	}
	big := strings.Repeat("0123456789abcdef", 1<<16)
	if err := os.WriteFile(filepath.Join(site, "big"), []byte(big), 0o666); err != nil {
		t.Fatal(err)
	}
	fetch := func(t *testing.T, conn net.Conn) {
		t.Helper()
		conn.SetDeadline(time.Now().Add(testLimit))
		r := bufio.NewReader(conn)
		for path, want := range map[string]string{"/hello.txt": "hello, world\n", "/big": big} {
			io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			if _, body := readResponse(t, r); body != want {
				t.Errorf("%s: %d bytes", path, len(body))
			}
		}
		conn.Close()
	}
	t.Run("unix", func(t *testing.T) {
		l, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
		if err != nil {
			t.Skip("no unix sockets: ", err)
		}
		s, log := start(t, files, func(s *httpserver.HTTPServer) { s.Listener.Close(); s.Listener = l })
		fetch(t, dial(t, s.Addr()))
		if !strings.HasPrefix(log.String(), "- - - [") {
			t.Errorf("log: %s", log)
		}
	})
	t.Run("memory", func(t *testing.T) {
		_, _, l := startInMemory(t, files, nil)
		fetch(t, l.dial(t))
	})
	t.Run("tls", func(t *testing.T) {
		pair := httptest.NewTLSServer(nil) // for its certificate
		defer pair.Close()
		config := &tls.Config{Certificates: pair.TLS.Certificates}
		s, log := start(t, files, func(s *httpserver.HTTPServer) { s.Listener = tls.NewListener(s.Listener, config) })
		dial(t, s.Addr()) // a client that never begins the handshake
		io.WriteString(dial(t, s.Addr()), "GET / HTTP/1.0\r\n\r\n")
		conn, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		fetch(t, conn)
		log.await(t, "Connection failed: tls: ")
	})
	t.Run("long error of tls", func(t *testing.T) {
		pair := httptest.NewTLSServer(nil) // for its certificate
		defer pair.Close()
		config := &tls.Config{Certificates: pair.TLS.Certificates, NextProtos: []string{"http/1.1"}}
		s, log := start(t, files, func(s *httpserver.HTTPServer) { s.Listener = tls.NewListener(s.Listener, config) })
		unknown := slices.Repeat([]string{strings.Repeat("\x01", 255)}, 200) // the error contains them all
		tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: unknown})
		log.await(t, "Connection failed: tls: ")
		if n := len(log.String()); n > 8<<10 {
			t.Errorf("the log has %d bytes", n)
		}
	})
}

// Timeouts.

func TestTimeouts(t *testing.T) {
	t.Parallel()
	const timeout = time.Minute
	newHandler := func() httpserver.Handler {
		h := new(wireHandler)
		h.ProtocolVersion, h.Timeout = "HTTP/1.1", timeout
		return h
	}
	for _, tt := range []struct{ name, request, log string }{
		{"nothing", "", "Request timed out"},
		{"half a line", "GET /", "Request timed out"},
		{"half a head", "GET / HTTP/1.1\r\nHost: x\r\n", "Request timed out"},
		{"half a body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n123", ""},
		{"half a chunk", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5", ""},
		{"no other request", "SPAM / HTTP/1.1\r\nHost: x\r\n\r\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, log, l := startInMemory(t, newHandler, nil)
				conn, begin := l.dial(t), time.Now()
				if tt.request != "" {
					io.WriteString(conn, tt.request)
				}
				if _, err := io.ReadAll(conn); err != nil {
					t.Error(err)
				}
				if took := time.Since(begin); took != timeout {
					t.Errorf("closed after %v", took)
				}
				closeServer(t, s)
				if n := strings.Count(log.String(), "Request timed out"); n != strings.Count(tt.log, "Request timed out") {
					t.Errorf("%d timeouts logged:\n%s", n, log)
				}
			})
		})
	}
	// The timeout is for the whole head, also if that arrives byte by byte.
	t.Run("slow head", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			_, log, l := startInMemory(t, newHandler, nil)
			conn, begin := l.dial(t), time.Now()
			var writing sync.WaitGroup
			writing.Go(func() {
				_, err := io.WriteString(conn, "GET / HTTP/1.1\r\n")
				for err == nil {
					pass(7 * time.Second)
					_, err = io.WriteString(conn, "a")
				}
			})
			defer writing.Wait()
			io.ReadAll(conn)
			if took := time.Since(begin); took != timeout {
				t.Errorf("a slow head was waited for: %v", took)
			}
			log.await(t, "Request timed out")
		})
	})
}

// A body may take longer than Timeout as long as it progresses.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, _, l := startInMemory(t, func() httpserver.Handler {
			h := new(wireHandler)
			h.ProtocolVersion, h.Timeout = "HTTP/1.1", time.Minute
			return h
		}, nil)
		for _, parts := range [][]string{
			{"Content-Length: 6\r\n\r\n", "1", "2", "3", "4", "5", "6"},
			{"Transfer-Encoding: chunked\r\n\r\n", "3\r\n1", "2", "3\r\n", "3\r\n456\r\n", "0\r\n", "\r\n"},
		} {
			conn := l.dial(t)
			io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n")
			for _, part := range parts {
				pass(20 * time.Second)
				io.WriteString(conn, part)
			}
			if _, body := readResponse(t, bufio.NewReader(conn)); body != "6 bytes: 123456\n" {
				t.Errorf("got %q", body)
			}
		}
	})
}

// A client that does not read is given up. One that reads slowly gets the whole file as it
// was, whether the system copies it or this package does.
func TestWriteTimeout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	big := make([]byte, 24<<20)
	for i := range big {
		big[i] = byte(i >> 8 * (i & 1))
	}
	if err := os.WriteFile(filepath.Join(dir, "big"), big, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(*httpserver.SimpleHandler){
		"Directory": func(h *httpserver.SimpleHandler) { h.Directory = dir },
		"FS":        func(h *httpserver.SimpleHandler) { h.FS = fstest.MapFS{"big": {Data: big}} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, log := start(t, func() httpserver.Handler {
				h := new(httpserver.SimpleHandler)
				set(h)
				h.Timeout = 3 * time.Second
				return h
			}, nil)
			stuck, _ := send(t, s.Addr(), "GET /big HTTP/1.0\r\n\r\n")
			stuck.(*net.TCPConn).SetReadBuffer(4 << 10)
			slow, r := send(t, s.Addr(), "GET /big HTTP/1.0\r\n\r\n")
			slow.(*net.TCPConn).SetReadBuffer(64 << 10)
			var got bytes.Buffer
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for !strings.Contains(log.String(), "Response timed out") { // for the stuck client
				<-tick.C
				io.CopyN(&got, r, 512<<10)
			}
			io.Copy(&got, r)
			if _, body, _ := bytes.Cut(got.Bytes(), []byte("\r\n\r\n")); !bytes.Equal(body, big) {
				t.Errorf("the slow reader got %d bytes of %d, or others", len(body), len(big))
			}
			if n := strings.Count(log.String(), "Response timed out"); n != 1 {
				t.Errorf("%d timeouts logged:\n%s", n, log)
			}
		})
	}
}

// The end of a connection.

// A response is complete although requests that follow in a full buffer are not
// answered.
func TestPipelinedBehindFullBuffer(t *testing.T) {
	t.Parallel()
	s, _ := start(t, httpserver.New[hello], nil)
	for range 50 {
		head := "GET / HTTP/1.0\r\nX: "
		head += strings.Repeat("x", 4096-len(head)-4) + "\r\n\r\n"
		_, r := send(t, s.Addr(), head+strings.Repeat(getHello, 100))
		if got, err := io.ReadAll(r); err != nil || !strings.HasSuffix(string(got), "hello\n") {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

// A client can read why it was refused although it continues to send.
func TestLingeringClose(t *testing.T) {
	t.Parallel()
	s, _ := start(t, httpserver.New[hello], nil)
	for range 20 {
		request := "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n" + strings.Repeat("x", 8000000)
		if got := exchange(t, s.Addr(), request); !strings.HasPrefix(got, "HTTP/1.0 501 ") {
			t.Fatalf("got %q", got)
		}
	}
}

func TestClientGoesAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 32<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	s, log := start(t, func() httpserver.Handler {
		h := new(httpserver.SimpleHandler)
		h.Directory = dir
		return h
	}, nil)
	conn, r := send(t, s.Addr(), "GET /big HTTP/1.0\r\n\r\n")
	r.ReadByte()
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
	log.await(t, "Connection lost: ")
	s.Shutdown(t.Context())
	if lines := strings.Split(log.String(), "\n"); len(lines) != 3 || !strings.Contains(lines[1], "Connection lost: ") {
		t.Errorf("log:\n%s", log)
	}
}

// A client whose request crosses the end of an idle connection sees that end, and not
// a reset, which could destroy the previous response (RFC 9112 section 9.6).
func TestIdleEndIsNoReset(t *testing.T) {
	t.Parallel()
	for name, timeout := range map[string]time.Duration{"Shutdown": 0, "Timeout": 300 * time.Millisecond} {
		s, log := start(t, func() httpserver.Handler {
			h := persistent(nil, nil)().(*hello)
			h.Timeout = timeout
			return h
		}, nil)
		conn, r := send(t, s.Addr(), getHello)
		readResponse(t, r)
		ended := make(chan error, 1)
		if timeout == 0 {
			go func() { ended <- s.Shutdown(t.Context()) }()
		} else {
			ended <- nil
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("%s: got %v, want the end", name, err)
		}
		if _, err := io.WriteString(conn, getHello); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := r.ReadByte(); err != io.EOF { // because the request was read
			t.Errorf("%s: got %v, want the end again", name, err)
		}
		conn.Close()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if log := log.String(); strings.Count(log, "\n") != 1 {
			t.Errorf("%s: log:\n%s", name, log)
		}
	}
}

// The end of a server.

// A noticed context opens a gate when Done is first called.
type noticed struct {
	context.Context
	once sync.Once
	open chan struct{}
}

func (c *noticed) Done() <-chan struct{} {
	c.once.Do(func() { close(c.open) })
	return c.Context.Done()
}

// Clients that have connected before Shutdown are served, also those in the listener's
// queue.
func TestShutdownAcceptsQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		s, _, l := startInMemory(t, persistent(nil, nil), func(s *httpserver.HTTPServer) {
			s.Listener = &gate{Listener: s.Listener, open: open}
		})
		var clients sync.WaitGroup
		for range 20 {
			conn := l.dial(t)
			clients.Go(func() {
				io.WriteString(conn, getHello)
				wantLastHello(t, conn)
			})
		}
		if err := s.Shutdown(&noticed{Context: t.Context(), open: open}); err != nil {
			t.Error(err)
		}
		clients.Wait()
	})
}

// wantLastHello reads a response after which the connection ends.
func wantLastHello(t *testing.T, conn net.Conn) {
	t.Helper()
	got, err := io.ReadAll(conn)
	if head, body, _ := strings.Cut(string(got), "\r\n\r\n"); !strings.HasSuffix(head, "\r\nConnection: close") || body != "hello\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestPendingAcceptEnds(t *testing.T) {
	if !alone(t) {
		return
	}
	before := descriptors(t)
	s, err := httpserver.NewHTTPServer("127.0.0.1:0", httpserver.New[hello])
	if err != nil {
		t.Fatal(err)
	}
	s.Timeout = time.Millisecond
	s.HandleRequest()
	conn := dial(t, s.Addr())
	s.Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection that nobody took up was left open: %v", err)
	}
	conn.Close()
	wantNothingLeft(t, before)
}

func TestCloseBeforeServing(t *testing.T) {
	t.Parallel()
	s, err := httpserver.NewThreadingHTTPServer("127.0.0.1:0", httpserver.New[hello])
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := s.ServeForever(); err != httpserver.ErrServerClosed {
		t.Error(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
