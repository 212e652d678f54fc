// Package httpserver is Python's http.server for Go: servers on a net.Listener,
// handlers to embed and override, and a command that serves a directory.
//
// A program that greets whoever asks:
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
// With New[httpserver.SimpleHandler] in its place the program serves the files
// below the current directory, with New[httpserver.CGIHandler] it also runs those
// in cgi-bin. The function given to the server may set fields:
//
//	func() httpserver.Handler { return &httpserver.SimpleHandler{Directory: "public"} }
//
// # Overriding
//
// A handler embeds BaseRequestHandler, SimpleHandler or CGIHandler by value and overrides
// methods. The server hands the outermost value to the embedded ones, and they
// call each other's methods through it, as Python's classes do: an EndHeaders
// that adds a field and then calls the embedded EndHeaders sees every response.
// Methods for GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, CONNECT and TRACE
// are DoGET and so on; Method gives those for other names.
//
// # Concurrency
//
// A handler belongs to one connection and is used by one goroutine. HTTPServer
// serves one connection after another; ThreadingHTTPServer has a goroutine for
// each. The fields of a server are fixed once it serves. Shutdown, Close, Addr
// and URL may be called from anywhere.
//
// # Security
//
// A request whose header two readers could take for requests of different extent
// is refused with 400 and ends its connection: see RFC 9112 section 11. Chunks
// are checked as they are read; what is wrong with them is an error of RFile, and
// ends the connection, too. A request line and each header line have at most
// 64 KiB, a header 100 fields and 1 MiB; 256 KiB of a body that a handler leaves
// are read to keep a connection. There is no time limit unless the handler's
// Timeout sets one. SimpleHandler follows
// symbolic links, also to what is outside its directory; with the FS of an
// os.Root it does not. CGIHandler runs programs: its fields say as whom and with
// what environment. Everybody who can connect can read every file that the
// server can.
//
// # Differences from Python
//
// Status lines, fields and their order, links, redirects, log lines, options and
// exit codes are Python's. Where Python's server breaks a rule of RFC 9110 or
// RFC 9112, or is unsafe, the rule is kept; the README has the list. Methods to
// override return no error, CopyFile apart: a failed write ends the connection
// and is logged. Strings hold the bytes received, be they UTF-8 or not.
package httpserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// An HTTPServer accepts connections and serves them one after another. One
// made by NewHTTPServer is ready; another needs Listener and NewHandler. The
// fields are set before it serves and not changed after that.
//
// Python: HTTPServer, a socketserver.TCPServer.
type HTTPServer struct {
	// Listener gives the connections: any will do, such as one of package net,
	// or tls.NewListener around it. NewHTTPServer sets it.
	Listener net.Listener

	// NewHandler is called once a connection and returns a new handler for it;
	// it is never called twice at once. Python: RequestHandlerClass.
	NewHandler func() Handler

	ServerName string // "" means the host of Listener; never looked up in the DNS
	ServerPort int    // 0 means the port of Listener

	Timeout        time.Duration // how long HandleRequest waits for a connection; 0 means for ever
	PollInterval   time.Duration // how often ServeForever calls ServiceActions; 0 means 0.5 s
	MaxConnections int           // ThreadingHTTPServer: further ones wait in the listener's queue; 0 means no limit
	Stderr         io.Writer     // log lines, one a Write, never two at once; nil means os.Stderr

	// These three are called in the connection's goroutine, so of a
	// ThreadingHTTPServer at the same time for several connections.

	VerifyRequest  func(conn net.Conn) bool       // false turns the connection away; nil accepts every one
	ProcessRequest func(conn net.Conn)            // serves a connection by FinishRequest, then ShutdownRequest, as nil does
	HandleError    func(conn net.Conn, err error) // told of what a handler did not handle; nil: PrintError

	// These two are called in the goroutine of ServeForever or HandleRequest.

	ServiceActions func() // called by ServeForever after each connection and every PollInterval
	HandleTimeout  func() // called by HandleRequest when Timeout has passed

	newMu sync.Mutex // held by NewHandler
	logMu sync.Mutex // held by a Write to Stderr
	dates atomic.Pointer[dateStrings]
	shut  atomic.Bool   // Shutdown or Close was called
	taken atomic.Uint64 // connections so far

	shared sync.Map // of what the handlers have in common, by type

	mu       sync.Mutex
	conns    map[any]*connState
	left     map[any]bool         // for ShutdownRequest: connections that handlers left, true if hijacked
	pending  chan accepted        // an Accept that outlived its time limit
	closeErr error                // of the listener
	slots    chan struct{}        // holds MaxConnections tokens
	stopped  bool                 // nothing is accepted any more
	stopping chan struct{}        // closed when stopped is set
	drained  chan struct{}        // closed when stopped is set and conns is empty
	done     chan struct{}        // closed when Shutdown or Close has ended
	over     bool                 // no request may go on
	closers  map[*func()]struct{} // to call when that is so

	// What handlers have started and does not end with their request, such as
	// scripts. Both contexts have the cause ErrServerClosed.
	ctx    context.Context // canceled when no request may continue
	cancel context.CancelCauseFunc
	urgent context.Context // canceled when Close is called again
	hurry  context.CancelCauseFunc
	work   sync.WaitGroup
	null   *os.File // of devNull
}

// A ThreadingHTTPServer is an HTTPServer that serves each connection in a
// goroutine of its own, so that a slow client keeps nobody waiting.
//
// Python: ThreadingHTTPServer.
type ThreadingHTTPServer struct{ HTTPServer }

// NewHTTPServer listens on a TCP address, host:port. An empty host is all
// interfaces, IPv6 and IPv4; port 0 is one that is free. Connections queue from
// then on. The error says what to do.
func NewHTTPServer(addr string, newHandler func() Handler) (*HTTPServer, error) {
	s := new(HTTPServer)
	if err := s.listen(addr, newHandler); err != nil {
		return nil, err
	}
	return s, nil
}

// NewThreadingHTTPServer is NewHTTPServer for a ThreadingHTTPServer.
func NewThreadingHTTPServer(addr string, newHandler func() Handler) (*ThreadingHTTPServer, error) {
	s := new(ThreadingHTTPServer)
	if err := s.listen(addr, newHandler); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *HTTPServer) listen(addr string, newHandler func() Handler) error {
	if newHandler == nil {
		return errors.New("httpserver: newHandler is nil; New[T] of a handler type T makes one")
	}
	network := "tcp"
	if host, _, _ := net.SplitHostPort(addr); host == "0.0.0.0" {
		network = "tcp4" // else it would be all interfaces of IPv6, too
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		return listenError(addr, err)
	}
	s.Listener, s.NewHandler = l, newHandler
	s.ServerName, s.ServerPort = s.host(), s.port()
	return nil
}

// listenError says in one sentence what is wrong with an address.
func listenError(addr string, err error) error {
	hint := ""
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, wsaEADDRINUSE):
		hint = " (another program listens there; choose another port, or 0 for a free one)"
	case errors.Is(err, syscall.EACCES) || errors.Is(err, wsaEACCES):
		hint = " (ports below 1024 need privileges)"
	case errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, wsaEADDRNOTAVAIL):
		hint = " (no interface of this machine has that address)"
	case errors.As(err, &dns):
		hint = " (give an address of this machine)"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("httpserver: listen on %s: %w%s", addr, err, hint)
}

// Errors of Windows that package syscall has under these names for other
// systems alone.
const (
	wsaEACCES        = syscall.Errno(10013)
	wsaEADDRINUSE    = syscall.Errno(10048)
	wsaEADDRNOTAVAIL = syscall.Errno(10049)
	wsaECONNABORTED  = syscall.Errno(10053)
	wsaECONNRESET    = syscall.Errno(10054)
)

// Addr gives the listener's address, nil without a listener.
func (s *HTTPServer) Addr() net.Addr {
	if s.Listener == nil {
		return nil
	}
	return s.Listener.Addr()
}

// host gives ServerName or what it stands for.
func (s *HTTPServer) host() string {
	if s.ServerName != "" || s.Listener == nil {
		return s.ServerName
	}
	if host := hostOf(s.Listener.Addr()); host != "-" {
		return host
	}
	return ""
}

// port gives ServerPort or what it stands for, 0 where there are no ports.
func (s *HTTPServer) port() int {
	if s.ServerPort != 0 || s.Listener == nil {
		return s.ServerPort
	}
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	n, _ := strconv.Atoi(port)
	return n
}

// URL gives an address to reach the server at from this machine, such as
// "http://127.0.0.1:8000", without a slash at the end; "http" also where the
// listener speaks TLS. Where the server listens on all interfaces that is the
// loopback one; where there are no ports, as on a unix socket, it is
// "http://localhost".
func (s *HTTPServer) URL() string {
	if s.Listener == nil {
		return "http://localhost"
	}
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		return "http://localhost"
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		if host = "127.0.0.1"; ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return "http://" + net.JoinHostPort(host, port)
}

// ServeForever serves connections until Shutdown or Close, and returns
// ErrServerClosed once that has ended. Errors of Accept that pass, such as too
// many open files, are waited out; any other is returned.
func (s *HTTPServer) ServeForever() error { return s.serve(false) }

// ServeForever is HTTPServer.ServeForever with a goroutine for each connection.
func (s *ThreadingHTTPServer) ServeForever() error { return s.serve(true) }

// HandleRequest waits for one connection and serves it. If Timeout passes
// before, it calls HandleTimeout and returns nil.
func (s *HTTPServer) HandleRequest() error { return s.handleRequest(false) }

// HandleRequest is HTTPServer.HandleRequest with a goroutine for the
// connection, for which it does not wait.
func (s *ThreadingHTTPServer) HandleRequest() error { return s.handleRequest(true) }

func (s *HTTPServer) serve(threading bool) error {
	var poll time.Duration
	if s.ServiceActions != nil {
		poll = cmp.Or(s.PollInterval, 500*time.Millisecond)
	}
	for {
		conn, err := s.accept(poll)
		if err == nil {
			s.process(conn, threading)
		} else if err != os.ErrDeadlineExceeded {
			return s.acceptFailed(err)
		}
		if s.ServiceActions != nil {
			s.ServiceActions()
		}
	}
}

func (s *HTTPServer) handleRequest(threading bool) error {
	conn, err := s.accept(s.Timeout)
	switch {
	case err == nil:
		s.process(conn, threading)
	case err != os.ErrDeadlineExceeded:
		return s.acceptFailed(err)
	case s.HandleTimeout != nil:
		s.HandleTimeout()
	}
	return nil
}

// acceptFailed gives the error to return when no connection can come any more.
func (s *HTTPServer) acceptFailed(err error) error {
	if !s.shut.Load() {
		return err
	}
	<-s.done
	return ErrServerClosed
}

// prepare completes a server that may be a literal.
func (s *HTTPServer) prepare() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns != nil {
		return
	}
	s.conns, s.left = make(map[any]*connState), make(map[any]bool)
	s.urgent, s.hurry = context.WithCancelCause(context.Background())
	s.ctx, s.cancel = context.WithCancelCause(s.urgent)
	s.stopping, s.drained, s.done = make(chan struct{}), make(chan struct{}), make(chan struct{})
	if s.MaxConnections > 0 {
		s.slots = make(chan struct{}, s.MaxConnections)
	}
}

// accepted is what Accept returned.
type accepted struct {
	conn net.Conn
	err  error
}

// accept waits for a connection, and for a slot for it; for os.ErrDeadlineExceeded
// after the time limit, if that is not 0.
func (s *HTTPServer) accept(limit time.Duration) (net.Conn, error) {
	if s.Listener == nil || s.NewHandler == nil {
		return nil, errors.New("httpserver: the server needs Listener and NewHandler")
	}
	s.prepare()
	var expired <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		expired = timer.C
	}
	if s.slots != nil {
		select {
		case s.slots <- struct{}{}:
		case <-expired:
			return nil, os.ErrDeadlineExceeded
		case <-s.stopping:
			return nil, net.ErrClosed
		}
	}
	conn, err := s.acceptWithin(expired)
	if err != nil && s.slots != nil {
		<-s.slots
	}
	return conn, err
}

// acceptWithin waits for a connection until expired. An Accept that is under
// way then is taken up by the next call, or by Shutdown.
func (s *HTTPServer) acceptWithin(expired <-chan time.Time) (net.Conn, error) {
	s.mu.Lock()
	pending := s.pending
	if pending == nil && expired != nil && !s.stopped {
		pending = make(chan accepted, 1)
		s.pending = pending
		go s.acceptPending(pending)
	}
	s.mu.Unlock()
	if pending == nil {
		return s.acceptPatiently()
	}
	select {
	case a := <-pending:
		s.mu.Lock()
		s.pending = nil
		s.mu.Unlock()
		return a.conn, a.err
	case <-expired:
		return nil, os.ErrDeadlineExceeded
	case <-s.stopping:
		return nil, net.ErrClosed
	}
}

func (s *HTTPServer) acceptPending(pending chan<- accepted) {
	conn, err := s.acceptPatiently()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		closeAccepted(accepted{conn, err})
	} else {
		pending <- accepted{conn, err}
	}
}

func closeAccepted(a accepted) {
	if a.conn != nil {
		a.conn.Close()
	}
}

// acceptPatiently accepts a connection and waits out errors that pass.
func (s *HTTPServer) acceptPatiently() (net.Conn, error) {
	for delay := 5 * time.Millisecond; ; delay = min(2*delay, time.Second) {
		conn, err := s.Listener.Accept()
		if err == nil || s.shut.Load() || !isTemporary(err) {
			return conn, err
		}
		if delay == 5*time.Millisecond {
			s.writeLog(fmt.Appendf(nil, "httpserver: accept: %s; trying again\n", reason(err)))
		}
		select {
		case <-time.After(delay):
		case <-s.stopping:
		}
	}
}

// isTemporary tells whether Accept may work again after err: what the system says of
// one connection or of its resources passes, what it says of the listener not.
func isTemporary(err error) bool {
	var temporary interface{ Temporary() bool }
	if errors.As(err, &temporary) && temporary.Temporary() {
		return true
	}
	var errno syscall.Errno
	return errors.As(err, &errno) && errno != syscall.EBADF && errno != syscall.EINVAL && errno != syscall.ENOTSOCK
}

// process serves a connection, in a goroutine of its own if threading.
func (s *HTTPServer) process(conn net.Conn, threading bool) {
	state, _ := s.register(conn) // before a goroutine begins, as Shutdown may end meanwhile
	if threading {
		go s.serveConn(conn, state)
	} else {
		s.serveConn(conn, state)
	}
}

// serveConn serves a connection to its end. Without a state it came too late.
func (s *HTTPServer) serveConn(conn net.Conn, state *connState) {
	if s.slots != nil {
		defer func() { <-s.slots }()
	}
	defer s.catch(conn, nil)
	if state == nil {
		conn.Close()
		return
	}
	defer s.forget(state)
	switch {
	case s.VerifyRequest != nil && !s.VerifyRequest(conn):
		s.ShutdownRequest(conn)
	case s.ProcessRequest != nil:
		s.ProcessRequest(conn)
	default:
		defer s.ShutdownRequest(conn) // also when the handler ends its goroutine
		s.FinishRequest(conn)
	}
}

// FinishRequest makes a handler and lets it serve the connection, which stays
// open. A panic of the handler goes to HandleError. A ProcessRequest calls it
// with the connection, or with one that it put around it.
func (s *HTTPServer) FinishRequest(conn net.Conn) {
	defer s.catch(conn, nil)
	state, isNew := s.register(conn)
	if state == nil {
		return
	}
	defer s.forget(state)
	if isNew {
		defer func() {
			if state.linger == 0 {
				s.leave(conn, false)
			}
		}()
	}
	h := s.newHandler(conn, state)
	defer h.base().closeOpened()
	defer h.Finish()
	defer s.catch(conn, h)
	h.Setup()
	h.Handle()
}

func (s *HTTPServer) newHandler(conn net.Conn, state *connState) Handler {
	s.newMu.Lock()
	defer s.newMu.Unlock()
	h := s.NewHandler()
	bind(h, s, conn, state)
	return h
}

// catch, deferred, ends a connection on which a handler or, without one, a hook
// panicked.
func (s *HTTPServer) catch(conn net.Conn, h Handler) {
	v := recover()
	if v == nil {
		return
	}
	err := &PanicError{Value: v, Stack: debug.Stack()}
	if h != nil {
		sendInternalError(h)
	} else {
		conn.Close()
	}
	if s.HandleError != nil {
		s.HandleError(conn, err)
	} else {
		s.PrintError(conn, err)
	}
}

// sendInternalError answers 500 if no answer has been begun. What was begun and held
// back is dropped; that this fails as well is possible and told by no one.
func sendInternalError(h Handler) {
	defer func() { _ = recover() }()
	b := h.base()
	b.state.linger = lingerTime
	if !b.out.begun() {
		h.SendError(500, "", "")
	}
}

// lingerTime is how long a connection is read after its last response, so that
// the client gets to read that.
const lingerTime = 2 * time.Second

// ShutdownRequest closes a connection, unless its handler hijacked it. Where
// the client may still be sending, it first ends its own side and reads on for
// up to two seconds: closing at once would take the response from the client,
// or the knowledge that there is none (RFC 9112 section 9.6).
func (s *HTTPServer) ShutdownRequest(conn net.Conn) {
	s.prepare()
	s.mu.Lock()
	state := s.conns[key(conn)]
	hijacked, done := s.left[key(conn)]
	delete(s.left, key(conn))
	s.mu.Unlock()
	if hijacked {
		return
	}
	linger := lingerTime
	switch {
	case done:
		linger = 0
	case state != nil:
		linger = state.linger
	}
	if c, ok := conn.(interface{ CloseWrite() error }); ok && linger > 0 && c.CloseWrite() == nil {
		conn.SetReadDeadline(time.Now().Add(linger))
		io.Copy(io.Discard, conn)
	}
	conn.Close()
}

// PrintError writes err to Stderr, with the stack if it is a *PanicError.
// Python: BaseServer.handle_error.
func (s *HTTPServer) PrintError(conn net.Conn, err error) {
	line := append([]byte("httpserver: connection from "), hostOf(conn.RemoteAddr())...)
	line = append(line, ": "...)
	line = appendEscaped(line, strings.TrimPrefix(err.Error(), "httpserver: "))
	line = append(line, '\n')
	var p *PanicError
	if errors.As(err, &p) {
		line = append(line, p.Stack...)
	}
	s.writeLog(line)
}

// writeLog writes whole lines to Stderr. Handlers without a server have it too.
func (s *HTTPServer) writeLog(line []byte) {
	if s == nil {
		os.Stderr.Write(line)
		return
	}
	s.logMu.Lock()
	defer s.logMu.Unlock()
	if s.Stderr != nil {
		s.Stderr.Write(line)
	} else {
		os.Stderr.Write(line)
	}
}

// now gives the present second as text. Handlers without a server have it too.
func (s *HTTPServer) now() *dateStrings {
	t := time.Now()
	if s == nil {
		return makeDateStrings(t)
	}
	d := s.dates.Load()
	if d == nil || d.second != t.Unix() {
		d = makeDateStrings(t)
		s.dates.Store(d)
	}
	return d
}

// Shutdown ends a server without failing a request. It accepts the connections
// that are queued, as far as MaxConnections allows, and no more; closes idle ones
// unless a request arrives within a quarter of a second; gives a request of which
// a part has arrived a second for the rest; and waits until the requests under way
// are answered, which tell their clients that the connection closes. Scripts that
// run on are ended. If ctx ends before, all goes on and its error is returned;
// Close ends it. A handler that calls Shutdown waits for itself unless it does so
// in another goroutine. Hijacked connections are not waited for.
func (s *HTTPServer) Shutdown(ctx context.Context) error {
	s.prepare()
	s.shut.Store(true)
	for _, state := range s.connections() {
		state.limit()
	}
	s.acceptQueued(ctx)
	s.stop()
	defer s.end()
	select {
	case <-s.drained:
	case <-ctx.Done():
		if !isClosed(s.drained) {
			return ctx.Err()
		}
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.callClosers()
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const (
	quietTime = 5 * time.Millisecond  // without a connection, after which none is queued
	queueTime = 50 * time.Millisecond // for all that are
)

// acceptQueued leaves time for accepting connections that are queued: closing the
// listener resets them.
func (s *HTTPServer) acceptQueued(ctx context.Context) {
	quiet := time.NewTicker(quietTime)
	defer quiet.Stop()
	for range queueTime / quietTime {
		before := s.taken.Load()
		select {
		case <-quiet.C:
		case <-s.stopping:
		case <-ctx.Done():
		}
		if s.taken.Load() == before {
			return
		}
	}
}

// Close stops accepting and closes all connections but hijacked ones, at once.
// Handlers are not waited for, scripts of CGIHandler are: two seconds after they
// were told to end, or when Close is called again, they are killed. The error is
// the listener's.
func (s *HTTPServer) Close() error {
	s.prepare()
	s.shut.Store(true)
	s.stop()
	for _, state := range s.connections() {
		state.conn.Close()
	}
	s.callClosers()
	s.end()
	return s.closeErr
}

// stop stops accepting.
func (s *HTTPServer) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.stopped = true
	close(s.stopping)
	if s.Listener != nil {
		s.closeErr = s.Listener.Close()
	}
	select {
	case a := <-s.pending:
		closeAccepted(a)
	default:
	}
	s.checkDrained()
}

// connections gives the states of those that are open.
func (s *HTTPServer) connections() []*connState {
	s.mu.Lock()
	defer s.mu.Unlock()
	states := make([]*connState, 0, len(s.conns))
	for _, state := range s.conns {
		states = append(states, state)
	}
	return states
}

// atClose has f called by Close, or by Shutdown when that has succeeded, until
// undo is called. After that it is called at once.
func (s *HTTPServer) atClose(f func()) (undo func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		go f()
	}
	if s.closers == nil {
		s.closers = make(map[*func()]struct{})
	}
	s.closers[&f] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.closers, &f)
	}
}

// beginWork counts something that Shutdown and Close wait for, and that ends soon
// when s.ctx is canceled; at its end, s.work.Done is called. It returns false if it
// is too late to begin.
func (s *HTTPServer) beginWork() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.work.Add(1)
	return true
}

// callClosers calls what atClose was given, all at once, and waits. Then no script
// needs devNull any more.
func (s *HTTPServer) callClosers() {
	s.mu.Lock()
	if s.over {
		s.hurry(ErrServerClosed)
	}
	s.over = true
	s.cancel(ErrServerClosed)
	var wg sync.WaitGroup
	for f := range s.closers {
		wg.Go(*f)
	}
	s.mu.Unlock()
	wg.Wait()
	s.work.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.null.Close()
	s.null = nil
}

// devNull gives an empty file that stays open until no request may go on, nil if
// there is none. To open one for each short script takes 3 % of its time.
func (s *HTTPServer) devNull() *os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.null == nil && !s.over {
		s.null, _ = os.Open(os.DevNull)
	}
	return s.null
}

// end lets ServeForever return.
func (s *HTTPServer) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !isClosed(s.done) {
		close(s.done)
	}
}

// A connState is what the server knows of a connection.
type connState struct {
	server *HTTPServer
	conn   net.Conn
	phase  atomic.Int32
	linger time.Duration // how long the client may still be sending; the serving goroutine's
	users  int           // who registered it and has not forgotten it; held by server.mu
	limits sync.Mutex    // held while limit looks at phase and sets a deadline for it
}

// Phases of a connection: when the server shuts down, one that waits for a
// request, or for the rest of what a client has begun to send, has limited time.
const (
	connActive = iota
	connIdle
	connReading
)

const (
	idleTime    = 250 * time.Millisecond // longer than most requests are under way
	readingTime = time.Second
)

// idle and reading are the begin of waiting for the first byte of a request and
// for the rest of its head, read is the end of both.
func (c *connState) idle()    { c.wait(connIdle) }
func (c *connState) reading() { c.wait(connReading) }

func (c *connState) wait(phase int32) {
	c.phase.Store(phase)
	c.limit()
}

func (c *connState) read() {
	if c.phase.Swap(connActive) != connActive && c.closing() {
		c.limits.Lock()
		defer c.limits.Unlock()
		c.conn.SetReadDeadline(time.Time{}) // that of limit is not for the body
	}
}

// limit is called by the handler when it begins to wait and by Shutdown, so that
// whoever is later sets the deadline.
func (c *connState) limit() {
	if !c.closing() {
		return
	}
	c.limits.Lock()
	defer c.limits.Unlock()
	var err error
	switch c.phase.Load() {
	case connIdle:
		err = c.conn.SetReadDeadline(time.Now().Add(idleTime))
	case connReading:
		err = c.conn.SetReadDeadline(time.Now().Add(readingTime))
	}
	if err != nil {
		c.conn.Close()
	}
}

// closing tells whether this request is to be the connection's last.
func (c *connState) closing() bool { return c.server.shut.Load() }

// key gives what a connection is known by: itself or, where its type is one that
// cannot be compared, its addresses.
func key(conn net.Conn) (k any) {
	defer func() {
		if recover() != nil {
			k = fmt.Sprint(conn.LocalAddr(), conn.RemoteAddr())
		}
	}()
	_ = map[any]bool(nil)[conn]
	return conn
}

// register gives the state of a connection, a new one if it is not known, or nil
// if a new one comes too late.
func (s *HTTPServer) register(conn net.Conn) (state *connState, isNew bool) {
	s.prepare()
	s.mu.Lock()
	defer s.mu.Unlock()
	if state = s.conns[key(conn)]; state != nil {
		state.users++
		return state, false
	}
	if s.stopped {
		return nil, false
	}
	state = &connState{server: s, conn: conn, users: 1}
	s.conns[key(conn)] = state
	s.taken.Add(1)
	return state, true
}

// hijack forgets a connection, but for the ShutdownRequest that is to spare it.
func (c *connState) hijack() {
	s := c.server
	s.leave(c.conn, true)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, key(c.conn))
	s.checkDrained()
}

// leave notes for ShutdownRequest how a handler left a connection that will not
// be known any more: hijacked, or with nothing unread.
func (s *HTTPServer) leave(conn net.Conn, hijacked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left[key(conn)] = s.left[key(conn)] || hijacked
}

// forget ends what register began.
func (s *HTTPServer) forget(state *connState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state.users--; state.users == 0 && s.conns[key(state.conn)] == state {
		delete(s.conns, key(state.conn))
	}
	s.checkDrained()
}

// checkDrained tells Shutdown when the last connection has gone.
func (s *HTTPServer) checkDrained() {
	if !s.stopped || len(s.conns) > 0 {
		return
	}
	if !isClosed(s.drained) {
		close(s.drained)
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

// shared returns the T that the handlers of s have in common. The first caller
// gets a new one.
func shared[T any](s *HTTPServer) *T {
	key := (*T)(nil)
	if v, ok := s.shared.Load(key); ok {
		return v.(*T)
	}
	v, _ := s.shared.LoadOrStore(key, new(T))
	return v.(*T)
}
