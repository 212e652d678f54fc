package httpserver_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"httpserver"
)

// This file fuzzes whole connections.

// A fuzzConn is a connection from which the server reads a request in pieces of size
// bytes, and to which it writes into out.
type fuzzConn struct {
	net.Conn // nil
	in       []byte
	size     int
	out      bytes.Buffer
}

func (c *fuzzConn) Read(p []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.in[:min(c.size, len(c.in))])
	c.in = c.in[n:]
	return n, nil
}

func (c *fuzzConn) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *fuzzConn) Close() error                     { return nil }
func (c *fuzzConn) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
func (c *fuzzConn) RemoteAddr() net.Addr             { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
func (c *fuzzConn) SetDeadline(time.Time) error      { return nil }
func (c *fuzzConn) SetReadDeadline(time.Time) error  { return nil }
func (c *fuzzConn) SetWriteDeadline(time.Time) error { return nil }

// A seenRequest is what a server reads of a request.
type seenRequest struct {
	method, target string
	fields         httpserver.Header
	body           string
	failed         bool // the body is malformed or not whole
}

// recorder responds to every request, and records it.
type recorder struct {
	httpserver.BaseRequestHandler
	seen *[]seenRequest
}

func (h *recorder) record() {
	body, err := io.ReadAll(h.RFile)
	*h.seen = append(*h.seen, seenRequest{h.Command, h.Path, slices.Clone(h.Headers), string(body), err != nil})
	h.SendResponse(200, "")
	h.SendHeader("Content-Length", "2")
	h.EndHeaders()
	if h.Command != "HEAD" {
		io.WriteString(h.WFile, "ok")
	}
}

func (h *recorder) DoGET()                    { h.record() }
func (h *recorder) DoHEAD()                   { h.record() }
func (h *recorder) DoPOST()                   { h.record() }
func (h *recorder) DoPUT()                    { h.record() }
func (h *recorder) DoPATCH()                  { h.record() }
func (h *recorder) DoDELETE()                 { h.record() }
func (h *recorder) DoOPTIONS()                { h.record() }
func (h *recorder) DoTRACE()                  { h.record() }
func (h *recorder) Method(name string) func() { return h.record }

// converse serves one connection and returns what the server wrote and read.
func converse(t *testing.T, in []byte, size int) (out []byte, seen []seenRequest) {
	s := &httpserver.HTTPServer{Stderr: io.Discard}
	s.NewHandler = func() httpserver.Handler {
		h := &recorder{seen: &seen}
		h.ProtocolVersion = "HTTP/1.1"
		return h
	}
	s.HandleError = func(_ net.Conn, err error) {
		var p *httpserver.PanicError
		if errors.As(err, &p) {
			t.Errorf("%v\n%s", err, p.Stack)
		}
	}
	conn := &fuzzConn{in: in, size: size}
	s.FinishRequest(conn)
	return conn.out.Bytes(), seen
}

func addTranscripts(f *testing.F, add func(request []byte)) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		_, cases := httpserver.ReadTranscripts(f, file)
		for _, c := range cases {
			add([]byte(httpserver.Unescape(f, c.Request)))
		}
	}
}

// Whatever arrives, and in whatever pieces, the response is the same, and net/http reads
// it to its end.
func FuzzConnection(f *testing.F) {
	addTranscripts(f, func(request []byte) { f.Add(request, 7) })
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		out, seen := converse(t, in, max(len(in), 1))
		_, inPieces := converse(t, in, max(size, 1))
		if !slices.EqualFunc(seen, inPieces, func(a, b seenRequest) bool {
			return a.method == b.method && a.target == b.target && slices.Equal(a.fields, b.fields) && a.body == b.body && a.failed == b.failed
		}) {
			t.Errorf("%q is read as %+v, in pieces of %d as %+v", in, seen, size, inPieces)
		}
		if len(out) > 0 && !bytes.HasPrefix(out, []byte("HTTP/")) {
			return // as of HTTP/0.9
		}
		r := bufio.NewReader(bytes.NewReader(out))
		for i := 0; ; {
			if _, err := r.Peek(1); err != nil {
				return
			}
			var request *http.Request
			if i < len(seen) {
				request = &http.Request{Method: seen[i].method}
			}
			response, err := http.ReadResponse(r, request)
			if err != nil {
				t.Fatalf("response %d to %q: %v in %q", i, in, err, out)
			}
			n, err := io.Copy(io.Discard, response.Body)
			if i >= len(seen) && n == 0 && err == io.ErrUnexpectedEOF {
				return // a HEAD that was refused
			}
			if err != nil {
				t.Fatalf("body %d to %q: %v in %q", i, in, err, out)
			}
			if response.StatusCode >= 200 {
				i++
			}
		}
	})
}

// A request that net/http reads as well is the same to both. These differ, and are
// passed over: what either refuses, requests before HTTP/1.0, CONNECT, a target that is
// no origin form, slashes at its start, which become one, as in Python; Host and
// Transfer-Encoding, which net/http takes out of the header, and Content-Length, of which
// it keeps one; and Pragma, for which it adds Cache-Control.
func FuzzRequest(f *testing.F) {
	addTranscripts(f, func(request []byte) { f.Add(request) })
	f.Fuzz(func(t *testing.T, in []byte) {
		theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(in)))
		if err != nil || theirs.Method == "CONNECT" || !strings.HasPrefix(theirs.RequestURI, "/") {
			return
		}
		body, err := io.ReadAll(theirs.Body)
		if err != nil {
			return
		}
		_, seen := converse(t, in, len(in))
		if len(seen) == 0 || seen[0].failed {
			return
		}
		ours := seen[0]
		if ours.method != theirs.Method || ours.target != "/"+strings.TrimLeft(theirs.RequestURI, "/") || ours.body != string(body) {
			t.Errorf("%q is read as %+v, by net/http as %s %s %q", in, ours, theirs.Method, theirs.RequestURI, body)
		}
		for name, values := range theirs.Header {
			if name == "Pragma" || name == "Cache-Control" || name == "Content-Length" {
				continue
			}
			if got := ours.fields.Values(name); !slices.Equal(got, values) {
				t.Errorf("%q: %s is %q, by net/http %q", in, name, got, values)
			}
		}
	})
}
