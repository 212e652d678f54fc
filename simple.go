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
	"sync/atomic"
	"syscall"
	"time"
)

// This file contains the handler that serves files: it translates the request target
// to a file name, opens the file, and sends the head of the response.

// A FileHandler is a [Handler] that serves files: a type that embeds [SimpleHandler],
// where the methods are documented. Programs override them and need not name the
// interface.
type FileHandler interface {
	Handler
	SendHead() (body io.ReadCloser, ok bool)
	ListDirectory(name string) (body io.ReadCloser, ok bool)
	TranslatePath(path string) string
	GuessType(name string) string
	CopyFile(dst io.Writer, src io.Reader) error

	simple() *SimpleHandler
}

// A SimpleHandler answers GET and HEAD requests with the files below a directory. The
// zero value serves the current directory, follows symbolic links, and lists
// directories that have no index page. On Linux, the server keeps small files of local
// disks in memory, up to 8 MiB, once they have not changed for a minute, and checks at each
// request whether they have.
//
// Conditional requests and, for files that can seek, range requests are supported
// (RFC 9110 sections 13 and 14). The ETag consists of the size and the modification time
// of the file, so that servers with copies of the same files agree. It stays the same when
// the content changes but size and time do not: when a program sets the time back, when a
// write through a memory map has not been recorded yet, when a single write takes longer
// than two seconds (the file gets its time when the write begins), and when another file of
// the same size and time replaces the file, such as one made within the same tick of the
// system's clock.
//
// If a file changes while it is sent, the connection closes before the body is complete. A
// change is noticed by the size and the modification time and, on Linux, by the inode, which
// also changes with the permissions. A changed inode is ignored if the file also has
// another name or number of links now.
//
// A file that has grown, such as a log, is an exception if it was modified less than ten
// minutes before the request: if the bytes that were sent are still the same, the body is
// completed. Bytes that were overwritten before they were sent then arrive with the ETag of
// the old content. A body of several ranges, or of a range for a request with If-Range,
// If-Match or If-Unmodified-Since, is not completed, because the client combines it with
// other parts of the file.
//
// Python: SimpleHTTPRequestHandler.
type SimpleHandler struct {
	BaseRequestHandler

	// Directory is the directory that is served; "" means the current one.
	Directory string

	// FS is served instead of Directory unless it is nil. As package io/fs
	// requires, only names in UTF-8 are opened. Files without a modification time,
	// as in an embed.FS, have neither ETag nor Last-Modified. Only regular files are
	// opened. If a file is replaced with a FIFO after the handler has examined it, and
	// Open waits for the other end of the FIFO, the request may wait forever.
	FS fs.FS

	// NoHidden keeps names that begin with a dot, other than .well-known (RFC 8615),
	// from being served and listed, wherever they are in a path. Only the name
	// counts: a link with another name may lead to a hidden file.
	NoHidden bool

	// IndexPages are the names of pages that are served for a directory. The first
	// one that exists is used. nil means index.html, index.htm. Python: index_pages.
	IndexPages []string

	// ExtensionsMap maps suffixes in lower case, such as ".html", to content types.
	// Other suffixes are looked up in a table of the package. nil means
	// DefaultExtensionsMap. Python: extensions_map.
	ExtensionsMap map[string]string

	// DefaultContentType is the content type of files with an unknown suffix; ""
	// means application/octet-stream.
	DefaultContentType string

	// Charset is added as a parameter to the content types of files that are text or
	// JavaScript, unless they have that parameter. It is not added to JSON and XML,
	// which state their own encoding. "" means that none is added.
	Charset string

	// ExtraResponseHeaders are added to responses 200, 206, 301 and 304, except for
	// fields that the response already has. An override of EndHeaders may set them for
	// each response. Python: extra_response_headers.
	ExtraResponseHeaders []Field

	forbidden func(name string) bool // reports whether a file must not be sent; nil allows all

	// last is what was computed for the last request. Requests on one connection
	// are often for the same file, or for ranges of it.
	last struct {
		directory, path, name string // of TranslatePath
		validators            validators
		size                  int64  // of the file with these validators
		length                string // the same in digits
	}
	shared *fileState // nil before the first use
}

// maxLast is the length of a path, in bytes, up to which an idle connection keeps it.
const maxLast = 1 << 10

// A fileState is what the SimpleHandlers of a server have in common.
type fileState struct {
	cache    fileCache
	listings sharedReader
	sending  atomic.Int64 // bytes that the entries of large listings take
}

// fileState returns the state that h shares.
func (h *SimpleHandler) fileState() *fileState {
	if h.shared == nil {
		h.shared = shared[fileState](h.Server)
	}
	return h.shared
}

func (h *SimpleHandler) simple() *SimpleHandler { return h }

// files returns the outermost value.
func (h *SimpleHandler) files() FileHandler {
	self, _ := h.Self().(FileHandler)
	return cmp.Or[FileHandler](self, h)
}

// VersionString is like [BaseRequestHandler.VersionString], except that an empty
// ServerVersion means SimpleHTTP/0.6.
func (h *SimpleHandler) VersionString() string { return h.versionString("SimpleHTTP/0.6") }

// DoGET sends a file or the listing of a directory. Python: do_GET.
func (h *SimpleHandler) DoGET() {
	self := h.files()
	body, ok := self.SendHead()
	if !ok || body == nil {
		return
	}
	defer body.Close()
	if err := self.CopyFile(h.WFile, body); err != nil && h.out.failure() == nil {
		h.truncated = true
		self.LogError("Sending %s: %v", h.Path, err)
	}
}

// DoHEAD sends the head of the response that DoGET would send. Python: do_HEAD.
func (h *SimpleHandler) DoHEAD() {
	if body, ok := h.files().SendHead(); ok && body != nil {
		body.Close()
	}
}

// EndHeaders adds the ExtraResponseHeaders, and the Content-Range of a 416 for a
// file, and calls [BaseRequestHandler.EndHeaders]. An override that calls SendHeader
// for a field that the response already has, such as Last-Modified, ETag or
// Accept-Ranges of a file, sends it twice. If it sets ExtraResponseHeaders instead, and
// then calls this method, the field is sent once.
func (h *SimpleHandler) EndHeaders() {
	var fields []Field
	switch h.out.code {
	case 200, 206, 301, 304:
		fields = h.ExtraResponseHeaders
	case 416:
		if file, ok := h.opened.(*fileBody); ok {
			fields = []Field{{"Content-Range", "bytes */" + strconv.FormatInt(file.size, 10)}}
		}
	}
	if len(fields) > 0 && h.out.head != nil && !h.out.headEnded {
		head := string(*h.out.head)
		for _, field := range fields {
			if !hasField(head, field.Name) {
				h.files().SendHeader(field.Name, field.Value)
			}
		}
	}
	h.BaseRequestHandler.EndHeaders()
}

// Errors of open.
var (
	errIsDirectory = errors.New("httpserver: the file is a directory")
	errForbidden   = errors.New("httpserver: the file must not be sent")
)

// SendHead sends the head of the response to GET or HEAD. If ok is true, it returns
// the body, which the caller copies to WFile and closes before the next request. If ok
// is false, the response is complete: it is a redirect, an error or a 304. A head that a
// body follows is held as EndHeaders says. Python: send_head.
func (h *SimpleHandler) SendHead() (body io.ReadCloser, ok bool) {
	self := h.files()
	h.CloseConnection = h.CloseConnection || !h.body.skippable() // which may be left unread
	name := self.TranslatePath(h.Path)
	b, err := h.open(name)
	if err == errIsDirectory {
		if !strings.HasSuffix(targetPath(h.Path), "/") {
			h.redirectToSlash()
			return nil, false
		}
		if b, err = h.openIndex(name); errors.Is(err, fs.ErrNotExist) {
			return self.ListDirectory(name)
		}
	}
	switch {
	case err == nil:
		return h.sendFileHead(b)
	case outOfResources(err): // not a 404, which caches may keep
		self.SendError(503, "", "")
	case err == errForbidden: // what the system does not open is a 404
		self.SendError(403, "", "")
	default:
		self.SendError(404, "File not found", "")
	}
	return nil, false
}

// sendFileHead sends the head for a file, or a 304, 412 or 416 instead. It returns the part
// of the file that is to be sent, if any.
func (h *SimpleHandler) sendFileHead(file *fileBody) (io.ReadCloser, bool) {
	h.opened = file
	self, v := h.files(), h.validators(file)
	code := checkPreconditions(h.Headers, h.Command, v, file.opened)
	var ranges []byteRange
	if code == 200 && file.at != nil {
		code, ranges = selectRanges(h.Headers, h.Command, v, file.size, file.opened)
	}
	switch {
	case code < 300:
		return h.sendPartHead(file, v, ranges), true
	case code == 304:
		self.SendResponse(304, "")
		if v.tag != "" {
			self.SendHeader("ETag", v.tag)
		}
		self.EndHeaders()
	default:
		self.SendError(code, "", "") // EndHeaders adds Content-Range
	}
	file.Close()
	return nil, false
}

// sendPartHead sends the head for the ranges of a file, and returns them. It sends the whole
// file if there are none, or if several are not worth it, or if the file has a content coding,
// which several ranges together do not have.
func (h *SimpleHandler) sendPartHead(file *fileBody, v validators, ranges []byteRange) (body io.ReadCloser) {
	self := h.files()
	contentType := withCharset(self.GuessType(file.name), h.Charset)
	coding := contentCoding(file.name, contentType)
	code, part, length := 200, byteRange{0, file.size}, h.last.length
	body = file
	if len(ranges) == 1 {
		code, part, file.combined = 206, ranges[0], combines(h.Headers)
		length = strconv.FormatInt(part.size, 10)
	} else if len(ranges) > 1 && coding == "" {
		checkField("Content-type", contentType) // the parts contain this field, unchecked by SendHeader
		boundary := newBoundary()
		texts, size, ok := multipart(ranges, contentType, boundary, file.size)
		if ok {
			code, body, length = 206, file.pieces(ranges, texts), strconv.FormatInt(size, 10)
			contentType = "multipart/byteranges; boundary=" + boundary
		}
	}
	file.setRange(part)
	self.SendResponse(code, "")
	self.SendHeader("Content-type", contentType)
	if coding != "" {
		self.SendHeader("Content-Encoding", coding)
	}
	self.SendHeader("Content-Length", length)
	if len(ranges) == 1 {
		self.SendHeader("Content-Range", part.contentRange(file.size))
	}
	if !v.modified.IsZero() {
		self.SendHeader("Last-Modified", self.DateTimeString(v.modified))
	}
	if v.tag != "" {
		self.SendHeader("ETag", v.tag)
	}
	if file.at != nil {
		self.SendHeader("Accept-Ranges", "bytes")
	}
	self.EndHeaders()
	return body
}

// validators returns the validators of a file, which may be those of the last request,
// unless the modification time of the file was in the future then. It sets h.last.length.
func (h *SimpleHandler) validators(file *fileBody) validators {
	last := &h.last
	if last.validators.strong() && last.size == file.size && last.validators.modified.Equal(file.modified) {
		return last.validators
	}
	v := newValidators(file.size, file.modified, file.inode.changed, file.opened)
	last.validators, last.size, last.length = v, file.size, strconv.FormatInt(file.size, 10)
	if !v.modified.Equal(file.modified) {
		last.validators = validators{}
	}
	return v
}

// redirectToSlash redirects to the same path with a slash at its end, so that
// relative links in the listing or index page work. It keeps a query that is not
// empty.
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

// open opens a regular file. The error is errIsDirectory for a directory, which may
// be one that cannot be read, and fs.ErrNotExist if there is neither a regular file
// nor a directory. A name that ends in a slash stands for a directory.
func (h *SimpleHandler) open(name string) (*fileBody, error) {
	if h.forbidden != nil && h.forbidden(name) {
		return nil, errForbidden
	}
	b := &fileBody{handler: h, name: name, opened: time.Now()}
	if h.FS == nil {
		if content, modified := h.fileState().cache.get(name); content != nil {
			b.at, b.size, b.modified = content, content.Size(), modified
			return b, nil
		}
	}
	f, err := h.openFile(name, &b.system)
	if err != nil {
		return nil, err
	}
	b.file, h.opened = f, b // closed after the request even if what follows panics
	b.at = readerAt(f)
	if err = b.examine(); err != nil {
		h.closeOpened()
		return nil, err
	}
	return b, nil
}

// examine sets what describes the open file, or returns the error of open. It reads a file
// whose size may be wrong.
func (b *fileBody) examine() error {
	info, err := b.file.Stat()
	if forbidden := b.handler.forbidden; forbidden != nil && forbidden(b.system.openedName(b.name)) {
		return errForbidden // a link may have been switched
	}
	if err = checkRegular(b.name, info, err); err != nil {
		return err
	}
	if mayBeGenerated(info) {
		content, err := io.ReadAll(io.LimitReader(b.file, maxGenerated+1))
		size := int64(len(content))
		switch {
		case err != nil:
			return err
		case size > maxGenerated:
			return errors.New("httpserver: the file does not say its size and is too long")
		case size != info.Size(), b.at == nil && size > 0: // what was read is gone
			b.Close()
			b.tail, b.size = content, size // without ranges: the next reading may differ
			return nil
		}
	}
	b.size, b.modified, b.inode = info.Size(), info.ModTime(), inodeOf(info)
	return nil
}

// openFile opens a file without waiting for the other end of a FIFO, and returns the errors
// of open. A file of the system is opened as *system; if that fails, its name is examined to
// find the error. A name of an FS is examined first, because Open might wait for a FIFO.
func (h *SimpleHandler) openFile(name string, system *systemFile) (f fs.File, err error) {
	if h.FS != nil {
		if err = h.examine(name); err != nil {
			return nil, err
		}
		return h.FS.Open(fsName(name))
	}
	f, err = system.open(name, openNonblock)
	if errors.Is(err, syscall.EAGAIN) && h.examine(name) == nil {
		// Another process, such as Samba, has a lease on the file, which the system asks
		// it to give up. An open that waits then succeeds.
		f, err = system.open(name, 0)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	return nil, cmp.Or(h.examine(name), err)
}

// examine returns nil for the name of a regular file, and the error of open for any other.
func (h *SimpleHandler) examine(name string) error {
	info, err := h.stat(name)
	return checkRegular(name, info, err)
}

// checkRegular returns the error of open for a file whose Stat returned info and err. It is
// nil for a regular file.
func checkRegular(name string, info fs.FileInfo, err error) error {
	switch {
	case outOfResources(err):
		return err
	case err != nil:
		return fs.ErrNotExist
	case info.IsDir():
		return errIsDirectory
	case !info.Mode().IsRegular(), strings.HasSuffix(name, "/"):
		return fs.ErrNotExist
	}
	return nil
}

// stat returns the fs.FileInfo of a file or directory. It fails for the name "".
func (h *SimpleHandler) stat(name string) (fs.FileInfo, error) {
	if h.FS != nil && name != "" {
		return fs.Stat(h.FS, fsName(name))
	}
	return os.Stat(name)
}

// fsName returns a name in the form that package io/fs requires.
func fsName(name string) string { return path.Clean(strings.Trim(name, "/")) }

// openIndex opens the index page of a directory. The error is fs.ErrNotExist if there is
// none.
func (h *SimpleHandler) openIndex(directory string) (*fileBody, error) {
	pages := h.IndexPages
	if pages == nil {
		pages = []string{"index.html", "index.htm"}
	}
	for _, page := range pages {
		if h.NoHidden && hasHidden("/"+page) {
			continue
		}
		b, err := h.open(strings.TrimSuffix(directory, "/") + "/" + page)
		if err != errIsDirectory && !errors.Is(err, fs.ErrNotExist) {
			return b, err
		}
	}
	return nil, fs.ErrNotExist
}

// TranslatePath returns the name of the file for a request target: a name of the
// system below Directory or, with FS, one of FS. It ends in a slash if the path of the
// target does. TranslatePath returns "" for a target that cannot stand for a file, or
// that NoHidden hides. Python: translate_path.
func (h *SimpleHandler) TranslatePath(path string) string {
	clean, ok := cleanPath(path)
	if !ok || h.NoHidden && hasHidden(clean) {
		return ""
	}
	if h.FS != nil {
		return cmp.Or(clean[1:], "./")
	}
	last := &h.last
	if last.path == clean && last.directory == h.Directory {
		return last.name
	}
	name := localPath(h.Directory, clean, runtime.GOOS == "windows")
	if len(clean) <= maxLast { // clean and, if Directory is "/", name are parts of the request
		last.directory, last.path, last.name = h.Directory, strings.Clone(clean), strings.Clone(name)
	}
	return name
}

// GuessType returns the content type for a file name. It looks up the suffix in
// ExtensionsMap, as it is and in lower case, and then in a table of the package, which
// is the same on every machine. If neither contains the suffix, GuessType returns
// DefaultContentType. Python: guess_type.
func (h *SimpleHandler) GuessType(name string) string {
	suffix := path.Ext(strings.TrimLeft(path.Base(name), "."))
	lower := strings.ToLower(suffix)
	extensions := h.ExtensionsMap
	if extensions == nil {
		extensions = defaultExtensions
	}
	for _, s := range [...]string{suffix, lower} {
		if t, ok := extensions[s]; ok {
			return t
		}
	}
	return cmp.Or(contentTypes[lower], h.DefaultContentType, "application/octet-stream")
}

// CopyFile copies src, the body of a response, to dst, which is WFile. An override that
// writes to Connection instead must call FlushHeaders first. What it writes is not counted, so
// that the body is logged as too short, and the connection closes. Python: copyfile.
func (h *SimpleHandler) CopyFile(dst io.Writer, src io.Reader) error {
	_, err := io.Copy(dst, src)
	return err
}
