// Package httpserver serves files, CGI scripts and handlers of your own over HTTP/1.0
// and 1.1, in the manner of Python's http.server, and takes the place of a server in the
// tests of HTTP clients.
//
// This program answers every GET:
//
//	type hello struct{ httpserver.BaseRequestHandler }
//
//	func (h *hello) DoGET() {
//		h.SendResponse(200, "")
//		h.SendHeader("Content-Type", "text/plain")
//		h.EndHeaders()
//		fmt.Fprintf(h.WFile, "hello from %s\n", h.Path)
//	}
//
//	func main() {
//		server, err := httpserver.NewThreadingHTTPServer(":8000", httpserver.New[hello])
//		if err != nil {
//			log.Fatal(err)
//		}
//		log.Fatal(server.ServeForever())
//	}
//
// With New[httpserver.SimpleHandler] instead of New[hello] it serves the files below
// the current directory, and with New[httpserver.CGIHandler] it also runs the scripts
// in cgi-bin. A function that sets fields of a handler takes the place of New:
//
//	func() httpserver.Handler { return &httpserver.SimpleHandler{Directory: "public"} }
//
// # Overriding
//
// A handler embeds [BaseRequestHandler], [SimpleHandler] or [CGIHandler] by value and
// overrides methods. The server tells the embedded handlers which value is the outermost
// one. They call methods on that value, so that overrides take effect as in Python: an
// EndHeaders that adds a field and then calls the embedded EndHeaders applies to every
// response. The methods DoGET, DoHEAD, DoPOST, DoPUT, DoPATCH, DoDELETE, DoOPTIONS,
// DoCONNECT and DoTRACE handle requests; Method returns a function for any other request
// method.
//
// # Concurrency
//
// A handler belongs to one connection and is used by one goroutine. An [HTTPServer]
// serves one connection after another, a [ThreadingHTTPServer] serves each in a
// goroutine. The fields of a server must not change once it serves. Shutdown, Close,
// Addr and URL may be called from any goroutine.
//
// # Security
//
// A request that two readers could understand as messages of different length is
// refused with 400, and its connection closed (RFC 9112 section 11). A line of the head
// may end in LF alone, though (section 2.2). A malformed chunk is an error of RFile and
// closes the connection, too. A request line and each header line may be 64 KiB long, a
// header may have 100 fields, and both together 256 KiB. Up to 256 KiB of a body that a
// handler has left unread are read, so that the connection can persist. Further limits
// exist only if a field is set. The command sets:
//
//	BaseRequestHandler.Timeout   60 s
//	HTTPServer.MaxConnections    1000
//	CGIHandler.ScriptTimeout     300 s
//	CGIHandler.Slots             64 places
//
// SimpleHandler follows symbolic links, even those that lead out of its directory; the FS
// of an os.Root does not follow those. Everybody who can connect can read every file that
// the server can. CGIHandler runs programs: its fields determine their user and environment.
//
// # Testing
//
// A [Fixture] takes the place of the server in the tests of an HTTP client. It sends
// exactly the bytes that a test wants, when the test wants them, and records what it
// receives:
//
//	f := httpserver.NewFixture(t)
//	ok := httpserver.Response(200, "hello")
//	f.Reply("GET /x", httpserver.Answer{}.Reset(), httpserver.Send(ok)) // fails, then works
//	f.Reply("GET /y", httpserver.Send(ok[:len(ok)-2]).Close())            // is cut
//
// With a [MemoryListener], such a test can run inside testing/synctest, where pauses
// take no time.
//
// # Differences from Python
//
// Status lines, fields and their order, links, redirects, log lines, options and exit
// codes are Python's. Where Python's server violates RFC 9110 or RFC 9112, or is
// unsafe, this package does not follow it; the README has a list. Of the methods that can
// be overridden, only CopyFile returns an error: a failed write ends the connection and is
// logged. Strings hold bytes as received, whether or not they are UTF-8.
package httpserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// An HTTPServer accepts connections and serves them one after another. A server made
// by [NewHTTPServer] is ready to use; a literal needs Listener and NewHandler. Fields
// are set before the server serves and not changed afterwards. One goroutine at a time calls
// ServeForever or HandleRequest.
//
// Python: HTTPServer, a socketserver.TCPServer.
type HTTPServer struct {
	// Listener is where connections come from. Any net.Listener will do, such as the result
	// of tls.NewListener. NewHTTPServer sets it. A connection that wraps another one should
	// have a method NetConn that returns it, as a tls.Conn has. The server calls SetLinger(0)
	// of the lowest one to reset it, so that a response that was cut off does not look complete.
	Listener net.Listener

	// NewHandler returns a new handler for each connection. It is never called
	// twice at once. Python: RequestHandlerClass.
	NewHandler func() Handler

	ServerName string // "" means the host of Listener; never looked up in the DNS
	ServerPort int    // 0 means the port of Listener

	// Hosts are the names that a Host field may contain, besides IP addresses and
	// localhost; a request for another host is answered with 421. nil allows all names.
	// Set it for a server that is only for this machine or network: it prevents DNS
	// rebinding, by which pages of other sites read what the server serves.
	Hosts []string

	Timeout        time.Duration // how long HandleRequest waits for a connection; 0 means forever
	PollInterval   time.Duration // how often ServeForever calls ServiceActions; 0 means 0.5 s
	MaxConnections int           // at once; others wait in the listener's queue; 0 means no limit

	// Stderr receives the log, one line in each Write, after which the stack of a panic may
	// follow; there are no concurrent calls of Write. nil means os.Stderr. A line that
	// cannot be written to a pipe or a terminal within 100 ms is dropped; the number of
	// dropped lines is logged later.
	Stderr io.Writer

	// VerifyRequest reports whether to serve a connection; nil accepts all of them. This
	// hook and the next two are called in the goroutine of a connection: a
	// ThreadingHTTPServer calls them for several connections at once.
	VerifyRequest func(conn net.Conn) bool

	// ProcessRequest must call FinishRequest and then ShutdownRequest, or close conn, whose
	// SetReadDeadline must fail from then on. It may leave that to another goroutine, such as
	// one of a pool. Both methods take conn or a connection that wraps conn and has the same
	// RemoteAddr. If ProcessRequest is nil, the server calls both with conn.
	ProcessRequest func(conn net.Conn)

	// HandleError is called when a handler or a hook panics; nil means PrintError. A panic of
	// HandleError is ignored, as is one of Stderr during PrintError.
	HandleError func(conn net.Conn, err error)

	// Called in the goroutine of ServeForever or HandleRequest:
	ServiceActions func() // called by ServeForever after each connection and every PollInterval
	HandleTimeout  func() // called by HandleRequest when Timeout has passed

	newMu   sync.Mutex // held while NewHandler runs
	log     logWriter  // writes to Stderr
	dates   atomic.Pointer[dateStrings]
	shut    atomic.Bool   // Shutdown or Close was called
	seen    atomic.Uint64 // connections registered so far
	pending chan accepted // result of an Accept that outlived its time limit; nil if there is none
	once    sync.Once     // sets the following fields

	mu       sync.Mutex
	conns    map[*connState]struct{} // connections that are served, or were just hijacked
	changed  sync.Cond               // signaled when one of conns is removed or hijacked, and by stop
	closeErr error                   // of the listener
	stopping chan struct{}           // closed when no connection is accepted any more
	done     chan struct{}           // closed when Shutdown or Close returns
	end      func()                  // closes done

	// For work that may outlive a request, such as a script; see beginWork. Both contexts
	// are canceled with the cause ErrServerClosed.
	ctx    context.Context         // canceled when requests and work must end
	cancel context.CancelCauseFunc // cancels ctx
	urgent context.Context         // canceled when work must end without delay
	hurry  context.CancelCauseFunc // cancels urgent, and so ctx
	work   sync.WaitGroup
	shared sync.Map // data that the handlers have in common, by type

	fixture *Fixture // the fixture whose server this is, or nil
}

// A ThreadingHTTPServer is an [HTTPServer] that serves each connection in a
// goroutine of its own, so that a slow client delays nobody else.
//
// Python: ThreadingHTTPServer.
type ThreadingHTTPServer struct{ HTTPServer }

// NewHTTPServer returns a server that listens on a TCP address, host:port. An empty
// host means all interfaces, IPv6 and IPv4; port 0 means a free one. Clients can
// connect from then on; they wait until the server serves. The error says what can
// be done about it.
func NewHTTPServer(addr string, newHandler func() Handler) (*HTTPServer, error) {
	s := new(HTTPServer)
	if err := s.listen(addr, newHandler); err != nil {
		return nil, err
	}
	return s, nil
}

// NewThreadingHTTPServer is like [NewHTTPServer] for a ThreadingHTTPServer.
func NewThreadingHTTPServer(addr string, newHandler func() Handler) (*ThreadingHTTPServer, error) {
	s := new(ThreadingHTTPServer)
	if err := s.listen(addr, newHandler); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *HTTPServer) listen(addr string, newHandler func() Handler) error {
	if newHandler == nil {
		return errors.New("httpserver: newHandler is nil; pass New[T] for a handler type T")
	}
	network := "tcp"
	host, _, _ := net.SplitHostPort(addr)
	if ip, _ := netip.ParseAddr(host); ip.Unmap() == netip.IPv4Unspecified() {
		network = "tcp4" // "tcp" would include all interfaces of IPv6
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		return listenError(addr, err)
	}
	s.Listener, s.NewHandler = l, newHandler
	s.ServerName, s.ServerPort = s.host(), s.port()
	return nil
}

// listenError describes in one sentence why an address cannot be listened on.
func listenError(addr string, err error) error {
	hint := ""
	switch {
	case isAny(err, syscall.EADDRINUSE, wsaEADDRINUSE):
		hint = " (another program listens there; choose another port, or 0 for a free one)"
	case isAny(err, syscall.EACCES, wsaEACCES):
		hint = " (ports below 1024 need privileges)"
	case isAny(err, syscall.EADDRNOTAVAIL, wsaEADDRNOTAVAIL):
		hint = " (no interface of this machine has that address)"
	case isAny(err, syscall.EINVAL, wsaEINVAL):
		hint = " (a link-local address needs a zone, such as %eth0)"
	case errors.As(err, new(*net.DNSError)):
		hint = " (give an address of this machine)"
	}
	return fmt.Errorf("httpserver: listen on %s: %w%s", addr, cause(err), hint)
}

// Errors of Windows. Package syscall has errors of these names, but other values.
const (
	wsaEACCES        = syscall.Errno(10013)
	wsaEINVAL        = syscall.Errno(10022)
	wsaENOTSOCK      = syscall.Errno(10038)
	wsaEADDRINUSE    = syscall.Errno(10048)
	wsaEADDRNOTAVAIL = syscall.Errno(10049)
	wsaECONNABORTED  = syscall.Errno(10053)
	wsaECONNRESET    = syscall.Errno(10054)
)

// Addr returns the address of Listener, or nil without one.
func (s *HTTPServer) Addr() net.Addr {
	if s.Listener == nil {
		return nil
	}
	return s.Listener.Addr()
}

// host returns ServerName or its default.
func (s *HTTPServer) host() string {
	return cmp.Or(s.ServerName, strings.TrimPrefix(hostOf(s.Addr()), "-"))
}

// port returns ServerPort or its default, which is 0 where there are no ports.
func (s *HTTPServer) port() int {
	_, port, _ := net.SplitHostPort(fmt.Sprint(s.Addr()))
	n, _ := strconv.Atoi(port)
	return cmp.Or(s.ServerPort, n)
}

// URL returns a URL of the server for use on this machine, such as
// "http://127.0.0.1:8000", without a slash at the end. The scheme is "http", even if the
// listener uses TLS. For a server on all interfaces, the host is the loopback address. For
// a listener without ports, such as a unix socket, the URL is "http://localhost".
func (s *HTTPServer) URL() string {
	host, port, err := net.SplitHostPort(fmt.Sprint(s.Addr()))
	if err != nil {
		return "http://localhost"
	}
	switch ip := net.ParseIP(host); {
	case host == "" || ip.Equal(net.IPv4zero):
		host = "127.0.0.1"
	case ip.Equal(net.IPv6unspecified):
		host = "::1"
	}
	host = strings.Replace(host, "%", "%25", 1) // before a zone (RFC 6874)
	return "http://" + net.JoinHostPort(host, port)
}

// ServeForever serves connections until Shutdown or Close is called, and returns
// [ErrServerClosed] when that call is done. It waits out temporary errors of Accept,
// such as too many open files, and returns any other one.
func (s *HTTPServer) ServeForever() error { return s.serve(false) }

// ServeForever is like [HTTPServer.ServeForever], with a goroutine for each
// connection.
func (s *ThreadingHTTPServer) ServeForever() error { return s.serve(true) }

// HandleRequest waits for one connection and serves it. If Timeout passes first, it
// calls HandleTimeout and returns nil.
func (s *HTTPServer) HandleRequest() error { return s.handleRequest(false) }

// HandleRequest is like [HTTPServer.HandleRequest], but serves the connection in a
// goroutine, for which it does not wait.
func (s *ThreadingHTTPServer) HandleRequest() error { return s.handleRequest(true) }

func (s *HTTPServer) serve(threading bool) error {
	var poll time.Duration
	if s.ServiceActions != nil {
		poll = cmp.Or(s.PollInterval, 500*time.Millisecond)
	}
	for {
		if err := s.serveNext(poll, threading); err != nil && err != os.ErrDeadlineExceeded {
			return err
		}
		if s.ServiceActions != nil {
			s.ServiceActions()
		}
	}
}

func (s *HTTPServer) handleRequest(threading bool) error {
	err := s.serveNext(s.Timeout, threading)
	if err != os.ErrDeadlineExceeded {
		return err
	}
	if s.HandleTimeout != nil {
		s.HandleTimeout()
	}
	return nil
}

// serveNext accepts a connection and serves it in a goroutine, for which it waits unless
// threading is set. If limit is not 0 and passes first, the error is os.ErrDeadlineExceeded.
func (s *HTTPServer) serveNext(limit time.Duration, threading bool) error {
	if s.Listener == nil || s.NewHandler == nil {
		return errors.New("httpserver: the server needs Listener and NewHandler")
	}
	s.prepare()
	conn, err := s.accept(limit)
	if err != nil {
		if err != os.ErrDeadlineExceeded && s.shut.Load() {
			<-s.done
			err = ErrServerClosed
		}
		return err
	}
	state := s.register(conn, nil, true) // not in the goroutine: Shutdown may return before that runs
	if state == nil {
		conn.Close()
		return nil
	}
	if threading {
		go s.serveConn(conn, state)
		return nil
	}
	served := make(chan struct{})
	go func() { // which a handler may end by runtime.Goexit
		defer close(served)
		s.serveConn(conn, state)
	}()
	<-served
	return nil
}

// prepare sets unexported fields, as a server may be a literal.
func (s *HTTPServer) prepare() {
	s.once.Do(func() {
		s.conns = make(map[*connState]struct{})
		s.changed.L = &s.mu
		s.stopping, s.done = make(chan struct{}), make(chan struct{})
		s.end = sync.OnceFunc(func() { close(s.done) })
		s.urgent, s.hurry = context.WithCancelCause(context.Background())
		s.ctx, s.cancel = context.WithCancelCause(s.urgent)
	})
}

// accepted is what Accept returned.
type accepted struct {
	conn net.Conn
	err  error
}

// accept waits for a connection. If limit is not 0 and passes, the error is
// os.ErrDeadlineExceeded; then the wait continues, for the next call or until the
// server stops.
func (s *HTTPServer) accept(limit time.Duration) (net.Conn, error) {
	if s.pending == nil && limit == 0 {
		return s.acceptNext()
	}
	if s.pending == nil && s.beginWork() {
		s.pending = make(chan accepted)
		go func(pending chan<- accepted) {
			defer s.work.Done()
			conn, err := s.acceptNext()
			select {
			case pending <- accepted{conn, err}:
			case <-s.stopping:
				if conn != nil {
					conn.Close()
				}
			}
		}(s.pending)
	}
	var expired <-chan time.Time
	if limit > 0 {
		expired = time.After(limit)
	}
	select {
	case a := <-s.pending:
		s.pending = nil
		return a.conn, a.err
	case <-expired:
		return nil, os.ErrDeadlineExceeded
	case <-s.stopping:
		return nil, net.ErrClosed
	}
}

// acceptNext waits until there are fewer than MaxConnections, and accepts one. It waits
// out temporary errors.
func (s *HTTPServer) acceptNext() (net.Conn, error) {
	s.mu.Lock()
	await(context.Background(), &s.changed, func() bool {
		s.removeClosed()
		return s.MaxConnections <= 0 || len(s.conns) < s.MaxConnections || isClosed(s.stopping)
	})
	s.mu.Unlock()
	const firstDelay = 5 * time.Millisecond
	for delay := firstDelay; ; delay = min(2*delay, time.Second) {
		conn, err := s.Listener.Accept()
		if err == nil || s.shut.Load() || !isTemporary(err) {
			return conn, err
		}
		if delay == firstDelay {
			s.writeLog(fmt.Appendf(nil, "httpserver: accept: %s; trying again\n", cause(err)))
		}
		pause(delay, s.stopping)
	}
}

// isTemporary reports whether Accept may succeed after err. An error of the system is
// about one connection or about the resources of the system, unless it says that the
// listener itself cannot be used.
func isTemporary(err error) bool {
	var temporary interface{ Temporary() bool }
	if errors.As(err, &temporary) && temporary.Temporary() {
		return true
	}
	var errno syscall.Errno
	return errors.As(err, &errno) && !isAny(errno, syscall.EBADF, syscall.EINVAL, syscall.ENOTSOCK, wsaEINVAL, wsaENOTSOCK)
}

// serveConn serves a connection until its end.
func (s *HTTPServer) serveConn(conn net.Conn, state *connState) {
	defer s.catch(conn, state, nil)
	defer s.unregister(state, false)
	processed := false
	defer func() { // also if a hook panics, or if a hook or the handler calls runtime.Goexit
		if !processed {
			state.shutdown(conn)
		}
	}()
	defer s.catch(conn, state, nil) // before the connection is closed
	switch {
	case s.VerifyRequest != nil && !s.VerifyRequest(conn):
		state.linger = lingerTime
	case s.ProcessRequest != nil:
		addr := conn.RemoteAddr() // without s.mu, as it may wait for the client
		s.mu.Lock()
		state.addr, state.unclaimed = addr, true
		s.mu.Unlock()
		s.ProcessRequest(conn)
		processed = true
	default:
		s.finish(conn, state)
	}
}

// FinishRequest makes a handler, which serves conn. It leaves conn open, with two exceptions.
// If a response is incomplete and only the end of the connection would end it, FinishRequest
// resets conn, so that the client notices. If the handler calls runtime.Goexit, FinishRequest
// closes conn. If the handler panics, FinishRequest calls HandleError.
func (s *HTTPServer) FinishRequest(conn net.Conn) {
	s.prepare()
	state := s.find(conn)
	if state == nil {
		state = s.register(conn, conn.RemoteAddr(), true)
	}
	if state == nil {
		return
	}
	ended := true // the handler called runtime.Goexit, or the response is not complete
	defer func() {
		if ended {
			state.shutdown(conn) // ShutdownRequest may not be called, or not find state
		}
		s.unregister(state, !ended || state.hijacked)
	}()
	s.finish(conn, state)
	ended = state.unframed.Load()
}

func (s *HTTPServer) finish(conn net.Conn, state *connState) {
	defer s.catch(conn, state, nil)
	h, returned := s.newHandler(conn, state), false
	defer func() {
		if !returned { // it panicked or called runtime.Goexit
			h.base().broken, h.base().truncated = true, true
		}
		defer h.base().closeOpened() // in case Finish does not
		h.Finish()
	}()
	defer s.catch(conn, state, h)
	h.Setup()
	if state.fixture.accept(h.base()) {
		h.Handle()
	}
	returned = true
}

func (s *HTTPServer) newHandler(conn net.Conn, state *connState) Handler {
	s.newMu.Lock()
	defer s.newMu.Unlock()
	h := s.NewHandler()
	bind(h, s, conn, state)
	return h
}

// catch recovers from a panic of the handler h or, if h is nil, of Finish or a hook. It
// ends the connection and calls HandleError, whose own panic is ignored. It must be deferred.
func (s *HTTPServer) catch(conn net.Conn, state *connState, h Handler) {
	v := recover()
	if v == nil {
		return
	}
	defer func() { _ = recover() }() // of HandleError or of Stderr
	err := &PanicError{Value: v, Stack: debug.Stack()}
	if h != nil {
		sendInternalError(h)
	} else {
		defer state.shutdown(conn)
	}
	if s.HandleError != nil {
		s.HandleError(conn, err)
	} else {
		s.PrintError(conn, err)
	}
}

// sendInternalError sends a 500 unless part of a response was already sent. A second
// panic is ignored.
func sendInternalError(h Handler) {
	defer func() { _ = recover() }()
	b := h.base()
	b.broken = true
	b.state.linger = lingerTime
	if b.out.drop() { // before SendError logs anything, which may take longer than holdTime
		h.SendError(500, "", "")
	}
}

// ShutdownRequest closes a connection, unless its handler hijacked it. If the client may
// still be sending, ShutdownRequest first closes only the sending side of the server. It
// then reads until nothing arrives for two seconds, or 30 seconds have passed, or 64 MiB
// were read: a close without that could destroy the response on its way to the client
// (RFC 9112 section 9.6).
func (s *HTTPServer) ShutdownRequest(conn net.Conn) {
	s.prepare()
	state := s.find(conn)
	if state == nil {
		state = cmp.Or(s.register(conn, conn.RemoteAddr(), false), &connState{server: s})
		state.linger = lingerTime
	}
	defer s.unregister(state, false)
	state.shutdown(conn)
}

// PrintError is the default of HandleError: it writes err to Stderr, with the stack if
// err is a [*PanicError]. Python: BaseServer.handle_error.
func (s *HTTPServer) PrintError(conn net.Conn, err error) {
	line := fmt.Appendf(nil, "httpserver: connection from %s: ", hostOf(conn.RemoteAddr()))
	line = appendEscaped(line, strings.TrimPrefix(err.Error(), "httpserver: "))
	line = append(line, '\n')
	var p *PanicError
	if errors.As(err, &p) {
		line = append(line, p.Stack...)
	}
	s.writeLog(line)
}

// writeLog writes whole lines to Stderr. The server may be nil.
func (s *HTTPServer) writeLog(line []byte) {
	if s == nil {
		s = new(HTTPServer)
	}
	s.log.write(cmp.Or[io.Writer](s.Stderr, os.Stderr), line)
}

// Shutdown ends the server without failing a request. A ThreadingHTTPServer still accepts
// the connections that wait in the queue, as far as MaxConnections allows. Shutdown waits
// for requests to be answered; their responses say that the connection closes. It waits a
// quarter of a second for a request on an idle connection, and a second for the rest of a
// request that has begun to arrive. Then it ends the scripts that still run although their
// responses have ended.
//
// If ctx is done first, Shutdown returns an error that wraps ctx.Err() and names
// connections that are still open; these continue until Close is called. Shutdown does
// not wait for hijacked connections. A handler must call Shutdown in another goroutine,
// because Shutdown waits for the handler.
func (s *HTTPServer) Shutdown(ctx context.Context) error {
	s.prepare()
	s.shut.Store(true)
	for _, state := range s.connections() {
		state.limitWait()
	}
	s.acceptQueued(ctx)
	s.stop()
	defer s.end()
	open := s.connections() // no others are registered any more
	s.mu.Lock()
	for _, state := range open {
		await(ctx, &s.changed, func() bool {
			s.removeClosed()
			return state.users == 0 && !state.unclaimed || state.hijacked
		})
	}
	s.mu.Unlock()
	if open = s.connections(); len(open) > 0 {
		return busyError(open, ctx.Err())
	}
	defer context.AfterFunc(ctx, func() { s.hurry(ErrServerClosed) })()
	s.endWork()
	return nil
}

// await waits until done returns true or ctx is done. It calls done after each signal of c,
// and every second. The caller holds c.L.
func await(ctx context.Context, c *sync.Cond, done func() bool) {
	if done() {
		return
	}
	defer context.AfterFunc(ctx, func() { wake(c) })()
	for ctx.Err() == nil && !done() {
		tick := time.AfterFunc(time.Second, func() { wake(c) })
		c.Wait()
		tick.Stop()
	}
}

// wake wakes all goroutines that wait for c. The caller does not hold c.L.
func wake(c *sync.Cond) {
	c.L.Lock()
	defer c.L.Unlock()
	c.Broadcast()
}

// busyError returns an error that wraps err and names open connections.
func busyError(open []*connState, err error) error {
	const most = 3
	var names []string
	for _, state := range open[:min(len(open), most)] {
		names = append(names, fmt.Sprint(state.conn.RemoteAddr()))
	}
	if len(open) > most {
		names = append(names, fmt.Sprintf("%d more", len(open)-most))
	}
	return fmt.Errorf("httpserver: connections still in use: %s: %w", strings.Join(names, ", "), err)
}

const (
	quietTime = 5 * time.Millisecond  // if no connection is accepted for so long, none is queued
	queueTime = 50 * time.Millisecond // limit for all that are queued
)

// acceptQueued leaves time for the connections in the listener's queue to be
// accepted: closing the listener would reset them.
func (s *HTTPServer) acceptQueued(ctx context.Context) {
	for range queueTime / quietTime {
		before := s.seen.Load()
		pause(quietTime, ctx.Done())
		if s.seen.Load() == before {
			return
		}
	}
}

// Close stops accepting and closes all connections at once, apart from hijacked
// ones. It does not wait for handlers. It does wait for the scripts of CGIHandler:
// they are told to end, and killed two seconds later, or at once if Close was called
// before. The error is that of closing the listener.
func (s *HTTPServer) Close() error {
	s.prepare()
	s.shut.Store(true)
	s.stop()
	for _, state := range s.connections() {
		state.close(state.conn)
	}
	s.endWork()
	s.end()
	return s.closeErr
}

// stop makes the server accept no more connections.
func (s *HTTPServer) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isClosed(s.stopping) {
		return
	}
	close(s.stopping)
	s.changed.Broadcast()
	if s.Listener != nil {
		s.closeErr = s.Listener.Close()
	}
}

// beginWork counts something that may outlive its request. It must end when s.ctx is
// canceled, without delay when s.urgent is, and then call s.work.Done. beginWork returns
// false if it is too late to begin.
func (s *HTTPServer) beginWork() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.work.Add(1)
	return true
}

// endWork ends what beginWork has counted, and waits for it. A second call makes it end
// without delay.
func (s *HTTPServer) endWork() {
	s.mu.Lock()
	if s.ctx.Err() != nil {
		s.hurry(ErrServerClosed)
	}
	s.cancel(ErrServerClosed)
	s.mu.Unlock()
	s.work.Wait()
}

// A connState is what the server knows about a connection.
type connState struct {
	server  *HTTPServer
	conn    net.Conn
	fixture *fixtureConn // nil without a Fixture

	linger   time.Duration // how long to read what the client may still be sending
	unframed atomic.Bool   // a response is being sent that ends with the connection

	mu    sync.Mutex    // held while grace changes, or a deadline is set with regard to it
	grace time.Duration // how long Shutdown lets it wait for the client; 0 means no limit

	// These change while server.mu is held. The goroutine that serves conn changes hijacked,
	// and so reads it without mu.
	addr      net.Addr // of the client; nil if the connection cannot be wrapped
	users     int      // calls that are using it: serveConn, FinishRequest, ShutdownRequest
	unclaimed bool     // ProcessRequest was called and has to call FinishRequest or ShutdownRequest, or to close conn
	hijacked  bool     // the connection belongs to its handler
}

// register adds a connection with its first user. It returns nil if the server does
// not serve any more. A Fixture is told of the connection if it is new.
func (s *HTTPServer) register(conn net.Conn, addr net.Addr, isNew bool) *connState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isClosed(s.stopping) {
		return nil
	}
	state := &connState{server: s, conn: conn, addr: addr, users: 1}
	if isNew {
		state.fixture = s.fixture.connect(conn)
	}
	s.conns[state] = struct{}{}
	s.seen.Add(1)
	return state
}

// find returns the state of conn and adds a user to it. If conn is a connection that
// ProcessRequest has wrapped around an accepted one, find returns the state of the accepted
// one. It returns nil if there is no state. The state of a wrapped connection is found only
// if package net made its address: others, such as that of a net.Pipe, may be equal.
func (s *HTTPServer) find(conn net.Conn) *connState {
	addr := conn.RemoteAddr()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch addr.(type) {
	case *net.TCPAddr, *net.UnixAddr: // each connection has a pointer of its own, and what wraps it returns that
	default:
		addr = nil
	}
	var found *connState
	for state := range s.conns {
		if equal(state.conn, conn) {
			found = state
			break
		}
		if addr != nil && state.addr == addr {
			found = state
		}
	}
	if found != nil {
		found.users++
		found.unclaimed = false
	}
	return found
}

// equal reports whether a and b are equal. Values that cannot be compared are not.
func equal(a, b any) (same bool) {
	defer func() { _ = recover() }()
	return a == b
}

// unregister removes a user of a connection, and the connection with the last one. After
// FinishRequest, the connection of a ProcessRequest and a hijacked one stay, as ShutdownRequest
// has to find them.
func (s *HTTPServer) unregister(state *connState, finished bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state.unclaimed = state.unclaimed || finished && s.ProcessRequest != nil
	if state.users--; state.users > 0 || finished && state.hijacked || state.unclaimed && !state.isAbandoned() {
		return
	}
	s.remove(state)
}

// remove removes a connection. The caller holds s.mu.
func (s *HTTPServer) remove(state *connState) {
	state.unclaimed = false
	delete(s.conns, state)
	state.fixture.disconnect()
	s.changed.Broadcast()
}

// removeClosed removes the connections that ProcessRequest has closed, later than it
// returned, instead of passing them to FinishRequest or ShutdownRequest. The caller holds s.mu.
func (s *HTTPServer) removeClosed() {
	if s.ProcessRequest == nil {
		return
	}
	for state := range s.conns {
		if state.users == 0 && state.isAbandoned() {
			s.remove(state)
		}
	}
}

// isAbandoned reports whether ProcessRequest has closed the connection instead of passing it
// to FinishRequest or ShutdownRequest. The caller holds server.mu.
func (c *connState) isAbandoned() bool {
	if !c.unclaimed {
		return false
	}
	conn, ok := lowest(c.conn).(syscall.Conn)
	if !ok {
		return c.conn.SetReadDeadline(time.Time{}) != nil
	}
	raw, err := conn.SyscallConn()
	return err != nil || raw.Control(func(uintptr) {}) != nil
}

// connections returns the connections that were not hijacked.
func (s *HTTPServer) connections() []*connState {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeClosed()
	states := slices.Collect(maps.Keys(s.conns))
	return slices.DeleteFunc(states, func(state *connState) bool { return state.hijacked })
}

// hijack leaves the connection to its handler.
func (c *connState) hijack() {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	c.hijacked = true
	s.changed.Broadcast()
}

// shutdown closes conn, which is c.conn or wrapped around it, unless it is hijacked. It
// lingers if the client may still be sending.
func (c *connState) shutdown(conn net.Conn) {
	if c.hijacked {
		return
	}
	if c.linger == 0 && hasArrived(lowest(c.conn)) {
		c.linger = lingerTime
	}
	if c.linger > 0 && !c.unframed.Load() {
		half, canHalve := conn.(interface{ CloseWrite() error })
		_, isTCP := conn.RemoteAddr().(*net.TCPAddr)
		if canHalve && half.CloseWrite() == nil || !canHalve && isTCP {
			c.readOn(conn)
		}
	}
	c.close(conn)
}

// close closes conn at once. If the client would take that for the end of a response
// that is not complete, close resets c.conn first: TLS then sends no close_notify.
func (c *connState) close(conn net.Conn) {
	if c.unframed.Load() {
		reset(c.conn) // conn may hide the connection below it
	}
	conn.Close()
}

// reset closes the connection that conn uses so that the client gets an error (RST).
func reset(conn net.Conn) {
	conn = lowest(conn)
	if tcp, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// An upperConn is a connection that uses another one, as a tls.Conn does.
type upperConn interface{ NetConn() net.Conn }

// lowest returns the connection that conn uses, such as the TCP connection below TLS.
func lowest(conn net.Conn) net.Conn {
	if upper, ok := conn.(upperConn); ok {
		return lowest(upper.NetConn())
	}
	return conn
}

// Limits of what is read of a connection after its last response.
const (
	lingerTime    = 2 * time.Second // without a byte
	maxLingerTime = 30 * time.Second
	maxLingerSize = 64 << 20
)

// readOn reads what the client still sends, and drops it. There is less time for that
// when the server shuts down.
func (c *connState) readOn(conn net.Conn) {
	begun, buf := time.Now(), make([]byte, 16<<10)
	for n := 0; n < maxLingerSize; {
		limit := maxLingerTime
		if c.closing() {
			limit = lingerTime
		}
		if conn.SetReadDeadline(time.Now().Add(min(c.linger, limit-time.Since(begun)))) != nil {
			return
		}
		m, err := conn.Read(buf)
		if n += m; err != nil {
			return
		}
	}
}

// closing reports whether the current request is the last one of the connection, as the
// server shuts down.
func (c *connState) closing() bool { return c.server.shut.Load() }

// shared returns the T that the handlers of s have in common. The first call makes it.
func shared[T any](s *HTTPServer) *T {
	v, _ := s.shared.LoadOrStore((*T)(nil), new(T))
	return v.(*T)
}

// pause waits for d, or until done is closed.
func pause(d time.Duration, done <-chan struct{}) {
	select {
	case <-time.After(d):
	case <-done:
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
