package httpserver

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// This file holds the serving of files: from a request target to a name, from
// a name to a file or a directory, from there to a response.

// A FileHandler is a Handler that serves files, by embedding SimpleHandler. Its
// methods are documented there; SimpleHandler calls them on the outermost type.
type FileHandler interface {
	Handler
	SendHead() (body io.ReadCloser, ok bool)
	ListDirectory(name string) (body io.ReadCloser, ok bool)
	TranslatePath(path string) string
	GuessType(name string) string
	CopyFile(dst io.Writer, src io.Reader) error

	simple() *SimpleHandler
}

// A SimpleHandler answers GET and HEAD with the files below a directory. The
// zero value serves the current directory, follows symbolic links, and lists
// directories that have no index page. On Linux the server keeps up to 8 MiB of
// small files in memory; each request asks the system whether they have changed.
//
// Conditional requests and, where the file can seek, requests for parts of it
// are answered as RFC 9110 sections 13 and 14 ask for. A file that changes while
// it is sent, as its size and time tell, ends the connection before its body is
// whole. One that changed in the last ten minutes, such as a log that grows, is
// read again then, and sent if what was sent of it is still the same, but for
// several ranges at once.
//
// Python: SimpleHTTPRequestHandler.
type SimpleHandler struct {
	BaseRequestHandler

	// Directory is what "/" stands for; "" means the current directory.
	Directory string

	// FS is served instead of Directory, if it is set. It opens names that are
	// UTF-8 alone, as io/fs asks for.
	FS fs.FS

	// IndexPages are served for a directory, the first one that is a file; nil
	// means index.html, index.htm. Python: index_pages.
	IndexPages []string

	// ExtensionsMap gives content types by suffix, such as ".html", in lower
	// case; nil means DefaultExtensionsMap. What it lacks is looked up in a table
	// of the package. Python: extensions_map.
	ExtensionsMap map[string]string

	// DefaultContentType is of files whose suffix says nothing; "" means
	// application/octet-stream.
	DefaultContentType string

	// ExtraResponseHeaders are added to responses 200, 206 and 304 that have no
	// field of that name. Python: extra_response_headers.
	ExtraResponseHeaders []Field

	unsatisfied string // Content-Range of the 416 that is being sent

	// What the last request came to: on one connection often the same is asked for
	// again, such as another range of a file.
	last struct {
		directory, path, name string // of TranslatePath
		validators            validators
		size                  int64
		length                string // size in digits
		modified              time.Time
	}
	file   systemFile
	sent   fileBody
	shared *fileState // nil before the first use
}

// A fileState is what the SimpleHandlers of a server have in common.
type fileState struct {
	cache    fileCache
	listings readings
}

// fileState returns the state that h shares.
func (h *SimpleHandler) fileState() *fileState {
	if h.shared == nil {
		h.shared = shared[fileState](h.Server)
	}
	return h.shared
}

func (h *SimpleHandler) simple() *SimpleHandler { return h }

// files gives the outermost value.
func (h *SimpleHandler) files() FileHandler {
	if f, ok := h.Self().(FileHandler); ok {
		return f
	}
	return h
}

// VersionString is that of BaseRequestHandler with SimpleHTTP/0.6 for an empty
// ServerVersion.
func (h *SimpleHandler) VersionString() string { return h.versionString("SimpleHTTP/0.6") }

// DoGET sends a file or a listing. Python: do_GET.
func (h *SimpleHandler) DoGET() {
	self := h.files()
	body, ok := self.SendHead()
	if !ok || body == nil {
		return
	}
	defer body.Close()
	if err := self.CopyFile(h.WFile, body); err != nil && h.out.failure() == nil {
		self.LogError("Sending %s: %v", h.Path, err)
	}
}

// DoHEAD sends the head that DoGET would send. Python: do_HEAD.
func (h *SimpleHandler) DoHEAD() {
	if body, ok := h.files().SendHead(); ok && body != nil {
		body.Close()
	}
}

// EndHeaders is that of BaseRequestHandler after the ExtraResponseHeaders. A 416
// for a file says how long that is.
func (h *SimpleHandler) EndHeaders() {
	if h.unsatisfied != "" && h.out.code == 416 {
		h.files().SendHeader("Content-Range", h.unsatisfied)
	}
	if code := h.out.code; h.out.head != nil && (code == 200 || code == 206 || code == 304) {
		ended := len(*h.out.head)
		for _, field := range h.ExtraResponseHeaders {
			if !hasField(string((*h.out.head)[:ended]), field.Name) {
				h.files().SendHeader(field.Name, field.Value)
			}
		}
	}
	h.BaseRequestHandler.EndHeaders()
}

// SendHead sends the head of the response to GET or HEAD. If ok, the body is to
// follow, from a reader that the caller closes; if not, all has been said: a
// redirect, an error, 304. A head that a body is to follow waits for the first
// Write to WFile, FlushHeaders, or the method's end. Python: send_head.
func (h *SimpleHandler) SendHead() (body io.ReadCloser, ok bool) {
	self := h.files()
	name := self.TranslatePath(h.Path)
	f, info, err := h.open(name)
	if info != nil && info.IsDir() {
		if !strings.HasSuffix(targetPath(h.Path), "/") {
			h.redirectToSlash()
			return nil, false
		}
		if f, info, name, err = h.openIndex(name); info == nil && err == nil {
			return self.ListDirectory(name)
		}
	}
	switch {
	case outOfResources(err): // 404 could be believed for long
		self.SendError(503, "", "")
		return nil, false
	case f == nil:
		self.SendError(404, "File not found", "")
		return nil, false
	}
	return h.sendFileHead(f, info, name)
}

// sendFileHead sends the head for an open file: for the whole of it, for what of
// it the request asks for, or for neither where there is nothing to send.
func (h *SimpleHandler) sendFileHead(f fs.File, info fs.FileInfo, name string) (io.ReadCloser, bool) {
	file, now := &h.sent, time.Now()
	if file.File != nil { // somebody has not closed the last one yet
		file = new(fileBody)
	}
	file.init(f, info, now)
	h.opened = file
	v := h.validators(file.size, file.modified, now)
	code := checkPreconditions(h.Headers, h.Command, v, now)
	var ranges []byteRange
	if code == 200 && file.at != nil {
		code, ranges = selectRanges(h.Headers, h.Command, v, file.size, now)
	}
	if code >= 300 {
		file.Close()
		h.sendNoFile(code, v, file.size)
		return nil, false
	}
	self := h.files()
	sent := file.selection(ranges, self.GuessType(name))
	self.SendResponse(sent.code, "")
	self.SendHeader("Content-type", sent.contentType)
	if sent.length == file.size {
		self.SendHeader("Content-Length", h.last.length)
	} else {
		self.SendHeader("Content-Length", strconv.FormatInt(sent.length, 10))
	}
	if sent.contentRange != "" {
		self.SendHeader("Content-Range", sent.contentRange)
	}
	if v.tag != "" {
		self.SendHeader("Last-Modified", self.DateTimeString(v.modified))
		self.SendHeader("ETag", v.tag)
	}
	if file.at != nil {
		self.SendHeader("Accept-Ranges", "bytes")
	}
	self.EndHeaders()
	return sent.body, true
}

// validators is newValidators, unless they are those of the last request.
func (h *SimpleHandler) validators(size int64, modified, now time.Time) validators {
	last := &h.last
	if !last.validators.strong || last.size != size || !last.modified.Equal(modified) {
		last.validators, last.modified = newValidators(size, modified, now), modified
		last.size, last.length = size, strconv.FormatInt(size, 10)
	}
	return last.validators
}

// sendNoFile answers 304, 412 or 416.
func (h *SimpleHandler) sendNoFile(code int, v validators, size int64) {
	self := h.files()
	if code != 304 {
		if code == 416 {
			h.unsatisfied = "bytes */" + strconv.FormatInt(size, 10)
		}
		self.SendError(code, "", "")
		h.unsatisfied = ""
		return
	}
	self.SendResponse(304, "")
	if v.tag != "" {
		self.SendHeader("ETag", v.tag)
	}
	self.EndHeaders()
}

// redirectToSlash sends the client to the same path with a slash at its end, so
// that relative links in the directory work. The query stays, unless it is empty.
func (h *SimpleHandler) redirectToSlash() {
	_, rest := cutPath(h.Path)
	rest = strings.TrimSuffix(rest, "#")
	if rest == "?" || strings.HasPrefix(rest, "?#") {
		rest = rest[1:]
	}
	self := h.files()
	self.SendResponse(301, "")
	self.SendHeader("Location", quoteTarget(targetPath(h.Path)+"/"+rest))
	self.SendHeader("Content-Length", "0")
	self.EndHeaders()
}

// open opens a regular file, or tells with a nil file that name is a directory or
// a file that cannot be opened or, with info nil too, nothing of that kind. A name
// with a slash at its end is a directory. An error says that it could not be
// found out.
func (h *SimpleHandler) open(name string) (fs.File, fs.FileInfo, error) {
	if name == "" {
		return nil, nil, nil
	}
	f, err := h.openFile(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, nil
		}
		if outOfResources(err) {
			return nil, nil, err
		}
		info, err := h.stat(name)
		if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
			return nil, nil, nil
		}
		return nil, info, nil
	}
	info, err := f.Stat()
	switch {
	case err == nil && info.IsDir():
		f.Close()
		return nil, info, nil
	case err == nil && info.Mode().IsRegular() && !strings.HasSuffix(name, "/"):
		return f, info, nil
	}
	f.Close()
	return nil, nil, nil
}

// openFile opens a name without waiting for what is at the other end of a FIFO.
func (h *SimpleHandler) openFile(name string) (fs.File, error) {
	if h.FS != nil {
		info, err := h.stat(name)
		if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
			err = fs.ErrInvalid
		}
		if err != nil {
			return nil, err
		}
		return h.FS.Open(fsName(name))
	}
	return h.file.open(name, &h.fileState().cache)
}

func (h *SimpleHandler) stat(name string) (fs.FileInfo, error) {
	if h.FS != nil {
		return fs.Stat(h.FS, fsName(name))
	}
	return os.Stat(name)
}

// fsName writes a name as io/fs asks for it.
func fsName(name string) string {
	return path.Clean(cmp.Or(strings.Trim(name, "/"), "."))
}

// openIndex opens a directory's index page. Without one, the name is the
// directory's.
func (h *SimpleHandler) openIndex(name string) (fs.File, fs.FileInfo, string, error) {
	pages := h.IndexPages
	if pages == nil {
		pages = []string{"index.html", "index.htm"}
	}
	for _, page := range pages {
		page = strings.TrimSuffix(name, "/") + "/" + page
		f, info, err := h.open(page)
		if err != nil || info != nil && !info.IsDir() {
			return f, info, page, err
		}
	}
	return nil, nil, name, nil
}

// TranslatePath gives the name of the file for a request target: below
// Directory in the system's spelling or, with FS, as io/fs has it; with a slash
// at its end if the target's path has one. A target that can name no file is "".
// Python: translate_path.
func (h *SimpleHandler) TranslatePath(path string) string {
	clean, ok := cleanPath(path)
	if !ok {
		return ""
	}
	if h.FS != nil {
		return cmp.Or(clean[1:], "./")
	}
	if last := &h.last; last.path != clean || last.directory != h.Directory {
		last.path, last.directory = clean, h.Directory
		last.name, _ = localPath(h.Directory, clean, runtime.GOOS == "windows")
	}
	return h.last.name
}

// GuessType gives the content type for a file name: by its suffix, as it is and
// in lower case, from ExtensionsMap, then from the package's table, which is the
// same on every machine; else DefaultContentType. Python: guess_type.
func (h *SimpleHandler) GuessType(name string) string {
	base := path.Base(name)
	suffix := path.Ext(strings.TrimLeft(base, "."))
	extensions := h.ExtensionsMap
	if extensions == nil {
		extensions = defaultExtensions
	}
	lower := strings.ToLower(suffix)
	for _, s := range [...]string{suffix, lower} {
		if t, ok := extensions[s]; ok {
			return t
		}
	}
	return cmp.Or(contentTypes[lower], h.DefaultContentType, "application/octet-stream")
}

// CopyFile copies src to dst, which is WFile, by the fastest way that both have. An
// override that writes to Connection itself calls FlushHeaders first.
// Python: copyfile.
func (h *SimpleHandler) CopyFile(dst io.Writer, src io.Reader) error {
	_, err := io.Copy(dst, src)
	return err
}
