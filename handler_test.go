package httpserver_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"httpserver"
)

// counter overrides every method of ScriptHandler and counts calls.
type counter struct {
	httpserver.CGIHandler
	calls *calls
}

// calls are those of counters.
type calls struct {
	mu      sync.Mutex
	of      map[string]int // by method
	first   int            // for the first request
	panicAt int            // the number of a call that panics, from 1
	panics  string         // the method whose call that is
}

func (h *counter) count(name string) {
	h.calls.mu.Lock()
	defer h.calls.mu.Unlock()
	h.calls.of[name]++
	if h.calls.panicAt--; h.calls.panicAt == 0 {
		h.calls.panics = name
		panic(name)
	}
}

func (h *counter) DoGET()     { h.count("DoGET"); h.CGIHandler.DoGET() }
func (h *counter) DoHEAD()    { h.count("DoHEAD"); h.CGIHandler.DoHEAD() }
func (h *counter) DoPOST()    { h.count("DoPOST"); h.CGIHandler.DoPOST() }
func (h *counter) DoPUT()     { h.count("DoPUT"); h.CGIHandler.DoPUT() }
func (h *counter) DoPATCH()   { h.count("DoPATCH"); h.CGIHandler.DoPATCH() }
func (h *counter) DoDELETE()  { h.count("DoDELETE"); h.CGIHandler.DoDELETE() }
func (h *counter) DoOPTIONS() { h.count("DoOPTIONS"); h.CGIHandler.DoOPTIONS() }
func (h *counter) DoCONNECT() { h.count("DoCONNECT"); h.CGIHandler.DoCONNECT() }
func (h *counter) DoTRACE()   { h.count("DoTRACE"); h.CGIHandler.DoTRACE() }
func (h *counter) Setup()     { h.count("Setup"); h.CGIHandler.Setup() }
func (h *counter) Handle()    { h.count("Handle"); h.CGIHandler.Handle() }
func (h *counter) Finish()    { h.count("Finish"); h.CGIHandler.Finish() }
func (h *counter) HandleOneRequest() {
	h.count("HandleOneRequest")
	h.CGIHandler.HandleOneRequest()
}
func (h *counter) Method(name string) func() {
	h.count("Method")
	return h.CGIHandler.Method(name)
}
func (h *counter) ParseRequest() bool {
	h.count("ParseRequest")
	return h.CGIHandler.ParseRequest()
}
func (h *counter) Dispatch() { h.count("Dispatch"); h.CGIHandler.Dispatch() }
func (h *counter) HandleExpect100() bool {
	h.count("HandleExpect100")
	return h.CGIHandler.HandleExpect100()
}
func (h *counter) SendError(code int, message, explain string) {
	h.count("SendError")
	h.CGIHandler.SendError(code, message, explain)
}
func (h *counter) SendResponse(code int, message string) {
	h.count("SendResponse")
	h.CGIHandler.SendResponse(code, message)
}
func (h *counter) SendResponseOnly(code int, message string) {
	h.count("SendResponseOnly")
	h.CGIHandler.SendResponseOnly(code, message)
}
func (h *counter) SendHeader(name, value string) {
	h.count("SendHeader")
	h.CGIHandler.SendHeader(name, value)
}
func (h *counter) EndHeaders()   { h.count("EndHeaders"); h.CGIHandler.EndHeaders() }
func (h *counter) FlushHeaders() { h.count("FlushHeaders"); h.CGIHandler.FlushHeaders() }
func (h *counter) LogRequest(code int, size int64) {
	h.count("LogRequest")
	h.CGIHandler.LogRequest(code, size)
}
func (h *counter) LogError(format string, args ...any) {
	h.count("LogError")
	h.CGIHandler.LogError(format, args...)
}
func (h *counter) LogMessage(format string, args ...any) {
	h.count("LogMessage")
	h.CGIHandler.LogMessage(format, args...)
}
func (h *counter) VersionString() string {
	h.count("VersionString")
	return h.CGIHandler.VersionString()
}
func (h *counter) DateTimeString(t time.Time) string {
	h.count("DateTimeString")
	return h.CGIHandler.DateTimeString(t)
}
func (h *counter) LogDateTimeString() string {
	h.count("LogDateTimeString")
	return h.CGIHandler.LogDateTimeString()
}
func (h *counter) AddressString() string {
	h.count("AddressString")
	return h.CGIHandler.AddressString()
}
func (h *counter) SendHead() (io.ReadCloser, bool) {
	h.count("SendHead")
	return h.CGIHandler.SendHead()
}
func (h *counter) ListDirectory(name string) (io.ReadCloser, bool) {
	h.count("ListDirectory")
	return h.CGIHandler.ListDirectory(name)
}
func (h *counter) TranslatePath(path string) string {
	h.count("TranslatePath")
	return h.CGIHandler.TranslatePath(path)
}
func (h *counter) GuessType(name string) string {
	h.count("GuessType")
	return h.CGIHandler.GuessType(name)
}
func (h *counter) CopyFile(dst io.Writer, src io.Reader) error {
	h.count("CopyFile")
	return h.CGIHandler.CopyFile(dst, src)
}

func (h *counter) IsCGI() bool { h.count("IsCGI"); return h.CGIHandler.IsCGI() }
func (h *counter) RunCGI()     { h.count("RunCGI"); h.CGIHandler.RunCGI() }
func (h *counter) IsExecutable(name string) bool {
	h.count("IsExecutable")
	return h.CGIHandler.IsExecutable(name)
}
func (h *counter) IsPython(name string) bool {
	h.count("IsPython")
	return h.CGIHandler.IsPython(name)
}

// The methods that are called for a request, and how often.
const (
	connectionCalls = "Setup Handle HandleOneRequest ParseRequest Finish "
	logCalls        = "LogMessage LogDateTimeString AddressString "
	responseCalls   = "SendResponse SendResponseOnly LogRequest VersionString DateTimeString EndHeaders FlushHeaders SendHeader SendHeader " + logCalls
	pageCalls       = "SendError LogError SendHeader SendHeader SendHeader " + logCalls + responseCalls
)

// requestCalls are the calls for each request beside connectionCalls. TranslatePath is
// also called for the CGI directories.
var requestCalls = map[string]string{
	"GET /hello.txt HTTP/1.0\r\n\r\n":     "Dispatch DoGET SendHead IsCGI TranslatePath TranslatePath TranslatePath GuessType CopyFile SendHeader SendHeader SendHeader SendHeader SendHeader DateTimeString " + responseCalls,
	"HEAD /hello.txt HTTP/1.0\r\n\r\n":    "Dispatch DoHEAD SendHead IsCGI TranslatePath TranslatePath TranslatePath GuessType SendHeader SendHeader SendHeader SendHeader SendHeader DateTimeString " + responseCalls,
	"GET /list/ HTTP/1.0\r\n\r\n":         "Dispatch DoGET SendHead IsCGI TranslatePath TranslatePath TranslatePath ListDirectory CopyFile SendHeader SendHeader SendHeader SendHeader SendHeader " + responseCalls,
	"GET /list HTTP/1.0\r\n\r\n":          "Dispatch DoGET SendHead IsCGI TranslatePath TranslatePath TranslatePath SendHeader SendHeader " + responseCalls,
	"GET /nope HTTP/1.0\r\n\r\n":          "Dispatch DoGET SendHead IsCGI TranslatePath TranslatePath TranslatePath " + pageCalls,
	"GET / HTTP/2.0\r\n\r\n":              "SendError LogError SendHeader SendHeader SendHeader " + logCalls + strings.Replace(responseCalls, "FlushHeaders", "", 1),
	"GET / HTTP/1.0\r\nbad\r\n\r\n":       pageCalls,
	"GET /cgi-bin/plain HTTP/1.0\r\n\r\n": "Dispatch DoGET SendHead IsCGI RunCGI TranslatePath IsPython IsExecutable " + pageCalls,
	"SPAM / HTTP/1.0\r\n\r\n":             "Dispatch Method " + pageCalls,
	"POST / HTTP/1.0\r\n\r\n":             "Dispatch DoPOST IsCGI " + pageCalls,
	"PUT / HTTP/1.0\r\n\r\n":              "Dispatch DoPUT IsCGI " + pageCalls,
	"PATCH / HTTP/1.0\r\n\r\n":            "Dispatch DoPATCH IsCGI " + pageCalls,
	"DELETE / HTTP/1.0\r\n\r\n":           "Dispatch DoDELETE IsCGI " + pageCalls,
	"OPTIONS / HTTP/1.0\r\n\r\n":          "Dispatch DoOPTIONS " + pageCalls,
	"CONNECT x:1 HTTP/1.0\r\n\r\n":        "Dispatch DoCONNECT " + pageCalls,
	"TRACE / HTTP/1.0\r\n\r\n":            "Dispatch DoTRACE " + pageCalls,
	"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n1": "Dispatch HandleExpect100 SendResponseOnly EndHeaders FlushHeaders DoPOST IsCGI HandleOneRequest " + strings.Replace(pageCalls, "SendHeader ", "", 1),
}

// newCounter returns a function that makes handlers for a request.
func newCounter(site, request string, c *calls) func() httpserver.Handler {
	c.of = make(map[string]int)
	return func() httpserver.Handler {
		h := &counter{calls: c}
		h.Directory = site
		if strings.Contains(request, "HTTP/1.1") {
			h.ProtocolVersion = "HTTP/1.1"
		}
		return h
	}
}

func TestNoCallBypassesAnOverride(t *testing.T) {
	t.Parallel()
	site := makeScripts(t)
	called := make(map[string]bool)
	for request, want := range requestCalls {
		c := new(calls)
		s, _ := start(t, newCounter(site, request, c), nil)
		exchange(t, s.Addr(), request)
		s.Shutdown(t.Context())
		wanted := make(map[string]int)
		for _, name := range strings.Fields(connectionCalls + want) {
			wanted[name]++
			called[name] = true
		}
		if !maps.Equal(c.of, wanted) {
			t.Errorf("%q:\n got %v\nwant %v", request, c.of, wanted)
		}
	}
	handler := reflect.TypeFor[httpserver.ScriptHandler]()
	for i := range handler.NumMethod() {
		if m := handler.Method(i); m.IsExported() && !called[m.Name] {
			t.Errorf("no request calls %s", m.Name)
		}
	}
}

// Each call of a method panics once. The client gets a 500, or the response if that was
// sent before. The server continues.
func TestPanicInEachCall(t *testing.T) {
	t.Parallel()
	site := makeScripts(t)
	cases := 0
	for request := range requestCalls {
		whole, count := "", 1
		for n := 0; n <= count; n++ {
			synctest.Test(t, func(t *testing.T) {
				c := &calls{panicAt: n}
				response, err := panicIn(t, c, site, request)
				if n == 0 {
					whole, count = response, c.first
					return
				}
				cases++
				sent := c.panics == "Finish" || c.panics == "HandleOneRequest" && strings.Contains(request, "HTTP/1.1") && n > 4
				if sent && (response != whole || err != nil) || !sent && !is500(request, response, err) {
					t.Errorf("%q, panic in call %d, of %s: got %q, %v", request, n, c.panics, response, err)
				}
			})
		}
	}
	t.Logf("%d panics", cases)
}

// panicIn sends a request to a server with a handler that may panic, and then another one
// that must succeed. It returns what came for the first.
func panicIn(t *testing.T, c *calls, site, request string) (response string, failure error) {
	var errs []error
	l, dial := memoryNetwork(t)
	s, _ := start(t, newCounter(site, request, c), func(s *httpserver.HTTPServer) {
		s.Listener.Close()
		s.Listener = l
		s.HandleError = func(_ net.Conn, err error) { errs = append(errs, err) }
	})
	ask := func(request string) (string, error) {
		conn := dial()
		io.WriteString(conn, request)
		conn.(interface{ CloseWrite() error }).CloseWrite()
		response, err := io.ReadAll(conn)
		synctest.Wait()
		return string(response), err
	}
	panics := c.panicAt > 0
	response, failure = ask(request)
	for _, n := range c.of {
		c.first += n
	}
	if p := new(httpserver.PanicError); panics && (len(errs) != 1 || !errors.As(errs[0], &p) || p.Value != c.panics) || !panics && len(errs) > 0 {
		t.Errorf("%q, panic in %q: HandleError got %v", request, c.panics, errs)
	}
	if next, err := ask("GET /hello.txt HTTP/1.0\r\n\r\n"); !strings.HasSuffix(next, "hello, world\n") || err != nil {
		t.Errorf("%q, panic in %q: the next response is %q, %v", request, c.panics, next, err)
	}
	if err := s.Shutdown(t.Context()); err != nil || httpserver.Connections(&s.HTTPServer) > 0 {
		t.Errorf("%q, panic in %q: a connection is left: %v", request, c.panics, err)
	}
	return response, failure
}

// is500 reports whether the response is a 500 that was sent after a panic.
func is500(request, response string, failure error) bool {
	method, target, _ := strings.Cut(request, " ")
	if strings.Contains(target, "HTTP/2.0") && !strings.HasPrefix(response, "HTTP/") {
		return strings.Contains(response, "Error code: 500") && failure != nil // a reset, as there is no head
	}
	r := bufio.NewReader(strings.NewReader(strings.TrimPrefix(response, "HTTP/1.1 100 Continue\r\n\r\n")))
	parsed, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil || parsed.StatusCode != 500 || failure != nil {
		return false
	}
	_, err = io.ReadAll(parsed.Body)
	return err == nil && (r.Buffered() == 0 || method == "HEAD") // with a body if the method was not known
}

// overridden overrides methods without calling those of SimpleHandler.
type overridden struct{ httpserver.SimpleHandler }

func (h *overridden) EndHeaders() {
	h.SendHeader("Access-Control-Allow-Origin", "*")
	h.SimpleHandler.EndHeaders()
}
func (h *overridden) VersionString() string       { return "mine" }
func (h *overridden) GuessType(string) string     { return "text/mine" }
func (h *overridden) AddressString() string       { return "someone\x1b" }
func (h *overridden) TranslatePath(string) string { return h.Directory + "/hello.txt" }
func (h *overridden) CopyFile(w io.Writer, r io.Reader) error {
	data, err := io.ReadAll(r)
	io.WriteString(w, strings.ToUpper(string(data)))
	return err
}

func TestOverriding(t *testing.T) {
	t.Parallel()
	site := makeSite(t)
	s, log := start(t, func() httpserver.Handler {
		h := new(overridden)
		h.Directory = site
		return h
	}, nil)
	got := exchange(t, s.Addr(), "GET /anything HTTP/1.0\r\n\r\n")
	for _, want := range []string{"\r\nServer: mine\r\n", "\r\nContent-type: text/mine\r\n", "\r\nAccess-Control-Allow-Origin: *\r\n\r\nHELLO, WORLD\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	if !strings.HasPrefix(log.String(), "someone\\x1b - - [") {
		t.Errorf("log %q", log)
	}
}

type nilEmbedded struct{ *httpserver.BaseRequestHandler }

type hidden struct{ httpserver.SimpleHandler }

func (h *hidden) GuessType(name string, again bool) string { return "" }

type hiddenScript struct{ httpserver.CGIHandler }

func (h *hiddenScript) IsPython(name string) string { return "" }

func TestBindPanics(t *testing.T) {
	t.Parallel()
	same := new(httpserver.BaseRequestHandler)
	for name, c := range map[string]struct {
		newHandler func() httpserver.Handler
		want       string
	}{
		"nil embedded":  {httpserver.New[nilEmbedded], "embed the handler by value"},
		"nil":           {func() httpserver.Handler { return nil }, "embed the handler by value"},
		"hidden":        {httpserver.New[hidden], "one of its methods has another signature"},
		"hidden script": {httpserver.New[hiddenScript], "does not implement ScriptHandler"},
		"same":          {func() httpserver.Handler { return same }, "return a new one for each connection"},
	} {
		s, log := start(t, c.newHandler, nil)
		for range 2 {
			conn, r := send(t, s.Addr(), "GET / HTTP/1.0\r\n\r\n")
			io.ReadAll(r)
			conn.Close() // ends the linger
		}
		s.Shutdown(t.Context())
		if !strings.Contains(log.String(), c.want) {
			t.Errorf("%s: log %s", name, log)
		}
	}
}

// unset responds with the fields of a handler that the server sets.
type unset struct{ httpserver.BaseRequestHandler }

func (h *unset) DoGET() {
	body := fmt.Sprintf("%T %v %s %s %s %v", h.Self(), h.Server.Addr(), h.ClientAddress.Network(), h.Connection.RemoteAddr().Network(), h.RequestVersion, h.CloseConnection)
	h.SendResponse(200, "")
	h.SendHeader("Content-Length", fmt.Sprint(len(body)))
	h.EndHeaders()
	io.WriteString(h.WFile, body)
}

func TestInstanceVariables(t *testing.T) {
	t.Parallel()
	s, _ := start(t, httpserver.New[unset], nil)
	got := exchange(t, s.Addr(), "GET / HTTP/1.0\r\n\r\n")
	if want := fmt.Sprintf("\r\n\r\n*httpserver_test.unset %v tcp tcp HTTP/1.0 true", s.Addr()); !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if want := "Server: BaseHTTP/0.6 Go/" + strings.TrimPrefix(runtime.Version(), "go") + "\r\n"; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	h := new(httpserver.BaseRequestHandler)
	if h.Self() != httpserver.Handler(h) || h.Method("SPAM") != nil || h.AddressString() != "-" {
		t.Error("a handler that is not served is not its own")
	}
}

// early sends parts of a response when it is told to.
type early struct {
	httpserver.BaseRequestHandler
	proceed chan struct{}
}

func (h *early) DoGET() {
	h.SendResponse(200, "")
	h.FlushHeaders()
	<-h.proceed
	h.SendHeader("X-Later", "yes")
	h.EndHeaders()
	<-h.proceed
	io.WriteString(h.WFile, "one")
	<-h.proceed
	io.WriteString(h.WFile, "two")
}

// EndHeaders, FlushHeaders and Write hold back nothing for long.
func TestNothingIsHeldBack(t *testing.T) {
	t.Parallel()
	proceed := make(chan struct{})
	s, _ := start(t, func() httpserver.Handler { return &early{proceed: proceed} }, nil)
	_, r := send(t, s.Addr(), "GET / HTTP/1.0\r\n\r\n")
	for _, want := range []string{"HTTP/1.0 200 OK\r\n", "X-Later: yes\r\n", "one", "two"} {
		for got := ""; !strings.HasSuffix(got, want); {
			c, err := r.ReadByte()
			if err != nil {
				t.Fatalf("got %q before %q: %v", got, want, err)
			}
			got += string(c)
		}
		if want == "HTTP/1.0 200 OK\r\n" {
			r.ReadString('\n')
			r.ReadString('\n')
		}
		if want == "X-Later: yes\r\n" {
			r.ReadString('\n')
		}
		if want != "two" {
			if n := r.Buffered(); n > 0 {
				t.Errorf("%d bytes came with %q", n, want)
			}
			proceed <- struct{}{}
		}
	}
}

// ended ends the head of a response, and then calls a function.
type ended struct {
	httpserver.BaseRequestHandler
	then func(h *ended)
}

func (h *ended) DoGET() {
	h.SendResponse(200, "")
	h.SendHeader("Content-Length", "4")
	h.EndHeaders()
	h.then(h)
}

// The head is sent before anything that handlers do to the connection itself after
// they have called FlushHeaders or Hijack.
func TestHeadStaysFirst(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		then func(h *ended)
		body string
	}{
		"write":  {func(h *ended) { h.FlushHeaders(); io.WriteString(h.Connection, "body") }, "body"},
		"close":  {func(h *ended) { h.FlushHeaders(); h.Connection.Close() }, ""},
		"half":   {func(h *ended) { h.FlushHeaders(); h.Connection.(*net.TCPConn).CloseWrite() }, ""},
		"hijack": {func(h *ended) { conn, _ := h.Hijack(); io.WriteString(conn, "body"); conn.Close() }, "body"},
		"panic":  {func(h *ended) { h.FlushHeaders(); panic("of a test") }, ""},
		"flush":  {func(h *ended) { h.FlushHeaders(); io.WriteString(h.WFile, "body") }, "body"},
		"return": {func(h *ended) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := start(t, func() httpserver.Handler { return &ended{then: c.then} }, func(s *httpserver.HTTPServer) {
				s.HandleError = func(net.Conn, error) {}
			})
			conn := dial(t, s.Addr())
			io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
			response, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			if head, body, ok := strings.Cut(string(response), "\r\n\r\n"); !ok || !strings.HasPrefix(head, "HTTP/1.0 200 OK\r\n") || body != c.body {
				t.Errorf("got %q", response)
			}
		})
	}
}

// tunnel echoes lines after a CONNECT, until one is empty.
type tunnel struct{ httpserver.BaseRequestHandler }

func (h *tunnel) DoCONNECT() {
	h.SendResponseOnly(200, "")
	h.EndHeaders()
	conn, r := h.Hijack()
	go func() {
		defer conn.Close()
		for {
			line, err := r.ReadString('\n')
			if err != nil || line == "\n" {
				return
			}
			io.WriteString(conn, line)
		}
	}()
}

func TestHijack(t *testing.T) {
	t.Parallel()
	for _, wrap := range []bool{false, true} {
		s, _ := start(t, httpserver.New[tunnel], func(s *httpserver.HTTPServer) {
			if wrap {
				s.ProcessRequest = func(conn net.Conn) {
					w := &wrapped{Conn: conn}
					s.FinishRequest(w)
					s.ShutdownRequest(w)
				}
			}
		})
		conn, r := send(t, s.Addr(), "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\nfirst\n")
		expect := func(want string) {
			t.Helper()
			if got, err := r.ReadString('\n'); got != want {
				t.Fatalf("got %q, %v; want %q", got, err, want)
			}
		}
		expect("HTTP/1.0 200 OK\r\n")
		expect("\r\n")
		expect("first\n")
		if err := s.Shutdown(t.Context()); err != nil { // does not wait for it
			t.Error(err)
		}
		s.Close() // nor closes it
		io.WriteString(conn, "second\n")
		expect("second\n")
		io.WriteString(conn, "\n")
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("after the tunnel's end: %v", err)
		}
	}
}

// The deadline of the request does not apply to a hijacked connection.
func TestHijackEndsTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, _, l := startInMemory(t, func() httpserver.Handler {
			h := new(tunnel)
			h.Timeout = time.Minute
			return h
		}, nil)
		conn := l.dial(t)
		io.WriteString(conn, "CONNECT x:1 HTTP/1.0\r\n\r\n")
		r := bufio.NewReader(conn)
		r.ReadString('\n')
		r.ReadString('\n')
		pass(time.Hour)
		io.WriteString(conn, "late\n")
		if got, err := r.ReadString('\n'); got != "late\n" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// hesitant panics after EndHeaders, and then takes time to log the 500.
type hesitant struct{ httpserver.BaseRequestHandler }

func (h *hesitant) DoGET() {
	h.SendResponse(200, "")
	h.SendHeader("Content-Length", "1000")
	h.EndHeaders()
	panic("of a test")
}

func (h *hesitant) LogError(string, ...any) { time.Sleep(time.Second) }

// A head that is held when a handler panics is not sent before the 500.
func TestPanicWhileHeadIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := new(httpserver.MemoryListener)
		s := new(httpserver.ThreadingHTTPServer)
		s.Listener, s.NewHandler, s.Stderr = l, httpserver.New[hesitant], io.Discard
		served := make(chan error)
		go func() { served <- s.ServeForever() }()
		conn := dialMemory(t, l)
		io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
		if got, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(got), "HTTP/1.0 500 ") {
			t.Errorf("got %q, %v", got, err)
		}
		conn.Close()
		s.Close()
		<-served
	})
}

// speechless panics, and again when a 500 is to be sent.
type speechless struct{ httpserver.BaseRequestHandler }

func (h *speechless) DoGET()                        { panic("first") }
func (h *speechless) SendError(int, string, string) { panic("second") }

func TestPanicInSendError(t *testing.T) {
	t.Parallel()
	s, log := start(t, httpserver.New[speechless], nil)
	if got := exchange(t, s.Addr(), "GET / HTTP/1.0\r\n\r\n"); got != "" {
		t.Errorf("got %q", got)
	}
	s.Shutdown(t.Context())
	if !strings.Contains(log.String(), "panic in a handler: first\n") || strings.Contains(log.String(), "panic in a handler: second") {
		t.Errorf("log %s", log)
	}
}

// copying panics after it has sent a file that has become shorter.
type copying struct {
	httpserver.SimpleHandler
	name string
}

func (h *copying) CopyFile(dst io.Writer, src io.Reader) error {
	if err := os.Truncate(h.name, 1<<19); err != nil {
		return err
	}
	panic(h.SimpleHandler.CopyFile(dst, src))
}

// A file that the system has copied is a part of the response: a 500 does not follow it, even
// where no head precedes it.
func TestPanicAfterCopy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := numbered(1 << 20)
	name := filepath.Join(dir, "f")
	if err := os.WriteFile(name, data, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, siteTime, siteTime); err != nil {
		t.Fatal(err)
	}
	s, log := start(t, func() httpserver.Handler {
		h := &copying{name: name}
		h.Directory = dir
		return h
	}, nil)
	_, r := send(t, s.Addr(), "GET /f\r\n")
	if got, _ := io.ReadAll(r); len(got) == 0 || !bytes.HasPrefix(data, got) {
		t.Errorf("%d bytes end in %.300q", len(got), got[max(0, len(got)-300):])
	}
	s.Shutdown(t.Context())
	if !strings.Contains(log.String(), "panic in a handler") || strings.Contains(log.String(), `" 500 `) {
		t.Errorf("log %s", log)
	}
}

// within begins a response within another, whose length is that of the path. It handles two
// requests, whatever happens.
type within struct{ httpserver.BaseRequestHandler }

func (h *within) DoGET() {
	h.SendResponse(200, "")
	if length := strings.TrimPrefix(h.Path, "/"); length != "" {
		h.SendHeader("Content-Length", length)
	}
	h.EndHeaders()
	io.WriteString(h.WFile, "body")
	h.SendError(500, "", "")
}

func (h *within) Handle() {
	h.HandleOneRequest()
	h.HandleOneRequest()
}

// What follows an incomplete response is not sent as a part of it.
func TestResponseWithinAnother(t *testing.T) {
	t.Parallel()
	for _, request := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /100 HTTP/1.1\r\nHost: x\r\n\r\n", "GET /4\r\n"} {
		s, log := start(t, httpserver.New[within], nil)
		_, r := send(t, s.Addr(), request+getHello)
		got, err := io.ReadAll(r) // a reset may have destroyed what was sent before
		if strings.Contains(string(got), "Error") || err == nil && !strings.HasSuffix(string(got), "body") {
			t.Errorf("%q: %q, %v", request, got, err)
		}
		if err == nil && strings.HasPrefix(request, "GET / ") && runtime.GOOS != "windows" { // Wine shows an end
			t.Errorf("%q: no reset", request)
		}
		s.Shutdown(t.Context())
		if !strings.Contains(log.String(), "A response began within another\n") || strings.Count(log.String(), `" 200 `) != 1 {
			t.Errorf("%q: log %s", request, log)
		}
	}
}

// looping handles requests without end.
type looping struct{ hello }

func (h *looping) Handle() {
	for range 3 {
		h.HandleOneRequest()
	}
}

// Nothing that follows a refused request is read as a request, whatever Handle does.
func TestNothingFollowsRefusedRequest(t *testing.T) {
	t.Parallel()
	s, _ := start(t, httpserver.New[looping], nil)
	got := exchange(t, s.Addr(), "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+getHello)
	if !strings.HasPrefix(got, "HTTP/1.0 400 ") || strings.Count(got, "HTTP/1.") != 1 {
		t.Errorf("got %q", got)
	}
}

// A panic of HandleError or of Stderr ends neither the server nor other connections.
func TestPanicInHandleError(t *testing.T) {
	t.Parallel()
	s, _ := start(t, httpserver.New[speechless], func(s *httpserver.HTTPServer) {
		s.HandleError = func(net.Conn, error) { panic("third") }
	})
	silent, _ := start(t, httpserver.New[hello], func(s *httpserver.HTTPServer) { s.Stderr = panicWriter{} })
	for range 2 {
		for _, addr := range []net.Addr{s.Addr(), silent.Addr()} {
			if got := exchange(t, addr, getHello); got != "" {
				t.Errorf("got %q", got)
			}
		}
	}
}

// HandleError is called before the connection is closed, also for a panic of a hook.
func TestHandleErrorBeforeClose(t *testing.T) {
	t.Parallel()
	s, _ := start(t, httpserver.New[hello], func(s *httpserver.HTTPServer) {
		s.VerifyRequest = func(net.Conn) bool { panic("of a test") }
		s.HandleError = func(conn net.Conn, err error) { io.WriteString(conn, "sorry") }
	})
	if got := exchange(t, s.Addr(), ""); got != "sorry" {
		t.Errorf("got %q", got)
	}
}

// A panicWriter is the log of a test that is over.
type panicWriter struct{}

func (panicWriter) Write([]byte) (int, error) { panic("the test is over") }

// exiting ends its goroutine, as t.FailNow does in a handler.
type exiting struct{ httpserver.BaseRequestHandler }

func (h *exiting) DoGET() { runtime.Goexit() }

// A server that serves one connection after another serves the next one, too.
func TestGoexitInHTTPServer(t *testing.T) {
	t.Parallel()
	s, err := httpserver.NewHTTPServer("127.0.0.1:0", httpserver.New[exiting])
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- s.ServeForever() }()
	for range 2 {
		if got := exchange(t, s.Addr(), getHello); got != "" {
			t.Errorf("got %q", got)
		}
	}
	s.Close()
	if err := <-served; err != httpserver.ErrServerClosed {
		t.Error(err)
	}
}

func TestGoexitClosesConnection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		request string // "" if nobody reads it: on Windows, closing resets the connection then
		set     func(*httpserver.HTTPServer)
	}{
		{getHello, nil},
		{getHello, func(s *httpserver.HTTPServer) {
			s.ProcessRequest = func(conn net.Conn) {
				s.FinishRequest(conn)
				s.ShutdownRequest(conn) // is not reached
			}
		}},
		{"", func(s *httpserver.HTTPServer) { s.ProcessRequest = func(net.Conn) { runtime.Goexit() } }},
		{"", func(s *httpserver.HTTPServer) {
			s.VerifyRequest = func(net.Conn) bool { runtime.Goexit(); return true }
		}},
	} {
		s, _ := start(t, httpserver.New[exiting], c.set)
		if got := exchange(t, s.Addr(), c.request); got != "" {
			t.Errorf("got %q", got)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestErrorPage(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"": "\r\n\r\n" + strings.NewReplacer("%(code)d", "404", "%(code)s", "404", "%(message)s", "&lt;m&gt; &amp; \"q\"", "%(explain)s", "&lt;e&gt;").Replace(httpserver.DefaultErrorMessage),
		"%(code)d %(code)s %(message)s %(explain)s %% %%(code)d %(nope)s %": "404 404 &lt;m&gt; &amp; \"q\" &lt;e&gt; % %(code)d %(nope)s %",
	} {
		s, log := start(t, func() httpserver.Handler {
			h := new(erring)
			h.ErrorMessageFormat = format
			if format != "" {
				h.ErrorContentType = "text/plain"
			}
			return h
		}, nil)
		got := exchange(t, s.Addr(), "GET / HTTP/1.0\r\n\r\n")
		if !strings.HasSuffix(got, want) || strings.Contains(got, "text/plain") != (format != "") {
			t.Errorf("got %q, want %q", got, want)
		}
		if !strings.HasPrefix(got, "HTTP/1.0 404 <m> & \"q\"\r\n") || !strings.Contains(log.String(), "] code 404, message <m> & \"q\"\n") {
			t.Errorf("got %q, log %q", got, log)
		}
	}
}

type erring struct{ httpserver.BaseRequestHandler }

func (h *erring) DoGET() { h.SendError(404, `<m> & "q"`, "<e>") }

// The response to HEAD has no body, even if its target is refused.
func TestHeadOfBadTarget(t *testing.T) {
	t.Parallel()
	s, _ := start(t, httpserver.New[hello], nil)
	got := exchange(t, s.Addr(), "HEAD x HTTP/1.1\r\nHost: x\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.0 400 ") || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("got %q", got)
	}
}

func TestDateTimeString(t *testing.T) {
	t.Parallel()
	h := new(httpserver.BaseRequestHandler)
	zone := time.FixedZone("", 3600)
	if got := h.DateTimeString(time.Date(1994, 11, 6, 9, 49, 37, 0, zone)); got != "Sun, 06 Nov 1994 08:49:37 GMT" {
		t.Error(got)
	}
	for _, check := range []struct {
		got, layout string
		zone        *time.Location
	}{
		{h.DateTimeString(time.Time{}), "Mon, 02 Jan 2006 15:04:05 GMT", time.UTC},
		{h.LogDateTimeString(), "02/Jan/2006 15:04:05", time.Local},
	} {
		got, err := time.ParseInLocation(check.layout, check.got, check.zone)
		if err != nil || time.Since(got).Abs() > time.Minute {
			t.Errorf("%q: %v", check.got, err)
		}
	}
}

// Each log line is one Write, and there is one Write at a time.
func TestLogLinesAreWhole(t *testing.T) {
	t.Parallel()
	var busy sync.Mutex
	lines := 0
	s, _ := start(t, httpserver.New[httpserver.BaseRequestHandler], func(s *httpserver.HTTPServer) {
		s.Stderr = writerFunc(func(p []byte) (int, error) {
			if !busy.TryLock() {
				t.Error("two Writes at once")
				return 0, nil
			}
			defer busy.Unlock()
			if lines++; strings.Count(string(p), "\n") != 1 || p[len(p)-1] != '\n' || !strings.HasPrefix(string(p), "127.0.0.1 - - [") {
				t.Errorf("wrote %q", p)
			}
			return len(p), nil
		})
	})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { exchange(t, s.Addr(), "GET /\x01 HTTP/1.0\r\n\r\n") })
	}
	wg.Wait()
	s.Shutdown(t.Context())
	if lines != 32 {
		t.Errorf("%d lines", lines)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// unlogged, unloggedFiles and scriptless log no requests.
type unlogged struct{ hello }

func (h *unlogged) LogRequest(int, int64) {}

type unloggedFiles struct{ httpserver.SimpleHandler }

func (h *unloggedFiles) LogRequest(int, int64) {}

// scriptless has no CGI directories, as the handler of the command without --cgi.
type scriptless struct{ httpserver.CGIHandler }

func (h *scriptless) LogRequest(int, int64) {}

// newUnloggedFiles returns a function that makes handlers for a directory.
func newUnloggedFiles(site, protocol string) func() httpserver.Handler {
	return func() httpserver.Handler {
		h := new(unloggedFiles)
		h.Directory, h.ProtocolVersion = site, protocol
		return h
	}
}

// On a persistent connection a small file takes three allocations, for the head of the
// request, a name for the system, and the body, which belongs to whoever called
// SendHead; a response of a method takes one. Without CGI directories, a CGIHandler looks for
// none.
func TestAllocations(t *testing.T) {
	if httpserver.Portable || raceDetector() {
		t.Skip("the numbers are those of the code for Linux without the race detector")
	}
	if !alone(t) {
		return
	}
	site := makeSite(t)
	for _, c := range []struct {
		target, end string
		newHandler  func() httpserver.Handler
		most        float64
	}{
		{"/hello.txt", "hello, world\n", newUnloggedFiles(site, "HTTP/1.1"), 3},
		{"/", "hello\n", func() httpserver.Handler {
			h := new(unlogged)
			h.ProtocolVersion = "HTTP/1.1"
			return h
		}, 1},
		{"/hello.txt", "hello, world\n", func() httpserver.Handler {
			h := new(scriptless)
			h.Directory, h.ProtocolVersion, h.CGIDirectories = site, "HTTP/1.1", []string{}
			return h
		}, 3},
	} {
		s, _ := start(t, c.newHandler, nil)
		conn := dial(t, s.Addr())
		request, response, end := []byte("GET "+c.target+" HTTP/1.1\r\nHost: x\r\n\r\n"), make([]byte, 4096), []byte(c.end)
		allocations := testing.AllocsPerRun(100, func() {
			conn.Write(request)
			for n := 0; !bytes.HasSuffix(response[:n], end); {
				m, err := conn.Read(response[n:])
				if n += m; err != nil {
					t.Fatal(err)
				}
			}
		})
		if allocations > c.most {
			t.Errorf("%s: %v allocations", c.target, allocations)
		}
	}
}

func raceDetector() bool {
	info, _ := debug.ReadBuildInfo()
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
