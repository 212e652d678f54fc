package httpserver

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"math"
	"net"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file holds CGI (RFC 3875): which script a request is for, the environment
// it runs in, and what becomes of its answer.

// A ScriptHandler is a Handler that runs CGI scripts, by embedding CGIHandler.
// Its methods are documented there; CGIHandler calls them on the outermost type.
type ScriptHandler interface {
	FileHandler
	IsCGI() bool
	IsExecutable(name string) bool
	IsPython(name string) bool
	RunCGI()

	cgi() *CGIHandler
}

// A CGIHandler is a SimpleHandler that runs what is below its CGIDirectories
// instead of sending it. Scripts take any method but OPTIONS, CONNECT and TRACE.
// The fields may be changed from request to request. With FS there are no
// scripts: they are files of the system.
//
// Python: CGIHTTPRequestHandler.
type CGIHandler struct {
	SimpleHandler

	CGIDirectories []string // URL paths; nil means /cgi-bin, /htbin. Python: cgi_directories
	CGIInfo        CGIInfo  // set by IsCGI. Python: cgi_info

	// Env is added to each script's environment, "K=V". REMOTE_USER and AUTH_TYPE
	// are set here alone: what a client says of itself is not passed on.
	Env []string

	// InheritEnv names variables of the server's own environment that scripts
	// get, beside PATH, TZ, TMPDIR, the locale, and what Windows needs.
	InheritEnv []string

	// ScriptTimeout is how long a script may run; then it is ended, and the
	// client gets 504 if it has no answer yet. 0 means no limit.
	ScriptTimeout time.Duration

	// MaxBody limits, in bytes, the temporary file for a request's body. A body in
	// chunks is stored whole before the script runs, and a larger one is 413; of
	// others only what the script is slow to read is stored. 0 means 1 GiB.
	MaxBody int64

	// Slots bounds how many scripts run at once: each takes a place in it until it
	// has exited, others wait. The handlers of a server share one, such as
	// make(chan struct{}, 64); nil means no bound.
	Slots chan struct{}

	// StatusFirst sends "200 Script output follows" before the script runs, as
	// Python does; then its whole output, header included, is sent as it is.
	StatusFirst bool

	// RunAsServer lets scripts run as the server's user. Else, if that is root,
	// they run as nobody, or not at all.
	RunAsServer bool

	location string // of a local redirect that RunCGI has left to follow
	dropped  bool   // requests that came while a script ran were dropped
}

// A CGIInfo says where a script is: Dir is the CGI directory, Rest is what comes
// after it and a slash in the request's path, decoded and without query.
type CGIInfo struct{ Dir, Rest string }

const (
	maxScriptHeader = 64 << 10 // bytes of a script's header
	maxRedirects    = 10       // local redirects in answer to one request
	defaultMaxBody  = 1 << 30  // bytes, of MaxBody
)

func (h *CGIHandler) cgi() *CGIHandler { return h }

// scripts gives the outermost value.
func (h *CGIHandler) scripts() ScriptHandler {
	if s, ok := h.Self().(ScriptHandler); ok {
		return s
	}
	return h
}

// DoPOST runs a script; for anything else it answers 501. Python: do_POST.
func (h *CGIHandler) DoPOST() {
	if !h.runIfCGI() {
		h.scripts().SendError(501, "Can only POST to CGI scripts", "")
	}
}

// DoPUT runs a script, or answers 501.
func (h *CGIHandler) DoPUT() { h.runOrRefuse() }

// DoPATCH runs a script, or answers 501.
func (h *CGIHandler) DoPATCH() { h.runOrRefuse() }

// DoDELETE runs a script, or answers 501.
func (h *CGIHandler) DoDELETE() { h.runOrRefuse() }

func (h *CGIHandler) runOrRefuse() {
	if !h.runIfCGI() {
		h.unsupported()
	}
}

// runIfCGI runs a script and follows the local redirects that it may answer
// with. It is false where there is no script.
func (h *CGIHandler) runIfCGI() bool {
	self := h.scripts()
	if !self.IsCGI() {
		return false
	}
	for redirects := 0; ; redirects++ {
		h.location = ""
		self.RunCGI()
		switch {
		case h.location == "":
			return true
		case redirects == maxRedirects:
			self.LogError("CGI script: more than %d local redirects", maxRedirects)
			self.SendError(502, "", "")
			return true
		}
		h.redirectLocally()
		if !self.IsCGI() {
			break
		}
	}
	if h.Command == "HEAD" {
		self.DoHEAD()
	} else {
		self.DoGET()
	}
	return true
}

// redirectLocally turns the request into one for another resource of the server
// (RFC 3875 section 6.2.2).
func (h *CGIHandler) redirectLocally() {
	h.Path = "/" + strings.TrimLeft(h.location, "/")
	if h.Command != "HEAD" {
		h.Command = "GET"
	}
	if h.body.err != io.EOF { // the answer does not wait for the rest of it
		h.broken, h.CloseConnection = true, true
	}
	h.body.reset(&h.in, 0)
	h.Headers = slices.DeleteFunc(h.Headers, func(f Field) bool {
		return slices.Contains([]string{"content-type", "content-length", "content-encoding", "transfer-encoding"}, strings.ToLower(f.Name))
	})
}

// SendHead runs a script, or does what that of SimpleHandler does.
// Python: send_head.
func (h *CGIHandler) SendHead() (body io.ReadCloser, ok bool) {
	if h.runIfCGI() {
		return nil, false
	}
	return h.SimpleHandler.SendHead()
}

// IsCGI tells whether the request's path is below one of CGIDirectories, and
// sets CGIInfo. The path is that which files are looked up by, so there is no
// spelling by which a script would be sent as a file. Python: is_cgi.
func (h *CGIHandler) IsCGI() bool {
	clean, ok := cleanPath(h.Path)
	if !ok {
		return false
	}
	directories := h.CGIDirectories
	if directories == nil {
		directories = []string{"/cgi-bin", "/htbin"}
	}
	for slash := 0; slash < len(clean); slash++ {
		if clean[slash] != '/' {
			continue
		}
		for _, dir := range directories {
			if h.sameDirectory(cmp.Or(clean[:slash], "/"), path.Clean("/"+dir)) {
				h.CGIInfo = CGIInfo{Dir: clean[:slash], Rest: clean[slash+1:]}
				return true
			}
		}
	}
	return false
}

// sameDirectory tells whether two paths are the same to the file system, which
// may ignore case.
func (h *CGIHandler) sameDirectory(a, b string) bool {
	aliases := runtime.GOOS == "windows" || runtime.GOOS == "darwin" // beside those that differ in case
	if a == b || !aliases && !strings.EqualFold(a, b) {
		return a == b
	}
	infoA, errA := h.stat(h.local(a))
	infoB, errB := h.stat(h.local(b))
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// local gives the name for a decoded path.
func (h *CGIHandler) local(path string) string {
	return h.scripts().TranslatePath(quoteName(path))
}

// IsExecutable tells whether a file may be run. Python: executable.
func (h *CGIHandler) IsExecutable(name string) bool {
	info, err := os.Stat(name)
	return err == nil && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0)
}

// IsPython tells whether a file is a Python script, by its suffix. Where the
// system knows no #!, the interpreter is called for it. Python: is_python.
func (h *CGIHandler) IsPython(name string) bool {
	suffix := strings.ToLower(filepath.Ext(name))
	return suffix == ".py" || suffix == ".pyw"
}

// A scriptRequest is what a request means to a script.
type scriptRequest struct {
	url  string // of the script: SCRIPT_NAME
	file string // absolute name
	info string // path after the script: PATH_INFO
}

// findScript finds the script of CGIInfo: directories as far as there are any,
// then the script's name, then PATH_INFO. Without a script it answers the
// request.
func (h *CGIHandler) findScript() (r scriptRequest, ok bool) {
	self := h.scripts()
	dir, rest := h.CGIInfo.Dir, h.CGIInfo.Rest
	for {
		next, after, more := strings.Cut(rest, "/")
		if !more {
			break
		}
		info, err := h.stat(h.local(dir + "/" + next))
		if err != nil || !info.IsDir() {
			break
		}
		dir, rest = dir+"/"+next, after
	}
	name, info, slash := strings.Cut(rest, "/")
	if slash {
		info = "/" + info
	}
	r = scriptRequest{url: dir + "/" + name, info: info}
	file := h.local(r.url)
	stat, err := h.stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		self.SendError(404, "No such CGI script ("+quote(r.url)+")", "")
		return r, false
	case err != nil || !stat.Mode().IsRegular():
		self.SendError(403, "CGI script is not a plain file ("+quote(r.url)+")", "")
		return r, false
	}
	interpreted := self.IsPython(file) && runtime.GOOS == "windows"
	r.file, err = filepath.Abs(file)
	if err != nil || h.FS != nil || !interpreted && !self.IsExecutable(file) {
		h.notExecutable(r)
		return r, false
	}
	return r, true
}

func (h *CGIHandler) notExecutable(r scriptRequest) {
	h.scripts().SendError(403, "CGI script is not executable ("+quote(r.url)+")", "")
}

// RunCGI runs the script of CGIInfo and sends its answer. A local redirect is
// followed once it has returned. Python: run_cgi.
func (h *CGIHandler) RunCGI() {
	r, ok := h.findScript()
	if !ok {
		return
	}
	spool, length, err := h.requestBody()
	if err != nil {
		return
	}
	if spool != nil {
		defer closeSpool(spool)
	}
	s, err := h.startScript(r, spool, length)
	if err != nil {
		h.notStarted(r, err)
		return
	}
	whole := false
	defer func() {
		if !whole {
			s.cutOff() // something panicked
		}
		h.endScript(s)
	}()
	switch {
	case strings.HasPrefix(path.Base(r.url), "nph-"):
		h.scripts().LogRequest(0, -1)
		h.CloseConnection = true
		h.copyOutput(s)
	case h.StatusFirst:
		h.scripts().SendResponse(200, "Script output follows")
		h.scripts().FlushHeaders()
		h.out.end() // the script ends the head
		h.CloseConnection = true
		h.copyOutput(s)
	default:
		h.answer(s)
	}
	whole = true
}

// notStarted answers for a script that did not start. What the system lacks is
// not the script's fault.
func (h *CGIHandler) notStarted(r scriptRequest, err error) {
	self := h.scripts()
	var refused *statusError
	switch {
	case errors.As(err, &refused):
		self.SendError(refused.code, refused.message, refused.explain)
		return
	case err == errClientGone:
		h.broken = true
		self.LogError("CGI script %s: the client has gone before it could run", r.url)
		return
	}
	self.LogError("CGI script %s: %v", r.url, err)
	if outOfResources(err) {
		self.SendError(503, "", "")
	} else {
		h.notExecutable(r)
	}
}

// requestBody tells how long the request's body is. A chunked one is kept in a
// file, as CONTENT_LENGTH must be known before the script runs. An error was
// answered.
func (h *CGIHandler) requestBody() (spool *os.File, length int64, err error) {
	if !h.body.chunked {
		return nil, h.body.remaining, nil
	}
	spool, err = createSpool()
	if err != nil {
		h.scripts().LogError("%v", err)
		h.scripts().SendError(500, "", "")
		return nil, 0, err
	}
	limit := min(cmp.Or(h.MaxBody, defaultMaxBody), math.MaxInt64-1)
	length, err = io.Copy(spool, io.LimitReader(h.RFile, limit+1))
	switch {
	case err == nil && length > limit:
		err = errors.New("too large")
		h.scripts().SendError(413, "", "")
	case err != nil && (h.body.err == nil || h.body.err == io.EOF):
		h.scripts().LogError("%v", err) // it could not be written
		h.scripts().SendError(500, "", "")
	case errors.Is(err, os.ErrDeadlineExceeded):
		h.scripts().SendError(408, "", "")
	case err != nil:
		h.scripts().SendError(400, "Bad request body", "")
	default:
		if _, err = spool.Seek(0, io.SeekStart); err != nil {
			h.scripts().LogError("%v", err)
			h.scripts().SendError(500, "", "")
		}
	}
	if err != nil {
		closeSpool(spool)
		return nil, 0, err
	}
	return spool, length, nil
}

// inherited are the variables of the server's own environment that scripts get,
// beside those of the locale; on Windows no program starts without the others.
var (
	inherited        = []string{"PATH", "TZ", "TMPDIR", "LANG", "LANGUAGE"}
	inheritedWindows = []string{"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP"}
)

// inherits tells whether scripts get a variable of the server's environment.
func (h *CGIHandler) inherits(name string) bool {
	return strings.HasPrefix(name, "LC_") || slices.Contains(inherited, name) || slices.Contains(h.InheritEnv, name) ||
		runtime.GOOS == "windows" && slices.Contains(inheritedWindows, strings.ToUpper(name))
}

// environment makes a script's environment: what it inherits, the meta-variables,
// the request's fields, and Env.
func (h *CGIHandler) environment(r scriptRequest, length int64) []string {
	var env []string
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); h.inherits(name) {
			env = append(env, variable)
		}
	}
	for _, v := range h.metaVariables(r, length) {
		env = append(env, v.Name+"="+v.Value)
	}
	return append(h.fieldVariables(env), h.Env...)
}

// metaVariables are those of RFC 3875 section 4.1, with the values that Python
// gives them, and then those that Apache has beside them.
func (h *CGIHandler) metaVariables(r scriptRequest, length int64) []Field {
	self := h.scripts()
	scheme := h.scheme()
	variables := []Field{
		{"GATEWAY_INTERFACE", "CGI/1.1"},
		{"SERVER_SOFTWARE", self.VersionString()},
		{"SERVER_NAME", h.Server.host()},
		{"SERVER_PORT", portString(h.Server.port())},
		{"SERVER_PROTOCOL", cmp.Or(h.ProtocolVersion, "HTTP/1.0")},
		{"REQUEST_METHOD", h.Command},
		{"SCRIPT_NAME", r.url},
		{"PATH_INFO", r.info},
		{"PATH_TRANSLATED", h.absolute(r.info)},
		{"QUERY_STRING", targetQuery(h.Path)},
		{"REMOTE_ADDR", strings.TrimPrefix(self.AddressString(), "-")},
		{"REMOTE_HOST", ""},
		{"CONTENT_TYPE", "text/plain"},
		{"CONTENT_LENGTH", ""},
		{"HTTP_USER_AGENT", ""},
		{"HTTP_COOKIE", ""},
		{"HTTP_REFERER", ""},

		{"SCRIPT_FILENAME", r.file},
		{"DOCUMENT_ROOT", h.absolute("/")},
		{"REQUEST_URI", h.Path},
		{"REQUEST_SCHEME", scheme},
		{"REDIRECT_STATUS", "200"}, // without it php-cgi takes the call for an attack
	}
	// What follows takes the place of what stands above.
	if contentType, ok := h.Headers.Lookup("Content-Type"); ok {
		variables = append(variables, Field{"CONTENT_TYPE", contentType})
	}
	if h.body.chunked || h.Headers.Get("Content-Length") != "" {
		variables = append(variables, Field{"CONTENT_LENGTH", strconv.FormatInt(length, 10)})
	}
	if h.ClientAddress != nil {
		_, port, _ := net.SplitHostPort(h.ClientAddress.String())
		variables = append(variables, Field{"REMOTE_PORT", port})
	}
	if scheme == "https" {
		variables = append(variables, Field{"HTTPS", "on"})
	}
	return variables
}

// absolute gives the absolute name for a decoded path, "" for none.
func (h *CGIHandler) absolute(path string) string {
	local := h.local(path)
	if path == "" || local == "" {
		return ""
	}
	name, _ := filepath.Abs(local)
	if strings.HasSuffix(path, "/") && len(path) > 1 {
		name += "/"
	}
	return name
}

// portString writes a port, "" for none.
func portString(port int) string {
	if port == 0 {
		return ""
	}
	return strconv.Itoa(port)
}

// scheme tells how the client reached the server. A connection that has a
// handshake is taken for TLS.
func (h *CGIHandler) scheme() string {
	if _, ok := h.Connection.(interface{ Handshake() error }); ok {
		return "https"
	}
	return "http"
}

// notPassed are the fields that scripts do not get as HTTP_*: those with a
// variable of their own, those of the connection, credentials, and Proxy, which
// programs would take for a setting of theirs (CVE-2016-5385).
var notPassed = []string{"Content-Type", "Content-Length", "Authorization", "Proxy", "Proxy-Authorization", "Proxy-Connection",
	"Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade"}

// fieldVariables adds the request's fields as HTTP_*; those that came more than
// once are joined. A name with an underscore could be mistaken for another.
func (h *CGIHandler) fieldVariables(env []string) []string {
	named := strings.Join(h.Headers.Values("Connection"), ",")
	at := make(map[string]int)
	for _, f := range h.Headers {
		if strings.Contains(f.Name, "_") || hasToken(named, f.Name) ||
			slices.ContainsFunc(notPassed, func(name string) bool { return strings.EqualFold(name, f.Name) }) {
			continue
		}
		name := "HTTP_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		i, again := at[name]
		switch {
		case !again:
			at[name] = len(env)
			env = append(env, name+"="+f.Value)
		case name == "HTTP_COOKIE":
			env[i] += "; " + f.Value
		default:
			env[i] += ", " + f.Value
		}
	}
	return env
}

// arguments gives the words of an indexed query, RFC 3875 section 4.4.
func arguments(method, query string) []string {
	if method != "GET" && method != "HEAD" || query == "" || strings.Contains(query, "=") {
		return nil
	}
	words := strings.Split(query, "+")
	for i := range words {
		words[i] = unquote(words[i])
		if strings.IndexByte(words[i], 0) >= 0 {
			return nil
		}
	}
	return words
}

// A scriptHeader is the header of a script's output (RFC 3875 section 6).
type scriptHeader struct {
	code     int // of Status, or what the other fields make it
	message  string
	location string // of a local redirect
	length   int64  // Content-Length, -1 without
	fields   Header // others, in order
}

// parseScriptHeader reads a header whose lines end in LF or CRLF.
func parseScriptHeader(block string) (sh scriptHeader, err error) {
	fields, refused := parseFields(nil, block)
	if refused != nil {
		return sh, errors.New(refused.message)
	}
	if len(fields) == 0 {
		return sh, errors.New("no header field")
	}
	sh.code, sh.length = 200, -1
	status, hasStatus := fields.Lookup("Status")
	if hasStatus {
		digits, message, _ := strings.Cut(status, " ")
		code, ok := parseDigits(digits)
		if !ok || code < 200 || code > 599 || len(digits) != 3 {
			return sh, errors.New("bad Status " + quote(status))
		}
		sh.code, sh.message = int(code), message
	}
	for _, f := range fields {
		switch strings.ToLower(f.Name) {
		case "status", "server", "date", "connection", "keep-alive", "transfer-encoding", "trailer", "upgrade":
			continue
		case "content-length":
			n, ok := parseLength(f.Value)
			if !ok || sh.length >= 0 && n != sh.length {
				return sh, errors.New("bad Content-Length " + quote(f.Value))
			}
			if sh.length >= 0 {
				continue
			}
			if sh.length = n; sh.code == 204 {
				continue // which must not have it (RFC 9110 section 8.6)
			}
		case "location":
			if f.Value == "" {
				return sh, errors.New("empty Location")
			}
			if strings.HasPrefix(f.Value, "/") && !hasStatus {
				sh.location = f.Value
				continue
			}
			if !hasStatus {
				sh.code = 302
			}
			f.Value = quoteTarget(f.Value)
		}
		sh.fields = append(sh.fields, f)
	}
	return sh, nil
}

// readScriptHeader reads a script's output up to the empty line.
func readScriptHeader(s *script) (sh scriptHeader, err error) {
	var block []byte
	for begin := 0; ; { // of a line
		piece, err := s.output.ReadSlice('\n')
		if len(block)+len(piece) > maxScriptHeader {
			return sh, errors.New("header of more than 65536 bytes")
		}
		block = append(block, piece...)
		switch line := string(block[begin:]); {
		case err == bufio.ErrBufferFull:
			continue // with the rest of a long line
		case err != nil && len(block) == 0:
			return sh, errors.New("no output")
		case err != nil:
			return sh, errors.New("header without end")
		case line == "\n" || line == "\r\n":
			return parseScriptHeader(string(block))
		}
		begin = len(block)
	}
}

// answer reads a script's header and sends head and body, or an error.
func (h *CGIHandler) answer(s *script) {
	self := h.scripts()
	sh, err := readScriptHeader(s)
	h.logErrors(s)
	switch {
	case s.timedOut.Load():
		self.LogError("CGI script %s timed out", s.url)
		self.SendError(504, "", "")
		return
	case s.refusal.Load() != 0:
		self.SendError(int(s.refusal.Load()), "", "")
		return
	case err != nil && isClosed(s.over): // as the client is gone, or the server is going
		h.broken = true
		self.LogError("CGI script %s was ended before it answered", s.url)
		return
	case err != nil:
		self.LogError("CGI script %s: %v", s.url, err)
		s.terminate()
		self.SendError(502, "", "")
		return
	case sh.location != "":
		h.location = sh.location
		return
	}
	self.SendResponse(sh.code, sh.message)
	for _, f := range sh.fields {
		self.SendHeader(f.Name, f.Value)
	}
	chunked := sh.length < 0 && h.persistent() && h.line.atLeast(1, 1) && h.Command != "HEAD" && sh.code != 204 && sh.code != 304
	if chunked {
		self.SendHeader("Transfer-Encoding", "chunked")
	}
	self.EndHeaders()
	h.sendOutput(s, sh.length, chunked)
}

// sendOutput sends the script's output as it comes, at most length bytes if that
// is not -1.
func (h *CGIHandler) sendOutput(s *script, length int64, inChunks bool) {
	if h.out.noBody {
		h.out.flush()
		io.Copy(io.Discard, s) // it may have more to do than to write
		h.logErrors(s)
		return
	}
	w := h.WFile
	if inChunks {
		w = &chunkWriter{w: h.WFile}
	}
	out := io.Reader(s)
	if length >= 0 {
		out = io.LimitReader(s, length)
	}
	_, err := io.Copy(w, out)
	switch {
	case err != nil:
		s.terminate() // the client has gone
	case isClosed(s.over):
		h.broken = true
		if s.timedOut.Load() {
			h.scripts().LogError("CGI script %s timed out", s.url)
		}
	case inChunks && s.crashed():
		h.broken = true // without the last chunk it does not look whole
	case inChunks:
		io.WriteString(h.WFile, "0\r\n\r\n")
	}
	h.out.flush()
	h.logErrors(s)
}

// copyOutput sends all of a script's output as it is.
func (h *CGIHandler) copyOutput(s *script) { h.sendOutput(s, -1, false) }

// A chunkWriter writes chunks, RFC 9112 section 7.1.
type chunkWriter struct {
	w     io.Writer
	chunk []byte
}

// Write sends p as one chunk; an empty one would be the last.
func (c *chunkWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.chunk = append(strconv.AppendInt(c.chunk[:0], int64(len(p)), 16), "\r\n"...)
	c.chunk = append(append(c.chunk, p...), "\r\n"...)
	if _, err := c.w.Write(c.chunk); err != nil {
		return 0, err
	}
	return len(p), nil
}

// logErrors logs what the script has written to its standard error so far.
func (h *CGIHandler) logErrors(s *script) {
	for {
		select {
		case line, ok := <-s.errors:
			if !ok {
				return
			}
			h.scripts().LogError("%s: %s", s.url, line)
		default:
			return
		}
	}
}
