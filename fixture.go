package httpserver

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// This file is the fixture server: a server for the tests of HTTP clients, the answers
// it gives, what it records, and a network in memory.

// TB is what a [Fixture] needs of a test. A *testing.T is one.
type TB interface {
	Helper()
	Cleanup(func())
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
}

// A Fixture is a server for the tests of an HTTP client. It sends exactly the bytes
// that [Fixture.Reply] and [Fixture.Accept] tell it to, when they tell it to, and
// records the requests it gets, malformed ones included.
//
// Listener, NewHandler and Stderr may be set until the first method is called: Listener
// to a [MemoryListener] or, for a server with TLS, to tls.NewListener(f.Listener, config).
// If NewHandler is set, its handlers answer the requests that no Reply is for. Log lines
// are passed to Logf unless Stderr is set.
//
// Nothing waits forever: Close ends every answer. The methods may be called from any
// goroutine, apart from ServeForever and HandleRequest: a Fixture serves without a call of
// these.
type Fixture struct {
	ThreadingHTTPServer

	loopback net.Listener // the one that NewFixture made; Listener may be another one
	output   *testOutput  // nil without a TB
	started  sync.Once
	others   turn         // the answer to requests without a Reply; zero if NewHandler was set
	listener net.Listener // Listener at the first call of start
	late     sync.Once    // reports that Listener has changed since then

	lock     sync.Mutex // protects the following
	happened sync.Cond  // signals changes of the following
	running  int        // calls of ServeForever and of the server's Close that have not returned
	ended    bool       // a Close has ended
	replies  map[string][]turn
	accepts  []turn // of connections to come
	clients  []*fixtureConn
	requests []*Request
	returned int // requests that Next has returned
}

// A turn is an answer with a name for messages, such as "answer 2 of 3 of the Reply at
// client_test.go:31". The zero value means that there is no answer.
type turn struct {
	answer Answer
	name   string
}

// turns returns answers with names that contain method and the line of the test. Only
// Reply and Accept call it, as it looks up the caller of its caller.
func turns(method string, answers []Answer) []turn {
	_, file, line, _ := runtime.Caller(2)
	list := make([]turn, len(answers))
	for i, a := range answers {
		list[i] = turn{a, fmt.Sprintf("answer %d of %d of the %s at %s:%d",
			i+1, len(answers), method, path.Base(file), line)}
	}
	return list
}

// NewFixture returns a fixture that listens on a free port of the loopback interface.
// When the test t is over, the fixture is closed. If t is nil, the caller calls Close,
// and what would fail a test is written to Stderr. NewFixture panics if it cannot
// listen.
func NewFixture(t TB) *Fixture {
	config := net.ListenConfig{KeepAlive: -1}
	config.SetMultipathTCP(false) // such a socket takes twice the time to make
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		l, err = config.Listen(context.Background(), "tcp", "[::1]:0")
	}
	if err != nil {
		panic(listenError("the loopback interface", err))
	}
	f := &Fixture{loopback: l, replies: make(map[string][]turn)}
	f.happened.L = &f.lock
	f.Listener = l
	if t != nil {
		f.output = &testOutput{t: t}
		t.Cleanup(func() { f.Close() })
	}
	return f
}

// start begins to serve, unless it has begun. The methods of Fixture call it.
func (f *Fixture) start() {
	f.started.Do(func() {
		f.fixture = f
		f.listener = f.Listener
		if f.NewHandler == nil {
			f.NewHandler = func() Handler { return &BaseRequestHandler{ProtocolVersion: "HTTP/1.1"} }
			f.others = turn{Answer{}.Do(f.unanswered), "no answer"}
		}
		if f.Stderr == nil && f.output != nil {
			f.Stderr = f.output
		}
		f.prepare()
		context.AfterFunc(f.ctx, func() { wake(&f.happened) })
		f.background(func() {
			if err := f.ServeForever(); err != ErrServerClosed {
				f.errorf("httpserver: the fixture accepts no more connections: %v", err)
			}
		})
	})
	canCompare := equal(f.listener, f.listener)
	if canCompare && !equal(f.Listener, f.listener) {
		f.late.Do(func() { f.errorf("httpserver: Listener %s", setLate) })
	}
}

const setLate = "was set after the first call of a method"

// background calls a method of the server in a goroutine, for which awaitEnd waits.
func (f *Fixture) background(method func()) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.running++
	go func() {
		method()
		f.lock.Lock()
		defer f.lock.Unlock()
		f.running--
		f.happened.Broadcast()
	}()
}

// URL returns a URL of the fixture, such as "http://127.0.0.1:8000", or
// "http://localhost" in memory; see [HTTPServer.URL]. With TLS, a URL is "https://" and
// the text of Addr. Clients can connect when it returns.
func (f *Fixture) URL() string {
	f.start()
	return f.ThreadingHTTPServer.URL()
}

// Addr returns the address of Listener. Clients can connect when it returns.
func (f *Fixture) Addr() net.Addr {
	f.start()
	return f.ThreadingHTTPServer.Addr()
}

// Reply sets the answers to requests. The argument requests is "GET /path", "/path",
// "GET" or "" (all requests). If several arguments match a request, the first kind in that
// list is used. Paths are compared as they are sent, without a query.
//
// Each matching request gets the next answer, whatever its connection; the last answer is
// repeated. Another Reply with the same argument replaces the answers that are left; without
// answers, it removes them. Unless NewHandler is set, a request for which there is no answer
// fails the test and gets a 501.
func (f *Fixture) Reply(requests string, answers ...Answer) {
	f.start()
	checkRequests(requests)
	list := turns("Reply", answers)
	f.lock.Lock()
	defer f.lock.Unlock()
	f.replies[requests] = list
	if len(list) == 0 {
		delete(f.replies, requests)
	}
}

// checkRequests panics if no request can match the first argument of a Reply.
func checkRequests(requests string) {
	command, path, both := strings.Cut(requests, " ")
	switch {
	case both && isToken(command) && path != "" && !strings.ContainsAny(path, " ?#"):
	case !both && (requests == "" || isToken(requests)):
	case !both && requests[0] == '/' && !strings.ContainsAny(requests, "?#"):
	default:
		panic(fmt.Sprintf("httpserver: Reply(%q): "+
			`not "GET /path", "/path", "GET" or "", without a query`, requests))
	}
}

// Accept sets what happens to new connections before a request is read, such as a reset.
// The answers are given in turn. A connection whose answer does not end it is then served
// like any other, and so are the connections that follow.
func (f *Fixture) Accept(answers ...Answer) {
	f.start()
	list := turns("Accept", answers)
	f.lock.Lock()
	defer f.lock.Unlock()
	f.accepts = append(f.accepts, list...)
}

// choose returns the answer to a request. The caller holds f.lock.
func (f *Fixture) choose(command, target string) turn {
	path, _ := cutPath(target)
	if _, rest, ok := splitAbsolute(path); ok {
		path = cmp.Or(rest, "/")
	}
	for _, key := range []string{command + " " + path, path, command, ""} {
		if list := f.replies[key]; len(list) > 0 {
			f.replies[key] = list[min(1, len(list)-1):]
			return list[0]
		}
	}
	return f.others
}

// Next waits for a request and returns it. Each request is returned once, in the order
// in which they were recorded. A request is recorded when its body has been read or, if a
// handler does not read that, when the handler has returned. If ctx is done first or the
// fixture is closed, the error says what each connection is doing.
func (f *Fixture) Next(ctx context.Context) (*Request, error) {
	f.start()
	f.lock.Lock()
	defer f.lock.Unlock()
	await(ctx, &f.happened, func() bool { return f.returned < len(f.requests) || f.ctx.Err() != nil })
	if f.returned < len(f.requests) {
		f.returned++
		return f.requests[f.returned-1], nil
	}
	open, lines := f.open(), ""
	for _, c := range open {
		lines += "\n\t" + c.String()
	}
	return nil, fmt.Errorf("httpserver: no request after the first %d, on %d open connections: %w%s",
		f.returned, len(open), cmp.Or(ctx.Err(), ErrServerClosed), lines)
}

// open returns the connections that are being served. The caller holds f.lock.
func (f *Fixture) open() []*fixtureConn {
	return slices.DeleteFunc(slices.Clone(f.clients), func(c *fixtureConn) bool { return c.doing == "" })
}

// Requests returns the requests recorded so far, followed by those that handlers are
// answering without having read the whole body.
func (f *Fixture) Requests() []*Request {
	f.start()
	f.lock.Lock()
	defer f.lock.Unlock()
	requests := slices.Clone(f.requests)
	for _, c := range f.open() {
		if c.handled && c.receiving() {
			r := *c.request
			r.Raw, r.Body = string(c.raw[:c.parsed]), string(c.body)
			requests = append(requests, &r)
		}
	}
	return requests
}

// stuckTime is how long Close waits for functions that it cannot end.
const stuckTime = 5 * time.Second

// Close ends all answers, closes all connections, and waits until nothing runs any more.
// It does not wait for clients. Handlers and functions given to [Answer.Do] have five
// seconds to return; those that take longer fail the test. Such a function must call Close
// in another goroutine, because Close waits for the function. The error is that of closing
// Listener.
func (f *Fixture) Close() error {
	f.start()
	f.shut.Store(true)
	f.cancel(ErrServerClosed)
	f.stop()
	f.lock.Lock()
	for _, c := range f.clients {
		lowest(c.conn).Close()
	}
	f.lock.Unlock()
	f.background(func() { f.ThreadingHTTPServer.Close() }) // with ServiceActions, it waits for Accept
	f.loopback.Close()
	f.awaitEnd()
	return f.closeErr
}

// awaitEnd waits until all goroutines have ended, and reports those that do not. Nothing
// is written to the test after that.
func (f *Fixture) awaitEnd() {
	ctx, cancel := context.WithTimeout(context.Background(), stuckTime)
	defer cancel()
	f.lock.Lock()
	await(ctx, &f.happened, func() bool { return f.ended || f.running == 0 && len(f.open()) == 0 })
	var stuck []string
	if !f.ended {
		for _, c := range f.open() {
			stuck = append(stuck, c.String())
		}
		if f.running > 0 {
			stuck = append(stuck, "ServeForever")
		}
	}
	f.ended = true
	f.happened.Broadcast()
	f.lock.Unlock()
	for _, s := range stuck {
		f.errorf("httpserver: the fixture was closed %v ago, and this has not returned: %s", stuckTime, s)
	}
	if o := f.output; o != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.t = nil
	}
}

func (f *Fixture) errorf(format string, args ...any) {
	if f.output != nil {
		f.output.report(TB.Errorf, format, args...)
	} else {
		f.writeLog(fmt.Appendf(nil, format+"\n", args...))
	}
}

// unanswered fails the test and answers with 501.
func (f *Fixture) unanswered(h *BaseRequestHandler) {
	f.lock.Lock()
	replies := slices.Sorted(maps.Keys(f.replies))
	f.lock.Unlock()
	hint := ""
	if _, ok := h.Self().(*BaseRequestHandler); !ok { // another NewHandler than that of start made it
		hint = "; NewHandler " + setLate
	}
	f.errorf("httpserver: connection %d: nobody answers %q; there are replies to %q%s",
		h.in.fixture.number, h.RequestLine, replies, hint)
	h.SendError(501, "Nobody answers this request", "")
}

// A testOutput passes on log lines and failures to a test until that is over.
type testOutput struct {
	mu sync.Mutex
	t  TB // nil after the end
}

// Write implements [io.Writer].
func (o *testOutput) Write(line []byte) (int, error) {
	o.report(TB.Logf, "%s", bytes.TrimSuffix(line, []byte("\n")))
	return len(line), nil
}

func (o *testOutput) report(method func(TB, string, ...any), format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.t != nil {
		method(o.t, format, args...)
	}
}

// A Request is a request that a [Fixture] has received. It does not change.
type Request struct {
	Conn int    // number of its connection, from 1
	Raw  string // every byte of it, as received

	// The request as in a BaseRequestHandler, as far as it could be parsed:
	RequestLine    string
	Command        string
	Path           string
	RequestVersion string
	Headers        Header
	Body           string // decoded

	// Err says what is wrong with the request: why it was refused, or how its body
	// ended too early.
	Err error

	// Done is closed when the answer has ended. If its last step is Close or Reset, the
	// end of the connection has been sent by then.
	Done <-chan struct{}
}

// An Answer is what a [Fixture] does about a request, step by step. Its methods return
// an Answer with one more step and leave the old one as it is. The zero Answer sends
// nothing. Some answers, with ok := Response(200, "hello"):
//
//	Send(ok)                            // a complete response
//	Send(ok[:40]).Close()               // the connection ends within the body
//	Send(ok[:40]).Wait(c).Send(ok[40:]) // the body stalls until c is closed
//	Send(ok).Wait(c).Close()            // the connection ends when c is closed
//
// The answer is chosen when the head of the request has been read. Then the body is read,
// after a 100 Continue if the client waits for one, and the request is recorded. Then the
// steps are performed; if the body is malformed, a 400 is sent instead. After the last step
// the connection is used for the next request, unless the client asked to close it. Send and
// Drip never close it, even if they send "Connection: close".
type Answer struct {
	steps []step
	body  *int64 // how much of the body is read; nil means all
}

// A step is one step of an Answer. If the connection fails, the next steps are skipped.
type step struct {
	name string
	run  func(*fixtureConn)
}

func (a Answer) add(name string, run func(*fixtureConn)) Answer {
	a.steps = append(slices.Clip(a.steps), step{name, run})
	return a
}

// Send returns an Answer that sends exactly these bytes, as [Answer.Send] does.
func Send(s string) Answer { return Answer{}.Send(s) }

// Send sends exactly these bytes, in one write to the connection. If NewHandler sets a
// Timeout, a long s may take several writes.
func (a Answer) Send(s string) Answer {
	return a.add(fmt.Sprintf("Send %d bytes", len(s)), func(c *fixtureConn) {
		c.h.out.WriteString(s)
	})
}

// Drip sends s a byte at a time, with a pause of d between them.
func (a Answer) Drip(s string, d time.Duration) Answer {
	return a.add(fmt.Sprintf("Drip %d bytes", len(s)), func(c *fixtureConn) {
		for i := range len(s) {
			if i > 0 {
				pause(d, c.f.ctx.Done())
			}
			if c.failed() {
				return
			}
			c.h.out.WriteString(s[i : i+1])
		}
	})
}

// Pause waits for d.
func (a Answer) Pause(d time.Duration) Answer {
	return a.add("Pause "+d.String(), func(c *fixtureConn) { pause(d, c.f.ctx.Done()) })
}

// Wait holds back the steps that follow until c is closed or has a value to receive. A nil
// c waits for Close.
func (a Answer) Wait(c <-chan struct{}) Answer {
	return a.add("Wait", func(conn *fixtureConn) {
		select {
		case <-c:
		case <-conn.f.ctx.Done():
		}
	})
}

// Read reads at most n bytes of the request's body instead of all of it, so that an upload
// can break off or be refused. It can only be the first step. Before the connection is used
// for another request, the rest is skipped, as it is after a handler. If n is 0, no 100
// Continue is sent; a client that waits for it with a body gets the answer in its place, and
// then the end of the connection. In the Answer of an Accept, Read does nothing.
func (a Answer) Read(n int64) Answer {
	if len(a.steps) > 0 {
		panic("httpserver: Answer.Read is not the first step")
	}
	a = a.add(fmt.Sprintf("Read %d bytes", n), func(*fixtureConn) {})
	a.body = &n
	return a
}

// Do answers by code: it calls f with the handler of the connection. All its methods can be
// used, as in a DoGET; RFile is the body of the request. If Do is the last step and the body
// of its response is shorter or longer than its Content-Length, that is logged, and the
// connection ends. The test fails if f panics, unless HandleError is set, or if f calls
// runtime.Goexit, as the FailNow of a test does.
func (a Answer) Do(f func(*BaseRequestHandler)) Answer {
	return a.add("Do", func(c *fixtureConn) {
		c.call(f)
		c.h.out.sendHeld()
		if c.h.out.code != 0 && !c.h.out.headEnded {
			c.h.Self().LogError("Do returned without EndHeaders")
		}
	})
}

// CloseWrite tells the client that nothing more is sent (FIN). The connection stays open,
// and is read.
func (a Answer) CloseWrite() Answer {
	return a.add("CloseWrite", func(c *fixtureConn) { closeWrite(c.h.Connection) })
}

// Close is a last step that ends the connection. The client gets what was sent before,
// and then the end (FIN), even if it is still sending: what it sends is read and dropped
// for a while, as by [HTTPServer.ShutdownRequest]. Over a connection of Listener that has no
// method CloseWrite, the end comes after that.
func (a Answer) Close() Answer {
	return a.add("Close", func(c *fixtureConn) {
		c.h.out.fail(net.ErrClosed)
		conn := lowest(c.conn)
		if closeWrite(c.h.Connection) == nil {
			c.end()
			c.h.state.linger = lingerTime
			c.h.state.readOn(conn)
		}
		conn.Close()
	})
}

// Reset is a last step that ends the connection so that the client gets an error (RST).
// Where that is not possible, as on a unix socket, the connection is closed at once. Some
// clients, such as net/http, repeat a request themselves if the connection was used before.
func (a Answer) Reset() Answer {
	return a.add("Reset", func(c *fixtureConn) {
		c.h.out.fail(net.ErrClosed)
		reset(c.conn)
	})
}

// closeWrite ends the sending side of conn and then those of the connections below it.
// The error is that of the lowest one.
func closeWrite(conn net.Conn) (err error) {
	err = errors.ErrUnsupported
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		err = half.CloseWrite()
	}
	if upper, ok := conn.(upperConn); ok {
		err = closeWrite(upper.NetConn())
	}
	return err
}

// Response returns the text of a complete response of HTTP/1.1, for [Send]. The fields are
// of the form "Name: value". A Content-Length is added where the response may have one,
// unless the fields have that or a Transfer-Encoding, whose coding is not applied to body.
// Response panics if a field is malformed, or if the code is one whose responses have no
// body and there is one.
func Response(code int, body string, fields ...string) string {
	framed := code < 200 || code == 204 || code == 304
	if framed && body != "" {
		panic(fmt.Sprintf("httpserver: Response: a response with code %d has no body", code))
	}
	phrase, _, _ := StatusText(code)
	head := fmt.Sprintf("HTTP/1.1 %03d %s\r\n", code, phrase)
	for _, line := range fields {
		field, ok := parseField(line)
		if !ok {
			panic(fmt.Sprintf("httpserver: Response: %q is not a field", line))
		}
		framed = framed || field.is("Content-Length") || field.is("Transfer-Encoding")
		head += line + "\r\n"
	}
	if !framed {
		head += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	return head + "\r\n" + body
}

// A fixtureConn is what a [Fixture] knows about a connection. It is nil for a server
// without a fixture.
type fixtureConn struct {
	f      *Fixture
	number int
	conn   net.Conn
	first  turn                // the answer of an Accept
	h      *BaseRequestHandler // set by accept

	// The following is protected by f.lock.

	raw     []byte // received since the previous request
	parsed  int    // how many bytes of raw are known to belong to the request
	body    []byte
	request *Request      // the one being answered; nil between requests
	done    chan struct{} // its Done
	handled bool          // a handler answers it
	doing   string        // what the connection is doing; "" when it is not served any more
	since   time.Time     // when that began
}

// connect records a new connection. It is called in the order in which they are accepted.
func (f *Fixture) connect(conn net.Conn) *fixtureConn {
	if f == nil {
		return nil
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	c := &fixtureConn{f: f, number: len(f.clients) + 1, conn: conn}
	if len(f.accepts) > 0 {
		c.first, f.accepts = f.accepts[0], f.accepts[1:]
	}
	f.clients = append(f.clients, c)
	c.setDoing("accepted")
	return c
}

// disconnect ends the request, if there is one, and records that the connection is no longer
// served.
func (c *fixtureConn) disconnect() {
	if c == nil {
		return
	}
	c.end()
	c.f.lock.Lock()
	defer c.f.lock.Unlock()
	c.h, c.doing = nil, ""
	c.f.happened.Broadcast()
}

// accept performs the answer of an Accept. It reports whether to serve the connection.
func (c *fixtureConn) accept(h *BaseRequestHandler) bool {
	if c == nil {
		return true
	}
	c.h = h
	if c.first.name != "" {
		h.body.reset(&h.in, 0)
		c.run(c.first)
	}
	c.finish()
	return h.out.failure() == nil
}

// receive records bytes that were read from the connection.
func (c *fixtureConn) receive(p []byte) {
	if c == nil {
		return
	}
	c.f.lock.Lock()
	defer c.f.lock.Unlock()
	c.raw = append(c.raw, p...)
}

// receiveBody records bytes of the body, which b has decoded, and records the request at
// the end of the body.
func (c *fixtureConn) receiveBody(p []byte, b *bodyReader) {
	if c == nil {
		return
	}
	c.f.lock.Lock()
	defer c.f.lock.Unlock()
	c.parsed = len(c.raw) - len(b.conn.buffered())
	c.body = append(c.body, p...)
	switch b.err {
	case nil:
	case io.EOF:
		c.record(nil)
	default:
		c.record(b.err)
	}
}

// refuse records a request that is malformed or not complete.
func (c *fixtureConn) refuse(err error) {
	if c == nil {
		return
	}
	c.f.lock.Lock()
	defer c.f.lock.Unlock()
	c.beginRequest()
	c.record(err)
}

// beginRequest begins a Request with what the handler has parsed. The caller holds f.lock.
func (c *fixtureConn) beginRequest() {
	h := c.h
	c.parsed = len(c.raw) - len(h.in.buffered())
	c.done, c.handled = make(chan struct{}), false
	c.request = &Request{
		Conn: c.number, RequestLine: h.RequestLine, Command: h.Command, Path: h.Path,
		RequestVersion: h.RequestVersion, Headers: slices.Clone(h.Headers), Done: c.done,
	}
	c.setDoing("reading the body")
}

// receiving reports whether the request was not recorded yet. The caller holds f.lock.
func (c *fixtureConn) receiving() bool { return c.request != nil && c.request.Raw == "" }

// record records the request, unless that was done. If err is not nil, all bytes that
// have come belong to the request. The caller holds f.lock.
func (c *fixtureConn) record(err error) {
	if !c.receiving() {
		return
	}
	if err != nil {
		c.parsed = len(c.raw)
	}
	c.request.Raw, c.request.Body, c.request.Err = string(c.raw[:c.parsed]), string(c.body), err
	c.f.requests = append(c.f.requests, c.request)
	c.f.happened.Broadcast()
}

// finish ends the request, if there is one, and lets the connection wait for another.
func (c *fixtureConn) finish() {
	if c == nil {
		return
	}
	c.end()
	c.f.lock.Lock()
	defer c.f.lock.Unlock()
	c.setDoing("waiting for a request")
}

// end closes Done of the request, after recording the request if that was not done.
func (c *fixtureConn) end() {
	c.f.lock.Lock()
	defer c.f.lock.Unlock()
	if c.request != nil {
		c.record(nil)
		close(c.done)
	}
	c.raw, c.parsed = slices.Clone(c.raw[c.parsed:]), 0
	c.body, c.request = nil, nil
}

// setDoing sets what the connection is doing from now on. The caller holds f.lock.
func (c *fixtureConn) setDoing(what string) { c.doing, c.since = what, time.Now() }

// String returns what the connection is doing. The caller holds f.lock.
func (c *fixtureConn) String() string {
	s := fmt.Sprintf("connection %d", c.number)
	if c.request != nil {
		s += fmt.Sprintf(", %q", c.request.RequestLine)
	}
	s += fmt.Sprintf(": %s, for %v", c.doing, time.Since(c.since).Round(time.Millisecond))
	switch {
	case c.receiving():
		s += fmt.Sprintf("; %d bytes of the body have come", len(c.body))
	case c.request == nil && c.parsed < len(c.raw):
		s += fmt.Sprintf("; of that, %d bytes have come: %.80q", len(c.raw)-c.parsed, c.raw[c.parsed:])
	}
	return s
}

// answer answers the request whose head was read. It reports whether it did, or left it
// to the handler.
func (c *fixtureConn) answer() bool {
	if c == nil {
		return false
	}
	t := c.choose()
	if t.name == "" {
		return false
	}
	h := c.h
	defer func(version string) { h.ProtocolVersion = version }(h.ProtocolVersion)
	h.ProtocolVersion = "HTTP/1.1"
	h.CloseConnection = !h.mayPersist()
	c.readBody(t.answer.body)
	if h.body.err != nil && h.body.err != io.EOF {
		h.broken = true
		h.Self().SendError(400, "Bad request body", "")
	} else {
		c.run(t)
	}
	return true
}

// choose begins a Request and returns the answer to it. There is none if the handler is to
// answer it.
func (c *fixtureConn) choose() turn {
	c.f.lock.Lock()
	defer c.f.lock.Unlock()
	c.beginRequest()
	t := c.f.choose(c.h.Command, c.h.line.target)
	if t.name == "" {
		c.handled = true
		c.setDoing(fmt.Sprintf("being answered by a %T", c.h.Self()))
		if c.h.body.err != nil { // there is no body
			c.record(nil)
		}
	}
	return t
}

// readBody reads the request's body, as far as an Answer says, and records the request.
func (c *fixtureConn) readBody(limit *int64) {
	h, size := c.h, int64(math.MaxInt64)
	if limit != nil {
		size = *limit
	}
	if h.expects = h.wantsContinue(); h.expects && size > 0 {
		h.expects = false
		h.out.WriteString(Response(100, ""))
		h.out.forget()
	}
	io.CopyN(io.Discard, &h.body, size)
	c.f.lock.Lock()
	defer c.f.lock.Unlock()
	c.record(nil)
}

// failed reports whether nothing can be sent any more.
func (c *fixtureConn) failed() bool { return c.f.ctx.Err() != nil || c.h.out.failure() != nil }

// run performs the steps of an answer.
func (c *fixtureConn) run(t turn) {
	h := c.h
	defer func(body io.Reader) { h.RFile = body }(h.RFile)
	h.RFile = io.MultiReader(bytes.NewReader(c.body), h.RFile)
	h.Self().LogMessage("%q on connection %d: %s", h.RequestLine, c.number, t.name)
	for i, s := range t.answer.steps {
		if c.failed() {
			break
		}
		if i > 0 {
			h.out.forget()
		}
		c.f.lock.Lock()
		c.setDoing(fmt.Sprintf("%s, step %d of %d: %s", t.name, i+1, len(t.answer.steps), s.name))
		c.f.lock.Unlock()
		s.run(c)
	}
	if h.out.code == 0 || !h.out.hasWrongLength() { // else endRequest logs it and closes the connection
		h.out.forget()
	}
}

// call calls the function of a Do, and fails the test if the function does not return.
func (c *fixtureConn) call(f func(*BaseRequestHandler)) {
	failure := "called runtime.Goexit, as t.FailNow does"
	defer func() {
		v := recover()
		if v != nil {
			failure = fmt.Sprintf("panicked (%v)", v)
		}
		if failure != "" && (v == nil || c.f.HandleError == nil) {
			c.f.lock.Lock()
			doing := c.String()
			c.f.lock.Unlock()
			c.f.errorf("httpserver: a function %s: %s", failure, doing)
		}
		if v != nil {
			panic(v) // the server ends the connection
		}
	}()
	f(c.h)
	failure = ""
}

// forget makes w ready for another response, whatever was sent.
func (w *responseWriter) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.freeHead()
	w.badFraming, w.response = false, response{headEnded: true, sent: true}
}

// A MemoryListener takes the place of the network in tests: Accept returns the other end
// of each connection that DialContext makes. The zero value is ready to use. Connections
// have a buffer of 64 KiB in each direction, deadlines, CloseWrite, and SetLinger(0) for a
// Close that resets the connection. Inside synctest.Test, a pause of hours takes no time
// when all goroutines wait. There, a [Fixture] f and its client are connected by
//
//	l := new(MemoryListener)
//	f.Listener = l
//	client := &http.Client{Transport: &http.Transport{DialContext: l.DialContext}}
type MemoryListener struct {
	mu     sync.Mutex
	queued sync.Cond
	queue  []*memoryConn // dialed and not accepted
	dialed int
	closed bool
}

// Addr returns an address whose network and text are "memory".
func (l *MemoryListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "memory"} }

// DialContext returns a new connection to the listener, which need not have called
// Accept yet. It does not use network and address, so that it can be the DialContext of
// an http.Transport. It fails when ctx is done or the listener is closed.
func (l *MemoryListener) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := ctx.Err()
	if l.closed {
		err = os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: l.Addr(), Err: err}
	}
	l.dialed++
	addr := &net.UnixAddr{Name: fmt.Sprintf("memory:%d", l.dialed), Net: "memory"}
	changed := sync.NewCond(new(sync.Mutex))
	client := &memoryConn{changed: changed, local: addr}
	server := &memoryConn{changed: changed, local: l.Addr(), peer: client}
	client.peer = server
	l.queue = append(l.queue, server)
	l.queued.Signal()
	return client, nil
}

// Accept waits for a connection.
func (l *MemoryListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queued.L = &l.mu
	for len(l.queue) == 0 && !l.closed {
		l.queued.Wait()
	}
	if l.closed {
		return nil, &net.OpError{Op: "accept", Net: "memory", Addr: l.Addr(), Err: net.ErrClosed}
	}
	conn := l.queue[0]
	l.queue = l.queue[1:]
	return conn, nil
}

// Close makes Accept and DialContext fail, and resets the connections that were not
// accepted. The others stay.
func (l *MemoryListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.queue {
		reset(conn)
	}
	l.queue, l.closed = nil, true
	l.queued.Broadcast()
	return nil
}

// A memoryConn is one end of a connection.
type memoryConn struct {
	changed *sync.Cond // of both ends; its L protects what follows
	peer    *memoryConn
	local   net.Addr

	in               bytes.Buffer // sent by the peer and not read yet
	readErr          error        // of Read after that; nil while the peer can send
	writeErr         error        // of Write; net.ErrClosed after Close
	reset            bool         // Close resets the connection
	busy             bool         // a Write has begun and not returned; others wait
	reading, writing memoryDeadline
}

const memoryBuffer = 64 << 10

// LocalAddr implements [net.Conn].
func (c *memoryConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements [net.Conn].
func (c *memoryConn) RemoteAddr() net.Addr { return c.peer.local }

// fail wraps an error as package net does.
func (c *memoryConn) fail(op string, err error) error {
	if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "memory", Source: c.local, Addr: c.peer.local, Err: err}
}

// Read implements [net.Conn].
func (c *memoryConn) Read(p []byte) (int, error) {
	c.changed.L.Lock()
	defer c.changed.L.Unlock()
	for {
		switch {
		case c.reading.expired():
			return 0, c.fail("read", os.ErrDeadlineExceeded)
		case c.in.Len() > 0 || len(p) == 0:
			c.changed.Broadcast()
			return c.in.Read(p)
		case c.readErr == io.EOF:
			return 0, io.EOF
		case c.readErr != nil:
			return 0, c.fail("read", c.readErr)
		}
		c.changed.Wait()
	}
}

// Write implements [net.Conn]. The bytes of concurrent calls are not mixed.
func (c *memoryConn) Write(p []byte) (n int, err error) {
	c.changed.L.Lock()
	defer c.changed.L.Unlock()
	for c.busy {
		c.changed.Wait()
	}
	c.busy = true
	defer func() {
		c.busy = false
		c.changed.Broadcast()
	}()
	for {
		switch {
		case c.writeErr != nil:
			return n, c.fail("write", c.writeErr)
		case c.writing.expired():
			return n, c.fail("write", os.ErrDeadlineExceeded)
		}
		if m := min(len(p)-n, memoryBuffer-c.peer.in.Len()); m > 0 {
			c.peer.in.Write(p[n : n+m])
			n += m
			c.changed.Broadcast()
		}
		if n == len(p) {
			return n, nil
		}
		c.changed.Wait()
	}
}

// change calls f, unless c is closed, and wakes the calls that wait.
func (c *memoryConn) change(op string, f func()) error {
	c.changed.L.Lock()
	defer c.changed.L.Unlock()
	if c.writeErr == net.ErrClosed {
		return c.fail(op, net.ErrClosed)
	}
	f()
	c.changed.Broadcast()
	return nil
}

// CloseWrite makes the peer read io.EOF after what was sent.
func (c *memoryConn) CloseWrite() error {
	return c.change("close", func() {
		c.writeErr = cmp.Or(c.writeErr, error(syscall.EPIPE))
		c.peer.readErr = cmp.Or(c.peer.readErr, io.EOF)
	})
}

// SetLinger with 0 makes Close reset the connection. Another value undoes that.
func (c *memoryConn) SetLinger(sec int) error {
	return c.change("set", func() { c.reset = sec == 0 })
}

// Close implements [net.Conn].
func (c *memoryConn) Close() error {
	return c.change("close", func() {
		c.readErr, c.writeErr = net.ErrClosed, net.ErrClosed
		c.in = bytes.Buffer{}
		c.reading.set(time.Time{}, c.changed)
		c.writing.set(time.Time{}, c.changed)
		switch {
		case c.peer.writeErr == net.ErrClosed:
		case c.reset:
			c.peer.readErr, c.peer.writeErr = syscall.ECONNRESET, syscall.ECONNRESET
		default:
			c.peer.readErr, c.peer.writeErr = io.EOF, syscall.EPIPE
		}
	})
}

// SetDeadline implements [net.Conn].
func (c *memoryConn) SetDeadline(t time.Time) error {
	return cmp.Or(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements [net.Conn].
func (c *memoryConn) SetReadDeadline(t time.Time) error {
	return c.change("set", func() { c.reading.set(t, c.changed) })
}

// SetWriteDeadline implements [net.Conn].
func (c *memoryConn) SetWriteDeadline(t time.Time) error {
	return c.change("set", func() { c.writing.set(t, c.changed) })
}

// A memoryDeadline is a deadline of reads or writes. The zero value is none.
type memoryDeadline struct {
	at    time.Time
	timer *time.Timer
}

// set changes the deadline. When it passes, the calls that wait for changed are woken.
func (d *memoryDeadline) set(t time.Time, changed *sync.Cond) {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.at, d.timer = t, nil
	if wait := time.Until(t); wait > 0 {
		d.at = time.Now().Add(wait) // by the clock of the timer
		d.timer = time.AfterFunc(wait, func() { wake(changed) })
	}
}

func (d *memoryDeadline) expired() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }
