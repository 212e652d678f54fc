package httpserver

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
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
	"sync"
	"syscall"
	"time"
)

// This file contains the host side of CGI (RFC 3875): which script a request is for,
// the environment that the script gets, and the response that is made of its output.

// A ScriptHandler is a [Handler] that runs CGI scripts: a type that embeds [CGIHandler],
// where the methods are documented. Programs override them and need not name the
// interface.
type ScriptHandler interface {
	FileHandler
	IsCGI() bool
	IsExecutable(name string) bool
	IsPython(name string) bool
	RunCGI()

	cgi() *CGIHandler
}

// A CGIHandler is a [SimpleHandler] that runs the files below its CGIDirectories instead
// of sending them. Scripts handle GET, HEAD, POST, PUT, PATCH and DELETE. The
// fields may be changed between requests. A handler with an FS runs no scripts, because
// these must be files of the system, and recognizes the CGI directories only by their names.
//
// When a client leaves, when ScriptTimeout has passed, and when the server closes, the
// process group of the script gets SIGTERM and, two seconds later, SIGKILL. A process that
// has left the group, as with setsid, gets neither. If a client has sent more than 64 KiB
// after the body of its request, the server notices that it left only when it sends
// something to the client.
//
// A response is complete when the script has sent a local redirect or as many bytes as its
// Content-Length says, or has closed its standard output. If the script still runs four
// seconds later, its process group gets the same signals. Output that is dropped, as for
// HEAD or 204, is read as if it were sent.
//
// Processes that a script leaves running when it exits are not ended if the response is
// complete; they may outlive the server. Otherwise they can continue the response. When
// they have written nothing for two seconds, the response ends, and the process group gets
// the same signals. Such processes can write to standard output until the response is
// complete, and to standard error until two seconds after the script has exited. The part
// of the request body that they have not read when the script exits may be lost.
//
// When the server shuts down, requests that wait for one of Slots are answered with 503. So
// are requests whose body is still arriving, if the client sends no byte of it for four
// seconds or, without a Timeout, has not sent all of it by then.
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
	// environment of the server. They always get PATH, TZ, TMPDIR, LANG, LANGUAGE, the
	// LC_ variables, and what Windows needs to start a program.
	InheritEnv []string

	// ScriptTimeout limits how long a script and its response may take. When it has passed,
	// the server ends the script, and sends a 504 if it has not sent anything. A write to a
	// client that reads nothing goes on until Timeout ends it. 0 means no limit.
	ScriptTimeout time.Duration

	// MaxBody limits the request body, in bytes; a longer one is answered with 413. A
	// script starts when the whole body has arrived. 0 means 1 GiB.
	MaxBody int64

	// MaxStored limits the total size, in bytes, of the temporary files that contain the
	// request bodies of all handlers of the server. A request whose body would exceed it is
	// answered with 503. 0 means 4 GiB.
	MaxStored int64

	// Slots limits the number of scripts that run at once to its capacity. Others wait until
	// there is a place, the client leaves, or the server stops. The handlers of a server share
	// one, such as make(chan struct{}, 64). nil means no limit.
	Slots chan struct{}

	// StatusFirst makes RunCGI send "200 Script output follows" as soon as the script runs,
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
	defaultMaxBody   = 1 << 30  // bytes
	defaultMaxStored = 4 << 30  // bytes

	uploadTime = 4 * time.Second // limit of a wait for a request body while the server shuts down
)

func (h *CGIHandler) cgi() *CGIHandler { return h }

// scripts returns the outermost value.
func (h *CGIHandler) scripts() ScriptHandler {
	self, _ := h.Self().(ScriptHandler)
	return cmp.Or[ScriptHandler](self, h)
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
	self, redirects := h.scripts(), 0
	defer func() { h.CGIInfo, h.location = CGIInfo{}, "" }() // an idle connection does not keep them
	for ; self.IsCGI(); redirects++ {
		if redirects > maxRedirects {
			self.LogError("CGI script: more than %d local redirects", maxRedirects)
			self.SendError(502, "", "")
			return true
		}
		h.location = ""
		self.RunCGI()
		if h.location == "" {
			return true
		}
		h.redirectLocally()
	}
	if redirects > 0 {
		methods[h.Command].call(self)
	}
	return redirects > 0
}

// redirectLocally turns the request into a request for the location of a local redirect. The
// new request has no body, as the script was given the body (RFC 3875 section 6.2.2).
func (h *CGIHandler) redirectLocally() {
	h.Path = "/" + strings.TrimLeft(h.location, "/")
	if h.Command != "HEAD" {
		h.Command = "GET"
	}
	ofBody := []string{"Content-Type", "Content-Length", "Content-Encoding", "Transfer-Encoding"}
	h.Headers = slices.DeleteFunc(h.Headers, func(f Field) bool { return slices.ContainsFunc(ofBody, f.is) })
}

// SendHead runs a script, or calls [SimpleHandler.SendHead] if the request is for none. So
// that no file of a CGI directory is sent, the response is 403 if another path leads into
// one, through a symbolic link or because the file system ignores case. The directories on
// the way to the file are compared with the CGI directories as [os.SameFile] does, and also
// by name, ignoring case, as some file systems give a directory another inode for each
// spelling of its name. On Linux, the way to the opened file is compared as well, in case a
// link was switched meanwhile; a CGI directory that is replaced at that moment is not found.
// A file name of more than 128 parts, including those of its links, is a 403, too. With an
// FS, only the path of the request is looked at. Python: send_head.
func (h *CGIHandler) SendHead() (body io.ReadCloser, ok bool) {
	if h.runIfCGI() {
		return nil, false
	}
	h.forbidden = nil
	if paths := h.directories(); h.FS == nil && len(paths) > 0 {
		defer func(directory string) { h.Directory = directory }(h.Directory)
		if directory, err := filepath.EvalSymlinks(h.Directory); err == nil {
			h.Directory = directory // for the whole request, even if a link to it is switched
		}
		directories := make(map[string]fs.FileInfo)
		for _, dir := range paths {
			name := h.local(dir)
			if info, err := h.stat(name); err == nil {
				directories[filepath.Clean(name)] = info
			}
		}
		h.forbidden = func(name string) bool { return len(directories) > 0 && leadsInto(name, directories) }
	}
	return h.SimpleHandler.SendHead()
}

// IsCGI reports whether the path of the request is below one of CGIDirectories, and sets
// CGIInfo. The path is decoded and cleaned as it is for files. Python: is_cgi.
func (h *CGIHandler) IsCGI() bool {
	clean, _ := cleanPath(h.Path)
	for _, dir := range h.directories() {
		if n := len(dir); n < len(clean) && clean[n] == '/' &&
			(clean[:n] == dir || runtime.GOOS == "windows" && strings.EqualFold(clean[:n], dir)) {
			h.CGIInfo = CGIInfo{Dir: clean[:n], Rest: clean[n+1:]}
			return true
		}
	}
	return false
}

// directories returns the cleaned paths of the CGI directories, without a slash at the end.
func (h *CGIHandler) directories() (clean []string) {
	directories := h.CGIDirectories
	if directories == nil {
		directories = []string{"/cgi-bin", "/htbin"}
	}
	for _, dir := range directories {
		clean = append(clean, strings.TrimSuffix(path.Clean("/"+dir), "/"))
	}
	return clean
}

// maxParts is how many parts of a path are looked at one after another, those of its links
// included. The work grows with the square of their number.
const maxParts = 128

// leadsInto reports whether the system passes through one of the directories when it opens
// a file, or whether a name that ends in a slash leads to one. It follows links one by one,
// because one of them may lead through a directory and out of it again. Names are compared
// as well, because not all file systems have inodes, and because a directory may be a link
// that is switched.
func leadsInto(name string, directories map[string]fs.FileInfo) bool {
	volume := filepath.VolumeName(name)
	passed, rest := volume, filepath.ToSlash(name[len(volume):]) // there are no links in passed
	for parts := 0; rest != "" && parts < maxParts; {
		part, after, through := strings.Cut(rest, "/")
		if part == "" || part == "." && passed != "" { // in the same directory
			passed, rest = strings.TrimSuffix(passed, "/")+"/", after
			continue
		}
		parts++
		next := passed + part
		info, err := os.Lstat(next)
		if err != nil {
			// The rest of the name leads nowhere, unless it is only too long to be looked at: the
			// system opens a name whose links make it longer than the names that it takes.
			const longestPart = 255
			return len(part) <= longestPart && errors.Is(err, syscall.ENAMETOOLONG)
		}
		for dir, other := range directories {
			if through && (strings.EqualFold(filepath.Clean(next), dir) || os.SameFile(info, other)) {
				return true
			}
		}
		target := ""
		if !info.IsDir() {
			target, _ = os.Readlink(next)
		}
		switch target = filepath.ToSlash(target); {
		case target == "":
			passed, rest = next+"/", after
		case filepath.IsAbs(target):
			passed, rest = "", target+rest[len(part):]
		default:
			rest = target + rest[len(part):]
		}
	}
	return rest != "" // there are too many parts
}

// local returns the file name for a decoded path.
func (h *CGIHandler) local(path string) string { return h.scripts().TranslatePath(quoteName(path)) }

// IsExecutable reports whether a file may be run. Python: executable.
func (h *CGIHandler) IsExecutable(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0)
}

// IsPython reports whether a file is a Python script, by its suffix. On Windows, which
// does not know #!, such a file is run by the program python. Python: is_python.
func (h *CGIHandler) IsPython(name string) bool {
	suffix := strings.ToLower(filepath.Ext(name))
	return suffix == ".py" || suffix == ".pyw"
}

// isRunnable reports whether the system can run a file. It cannot run a file of an FS. On
// Windows, a script in Python need not be executable, only a regular file.
func (h *CGIHandler) isRunnable(name string) bool {
	self := h.scripts()
	return h.FS == nil && (self.IsExecutable(name) ||
		self.IsPython(name) && runtime.GOOS == "windows" && h.IsExecutable(name))
}

// findScript returns SCRIPT_NAME, the absolute name of the script's file, and PATH_INFO for
// CGIInfo. The script is the first name in Rest that is not an existing directory, or else
// the last name; what follows it is PATH_INFO. The script need not exist.
func (h *CGIHandler) findScript() (url, file, info string) {
	url, info = h.CGIInfo.Dir, "/"+h.CGIInfo.Rest
	for parts := 1; ; parts++ {
		name, _, _ := strings.Cut(info[1:], "/")
		url, info = url+"/"+name, info[1+len(name):]
		file = h.absolute(url)
		if info == "" || parts == maxParts {
			return url, file, info
		}
		if stat, err := h.stat(file); err != nil || !stat.IsDir() {
			return url, file, info
		}
	}
}

// cannotRun responds to a request for a script that does not exist or must not be run, or
// that was not started because of err.
func (h *CGIHandler) cannotRun(url, file string, err error) {
	code, problem := 403, "CGI script is not executable"
	info, statErr := h.stat(file)
	switch {
	case errors.Is(err, errClientGone):
		err = fmt.Errorf("%w before the script could run", err)
	case errors.Is(statErr, fs.ErrNotExist):
		code, problem = 404, "No such CGI script"
	case statErr != nil || !info.Mode().IsRegular():
		problem = "CGI script is not a plain file"
	case errors.Is(err, fs.ErrNotExist): // the script exists, so it means the interpreter
		err = errors.New("its interpreter is missing")
	case errors.Is(err, syscall.ENOEXEC):
		problem = "CGI script does not begin with #!"
	case errors.Is(err, fs.ErrPermission) && changesUser(h.RunAsServer):
		problem = "CGI script is not executable for nobody"
	}
	h.fail(url, err, code, problem+" ("+quote(url)+")")
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
	self := h.scripts()
	url, file, info := h.findScript()
	if !h.isRunnable(file) {
		h.cannotRun(url, file, nil)
		return
	}
	body, err := h.readBody()
	if err != nil {
		h.fail(url, err, 400, "Bad request body")
		return
	}
	s := &script{url: url, body: body}
	s.slots = cmp.Or(h.Slots, make(chan struct{}, 1))
	s.command = func() *exec.Cmd { return h.command(url, file, info, body.size) }
	s.ctx, s.cancel = context.WithCancelCause(h.Server.ctx)
	s.logError = func(line string) { self.LogError("%s: %s", url, line) }
	unwatch := sync.OnceFunc(h.in.watch(s.cancel))
	defer unwatch()
	if err := s.start(h.Server, h.ScriptTimeout); err != nil {
		h.cannotRun(url, file, err)
		return
	}
	defer s.close() // also if the handler panics
	h.respond(s)
	unwatch() // the client may leave before the script exits
	h.endResponse(s)
}

// respond sends the response that consists of the output of a script, up to its last chunk.
func (h *CGIHandler) respond(s *script) {
	var sh scriptHeader
	var err error
	nph := strings.HasPrefix(path.Base(s.url), "nph-")
	switch {
	case nph:
		if _, err = s.output.Peek(1); err == io.EOF {
			err = errNoOutput
		}
	case !h.StatusFirst:
		sh, err = readScriptHeader(s.output)
	}
	switch h.location = sh.location; {
	case err != nil:
		s.cancel(err)
		h.fail(s.url, err, 502, "")
	case nph, h.StatusFirst:
		h.sendRaw(s, nph)
	case h.location == "":
		h.sendResponse(s, sh)
	}
}

// readBody reads the request body.
func (h *CGIHandler) readBody() (*storedBody, error) {
	if h.body.remaining > h.maxBody() {
		return nil, errBodyTooLarge
	}
	h.in.beginWait(uploadTime)
	defer h.state.endWait()
	body := &storedBody{store: shared[bodyStore](h.Server), maxSize: cmp.Or(h.MaxStored, defaultMaxStored)}
	return body, body.readFrom(h.RFile, h.maxBody())
}

func (h *CGIHandler) maxBody() int64 { return min(cmp.Or(h.MaxBody, defaultMaxBody), math.MaxInt64-1) }

// fail responds to a request after an error of its body or script. It sends code and
// message unless there is a better code for err.
func (h *CGIHandler) fail(url string, err error, code int, message string) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && !h.state.closing():
		code, message = 408, ""
	case err == errBodyTooLarge:
		code, message = 413, ""
	case errors.Is(err, syscall.E2BIG): // the environment contains the header
		code, message = 431, ""
	case isAny(err, os.ErrDeadlineExceeded, errStoreFull, ErrServerClosed), outOfResources(err):
		code, message = 503, ""
	case err == errTimedOut:
		code, message = 504, ""
	case isAny(err, syscall.ENOSPC, syscall.EDQUOT):
		code, message = 507, ""
	case code == 400 && errors.As(err, new(*fs.PathError)): // of the stored body
		code, message = 500, ""
	}
	if err != nil && (code == 403 || code >= 500) {
		h.scripts().LogError("CGI script %s: %s", url, strings.TrimPrefix(err.Error(), "httpserver: "))
	}
	if isGone(err) {
		h.broken = true
		return
	}
	h.scripts().SendError(code, message, "")
}

// command returns the command that runs a script. Length is that of its input.
func (h *CGIHandler) command(url, file, info string, length int64) *exec.Cmd {
	cmd := exec.Command(file)
	suffix := strings.ToLower(filepath.Ext(file))
	if suffix != ".bat" && suffix != ".cmd" { // cmd.exe may run what an argument contains
		cmd.Args = append(cmd.Args, arguments(h.Command, targetQuery(h.Path))...)
	}
	if runtime.GOOS == "windows" && h.scripts().IsPython(file) {
		cmd = exec.Command("python", cmd.Args...)
	}
	cmd.Dir = filepath.Dir(file)
	cmd.Env = h.environment(url, file, info, length)
	isolate(cmd, h.RunAsServer)
	return cmd
}

// environment returns the environment of a script: inherited variables, those of RFC 3875
// section 4.1 with the values that they have in Python, those that Apache adds, the fields
// of the request, and Env. Of two variables with the same name, os/exec takes the later one.
func (h *CGIHandler) environment(url, file, info string, length int64) (env []string) {
	for _, name := range slices.Concat(inherited, h.InheritEnv) {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	_, port, _ := net.SplitHostPort(fmt.Sprint(h.ClientAddress))
	env = append(env,
		"GATEWAY_INTERFACE=CGI/1.1",
		"SERVER_SOFTWARE="+h.scripts().VersionString(),
		"SERVER_NAME="+h.Server.host(),
		"SERVER_PORT="+strings.TrimPrefix(strconv.Itoa(h.Server.port()), "0"),
		"SERVER_PROTOCOL="+cmp.Or(h.ProtocolVersion, "HTTP/1.0"),
		"REQUEST_METHOD="+h.Command,
		"SCRIPT_NAME="+url,
		"PATH_INFO="+info,
		"PATH_TRANSLATED="+h.absolute(info),
		"QUERY_STRING="+targetQuery(h.Path),
		"REMOTE_ADDR="+strings.TrimPrefix(h.scripts().AddressString(), "-"),
		// Python sets these in any case.
		"REMOTE_HOST=", "CONTENT_LENGTH=", "HTTP_USER_AGENT=", "HTTP_COOKIE=", "HTTP_REFERER=",

		"REMOTE_PORT="+port,
		"SCRIPT_FILENAME="+file,
		"DOCUMENT_ROOT="+h.absolute("/"),
		"REQUEST_URI="+h.Path,
		"REQUEST_SCHEME=http",
		"REDIRECT_STATUS=200", // php-cgi refuses to run without it
	)
	if contentType, ok := h.Headers.Lookup("Content-Type"); ok {
		env = append(env, "CONTENT_TYPE="+contentType)
	}
	if h.Headers.Get("Content-Length")+h.Headers.Get("Transfer-Encoding") != "" {
		env = append(env, "CONTENT_LENGTH="+strconv.FormatInt(length, 10))
	}
	if _, ok := h.Connection.(interface{ Handshake() error }); ok { // of TLS
		env = append(env, "REQUEST_SCHEME=https", "HTTPS=on")
	}
	return slices.Concat(env, fieldVariables(h.Headers), h.Env)
}

// absolute returns the absolute file name for a decoded path, or "" for "".
func (h *CGIHandler) absolute(path string) string {
	name := h.local(path)
	if path == "" || name == "" {
		return ""
	}
	if h.FS == nil { // which has no absolute names
		name, _ = filepath.Abs(name)
	}
	if strings.HasSuffix(path, "/") && len(path) > 1 {
		name += "/"
	}
	return name
}

// notPassed contains the names of the fields that scripts do not get as HTTP_ variables:
// those that have a variable of their own, fields of the connection, credentials, and
// Proxy, as programs take HTTP_PROXY for a setting (CVE-2016-5385).
var notPassed = []string{"content-type", "content-length", "authorization", "proxy",
	"proxy-authorization", "proxy-connection", "connection", "keep-alive", "te", "trailer",
	"transfer-encoding", "upgrade"}

// variableBytes are the bytes allowed in the name of a field that scripts get. A name with
// other bytes, such as X_Y, could become the same variable as another name, such as X-Y.
var variableBytes = newByteSet(alnum + "-")

// fieldVariables returns the variables for the fields of the request (RFC 3875 section
// 4.1.18), except for those that Connection names. The values of fields with the same name
// are joined.
func fieldVariables(fields Header) (variables []string) {
	done := make(map[string]bool) // names in lower case
	others := strings.Join(append(fields.Values("Connection"), notPassed...), ",")
	for name := range strings.SplitSeq(others, ",") {
		done[strings.ToLower(trimSpace(name))] = true
	}
	for _, f := range fields {
		name, separator := strings.ToLower(f.Name), ", "
		if done[name] || !variableBytes.containsAll(name) {
			continue
		}
		done[name] = true
		if name == "cookie" {
			separator = "; "
		}
		variable := "HTTP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		variables = append(variables, variable+"="+strings.Join(fields.Values(name), separator))
	}
	return variables
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
	code     int    // status code of the response
	message  string // reason phrase; "" means that of the code
	location string // path of a local redirect; "" if there is none
	length   int64  // Content-Length; -1 without one
	fields   Header // fields of the response
}

// parseScriptHeader parses a header whose lines end in LF or CRLF. The value of Status is a
// final status code and, after a space, a reason phrase.
func parseScriptHeader(block string) (sh scriptHeader, err error) {
	fields, refused := parseFields(nil, block)
	switch {
	case refused != nil:
		return sh, errors.New(refused.message)
	case len(fields) == 0:
		return sh, errors.New("no header field")
	case len(fields) > maxFields:
		return sh, errors.New("too many header fields")
	}
	status, hasStatus := fields.Lookup("Status")
	if !hasStatus {
		status = "200"
	}
	digits, message, _ := strings.Cut(status, " ")
	code, err := strconv.Atoi(digits)
	if err != nil || len(digits) != 3 || code < 200 || code > 599 {
		return sh, errors.New("bad Status " + quote(status))
	}
	sh = scriptHeader{code: code, message: message, length: -1}
	for _, f := range fields {
		if err := sh.addField(f, hasStatus); err != nil {
			return scriptHeader{}, err // without Location
		}
	}
	if sh.code == 205 { // which must have an empty body (RFC 9110 section 15.3.6)
		sh.fields = append(sh.fields, Field{"Content-Length", "0"})
	}
	return sh, nil
}

// addField adds a field to the response, unless the server sets that field itself. Without
// a Status field, Location means a redirect, which is local if the value is a path.
func (sh *scriptHeader) addField(f Field, hasStatus bool) error {
	switch strings.ToLower(f.Name) {
	case "status", "server", "date", "connection", "keep-alive", "transfer-encoding", "trailer", "upgrade":
		return nil
	case "content-length":
		n, ok := parseLength(f.Value)
		first := sh.length < 0
		if !ok || !first && n != sh.length {
			return errors.New("bad Content-Length " + quote(f.Value))
		}
		if sh.length = n; !first || sh.code == 204 || sh.code == 205 {
			return nil // 204 must not have it (RFC 9110 section 8.6)
		}
	case "location":
		if f.Value == "" {
			return errors.New("empty Location")
		}
		if !hasStatus {
			sh.code = 302
			if f.Value[0] == '/' {
				sh.location = f.Value
			}
		}
		f.Value = quoteTarget(f.Value)
	}
	sh.fields = append(sh.fields, f)
	return nil
}

// readScriptHeader reads the header of a script's output. It returns an error of r, other
// than io.EOF, as it is.
func readScriptHeader(r *bufio.Reader) (sh scriptHeader, err error) {
	var block []byte
	for begin := 0; ; { // of a line
		piece, err := r.ReadSlice('\n')
		block = append(block, piece...)
		switch line := block[begin:]; {
		case len(block) > maxScriptHeader:
			return sh, errors.New("header of more than 65536 bytes")
		case err == bufio.ErrBufferFull:
			continue // with the rest of a long line
		case err == io.EOF && len(block) == 0:
			return sh, errNoOutput
		case err == io.EOF:
			return sh, errors.New("header without end")
		case err != nil:
			return sh, err
		case len(trimEnd(line)) == 0:
			return parseScriptHeader(string(block))
		}
		begin = len(block)
	}
}

// sendResponse sends a head with the fields of the script's header, and then the rest of the
// script's output.
func (h *CGIHandler) sendResponse(s *script, sh scriptHeader) {
	self := h.scripts()
	self.SendResponse(sh.code, sh.message)
	for _, f := range sh.fields {
		self.SendHeader(f.Name, f.Value)
	}
	hasBody := h.Command != "HEAD" && sh.code != 204 && sh.code != 304
	if hasBody && h.out.length < 0 && h.sendsHTTP11() && h.line.atLeast(1, 1) {
		self.SendHeader("Transfer-Encoding", "chunked")
	}
	self.EndHeaders()
	h.sendOutput(s)
}

// sendRaw sends all output of a script unchanged. The output of a non-parsed header script
// (nph, RFC 3875 section 5) begins with the head of the response. That of another script
// begins with header fields, so sendRaw sends the first lines of the head before it.
func (h *CGIHandler) sendRaw(s *script, nph bool) {
	h.CloseConnection = true
	h.state.unframed.Store(true)
	if nph {
		h.scripts().LogRequest(0, -1)
	} else {
		h.scripts().SendResponse(200, "Script output follows")
		h.scripts().FlushHeaders()
		h.out.endHead() // the script's output begins with the rest of the head
	}
	h.sendOutput(s)
}

// A chunkWriter writes chunks to w.
type chunkWriter struct{ w io.Writer }

// Write writes p as one chunk (RFC 9112 section 7.1).
func (c chunkWriter) Write(p []byte) (int, error) {
	_, err := fmt.Fprintf(c.w, "%x\r\n%s\r\n", len(p), p)
	return len(p), err
}

// sendOutput sends the output of a script as it comes, up to the length of the response.
func (h *CGIHandler) sendOutput(s *script) {
	dst, length := h.WFile, h.out.length
	if h.out.chunked {
		dst = chunkWriter{dst}
	}
	if length < 0 {
		length = math.MaxInt64
	}
	if _, err := io.Copy(dst, io.LimitReader(s.output, length)); err != nil {
		h.truncated = true
		s.cancel(errClientGone) // without effect if err is the cause of an earlier cancel
		if err == errTimedOut {
			h.scripts().LogError("CGI script %s timed out", s.url)
		}
	}
}

// endResponse waits a moment for the script to exit, logs why it failed, and sends the last
// chunk. A response without a length is not complete if a signal ended the script.
func (h *CGIHandler) endResponse(s *script) {
	err := s.finish()
	if err != nil {
		h.scripts().LogError("CGI script %s: %v", s.url, err)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && !exit.Exited() && h.location == "" && h.out.length < 0 {
		h.truncated = true
	}
	if h.out.chunked && !h.truncated {
		io.WriteString(h.WFile, "0\r\n\r\n")
	}
}
