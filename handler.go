package httpserver

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// This file holds the handler of one connection: the loop over its requests,
// the choice of the method, and the sending and logging of responses.

// A Handler answers the requests of one connection. The interface is sealed: a
// type implements it by embedding BaseRequestHandler, SimpleHandler or another
// type of this package that embeds them, by value, and overrides the methods it
// wants to. Every call inside the package of a method listed here goes to the
// outermost type, so an override always takes effect.
//
// The methods are documented at BaseRequestHandler. A Handler is used by one
// goroutine at a time.
type Handler interface {
	DoGET()
	DoHEAD()
	DoPOST()
	DoPUT()
	DoPATCH()
	DoDELETE()
	DoOPTIONS()
	DoCONNECT()
	DoTRACE()
	Method(name string) func()

	Setup()
	Handle()
	Finish()
	HandleOneRequest()
	ParseRequest() bool
	HandleExpect100() bool

	SendError(code int, message, explain string)
	SendResponse(code int, message string)
	SendResponseOnly(code int, message string)
	SendHeader(name, value string)
	EndHeaders()
	FlushHeaders()

	LogRequest(code int, size int64)
	LogError(format string, args ...any)
	LogMessage(format string, args ...any)

	VersionString() string
	DateTimeString(t time.Time) string
	LogDateTimeString() string
	AddressString() string

	base() *BaseRequestHandler
}

// New makes a zero T for each connection: New[hello] is a func() Handler, to be
// given to NewHTTPServer.
func New[T any, P interface {
	*T
	Handler
}]() Handler {
	return P(new(T))
}

// methods is the method table. What is not in it is asked of Handler.Method.
var methods = map[string]func(Handler){
	"GET":     Handler.DoGET,
	"HEAD":    Handler.DoHEAD,
	"POST":    Handler.DoPOST,
	"PUT":     Handler.DoPUT,
	"PATCH":   Handler.DoPATCH,
	"DELETE":  Handler.DoDELETE,
	"OPTIONS": Handler.DoOPTIONS,
	"CONNECT": Handler.DoCONNECT,
	"TRACE":   Handler.DoTRACE,
}

// noCopy makes go vet object to copies.
type noCopy struct{}

// Lock is what go vet looks for, as is Unlock.
func (*noCopy) Lock() {}

// Unlock does nothing.
func (*noCopy) Unlock() {}

// A BaseRequestHandler reads requests and calls a method for each, such as
// DoGET. Its own methods answer 501, so it is there to be embedded. The zero
// value is ready to be returned by HTTPServer.NewHandler.
//
// Python: BaseHTTPRequestHandler.
type BaseRequestHandler struct {
	_ noCopy

	// What follows is set before the first request, in the function that makes
	// the handler or in Setup.

	ProtocolVersion       string // of responses; "" means HTTP/1.0, HTTP/1.1 allows persistent connections
	ServerVersion         string // name[/version], first half of VersionString; "" means BaseHTTP/0.6
	SysVersion            string // second half of VersionString; "" means Go/ and the version of Go
	DefaultRequestVersion string // taken for granted until the request line is read; "" means HTTP/0.9
	ErrorMessageFormat    string // page of SendError; "" means DefaultErrorMessage
	ErrorContentType      string // its Content-Type; "" means DefaultErrorContentType

	// Timeout is how long a request's head may take to arrive, and an idle
	// connection to send one; and how long each read or write of a body may go
	// without progress. 0 means no limit. Python: StreamRequestHandler.timeout.
	Timeout time.Duration

	// The connection.

	Server        *HTTPServer // the server that accepted it
	Connection    net.Conn
	ClientAddress net.Addr
	RFile         io.Reader // the request's body, decoded, then io.EOF; set by Setup
	WFile         io.Writer // to the client: what Write was given has left when it returns; set by Setup

	// The request. What it says is valid until the method for it returns.

	RequestLine    string // without its line end; "" if there was none
	Command        string // the method, such as GET
	Path           string // the request target with its query; leading slashes are one, "*" and absolute URIs stay
	RequestVersion string // such as HTTP/1.1
	Headers        Header // an absolute target's authority stands in Host

	// CloseConnection tells whether the connection ends after this request. It
	// is set by ParseRequest, and by SendHeader of a Connection field.
	CloseConnection bool

	self      Handler
	state     *connState
	in        connReader
	body      bodyReader
	socket    socket
	out       responseWriter
	line      requestLine
	rawLine   string // request line as read
	rawRest   string // header lines as read, if they came with it
	haveRest  bool
	address   string // AddressString of addressOf
	addressOf net.Addr
	version   string // of versionString
	date      string // DateTimeString of dateOf
	dateOf    int64  // in seconds since 1970
	broken    bool   // nothing more can be read as a request
	expects   bool   // the client waits for 100 Continue
	hijacked  bool
	opened    io.Closer // a file that is closed after the request, if nobody did before
}

func (h *BaseRequestHandler) base() *BaseRequestHandler { return h }

// Self gives the outermost value, the one that NewHandler returned. Before the
// server has seen that, it is h.
func (h *BaseRequestHandler) Self() Handler {
	if h.self == nil {
		return h
	}
	return h.self
}

// bind makes h the handler of a connection. It panics where h cannot be one.
func bind(h Handler, s *HTTPServer, conn net.Conn, state *connState) {
	b := baseOf(h)
	if b.self != nil {
		panic(fmt.Sprintf("httpserver: NewHandler returned the same %T twice; return a new one for each connection", h))
	}
	if _, ok := h.(interface{ simple() *SimpleHandler }); ok {
		if _, ok := h.(FileHandler); !ok {
			panic(fmt.Sprintf("httpserver: %T embeds SimpleHandler and is no FileHandler; one of its methods has another signature, see FileHandler", h))
		}
	}
	b.self, b.state = h, state
	b.Server, b.Connection, b.ClientAddress = s, conn, conn.RemoteAddr()
	b.in = connReader{conn: conn, timeout: &b.Timeout}
	b.socket.attach(conn, &s.keeper)
	b.out = responseWriter{conn: conn, socket: &b.socket, timeout: &b.Timeout, length: -1}
}

// baseOf finds the base of h, which is missing where a handler is embedded as a
// pointer that nobody set.
func baseOf(h Handler) (b *BaseRequestHandler) {
	defer func() {
		if _ = recover(); b == nil { // following the pointer panics, or leads nowhere
			panic(fmt.Sprintf("httpserver: NewHandler returned a %T without a handler in it; embed the handler by value", h))
		}
	}()
	return h.base()
}

// Setup is called once, before the first request. An override that needs RFile
// or WFile calls this one first. Python: StreamRequestHandler.setup.
func (h *BaseRequestHandler) Setup() {
	h.RFile = &h.body
	h.WFile = &h.out
}

// Finish is called once, after the last request, also after a panic. It sends
// what is left of a response's head. Python: StreamRequestHandler.finish.
func (h *BaseRequestHandler) Finish() {
	if h.out.ended {
		h.out.flushHead()
	}
	h.out.freeHead()
	h.in.release()
}

// Handle calls HandleOneRequest, and again until CloseConnection is true.
// Python: handle.
func (h *BaseRequestHandler) Handle() {
	h.CloseConnection = true
	h.Self().HandleOneRequest()
	for !h.CloseConnection {
		h.Self().HandleOneRequest()
	}
}

// HandleOneRequest reads a request, calls the method for it, and leaves the
// connection ready for the next one. Python: handle_one_request.
func (h *BaseRequestHandler) HandleOneRequest() {
	if !h.awaitRequest() {
		h.CloseConnection = true
		return
	}
	h.out.begin()
	h.out.badFraming = false
	h.body.reset(&h.in, 0)
	h.expects = false
	if h.readRequestLine() && h.Self().ParseRequest() {
		h.dispatch()
	}
	h.endRequest()
}

// awaitRequest waits for the first byte of a request, passing over empty lines
// before it (RFC 9112 section 2.2). Without a request the connection is idle and
// holds no buffer.
func (h *BaseRequestHandler) awaitRequest() bool {
	for blank := 0; ; {
		for n := h.in.blankLine(); n > 0 && blank < maxFields; n = h.in.blankLine() {
			h.in.consume(n)
			blank++
		}
		if len(h.in.buffered()) > 0 {
			return true
		}
		h.in.release()
		h.in.beginDeadline()
		h.state.idle()
		err := h.in.fill()
		h.state.read()
		if err != nil {
			h.noRequest(err)
			return false
		}
	}
}

// noRequest logs why there is no request, unless that is how connections end.
func (h *BaseRequestHandler) noRequest(err error) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		// A request may be on its way.
		h.state.linger = idleTime
		if h.RequestLine == "" && !h.state.closing() { // else a persistent connection fell idle
			h.Self().LogError("Request timed out")
		}
	case !isGone(err):
		h.Self().LogError("Connection failed: %v", err)
	}
}

// isGone tells whether err is how a client ends a connection.
func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, wsaECONNRESET) || errors.Is(err, wsaECONNABORTED)
}

// readRequestLine reads the request line, and with it the header if that came
// along.
func (h *BaseRequestHandler) readRequestLine() bool {
	h.RequestLine, h.Command, h.RequestVersion = "", "", ""
	h.rawLine, h.rawRest, h.haveRest = "", "", false
	if h.in.headSize(0) == 0 {
		h.beginReading()
	}
	line, err := h.in.line(maxLine)
	if err == errLineLimit {
		return h.refuse(&statusError{code: 414})
	}
	if err != nil {
		h.CloseConnection = true
		h.RequestLine = string(h.in.buffered())
		return h.RequestLine != "" && h.readFailed(err)
	}
	n := len(trimEnd(line))
	if size := h.in.headSize(len(line)); size > 0 {
		head := string(h.in.buffered()[:size]) // one copy, of which all strings are cut
		h.rawLine, h.rawRest, h.haveRest = head[:n], head[len(line):], true
		h.in.consume(size)
	} else {
		h.rawLine = string(line[:n])
		h.in.consume(len(line))
	}
	return true
}

// beginReading begins to wait for the rest of what the client has begun to send.
// That has one deadline, and a nearer one when the server shuts down.
func (h *BaseRequestHandler) beginReading() {
	h.in.beginDeadline()
	h.state.reading()
}

// trimEnd cuts the LF or CRLF that ends a line.
func trimEnd(line []byte) []byte {
	return bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'})
}

// refuse answers a request that cannot be read any further. It is false.
func (h *BaseRequestHandler) refuse(e *statusError) bool {
	h.broken = true
	h.Self().SendError(e.code, e.message, e.explain)
	return false
}

// readFailed ends a request whose head did not arrive whole. It is false.
func (h *BaseRequestHandler) readFailed(err error) bool {
	h.broken, h.CloseConnection = true, true
	switch {
	case err == io.EOF:
		h.refuse(&statusError{code: 400, message: "Incomplete request"})
	case errors.Is(err, os.ErrDeadlineExceeded):
		h.Self().LogError("Request timed out")
	default:
		h.logLost(err)
	}
	return false
}

// logLost logs that the client has gone, unless it is the server that closed
// the connection.
func (h *BaseRequestHandler) logLost(err error) {
	if !errors.Is(err, net.ErrClosed) {
		h.Self().LogError("Connection lost: %s", reason(err))
	}
}

// reason is what the system said, without the addresses around it.
func reason(err error) string {
	var op *net.OpError
	var sys *os.SyscallError
	if errors.As(err, &op) {
		err = op.Err
	}
	if errors.As(err, &sys) {
		err = sys.Err
	}
	return err.Error()
}

// ParseRequest parses the request line and reads and parses the header. It
// tells whether there is a request to answer; if not, the client has been told
// why. An override calls it first. Python: parse_request.
func (h *BaseRequestHandler) ParseRequest() bool {
	h.RequestLine, h.Path, h.Headers = h.rawLine, "", h.Headers[:0]
	h.RequestVersion = cmp.Or(h.DefaultRequestVersion, "HTTP/0.9")
	h.CloseConnection = true
	var err *statusError
	h.line, err = parseRequestLine(h.rawLine)
	h.RequestVersion = cmp.Or(h.line.version, h.RequestVersion)
	if err != nil {
		return h.refuse(err)
	}
	h.Command, h.Path = h.line.command, h.line.target
	for strings.HasPrefix(h.Path, "//") {
		h.Path = h.Path[1:] // or a redirect to it would lead to another host
	}
	if h.line.simple() {
		h.state.read()
		return true
	}
	return h.parseHeader() && h.checkExpect()
}

// parseHeader reads the header and takes from it what concerns the connection.
func (h *BaseRequestHandler) parseHeader() bool {
	if !h.haveRest {
		var err error
		h.rawRest, err = h.in.headerLines()
		if refused, ok := err.(*statusError); ok {
			return h.refuse(refused)
		}
		if err != nil {
			return h.readFailed(err)
		}
	}
	h.state.read()
	fields, err := parseFields(h.Headers, h.rawRest)
	if err == nil {
		err = checkHost(fields, &h.line)
	}
	var framing int64
	if err == nil {
		framing, err = parseFraming(fields, &h.line)
	}
	if err != nil {
		return h.refuse(err)
	}
	h.Headers = fields
	h.replaceHost()
	h.body.reset(&h.in, framing)
	h.CloseConnection = !h.wantsMore()
	return true
}

// replaceHost gives the authority of an absolute target precedence over Host
// (RFC 9112 section 3.2.2).
func (h *BaseRequestHandler) replaceHost() {
	if h.Path[0] == '/' || h.Command == "CONNECT" {
		return
	}
	authority, _, ok := splitAbsolute(h.Path)
	if !ok {
		return
	}
	for i := range h.Headers {
		if h.Headers[i].is("Host") {
			h.Headers[i].Value = authority
			return
		}
	}
	h.Headers = append(h.Headers, Field{"Host", authority})
}

// wantsMore tells whether the connection may persist: the client's wish by
// version and Connection (RFC 9112 section 9.3), and ours.
func (h *BaseRequestHandler) wantsMore() bool {
	if !h.persistent() || h.state.closing() {
		return false
	}
	more := h.line.atLeast(1, 1)
	for i := range h.Headers {
		if !h.Headers[i].is("Connection") {
			continue
		}
		if hasToken(h.Headers[i].Value, "close") {
			return false
		}
		more = more || hasToken(h.Headers[i].Value, "keep-alive")
	}
	return more
}

// persistent tells whether responses are of HTTP/1.1.
func (h *BaseRequestHandler) persistent() bool { return h.ProtocolVersion >= "HTTP/1.1" }

// checkExpect calls HandleExpect100 where the client waits for it.
func (h *BaseRequestHandler) checkExpect() bool {
	if !h.persistent() || !h.line.atLeast(1, 1) || !strings.EqualFold(h.Headers.Get("Expect"), "100-continue") {
		return true
	}
	h.expects = true
	return h.Self().HandleExpect100()
}

// HandleExpect100 answers a request that waits for leave to send its body, on
// HTTP/1.1: it sends 100 Continue and is true. An override that refuses sends a
// final response, such as SendError(417, "", ""), and returns false.
// Python: handle_expect_100.
func (h *BaseRequestHandler) HandleExpect100() bool {
	h.Self().SendResponseOnly(100, "")
	h.Self().EndHeaders()
	return true
}

// dispatch calls the method for the request.
func (h *BaseRequestHandler) dispatch() {
	if method := methods[h.Command]; method != nil {
		method(h.Self())
	} else if method := h.Self().Method(h.Command); method != nil {
		method()
	} else {
		h.unsupported()
	}
}

// endRequest sends what is left of the response, and decides whether the
// connection is in a state for another request.
func (h *BaseRequestHandler) endRequest() {
	h.closeOpened()
	if h.hijacked {
		h.CloseConnection = true
		return
	}
	if h.out.ended {
		h.out.flushHead()
	}
	if h.broken || !h.out.complete() || !h.CloseConnection && !h.drained() {
		h.CloseConnection = true
	}
	h.logIncomplete()
	if h.CloseConnection && (h.broken || h.body.err != io.EOF || len(h.in.buffered()) > 0 || h.in.full) {
		h.state.linger = lingerTime
	}
}

func (h *BaseRequestHandler) closeOpened() {
	if h.opened != nil {
		h.opened.Close()
		h.opened = nil
	}
}

// logIncomplete logs, in one line, why a request or its response is not whole.
func (h *BaseRequestHandler) logIncomplete() {
	self, out, body := h.Self(), &h.out, h.body.err
	switch {
	case errors.Is(out.err, os.ErrDeadlineExceeded):
		self.LogError("Response timed out")
	case out.err != nil:
		h.logLost(out.err)
	case body != nil && body != io.EOF && !errors.Is(body, net.ErrClosed):
		self.LogError("Request body: %s", reason(body))
	case h.broken:
	case out.code != 0 && !out.ended:
		self.LogError("%s returned without EndHeaders", h.Command)
	case out.code == 0 && !out.sent:
		self.LogError("%s returned without a response", h.Command)
	case out.cutShort():
		self.LogError("Response has %d bytes, Content-Length is %d", out.written, out.length)
	}
}

// drained tells whether the request's body has been read to its end, which may
// take some reading. A client that still waits for 100 Continue may never send
// it, and a server that shuts down does not ask for it.
func (h *BaseRequestHandler) drained() bool {
	if h.body.err != nil || h.expects || h.state.closing() {
		return h.body.err == io.EOF
	}
	h.beginReading()
	defer h.state.read()
	return h.body.drain()
}

// DoGET answers GET: 501 here. Python: do_GET.
func (h *BaseRequestHandler) DoGET() { h.unsupported() }

// DoHEAD answers HEAD: 501 here. A body that it writes is dropped. Python: do_HEAD.
func (h *BaseRequestHandler) DoHEAD() { h.unsupported() }

// DoPOST answers POST: 501 here. Python: do_POST.
func (h *BaseRequestHandler) DoPOST() { h.unsupported() }

// DoPUT answers PUT: 501 here. Python: do_PUT.
func (h *BaseRequestHandler) DoPUT() { h.unsupported() }

// DoPATCH answers PATCH: 501 here. Python: do_PATCH.
func (h *BaseRequestHandler) DoPATCH() { h.unsupported() }

// DoDELETE answers DELETE: 501 here. Python: do_DELETE.
func (h *BaseRequestHandler) DoDELETE() { h.unsupported() }

// DoOPTIONS answers OPTIONS, whose Path may be "*": 501 here. Python: do_OPTIONS.
func (h *BaseRequestHandler) DoOPTIONS() { h.unsupported() }

// DoCONNECT answers CONNECT, whose Path is host:port: 501 here. An override
// that sends 200 goes on with Hijack. Python: do_CONNECT.
func (h *BaseRequestHandler) DoCONNECT() { h.unsupported() }

// DoTRACE answers TRACE: 501 here. Python: do_TRACE.
func (h *BaseRequestHandler) DoTRACE() { h.unsupported() }

// Method gives the method for a request method that has no DoXXX above, or nil
// for 501, as here. Names are case-sensitive. An override might end in
//
//	case "SPAM": return h.DoSPAM
func (h *BaseRequestHandler) Method(name string) func() { return nil }

func (h *BaseRequestHandler) unsupported() {
	h.Self().SendError(501, "Unsupported method ("+quote(h.Command)+")", "")
}

// SendError sends and logs a complete error response, after which the
// connection closes. An empty message or explain stands for the text that
// StatusText gives, "???" for an unknown code. The page has no body for HEAD
// and the codes 1xx, 204, 205 and 304. Python: send_error.
func (h *BaseRequestHandler) SendError(code int, message, explain string) {
	self := h.Self()
	phrase, text, ok := StatusText(code)
	if !ok {
		phrase, text = "???", "???"
	}
	message, explain = cmp.Or(message, phrase), cmp.Or(explain, text)
	self.LogError("code %d, message %s", code, message)
	self.SendResponse(code, message)
	self.SendHeader("Connection", "close")
	body := ""
	if code >= 200 && code != 204 && code != 205 && code != 304 {
		body = errorPage(cmp.Or(h.ErrorMessageFormat, DefaultErrorMessage), code, message, explain)
		self.SendHeader("Content-Type", cmp.Or(h.ErrorContentType, DefaultErrorContentType))
		self.SendHeader("Content-Length", strconv.Itoa(len(body)))
	}
	h.endHeadersHeld()
	if h.Command != "HEAD" && body != "" {
		io.WriteString(h.WFile, body)
	}
}

// endHeadersHeld is EndHeaders with the head held back until the body's first
// byte, or the method's return.
func (h *BaseRequestHandler) endHeadersHeld() {
	h.out.hold = true
	h.Self().EndHeaders()
	h.out.hold = false
}

// SendResponse logs the request and begins a response: status line, Server and
// Date. It leaves with EndHeaders or FlushHeaders. An empty message stands for
// the code's reason phrase. Python: send_response.
func (h *BaseRequestHandler) SendResponse(code int, message string) {
	self := h.Self()
	self.LogRequest(code, -1)
	self.SendResponseOnly(code, message)
	self.SendHeader("Server", self.VersionString())
	self.SendHeader("Date", self.DateTimeString(time.Time{}))
}

// SendResponseOnly begins a response with its status line alone, as 100
// Continue has it. An empty message stands for the code's reason phrase. What
// was begun before and has not left is dropped. To a client of HTTP/0.9
// no head is sent. Python: send_response_only.
func (h *BaseRequestHandler) SendResponseOnly(code int, message string) {
	if message == "" {
		message, _, _ = StatusText(code)
	}
	h.out.statusLine(cmp.Or(h.ProtocolVersion, "HTTP/1.0"), code, message)
	if h.RequestVersion == "HTTP/0.9" {
		h.out.freeHead()
	}
}

// SendHeader adds a header field to the response. A Connection field of close
// or keep-alive sets CloseConnection. CR, LF or NUL in name or value is a bug of
// the program, and panics. Python: send_header.
func (h *BaseRequestHandler) SendHeader(name, value string) {
	checkField(name, value)
	if h.out.ended {
		h.tooLate("SendHeader")
		return
	}
	h.out.field(name, value)
	if h.RequestVersion == "HTTP/0.9" {
		h.out.freeHead()
	}
	if len(name) == len("Connection") && strings.EqualFold(name, "Connection") {
		if hasToken(value, "close") {
			h.CloseConnection = true
		} else if hasToken(value, "keep-alive") {
			h.CloseConnection = false
		}
	}
}

// checkField panics if a field would be more than one line.
func checkField(name, value string) {
	if splitsField(name) || splitsField(value) {
		panic(fmt.Sprintf("httpserver: SendHeader(%q, %q): CR, LF or NUL in a header field", name, value))
	}
}

// splitsField tells whether s has what would end a header field early.
func splitsField(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c == '\r' || c == '\n' || c == 0 {
			return true
		}
	}
	return false
}

// EndHeaders ends the head and sends it, by FlushHeaders. It decides how the
// response ends: one without a length closes the connection, and on HTTP/1.1 a
// response of which it is known by then that the connection closes after it says
// so. On Linux a head may wait for the first bytes of the body, a millisecond at
// most; what is written to Connection meanwhile comes after it.
// Python: end_headers.
func (h *BaseRequestHandler) EndHeaders() {
	w := &h.out
	if w.ended {
		h.tooLate("EndHeaders")
		return
	}
	w.noBody = h.Command == "HEAD" || w.code == 204 || w.code == 304
	waits := h.expects && h.body.err == nil // for a 100 Continue that has not come
	if h.state.closing() || w.code >= 200 && (waits || w.unframed() || w.badFraming) {
		h.CloseConnection = true
	}
	if h.RequestVersion == "HTTP/0.9" {
		w.ended = true
		return
	}
	switch {
	case w.code < 200:
	case h.CloseConnection && !w.saidClose && h.persistent():
		w.appendHead("Connection: close\r\n")
	case !h.CloseConnection && !w.saidAlive && !h.line.atLeast(1, 1):
		w.appendHead("Connection: keep-alive\r\n")
	}
	w.appendHead("\r\n")
	w.ended = true
	w.hold = w.hold && w.code >= 200
	h.Self().FlushHeaders()
	if w.code < 200 && w.code != 101 {
		h.expects = h.expects && w.code != 100
		w.begin()
	}
}

// tooLate ends a connection on which a head was gone on with after its end. That
// would be read as the body, so it is not sent.
func (h *BaseRequestHandler) tooLate(what string) {
	h.CloseConnection, h.out.badFraming = true, true
	h.Self().LogError("%s called after EndHeaders", what)
}

// FlushHeaders sends what there is of the head. After EndHeaders it sends at once
// a head that waits for the body. Python: flush_headers.
func (h *BaseRequestHandler) FlushHeaders() {
	switch w := &h.out; {
	case w.hold:
	case w.awaitsBody():
		w.flushBefore()
		w.socket.pushSoon()
	default:
		w.flushHead()
		w.socket.push()
	}
}

// LogRequest logs a request that is being answered. A code of 0 and a size
// below 0, in bytes, are not known and shown as "-". Python: log_request.
func (h *BaseRequestHandler) LogRequest(code int, size int64) {
	c, n := "-", "-"
	if code != 0 {
		c = strconv.Itoa(code)
	}
	if size >= 0 {
		n = strconv.FormatInt(size, 10)
	}
	h.Self().LogMessage(`"%s" %s %s`, h.RequestLine, c, n)
}

// LogError logs what went wrong, by LogMessage. Python: log_error.
func (h *BaseRequestHandler) LogError(format string, args ...any) {
	h.Self().LogMessage(format, args...)
}

// LogMessage writes a line to the server's Stderr: the client's address, the
// time, and what fmt.Sprintf makes of the arguments, escaped so that it is one
// line and no control sequence. Python: log_message.
func (h *BaseRequestHandler) LogMessage(format string, args ...any) {
	buf := writeBuffers.Get().(*[]byte)
	line := appendEscaped((*buf)[:0], h.Self().AddressString())
	line = append(line, " - - ["...)
	line = append(line, h.Self().LogDateTimeString()...)
	line = append(line, "] "...)
	line = appendEscaped(line, fmt.Sprintf(format, args...))
	line = append(line, '\n')
	h.Server.writeLog(line)
	*buf = line
	freeBuffer(buf)
}

var sysVersion = "Go/" + strings.TrimPrefix(runtime.Version(), "go")

// VersionString is the value of Server: ServerVersion and SysVersion.
// Python: version_string.
func (h *BaseRequestHandler) VersionString() string { return h.versionString("BaseHTTP/0.6") }

// versionString is made once for a connection.
func (h *BaseRequestHandler) versionString(server string) string {
	if h.version == "" {
		h.version = cmp.Or(h.ServerVersion, server) + " " + cmp.Or(h.SysVersion, sysVersion)
	}
	return h.version
}

// DateTimeString gives a time as header fields have it, now for the zero time.
// Python: date_time_string.
func (h *BaseRequestHandler) DateTimeString(t time.Time) string {
	if t.IsZero() {
		return h.Server.now().http
	}
	if second := t.Unix(); h.date == "" || h.dateOf != second {
		h.date, h.dateOf = t.UTC().Format(httpTimeFormat), second
	}
	return h.date
}

// LogDateTimeString gives the present local time as log lines have it.
// Python: log_date_time_string.
func (h *BaseRequestHandler) LogDateTimeString() string { return h.Server.now().log }

// AddressString gives the client's address without its port, "-" if it has
// none, as on a unix socket. No name is looked up. Python: address_string.
func (h *BaseRequestHandler) AddressString() string {
	if h.address == "" || h.addressOf != h.ClientAddress {
		h.address, h.addressOf = hostOf(h.ClientAddress), h.ClientAddress
	}
	return h.address
}

// hostOf gives the host of an address, "-" if it has none.
func hostOf(addr net.Addr) string {
	if a, ok := addr.(*net.TCPAddr); ok && a.AddrPort().IsValid() {
		return a.AddrPort().Addr().Unmap().String()
	}
	if addr == nil {
		return "-"
	}
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		host = addr.String()
	}
	if host == "" || host == "@" || addr.Network() == "unix" {
		return "-"
	}
	return host
}

// Hijack takes the connection over, for a tunnel, an upgrade or a raw answer.
// What the client has sent beyond the request's head is in the reader. From
// then on the server does not touch the connection, nor close it; RFile and
// WFile are at their end. A second call gives the connection and an empty reader.
func (h *BaseRequestHandler) Hijack() (net.Conn, *bufio.Reader) {
	rest := bytes.Clone(h.in.buffered())
	h.in.consume(len(rest))
	if !h.hijacked {
		h.out.flushHead()
		h.socket.push()
		h.hijacked, h.CloseConnection = true, true
		h.out.err, h.body.err = errHijacked, io.EOF
		h.state.hijack()
		h.Connection.SetDeadline(time.Time{})
	}
	return h.Connection, bufio.NewReader(io.MultiReader(bytes.NewReader(rest), h.Connection))
}
