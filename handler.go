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
	"time"
)

// This file is the handler of a connection: the loop over its requests, the dispatch
// to a method, and the sending and logging of responses.

// A Handler answers the requests of one connection. The interface is sealed: a type
// implements it by embedding [BaseRequestHandler], [SimpleHandler] or [CGIHandler] by
// value, and overrides the methods it wants to. The package calls all these methods
// on the outermost value, so an override is never bypassed.
//
// The methods are documented at BaseRequestHandler. A Handler is used by one goroutine
// at a time.
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
	Dispatch()
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

// New makes of a handler type the function that [NewHTTPServer] needs: New[hello] is a
// func() Handler, which returns a new hello.
func New[T any, P interface {
	*T
	Handler
}]() Handler {
	return P(new(T))
}

// methods contains the request methods for which Handler has a method. Handler.Method knows
// others.
var methods = map[string]struct {
	call       func(Handler)
	misspelled func(Handler) bool // reports whether a handler has a method such as DoGet, which is never called
}{
	"GET":     {Handler.DoGET, has[interface{ DoGet() }]},
	"HEAD":    {Handler.DoHEAD, has[interface{ DoHead() }]},
	"POST":    {Handler.DoPOST, has[interface{ DoPost() }]},
	"PUT":     {Handler.DoPUT, has[interface{ DoPut() }]},
	"PATCH":   {Handler.DoPATCH, has[interface{ DoPatch() }]},
	"DELETE":  {Handler.DoDELETE, has[interface{ DoDelete() }]},
	"OPTIONS": {Handler.DoOPTIONS, has[interface{ DoOptions() }]},
	"CONNECT": {Handler.DoCONNECT, has[interface{ DoConnect() }]},
	"TRACE":   {Handler.DoTRACE, has[interface{ DoTrace() }]},
}

// A BaseRequestHandler reads the requests of a connection and calls a method for each
// of them, such as DoGET. Its own methods DoGET and so on respond with 501, so it is
// meant to be embedded. The zero value is ready to be returned by NewHandler; methods that
// read or write need the connection that the server sets then.
//
// Python: BaseHTTPRequestHandler.
type BaseRequestHandler struct {
	// Set before the first request, by the function that makes the handler or in Setup:
	ProtocolVersion       string // of responses; "" means HTTP/1.0; HTTP/1.1 allows persistent connections
	ServerVersion         string // first part of VersionString, name[/version]; "" means BaseHTTP/0.6
	SysVersion            string // second part of VersionString; "" means Go/ and the version of Go
	DefaultRequestVersion string // RequestVersion for a request line without a valid version; "" means HTTP/0.9
	ErrorMessageFormat    string // page of SendError; "" means DefaultErrorMessage
	ErrorContentType      string // Content-Type of that page; "" means DefaultErrorContentType

	// Timeout limits how long a connection may be idle, how long the head of a request
	// may take to arrive, and how long a read or write of a body may go on without
	// progress. Over TLS, a write makes progress whenever the system has sent about
	// 32 KiB on Linux, and a third of its send buffer elsewhere. 0 means no limit.
	// Python: StreamRequestHandler.timeout.
	Timeout time.Duration

	// The connection:
	Server        *HTTPServer // the server that accepted it
	Connection    net.Conn    // call FlushHeaders before writing to it; see SimpleHandler.CopyFile
	ClientAddress net.Addr    // with the port; AddressString has the host alone
	RFile         io.Reader   // body of the request, decoded, then io.EOF
	WFile         io.Writer   // writes to the client at once, after a head that is held

	// The request; the strings are valid until the method that handles it returns:
	RequestLine    string // without its line end; "" if there was none
	Command        string // method, such as GET
	Path           string // request target with its query; slashes at its start are merged into one
	RequestVersion string // such as HTTP/1.1
	Headers        Header // its Host is the authority of an absolute target

	// CloseConnection is set if the connection ends after this request. ParseRequest
	// sets it, and so does SendHeader for a Connection field.
	CloseConnection bool

	self      Handler
	state     *connState
	in        connReader
	body      bodyReader
	out       responseWriter
	line      requestLine
	rawHeader string    // the header that came with the request line; "" if it has to be read
	version   string    // cache of versionString
	date      string    // DateTimeString of dateOf
	dateOf    int64     // in seconds since 1970
	requests  int       // requests that have ended
	begun     bool      // a request has begun and has not ended
	broken    bool      // nothing that follows can be read as a request
	truncated bool      // the response must not look complete
	expects   bool      // the client waits for 100 Continue
	opened    io.Closer // a file or a listing that is closed after the request
}

func (h *BaseRequestHandler) base() *BaseRequestHandler { return h }

// Self returns the outermost value, whose overrides are to be called: the one that
// NewHandler returned. Until the server has called that, it is h.
func (h *BaseRequestHandler) Self() Handler {
	if h.self == nil {
		return h
	}
	return h.self
}

// bind makes h the handler of a connection. It panics if h cannot be one.
func bind(h Handler, s *HTTPServer, conn net.Conn, state *connState) {
	b := baseOf(h)
	if b.self != nil {
		panic(fmt.Sprintf("httpserver: NewHandler returned the same %T twice; "+
			"return a new one for each connection", h))
	}
	if has[interface{ simple() *SimpleHandler }](h) && !has[FileHandler](h) {
		panic(fmt.Sprintf("httpserver: %T embeds SimpleHandler but does not implement FileHandler; "+
			"one of its methods has another signature than in FileHandler", h))
	}
	if has[interface{ cgi() *CGIHandler }](h) && !has[ScriptHandler](h) {
		panic(fmt.Sprintf("httpserver: %T embeds CGIHandler but does not implement ScriptHandler; "+
			"one of its methods has another signature than in ScriptHandler", h))
	}
	b.self, b.state = h, state
	b.Server, b.Connection, b.ClientAddress = s, conn, conn.RemoteAddr()
	b.in.conn, b.in.state, b.in.timeout, b.in.fixture = conn, state, &b.Timeout, state.fixture
	b.body.err = errNoRequest
	b.out.conn, b.out.timeout, b.out.length = conn, &b.Timeout, -1
	b.RFile, b.WFile = &b.body, &b.out
	if _, ok := conn.(upperConn); ok {
		limitUnsent(lowest(conn))
	}
}

// baseOf returns the base of h. It panics if h embeds a nil pointer to a handler.
func baseOf(h Handler) (b *BaseRequestHandler) {
	defer func() {
		if _ = recover(); b == nil { // h is nil, or a pointer in it
			panic(fmt.Sprintf("httpserver: NewHandler returned a %T without a handler in it; "+
				"embed the handler by value", h))
		}
	}()
	return h.base()
}

// Setup is called once, before the first request. The base does nothing; an override can
// set fields, or wrap RFile and WFile. Heads do not pass through a wrapped WFile. One that
// buffers must be flushed before the method for the request returns.
// Python: StreamRequestHandler.setup.
func (h *BaseRequestHandler) Setup() {}

// Finish is called once, after the last request, even if the handler has panicked. It
// sends a head that is held. An override can clean up, and should call the embedded
// method. Python: StreamRequestHandler.finish.
func (h *BaseRequestHandler) Finish() {
	h.endRequest()
	h.out.begin()
	h.in.release()
}

// Handle serves the connection: it calls HandleOneRequest until CloseConnection is set.
// Python: handle.
func (h *BaseRequestHandler) Handle() {
	h.CloseConnection = true
	h.Self().HandleOneRequest()
	for !h.CloseConnection {
		h.Self().HandleOneRequest()
	}
}

// HandleOneRequest serves a request: it calls ReadRequestLine, ParseRequest and Dispatch,
// and makes the connection ready for the next one. Python: handle_one_request.
func (h *BaseRequestHandler) HandleOneRequest() {
	if h.ReadRequestLine() && h.Self().ParseRequest() {
		h.Self().Dispatch()
	}
	h.endRequest()
}

// ReadRequestLine waits for a request and reads its first line, without the line end,
// into RequestLine. It reports whether ParseRequest can be called for that line. An
// override of Handle or HandleOneRequest that does not call the embedded method must call
// this one: the request line cannot be read from RFile, which contains only the body, and
// that only after ParseRequest has returned true. Python: handle_one_request, which sets
// raw_requestline.
func (h *BaseRequestHandler) ReadRequestLine() bool {
	h.endRequest()
	h.forgetRequest()
	h.out.begin()
	h.out.badFraming = false
	if h.broken || h.out.failure() != nil || !h.awaitRequest() {
		h.CloseConnection = true
		return false
	}
	h.begun = true
	h.body.reset(&h.in, 0)
	h.truncated, h.expects = false, false
	return h.readRequestLine()
}

// ParseRequest parses RequestLine, and reads and parses the header. It reports whether
// there is a request to handle; if not, the client was sent an error response. An override
// must call this method first. Python: parse_request.
func (h *BaseRequestHandler) ParseRequest() bool {
	h.CloseConnection = true
	var err *statusError
	h.line, err = parseRequestLine(h.RequestLine)
	h.RequestVersion = cmp.Or(h.line.version, h.DefaultRequestVersion, "HTTP/0.9")
	if h.requests > 0 && (h.line.simple() || h.RequestVersion == "HTTP/0.9") {
		h.RequestVersion = "HTTP/1.0" // a response without a head would look like part of the last one
		err = cmp.Or(err, badRequest("Bad request syntax", h.RequestLine))
	}
	h.Command, h.Path = h.line.command, h.line.target
	if err != nil {
		return h.refuse(err)
	}
	for strings.HasPrefix(h.Path, "//") {
		h.Path = h.Path[1:] // a redirect to it would lead to another host
	}
	if h.line.simple() {
		h.state.unframed.Store(true) // an empty response would look complete
		h.state.endWait()
	} else if !h.parseHeader() {
		return false
	}
	h.replaceHost()
	if host := h.Headers.Get("Host"); !h.Server.allowsHost(host) {
		return h.refuse(&statusError{code: 421, explain: "This server does not answer for " + host[:min(len(host), maxQuoted)]})
	}
	if h.in.fixture.answer() {
		return false
	}
	h.expects = h.sendsHTTP11() && h.wantsContinue()
	return !h.expects || h.Self().HandleExpect100()
}

// HandleExpect100 decides whether a client of HTTP/1.1 that waits for 100 Continue may
// send its body. The base sends 100 Continue and returns true. An override that refuses
// the request sends a final response, such as SendError(417, "", ""), and returns false.
// Python: handle_expect_100.
func (h *BaseRequestHandler) HandleExpect100() bool {
	h.Self().SendResponseOnly(100, "")
	h.Self().EndHeaders()
	return true
}

// Dispatch calls the method for Command, such as DoGET for GET. For a command without such a
// method, it calls the function that Method returns, or responds with 501 if that is nil. An
// override can handle all requests in one place, as do_GET = do_POST = f does in Python.
func (h *BaseRequestHandler) Dispatch() {
	if method, ok := methods[h.Command]; ok {
		method.call(h.Self())
	} else if method := h.Self().Method(h.Command); method != nil {
		method()
	} else {
		h.unsupported()
	}
}

// endRequest ends a request that was begun: it sends a head that is held, and decides
// whether another request can follow.
func (h *BaseRequestHandler) endRequest() {
	h.closeOpened()
	if !h.begun {
		return
	}
	h.begun = false
	h.requests++
	defer h.in.fixture.finish()
	h.out.sendHeld()
	nothing := !h.out.headEnded && h.out.written == 0
	if !h.truncated && h.out.failure() == nil && !(h.line.simple() && (nothing || h.out.hasWrongLength())) {
		h.state.unframed.Store(false)
	}
	h.CloseConnection = h.CloseConnection || h.broken || h.truncated || !h.out.complete() || !h.skipBody()
	h.logIncomplete()
	if h.CloseConnection && (h.broken || h.body.err != io.EOF || len(h.in.buffered()) > 0 || h.in.full) {
		h.state.linger = max(h.state.linger, lingerTime)
	}
}

func (h *BaseRequestHandler) closeOpened() {
	if h.opened != nil {
		h.opened.Close()
		h.opened = nil
	}
}

// logIncomplete logs, in one line, why a request or its response is not complete.
func (h *BaseRequestHandler) logIncomplete() {
	self, out, body := h.Self(), &h.out, h.body.err
	switch {
	case out.err == errWithin:
		self.LogError("A response began within another")
	case out.err != nil:
		h.logFailure("Response", out.err)
	case body != nil && body != io.EOF && !errors.Is(body, net.ErrClosed):
		self.LogError("Request body: %s", cause(body))
	case h.broken:
	case out.code != 0 && !out.headEnded:
		self.LogError("%s returned without EndHeaders", h.Command)
	case out.code == 0 && !out.sent:
		self.LogError("%s returned without a response", h.Command)
	case out.hasWrongLength():
		self.LogError("Response has %d bytes, Content-Length is %d", out.written, out.length)
	}
}

// logFailure logs why a request or a response failed, unless it was because the server
// closed the connection or the handler hijacked it.
func (h *BaseRequestHandler) logFailure(what string, err error) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		h.Self().LogError("%s timed out", what)
	case !isAny(err, net.ErrClosed, errHijacked):
		h.Self().LogError("Connection lost: %s", cause(err))
	}
}

// DoGET handles GET. The base responds with 501. Python: do_GET.
func (h *BaseRequestHandler) DoGET() { h.unsupported() }

// DoHEAD handles HEAD. The base responds with 501. What an override writes as a body is
// dropped. Python: do_HEAD.
func (h *BaseRequestHandler) DoHEAD() { h.unsupported() }

// DoPOST handles POST, whose body is RFile. The base responds with 501. Python: do_POST.
func (h *BaseRequestHandler) DoPOST() { h.unsupported() }

// DoPUT handles PUT. The base responds with 501. Python: do_PUT.
func (h *BaseRequestHandler) DoPUT() { h.unsupported() }

// DoPATCH handles PATCH. The base responds with 501. Python: do_PATCH.
func (h *BaseRequestHandler) DoPATCH() { h.unsupported() }

// DoDELETE handles DELETE. The base responds with 501. Python: do_DELETE.
func (h *BaseRequestHandler) DoDELETE() { h.unsupported() }

// DoOPTIONS handles OPTIONS, whose Path may be "*". The base responds with 501.
// Python: do_OPTIONS.
func (h *BaseRequestHandler) DoOPTIONS() { h.unsupported() }

// DoCONNECT handles CONNECT, whose Path is host:port. The base responds with 501. An
// override that sends 200 must then call Hijack. Python: do_CONNECT.
func (h *BaseRequestHandler) DoCONNECT() { h.unsupported() }

// DoTRACE handles TRACE. The base responds with 501. Python: do_TRACE.
func (h *BaseRequestHandler) DoTRACE() { h.unsupported() }

// Method returns the function that handles a request method for which Handler has no Do
// method, such as PROPFIND, or nil for a 501. The base always returns nil. Names are
// case-sensitive. Python finds do_SPAM by its name; here, a DoSPAM is called only if an
// override of Method returns it:
//
//	case "SPAM": return h.DoSPAM
func (h *BaseRequestHandler) Method(name string) func() { return nil }

func (h *BaseRequestHandler) unsupported() {
	self := h.Self()
	if method, ok := methods[h.Command]; ok && method.misspelled(self) {
		name := h.Command[:1] + strings.ToLower(h.Command[1:])
		self.LogError("%T has a method Do%s, but the one for %s is Do%[3]s", self, name, h.Command)
	}
	self.SendError(501, "Unsupported method ("+quote(h.Command)+")", "")
}

// has reports whether h has the methods of the interface T.
func has[T any](h Handler) bool { _, ok := h.(T); return ok }

// SendError logs an error, as "code %d, message %s", and sends a complete response for
// it. An empty message or explain means the text of [StatusText], or "???" for an
// unknown code. The response has no body for HEAD and for the codes 1xx, 204, 205 and
// 304.
//
// The connection persists only if another request can follow: the request was
// understood, its body can be skipped, and neither side has asked for the end. On
// HTTP/1.0, the default, it closes. Python: send_error.
func (h *BaseRequestHandler) SendError(code int, message, explain string) {
	self := h.Self()
	phrase, text, _ := StatusText(code)
	message, explain = cmp.Or(message, phrase, "???"), cmp.Or(explain, text, "???")
	self.LogError("code %d, message %s", code, message)
	self.SendResponse(code, message)
	if h.CloseConnection || h.broken || h.expects || !h.body.skippable() {
		self.SendHeader("Connection", "close")
	}
	if code < 200 || code == 204 || code == 205 || code == 304 {
		self.EndHeaders()
		return
	}
	page := takeBuffer()
	defer freeBuffer(page)
	format := cmp.Or(h.ErrorMessageFormat, DefaultErrorMessage)
	*page = appendErrorPage(*page, format, code, message, explain)
	self.SendHeader("Content-Type", cmp.Or(h.ErrorContentType, DefaultErrorContentType))
	self.SendHeader("Content-Length", strconv.Itoa(len(*page)))
	self.EndHeaders()
	h.WFile.Write(*page)
}

// SendResponse logs the request and begins a response with the status line and the
// fields Server and Date, which EndHeaders or FlushHeaders send. An empty message
// means the reason phrase of the code. Python: send_response.
func (h *BaseRequestHandler) SendResponse(code int, message string) {
	self := h.Self()
	self.LogRequest(code, -1)
	self.SendResponseOnly(code, message)
	self.SendHeader("Server", self.VersionString())
	self.SendHeader("Date", self.DateTimeString(time.Time{}))
}

// SendResponseOnly begins a response with the status line alone, as for 100 Continue.
// An empty message means the reason phrase of the code. A head that was begun before
// and has not been sent is dropped. If the client would take the new response for a part of
// one that was sent before and is not complete, all writes fail, and the connection closes.
// (Chunks are not checked.) A client of HTTP/0.9 gets no head. Python: send_response_only.
func (h *BaseRequestHandler) SendResponseOnly(code int, message string) {
	phrase, _, _ := StatusText(code)
	w := &h.out
	w.begin()
	w.code, w.bare = code, h.RequestVersion == "HTTP/0.9"
	if !w.bare {
		w.statusLine(cmp.Or(h.ProtocolVersion, "HTTP/1.0"), cmp.Or(message, phrase))
	}
}

// SendHeader adds a header field to the response, even if the response already has a field
// of that name. (SimpleHandler.ExtraResponseHeaders are added only if it has none.) A
// Connection field with the value close or keep-alive sets CloseConnection. SendHeader
// panics if name or value contains CR, LF or NUL.
//
// After EndHeaders, further calls of SendHeader and EndHeaders write to the body of a
// response with neither a length nor chunks, as multipart/x-mixed-replace requires. In other
// responses, such a call is logged as an error and closes the connection.
// Python: send_header.
func (h *BaseRequestHandler) SendHeader(name, value string) {
	checkField(name, value)
	w := &h.out
	if w.headEnded {
		h.continueBody("SendHeader", name, ": ", value, "\r\n")
		return
	}
	w.add(name, ": ", value, "\r\n")
	switch {
	case equalFold(name, "Content-Length"):
		n, ok := parseLength(value)
		w.badFraming = w.badFraming || !ok || w.length >= 0 && n != w.length
		w.length = n
	case equalFold(name, "Transfer-Encoding"):
		w.chunked = true
	case !equalFold(name, "Connection") || w.bare:
	case hasToken(value, "close"):
		h.CloseConnection, w.connection = true, "close"
	case hasToken(value, "keep-alive"):
		h.CloseConnection, w.connection = false, cmp.Or(w.connection, "keep-alive")
	}
}

// checkField panics if a field would not be one line.
func checkField(name, value string) {
	if (hasControl(name) || hasControl(value)) && strings.ContainsAny(name+value, "\r\n\x00") {
		panic(fmt.Sprintf("httpserver: SendHeader(%q, %q): CR, LF or NUL in a header field", name, value))
	}
}

// EndHeaders ends the head. It is called after the last SendHeader and before the body is
// written. A body that has neither a length nor chunks ends when the connection closes. After
// "Transfer-Encoding: chunked", the handler writes the chunks itself; they are not checked.
// EndHeaders adds "Connection: close" to a response of HTTP/1.1 if it is known by then that
// the connection closes, and "Connection: keep-alive" if a client of HTTP/1.0 can send
// another request.
//
// EndHeaders calls FlushHeaders. If the response has a body, the head is then held until
// the first of these: a Write to WFile, another FlushHeaders, Hijack, the return of the
// method, and the end of one millisecond. Python: end_headers.
func (h *BaseRequestHandler) EndHeaders() {
	w := &h.out
	if w.headEnded {
		h.continueBody("EndHeaders", "\r\n")
		if !w.badFraming {
			h.Self().FlushHeaders()
		}
		return
	}
	w.badFraming = w.badFraming || w.written > 0 // the body precedes the end of the head
	w.noBody = h.Command == "HEAD" || w.code == 204 || w.code == 304
	waits := h.expects && h.body.err == nil // for a 100 Continue that was not sent
	if h.state.closing() || w.code == 101 || w.code >= 200 && (waits || w.unframed() || w.badFraming) {
		h.CloseConnection = true
	}
	h.body.handedOver = w.code == 101 || h.Command == "CONNECT" && w.code/100 == 2
	if w.failure() == nil { // else nothing more is sent
		h.state.unframed.Store(w.code >= 200 && (w.unframed() || w.bare))
	}
	switch {
	case w.code < 200:
	case h.CloseConnection && w.connection != "close" && h.sendsHTTP11():
		w.add("Connection: close\r\n")
	case !h.CloseConnection && w.connection != "keep-alive" && !h.line.atLeast(1, 1):
		w.add("Connection: keep-alive\r\n")
	}
	w.add("\r\n")
	w.endHead()
	if w.bare {
		return
	}
	h.Self().FlushHeaders()
	if w.code < 200 && w.code != 101 {
		h.expects = h.expects && w.code != 100
		w.begin()
	}
}

// continueBody adds text to a body of unknown length; FlushHeaders or a Write to WFile sends
// it. If the body has a length, continueBody closes the connection after the response instead.
func (h *BaseRequestHandler) continueBody(caller string, text ...string) {
	w := &h.out
	if w.unframed() || h.Command == "HEAD" && w.length < 0 && !w.chunked {
		w.addBody(text...)
		return
	}
	h.CloseConnection, w.badFraming = true, true
	h.Self().LogError("%s called after EndHeaders", caller)
}

// FlushHeaders sends the head, or the part of the head that exists, without waiting for the
// body. The call that EndHeaders makes is different: it holds the head of a response with a
// body, as EndHeaders says. Python: flush_headers.
func (h *BaseRequestHandler) FlushHeaders() { h.out.flushOrHold() }

// LogRequest logs a request when its response begins. A code of 0 and a negative size,
// which is in bytes, mean unknown; both are logged as "-". Python: log_request.
func (h *BaseRequestHandler) LogRequest(code int, size int64) {
	c, n := strconv.Itoa(code), "-"
	if code == 0 {
		c = "-"
	}
	if size >= 0 {
		n = strconv.FormatInt(size, 10)
	}
	h.Self().LogMessage(`"%s" %s %s`, h.RequestLine, c, n)
}

// LogError logs an error with LogMessage. Python: log_error.
func (h *BaseRequestHandler) LogError(format string, args ...any) {
	h.Self().LogMessage(format, args...)
}

// LogMessage writes a line to the server's Stderr: the client's address, the time, and
// the result of fmt.Sprintf, escaped so that it is one line and controls no terminal.
// Python: log_message.
func (h *BaseRequestHandler) LogMessage(format string, args ...any) {
	buf := takeBuffer()
	defer freeBuffer(buf)
	line := appendEscaped(*buf, h.Self().AddressString())
	line = append(line, " - - ["+h.Self().LogDateTimeString()+"] "...)
	line = appendEscaped(line, fmt.Sprintf(format, args...))
	*buf = append(line, '\n')
	h.Server.writeLog(*buf)
}

var sysVersion = "Go/" + strings.TrimPrefix(runtime.Version(), "go")

// VersionString returns the value of the Server field: ServerVersion and SysVersion.
// Python: version_string.
func (h *BaseRequestHandler) VersionString() string { return h.versionString("BaseHTTP/0.6") }

// versionString returns the result of VersionString, which it makes once for a
// connection. server is the default of ServerVersion.
func (h *BaseRequestHandler) versionString(server string) string {
	if h.version == "" {
		h.version = cmp.Or(h.ServerVersion, server) + " " + cmp.Or(h.SysVersion, sysVersion)
	}
	return h.version
}

// DateTimeString returns t in the format of header fields; the zero time means now.
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

// LogDateTimeString returns the current local time in the format of log lines.
// Python: log_date_time_string.
func (h *BaseRequestHandler) LogDateTimeString() string { return h.Server.now().log }

// AddressString returns the client's address without its port, or "-" if it has none,
// as on a unix socket. It looks up no names. Python: address_string.
func (h *BaseRequestHandler) AddressString() string {
	return hostOf(h.ClientAddress)
}

// hostOf returns the host of an address, or "-" if it has none.
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

// Hijack lets the caller take over the connection, for a tunnel, an upgrade or raw
// bytes. It returns Connection, which is a *net.TCPConn unless Listener accepts another
// kind, and a reader that begins with what the client has sent after the head of the
// request. The server does not use or close the connection any more: reads of RFile
// return io.EOF, and writes to WFile fail. A second call returns a reader with nothing
// buffered. After 101, or 2xx for CONNECT, a read of RFile without Hijack is an error.
func (h *BaseRequestHandler) Hijack() (net.Conn, *bufio.Reader) {
	rest := bytes.Clone(h.in.buffered())
	h.in.consume(len(rest))
	if h.out.failure() != errHijacked {
		h.out.flush()
		h.out.fail(errHijacked)
		h.CloseConnection = true
		h.body.reset(&h.in, 0)
		h.state.hijack()
		h.Connection.SetDeadline(time.Time{})
	}
	return h.Connection, bufio.NewReader(io.MultiReader(bytes.NewReader(rest), h.Connection))
}
