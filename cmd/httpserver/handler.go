package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"httpserver"
)

// This file contains the handler of the command: a CGIHandler whose methods obey
// the options.

// A handler serves files and, if --cgi is set, runs CGI scripts.
type handler struct {
	httpserver.CGIHandler
	options     *options
	needsOrigin bool // the response needs the allowOrigin of --cors
}

// newHandler returns the function that makes a handler for each connection.
func (o *options) newHandler() (func() httpserver.Handler, error) {
	var confined fs.FS
	if o.confine {
		d := &confinedDirectory{name: o.directory}
		if _, err := d.current(); err != nil {
			return nil, fmt.Errorf("httpserver: %w", err)
		}
		confined = d
	}
	slots := make(chan struct{}, o.cgiMax)
	return func() httpserver.Handler {
		h := &handler{options: o}
		h.Directory, h.FS = o.directory, confined
		h.ProtocolVersion = o.protocol
		h.Timeout = o.timeout
		h.DefaultContentType = o.contentType
		h.ExtraResponseHeaders = o.headers
		h.NoHidden, h.Charset = o.noHidden, o.charset
		h.InheritEnv, h.Env, h.ScriptTimeout, h.Slots = o.cgiInherit, o.cgiSet, o.cgiTimeout, slots
		h.MaxStored = min(int64(o.cgiStore), math.MaxInt64>>20) << 20
		if !o.cgi {
			h.CGIDirectories = []string{}
		}
		return h
	}, nil
}

// A confinedDirectory is the file system that --confine serves: a directory in which no
// symbolic link leads out of it. If its name stands for another directory later, that one
// is served. It may be used by several goroutines at once.
type confinedDirectory struct {
	name string // of the directory; it may be a link

	mu   sync.Mutex
	root *os.Root
	info fs.FileInfo // of root
}

// Open implements [fs.FS].
func (d *confinedDirectory) Open(name string) (fs.File, error) { return callRoot(d, openRegular, name) }

// Stat implements [fs.StatFS].
func (d *confinedDirectory) Stat(name string) (fs.FileInfo, error) {
	return callRoot(d, func(root *os.Root, name string) (fs.FileInfo, error) {
		return fs.Stat(root.FS(), name)
	}, name)
}

// openRegular opens a regular file or a directory of root. It does not wait for the
// other end of a FIFO, which may have replaced what the server looked at before. It does
// wait for another process that has a lease on a regular file.
func openRegular(root *os.Root, name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, fs.ErrInvalid
	}
	flag := os.O_RDONLY
	if runtime.GOOS != "windows" {
		flag |= syscall.O_NONBLOCK
	}
	f, err := root.OpenFile(name, flag, 0)
	if errors.Is(err, syscall.EAGAIN) {
		if info, statErr := root.Stat(name); statErr == nil && info.Mode().IsRegular() {
			f, err = root.Open(name)
		}
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// callRoot calls f with the current root, and calls it again if another goroutine
// replaced and closed that root before.
func callRoot[T any](d *confinedDirectory, f func(root *os.Root, name string) (T, error), name string) (
	result T, err error) {
	for {
		root, err := d.current()
		if err != nil {
			return result, err
		}
		if result, err = f(root, name); !errors.Is(err, fs.ErrClosed) {
			return result, err
		}
	}
}

// current returns the root of the directory that name stands for now. If that is not the
// same directory as before, current closes the old root. This does not affect files that
// were opened with it, and callRoot repeats calls that fail because of it.
func (d *confinedDirectory) current() (*os.Root, error) {
	info, err := os.Stat(d.name)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.root != nil && os.SameFile(info, d.info) {
		return d.root, nil
	}
	if !info.IsDir() {
		return nil, fs.ErrNotExist
	}
	// With a slash, the name of a FIFO, which may have replaced the directory, is not
	// opened: that would take forever.
	root, err := os.OpenRoot(strings.TrimSuffix(d.name, "/") + "/")
	if err != nil {
		return nil, err
	}
	if info, err = root.Stat("."); err != nil {
		root.Close()
		return nil, err
	}
	if d.root != nil {
		d.root.Close()
	}
	d.root, d.info = root, info
	return root, nil
}

// DoPOST runs a script. Without --cgi it sends an error that does not mention
// scripts.
func (h *handler) DoPOST() {
	if h.options.cgi {
		h.CGIHandler.DoPOST()
	} else {
		h.BaseRequestHandler.DoPOST()
	}
}

// LogRequest logs a request unless --quiet is set.
func (h *handler) LogRequest(code int, size int64) {
	if !h.options.quiet {
		h.CGIHandler.LogRequest(code, size)
	}
}

// LogError logs an error. If --quiet is set, it ignores error responses below 500,
// which clients cause, but still logs what goes wrong in the server.
func (h *handler) LogError(format string, args ...any) {
	if h.options.quiet && format == errorResponse && args[0].(int) < 500 {
		return
	}
	h.CGIHandler.LogError(format, args...)
}

// errorResponse is the format of the line that SendError logs, as in Python.
const errorResponse = "code %d, message %s"

// allowOrigin is the field that lets pages of other sites read a response. See
// https://fetch.spec.whatwg.org/#http-cors-protocol.
const allowOrigin = "Access-Control-Allow-Origin"

// corsFields are the fields that --cors sets, some of them only for preflight requests.
var corsFields = []string{
	allowOrigin, "Access-Control-Expose-Headers",
	"Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age",
}

// SendResponse begins a response.
func (h *handler) SendResponse(code int, message string) {
	h.needsOrigin = h.options.cors
	h.CGIHandler.SendResponse(code, message)
}

// SendHeader adds a field. A script may decide itself which pages may read its response.
func (h *handler) SendHeader(name, value string) {
	h.needsOrigin = h.needsOrigin && !strings.EqualFold(name, allowOrigin)
	h.CGIHandler.SendHeader(name, value)
}

// EndHeaders ends the head. If --cors is set, all pages may read the response, even if it is
// an error.
func (h *handler) EndHeaders() {
	if h.needsOrigin {
		h.SendHeader(allowOrigin, "*")
		h.SendHeader("Access-Control-Expose-Headers", "Accept-Ranges, Content-Range, ETag")
	}
	h.CGIHandler.EndHeaders()
}

// DoOPTIONS answers the preflight requests of browsers if --cors is set. A browser
// sends one before a page may use fields such as Range, and keeps the answer for
// ten minutes.
func (h *handler) DoOPTIONS() {
	if !h.options.cors {
		h.CGIHandler.DoOPTIONS()
		return
	}
	const reading = "GET, HEAD, OPTIONS"
	h.SendResponse(204, "")
	if h.options.cgi {
		h.SendHeader("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	} else {
		h.SendHeader("Allow", reading)
	}
	h.SendHeader("Access-Control-Allow-Methods", reading) // pages of other sites may only read
	h.SendHeader("Access-Control-Allow-Headers",
		"Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, *")
	h.SendHeader("Access-Control-Max-Age", "600")
	h.EndHeaders()
}
