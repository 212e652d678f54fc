package httpserver

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// This file contains the host side of CGI (RFC 3875): which script a request is for,
// the environment that the script gets, and the response that is made of its output.

// A ScriptHandler is a [Handler] that runs CGI scripts. A type implements it by embedding
// [CGIHandler], where the methods are documented. CGIHandler calls them on the outermost
// value.
type ScriptHandler interface {
	FileHandler
	IsCGI() bool
	IsExecutable(name string) bool
	IsPython(name string) bool
	RunCGI()

	cgi() *CGIHandler
}

// A CGIHandler is a [SimpleHandler] that runs the files below its CGIDirectories instead
// of sending them. Scripts handle all methods except OPTIONS, CONNECT and TRACE. The
// fields may be changed between requests. A handler with an FS runs no scripts, as these
// are files of the system.
//
// When a client leaves, when ScriptTimeout has passed, and when the server closes, the
// process group of the script gets SIGTERM, and SIGKILL two seconds later. A process that
// leaves the group, as by setsid, outlives its script.
//
// Python: CGIHTTPRequestHandler.
type CGIHandler struct {
	SimpleHandler

	CGIDirectories []string // URL paths; nil means /cgi-bin, /htbin. Python: cgi_directories
	CGIInfo        CGIInfo  // set by IsCGI. Python: cgi_info

	// Env is added to the environment of each script, in the form "key=value". Without
	// it, scripts get no REMOTE_USER and no AUTH_TYPE: nothing has checked what a client
	// says about itself.
	Env []string

	// InheritEnv contains the names of further variables that scripts get from the
	// environment of the server. They always get PATH, TZ, TMPDIR, the locale, and what
	// Windows needs to start a program.
	InheritEnv []string

	// ScriptTimeout is how long a script may run. After that it is ended, and the client
	// gets a 504 if nothing was sent to it yet. 0 means no limit.
	ScriptTimeout time.Duration

	// MaxBody limits the request body, in bytes; a longer one is answered with 413. A
	// script starts when the whole body has arrived. 0 means 1 GiB.
	MaxBody int64

	// MaxStored limits the size, in bytes, of the temporary files that contain request
	// bodies of more than 64 KiB, for all handlers of the server together. Requests
	// beyond it are answered with 503. 0 means 4 GiB.
	MaxStored int64

	// Slots limits the number of scripts that run at once to its capacity; others wait.
	// The handlers of a server share one, such as make(chan struct{}, 64). nil means no
	// limit.
	Slots chan struct{}

	// StatusFirst makes RunCGI send "200 Script output follows" before it runs the script,
	// as Python does, and then send all output, including its header, unchanged.
	StatusFirst bool

	// RunAsServer makes scripts run as the user of the server. Otherwise, if that is root,
	// they run as nobody.
	RunAsServer bool

	location string // of the local redirect that follows RunCGI; "" if there is none
}

// A CGIInfo is the location of a script in the decoded path of a request, without its
// query: Dir is the CGI directory, and Rest is what follows Dir and a slash.
type CGIInfo struct{ Dir, Rest string }

const (
	maxScriptHeader  = 64 << 10 // bytes of the header of a script's output
	maxRedirects     = 10       // local redirects for one request
	maxBodyInMemory  = 64 << 10 // bytes
	defaultMaxBody   = 1 << 30  // bytes
	defaultMaxStored = 4 << 30  // bytes
)

func (h *CGIHandler) cgi() *CGIHandler { return h }

// scripts returns the outermost value.
func (h *CGIHandler) scripts() ScriptHandler {
	if s, ok := h.Self().(ScriptHandler); ok {
		return s
	}
	return h
}

// DoPOST runs a script. It responds with 501 if there is none. Python: do_POST.
func (h *CGIHandler) DoPOST() {
	if !h.runIfCGI() {
		h.scripts().SendError(501, "Can only POST to CGI scripts", "")
	}
}

// DoPUT runs a script. It responds with 501 if there is none.
func (h *CGIHandler) DoPUT() { h.runOrRefuse() }

// DoPATCH runs a script. It responds with 501 if there is none.
func (h *CGIHandler) DoPATCH() { h.runOrRefuse() }

// DoDELETE runs a script. It responds with 501 if there is none.
func (h *CGIHandler) DoDELETE() { h.runOrRefuse() }

func (h *CGIHandler) runOrRefuse() {
	if !h.runIfCGI() {
		h.unsupported()
	}
}

// runIfCGI runs a script and follows local redirects. It returns false if the request is
// not for a script.
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

// redirectLocally turns the request into one for the location of a local redirect, which
// has no body (RFC 3875 section 6.2.2).
func (h *CGIHandler) redirectLocally() {
	h.Path = "/" + strings.TrimLeft(h.location, "/")
	if h.Command != "HEAD" {
		h.Command = "GET"
	}
	if h.body.err != io.EOF { // RunCGI has read another RFile
		h.broken, h.CloseConnection = true, true
	}
	h.body.reset(&h.in, 0)
	h.Headers = slices.DeleteFunc(h.Headers, func(f Field) bool {
		return slices.Contains([]string{"content-type", "content-length", "content-encoding", "transfer-encoding"}, strings.ToLower(f.Name))
	})
}

// SendHead runs a script, or calls [SimpleHandler.SendHead] if there is none.
// Python: send_head.
func (h *CGIHandler) SendHead() (body io.ReadCloser, ok bool) {
	if h.runIfCGI() {
		return nil, false
	}
	return h.SimpleHandler.SendHead()
}

// IsCGI reports whether the path of the request is below one of CGIDirectories, and sets
// CGIInfo. The path is decoded and cleaned as it is for files, so that no spelling of it
// makes the handler send a script as a file. Python: is_cgi.
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

// sameDirectory reports whether two paths are names of one directory. They may be if the
// file system ignores case.
func (h *CGIHandler) sameDirectory(a, b string) bool {
	aliases := runtime.GOOS == "windows" || runtime.GOOS == "darwin" // other than those that differ in case
	if a == b || !aliases && !strings.EqualFold(a, b) {
		return a == b
	}
	infoA, errA := h.stat(h.local(a))
	infoB, errB := h.stat(h.local(b))
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// local returns the file name for a decoded path.
func (h *CGIHandler) local(path string) string {
	return h.scripts().TranslatePath(quoteName(path))
}

// IsExecutable reports whether a file may be run. Python: executable.
func (h *CGIHandler) IsExecutable(name string) bool {
	info, err := os.Stat(name)
	return err == nil && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0)
}

// IsPython reports whether a file is a Python script, by its suffix. On Windows, which
// does not know #!, such a file is run by the program python. Python: is_python.
func (h *CGIHandler) IsPython(name string) bool {
	suffix := strings.ToLower(filepath.Ext(name))
	return suffix == ".py" || suffix == ".pyw"
}

// A scriptRequest is the result of findScript.
type scriptRequest struct {
	url  string // SCRIPT_NAME, the path of the script
	file string // absolute name of the script
	info string // PATH_INFO, the rest of the path
}

// findScript finds the script that CGIInfo leads to. Rest begins with directories, as far
// as these exist; the name of the script follows, then PATH_INFO. If there is no script,
// findScript sends an error response.
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

// HandleExpect100 responds with 413 if the body is too large for a script, so that the
// client does not send it. Python: handle_expect_100.
func (h *CGIHandler) HandleExpect100() bool {
	if h.body.remaining > h.maxBody() && h.scripts().IsCGI() {
		h.scripts().SendError(413, "", "")
		return false
	}
	return h.SimpleHandler.HandleExpect100()
}

// RunCGI runs the script of CGIInfo and sends its output as the response. A local redirect
// is followed after it has returned. Python: run_cgi.
func (h *CGIHandler) RunCGI() {
	r, ok := h.findScript()
	if !ok {
		return
	}
	body, err := h.readBody()
	if err != nil {
		h.refuseBody(err)
		return
	}
	s := &script{url: r.url, body: body, slots: h.Slots}
	s.ctx, s.cancel = context.WithCancelCause(h.Server.ctx)
	s.logError = func(line string) { h.scripts().LogError("%s: %s", s.url, line) }
	stopWatching := h.in.watch(s.cancel)
	if err := h.startScript(s, r); err != nil {
		stopWatching()
		s.cancel(nil)
		body.close()
		h.notStarted(r, err)
		return
	}
	defer func() {
		stopWatching() // the script need not end if the client leaves after the response
		if err := s.close(); err != nil {
			h.scripts().LogError("CGI script %s: %v", s.url, err)
		}
	}()
	nph := strings.HasPrefix(path.Base(s.url), "nph-")
	if nph || h.StatusFirst {
		h.sendRaw(s, nph)
	} else {
		h.respond(s)
	}
}

// readBody reads the request body.
func (h *CGIHandler) readBody() (*storedBody, error) {
	if h.body.remaining > h.maxBody() {
		return nil, errBodyTooLarge
	}
	memory := int64(maxBodyInMemory)
	if changesUser(h.RunAsServer) {
		memory = 0 // that user can open /dev/stdin if it is a file, but not if it is the pipe of os/exec
	}
	body := &storedBody{store: shared[bodyStore](h.Server), maxSize: cmp.Or(h.MaxStored, defaultMaxStored)}
	return body, body.readFrom(h.RFile, memory, h.maxBody())
}

func (h *CGIHandler) maxBody() int64 {
	return min(cmp.Or(h.MaxBody, defaultMaxBody), math.MaxInt64-1)
}

// refuseBody responds to a request whose body could not be read or stored.
func (h *CGIHandler) refuseBody(err error) {
	code, message := 400, "Bad request body"
	switch {
	case err == errBodyTooLarge:
		code, message = 413, ""
	case errors.Is(err, os.ErrDeadlineExceeded):
		code, message = 408, ""
	case isGone(err):
		h.broken = true
		return
	case err == errStoreFull, outOfResources(err):
		code, message = 503, ""
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		code, message = 507, ""
	case errors.As(err, new(*fs.PathError)):
		code, message = 500, ""
	}
	if code >= 500 {
		h.scripts().LogError("%v", err)
	}
	h.scripts().SendError(code, message, "")
}

// startScript makes the command that runs a script, and starts it.
func (h *CGIHandler) startScript(s *script, r scriptRequest) error {
	command := []string{r.file}
	if suffix := strings.ToLower(filepath.Ext(r.file)); suffix != ".bat" && suffix != ".cmd" { // cmd.exe may run what an argument contains
		command = append(command, arguments(h.Command, targetQuery(h.Path))...)
	}
	if runtime.GOOS == "windows" && h.scripts().IsPython(r.file) {
		command = append([]string{"python"}, command...)
	}
	s.cmd = exec.CommandContext(s.ctx, command[0], command[1:]...)
	s.cmd.Dir = filepath.Dir(r.file)
	s.cmd.Env = h.environment(r, s.body.size)
	if err := isolate(s.cmd, h.RunAsServer); err != nil {
		return err
	}
	return s.start(h.Server, h.ScriptTimeout)
}

// notStarted responds to a request whose script did not start.
func (h *CGIHandler) notStarted(r scriptRequest, err error) {
	self := h.scripts()
	switch {
	case err == errClientGone:
		h.broken = true
		self.LogError("CGI script %s: the client has gone before it could run", r.url)
	case err == ErrServerClosed:
		self.SendError(503, "", "")
	case errors.Is(err, syscall.E2BIG): // the environment contains the header
		self.SendError(431, "", "")
	case outOfResources(err):
		self.LogError("CGI script %s: %v", r.url, err)
		self.SendError(503, "", "")
	default:
		var p *fs.PathError
		if errors.As(err, &p) && p.Path == r.file && errors.Is(err, fs.ErrNotExist) {
			err = errors.New("its interpreter is missing") // as the script was found
		}
		self.LogError("CGI script %s: %v", r.url, err)
		h.notExecutable(r)
	}
}

// inherited contains the names of variables that scripts get from the environment of the
// server, apart from those of the locale. Without the second ones, no program starts on
// Windows.
var (
	inherited        = []string{"PATH", "TZ", "TMPDIR", "LANG", "LANGUAGE"}
	inheritedWindows = []string{"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP"}
)

// inherits reports whether scripts get a variable from the environment of the server.
func (h *CGIHandler) inherits(name string) bool {
	return strings.HasPrefix(name, "LC_") || slices.Contains(inherited, name) || slices.Contains(h.InheritEnv, name) ||
		runtime.GOOS == "windows" && slices.Contains(inheritedWindows, strings.ToUpper(name))
}

// environment returns the environment of a script: inherited variables, meta-variables,
// the fields of the request, and Env.
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

// metaVariables returns the variables of RFC 3875 section 4.1, with the values that they
// have in Python, and then those that Apache adds.
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
		{"CONTENT_LENGTH", ""},
		{"HTTP_USER_AGENT", ""},
		{"HTTP_COOKIE", ""},
		{"HTTP_REFERER", ""},

		{"SCRIPT_FILENAME", r.file},
		{"DOCUMENT_ROOT", h.absolute("/")},
		{"REQUEST_URI", h.Path},
		{"REQUEST_SCHEME", scheme},
		{"REDIRECT_STATUS", "200"}, // php-cgi refuses to run without it
	}
	// Of two variables with the same name, os/exec takes the later one.
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

// absolute returns the absolute file name for a decoded path, or "" for "".
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

// portString returns a port in decimal, or "" for 0.
func portString(port int) string {
	if port == 0 {
		return ""
	}
	return strconv.Itoa(port)
}

// scheme returns the scheme of the request's URI. It takes a connection with a handshake
// for one of TLS.
func (h *CGIHandler) scheme() string {
	if _, ok := h.Connection.(interface{ Handshake() error }); ok {
		return "https"
	}
	return "http"
}

// notPassed contains the names of the fields that scripts do not get as HTTP_ variables:
// those that have a variable of their own, fields of the connection, credentials, and
// Proxy, as programs take HTTP_PROXY for a setting (CVE-2016-5385).
var notPassed = []string{"content-type", "content-length", "authorization", "proxy", "proxy-authorization", "proxy-connection",
	"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}

// variableBytes contains what the name of a field may consist of that scripts get. Another
// name, such as X_Y, could become the same variable as the one that it imitates.
var variableBytes = newByteSet(alnum + "-")

// passedFields returns the names, in lower case, of the fields that scripts get.
func passedFields(fields Header) map[string]bool {
	passed := make(map[string]bool)
	for _, f := range fields {
		name := strings.ToLower(f.Name)
		if variableBytes.containsAll(name) && !slices.Contains(notPassed, name) {
			passed[name] = true
		}
	}
	for _, options := range fields.Values("Connection") { // names of fields of the connection
		for option := range strings.SplitSeq(options, ",") {
			if option = trimSpace(option); isToken(option) {
				delete(passed, strings.ToLower(option))
			}
		}
	}
	return passed
}

// fieldVariables appends the fields of the request to env (RFC 3875 section 4.1.18). The
// values of fields with the same name are joined.
func (h *CGIHandler) fieldVariables(env []string) []string {
	passed := passedFields(h.Headers)
	at := make(map[string]int) // indexes of env
	for _, f := range h.Headers {
		if !passed[strings.ToLower(f.Name)] {
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

// arguments returns the words of an indexed query (RFC 3875 section 4.4). It returns none
// if a script could take one of them for an option (CVE-2012-1823).
func arguments(method, query string) []string {
	if method != "GET" && method != "HEAD" || query == "" || strings.Contains(query, "=") {
		return nil
	}
	words := strings.Split(query, "+")
	for i := range words {
		words[i] = unquote(words[i])
		if strings.HasPrefix(strings.TrimSpace(words[i]), "-") || strings.IndexByte(words[i], 0) >= 0 {
			return nil
		}
	}
	return words
}

// A scriptHeader is the header of a script's output (RFC 3875 section 6).
type scriptHeader struct {
	code     int // status code of the response
	message  string
	location string // path of a local redirect; "" if it is none
	length   int64  // Content-Length; -1 if there is none
	fields   Header // fields of the response
}

// parseScriptHeader parses a header whose lines end in LF or CRLF.
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
			first := sh.length < 0
			if sh.length = n; !first || sh.code == 204 || sh.code == 205 {
				continue // 204 must not have it (RFC 9110 section 8.6)
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
	if sh.code == 205 { // which must have an empty body (RFC 9110 section 15.3.6)
		sh.length, sh.fields = 0, append(sh.fields, Field{"Content-Length", "0"})
	}
	return sh, nil
}

// readScriptHeader reads the header of a script's output. It returns an error of r, other
// than io.EOF, as it is.
func readScriptHeader(r *bufio.Reader) (sh scriptHeader, err error) {
	var block []byte
	for begin := 0; ; { // of a line
		piece, err := r.ReadSlice('\n')
		if len(block)+len(piece) > maxScriptHeader {
			return sh, errors.New("header of more than 65536 bytes")
		}
		block = append(block, piece...)
		switch line := string(block[begin:]); {
		case err == bufio.ErrBufferFull:
			continue // with the rest of a long line
		case err != nil && err != io.EOF:
			return sh, err
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

// respond reads the header of the output of a script, and sends a response.
func (h *CGIHandler) respond(s *script) {
	sh, err := readScriptHeader(s.output)
	s.logErrors()
	switch {
	case err != nil:
		h.noResponse(s, err)
	case sh.location != "":
		h.location = sh.location
	default:
		h.sendResponse(s, sh)
	}
}

// noResponse responds to a request whose script has not written a valid header.
func (h *CGIHandler) noResponse(s *script, err error) {
	self := h.scripts()
	switch {
	case err == errTimedOut:
		self.LogError("CGI script %s timed out", s.url)
		self.SendError(504, "", "")
	case s.ctx.Err() != nil: // the client has left, or the server was closed
		h.broken = true
		self.LogError("CGI script %s was ended before it answered", s.url)
	default:
		s.cancel(err)
		self.LogError("CGI script %s: %v", s.url, err)
		self.SendError(502, "", "")
	}
}

// sendResponse sends a head that is made of the header, and the rest of the output.
func (h *CGIHandler) sendResponse(s *script, sh scriptHeader) {
	self := h.scripts()
	self.SendResponse(sh.code, sh.message)
	for _, f := range sh.fields {
		self.SendHeader(f.Name, f.Value)
	}
	inChunks := sh.length < 0 && h.persistent() && h.line.atLeast(1, 1) && h.Command != "HEAD" && sh.code != 204 && sh.code != 304
	if inChunks {
		self.SendHeader("Transfer-Encoding", "chunked")
	}
	self.EndHeaders()
	if h.out.noBody || sh.code == 205 {
		h.out.flush()
		io.Copy(io.Discard, s.output) // the script may have more to do than to write
		s.logErrors()
		return
	}
	h.sendOutput(s, sh.length, inChunks)
}

// sendRaw sends all output of a script, which includes the head or, unless it is a non-parsed
// header script (RFC 3875 section 5), the header fields that follow a first part of the head.
func (h *CGIHandler) sendRaw(s *script, nph bool) {
	h.CloseConnection = true
	h.state.unframed.Store(true)
	if nph {
		h.scripts().LogRequest(0, -1)
	} else {
		h.scripts().SendResponse(200, "Script output follows")
		h.scripts().FlushHeaders()
		h.out.end()
	}
	h.sendOutput(s, -1, false)
}

// sendOutput sends the output of a script as it comes, up to length bytes. A length of -1
// means all of it.
func (h *CGIHandler) sendOutput(s *script, length int64, inChunks bool) {
	w, limit := h.WFile, length
	if inChunks {
		w = &chunkWriter{w: h.WFile}
	}
	if length < 0 {
		limit = math.MaxInt64
	}
	_, err := io.Copy(w, io.LimitReader(s.output, limit)) // in larger pieces than s.output.WriteTo does
	switch cause := context.Cause(s.ctx); {
	case err != nil && cause == nil: // of w
		s.cancel(errClientGone)
	case err != nil:
		h.cut = true
		if cause == errTimedOut {
			h.scripts().LogError("CGI script %s timed out", s.url)
		}
	case length < 0 && s.crashed():
		h.cut = true
	case inChunks:
		io.WriteString(h.WFile, "0\r\n\r\n")
	}
	h.out.flush()
	s.logErrors()
}

// A chunkWriter encodes a body in the chunked coding (RFC 9112 section 7.1). It does not
// write the last chunk.
type chunkWriter struct {
	w     io.Writer
	chunk []byte // buffer
}

// Write writes p as one chunk.
func (c *chunkWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil // this would be the last chunk
	}
	c.chunk = append(strconv.AppendInt(c.chunk[:0], int64(len(p)), 16), "\r\n"...)
	c.chunk = append(append(c.chunk, p...), "\r\n"...)
	if _, err := c.w.Write(c.chunk); err != nil {
		return 0, err
	}
	return len(p), nil
}
