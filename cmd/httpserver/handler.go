package main

import (
	"fmt"
	"io/fs"
	"os"
	"strings"

	"httpserver"
)

// This file holds the handler of the command: the library's, with what the
// options ask for.

// A handler serves files and, with --cgi, runs scripts.
type handler struct {
	httpserver.CGIHandler
	options *options
}

// newHandler gives what makes the handlers.
func (o *options) newHandler() (func() httpserver.Handler, error) {
	var confined fs.FS
	if o.confine {
		root, err := os.OpenRoot(o.directory)
		if err != nil {
			return nil, fmt.Errorf("httpserver: %w", err)
		}
		confined = root.FS()
	}
	slots := make(chan struct{}, o.cgiMax)
	return func() httpserver.Handler {
		h := &handler{options: o}
		h.Directory, h.FS = o.directory, confined
		h.ProtocolVersion = o.protocol
		h.Timeout = o.timeout
		h.DefaultContentType = o.contentType
		h.ExtraResponseHeaders = o.headers
		h.InheritEnv, h.ScriptTimeout, h.Slots = o.cgiEnv, o.cgiTimeout, slots
		return h
	}, nil
}

// IsCGI is always false without --cgi.
func (h *handler) IsCGI() bool { return h.options.cgi && h.CGIHandler.IsCGI() }

// DoPOST speaks of scripts only where there are some.
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

// LogError logs an error. If --quiet is set, a response to a client's mistake is
// not an error; what goes wrong in the server still is.
func (h *handler) LogError(format string, args ...any) {
	if h.options.quiet && format == errorResponse && args[0].(int) < 500 {
		return
	}
	h.CGIHandler.LogError(format, args...)
}

// errorResponse is the format of the line that SendError logs, as in Python.
const errorResponse = "code %d, message %s"

// The CORS protocol: https://fetch.spec.whatwg.org/#http-cors-protocol.
const allowOrigin = "Access-Control-Allow-Origin"

// SendResponse lets, with --cors, every page read this response, errors too.
func (h *handler) SendResponse(code int, message string) {
	h.CGIHandler.SendResponse(code, message)
	if h.options.cors {
		h.CGIHandler.SendHeader(allowOrigin, "*")
		h.CGIHandler.SendHeader("Access-Control-Expose-Headers", "Accept-Ranges, Content-Range, ETag")
	}
}

// SendHeader drops, with --cors, what a script says of origins: browsers take
// two values for none.
func (h *handler) SendHeader(name, value string) {
	if !h.options.cors || !strings.EqualFold(name, allowOrigin) {
		h.CGIHandler.SendHeader(name, value)
	}
}

// DoOPTIONS answers, with --cors, what browsers ask before a request with a
// Range or another field that not every page may send. They remember the answer
// for ten minutes.
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
	h.SendHeader("Access-Control-Allow-Methods", reading) // other sites may not change anything
	h.SendHeader("Access-Control-Allow-Headers", "Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, *")
	h.SendHeader("Access-Control-Max-Age", "600")
	h.EndHeaders()
}
