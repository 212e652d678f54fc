package httpserver_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"httpserver"
)

// camera sends two parts of multipart/x-mixed-replace, as the common recipe for
// Python's http.server does.
type camera struct{ httpserver.BaseRequestHandler }

func (h *camera) DoGET() {
	h.SendResponseOnly(200, "")
	h.SendHeader("Content-Type", "multipart/x-mixed-replace; boundary=b")
	h.EndHeaders()
	for _, part := range []string{"one", "three"} {
		io.WriteString(h.WFile, "--b\r\n")
		h.SendHeader("Content-Type", "image/jpeg")
		h.SendHeader("Content-Length", fmt.Sprint(len(part)))
		h.EndHeaders()
		io.WriteString(h.WFile, part)
	}
}

func (h *camera) DoHEAD() { h.DoGET() }

func TestHeadersInBody(t *testing.T) {
	t.Parallel()
	s, log := start(t, httpserver.New[camera], nil)
	const head = "HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n"
	const body = "--b\r\nContent-Type: image/jpeg\r\nContent-Length: 3\r\n\r\none" +
		"--b\r\nContent-Type: image/jpeg\r\nContent-Length: 5\r\n\r\nthree"
	for request, want := range map[string]string{
		"GET / HTTP/1.0\r\n\r\n":  head + body,
		"HEAD / HTTP/1.0\r\n\r\n": head,
		"GET /\r\n":               body,
	} {
		if got := exchange(t, s.Addr(), request); got != want {
			t.Errorf("%q: got %q, want %q", request, got, want)
		}
	}
	if log.String() != "" {
		t.Errorf("log %s", log)
	}
}

// gallery sends a part of multipart/x-mixed-replace.
type gallery struct{ httpserver.SimpleHandler }

func (h *gallery) DoGET() {
	h.SendResponseOnly(200, "")
	h.EndHeaders()
	io.WriteString(h.WFile, "--b\r\n")
	h.SendHeader("Content-Type", "image/jpeg")
	h.EndHeaders()
}

// A part of a body has no ExtraResponseHeaders.
func TestExtraHeadersInBody(t *testing.T) {
	t.Parallel()
	s, _ := start(t, func() httpserver.Handler {
		h := new(gallery)
		h.ExtraResponseHeaders = []httpserver.Field{{Name: "X-Extra", Value: "1"}}
		return h
	}, nil)
	const want = "HTTP/1.0 200 OK\r\nX-Extra: 1\r\n\r\n--b\r\nContent-Type: image/jpeg\r\n\r\n"
	if got := exchange(t, s.Addr(), "GET / HTTP/1.0\r\n\r\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// gateway reads requests by itself, as wsgiref.simple_server does.
type gateway struct{ httpserver.BaseRequestHandler }

func (h *gateway) Setup() {
	h.BaseRequestHandler.Setup()
	if _, err := h.RFile.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "ReadRequestLine") {
		panic(fmt.Sprint("read before the first request: ", err))
	}
}

func (h *gateway) Handle() {
	for h.ReadRequestLine() {
		h.RequestLine = strings.Replace(h.RequestLine, "FETCH ", "GET ", 1)
		if !h.ParseRequest() {
			return
		}
		body, _ := io.ReadAll(h.RFile)
		text := fmt.Sprintf("%s %s %q\n", h.Command, h.Path, body)
		h.SendResponseOnly(200, "")
		h.SendHeader("Content-Length", fmt.Sprint(len(text)))
		h.EndHeaders()
		io.WriteString(h.WFile, text)
		if h.CloseConnection {
			return
		}
	}
}

func TestHandleOverride(t *testing.T) {
	t.Parallel()
	s, log := start(t, func() httpserver.Handler {
		h := new(gateway)
		h.ProtocolVersion = "HTTP/1.1"
		return h
	}, nil)
	got := exchange(t, s.Addr(), "FETCH /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"+
		"GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	const want = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nGET /a \"\"\n" +
		"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nPOST /b \"body\"\n" +
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nGET /c \"\"\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := exchange(t, s.Addr(), "GET / HTTP/1.1\r\nbad\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400 Bad header line") {
		t.Errorf("got %q", got)
	}
	if got := exchange(t, s.Addr(), "GET /"+strings.Repeat("a", 70_000)+"\r\n"); !strings.HasPrefix(got, "HTTP/1.1 414 ") {
		t.Errorf("got %q", got)
	}
	s.Shutdown(t.Context())
	if strings.Contains(log.String(), "panic") {
		t.Errorf("log %s", log)
	}
}

// everything handles all methods in one place.
type everything struct{ httpserver.BaseRequestHandler }

func (h *everything) Dispatch() {
	h.SendResponseOnly(200, "")
	h.SendHeader("X-Method", h.Command)
	h.SendHeader("Content-Length", "0")
	h.EndHeaders()
}

func TestDispatch(t *testing.T) {
	t.Parallel()
	s, _ := start(t, httpserver.New[everything], nil)
	for _, method := range []string{"GET", "POST", "SPAM", "get"} {
		if got := exchange(t, s.Addr(), method+" / HTTP/1.0\r\n\r\n"); !strings.Contains(got, "X-Method: "+method+"\r\n") {
			t.Errorf("got %q", got)
		}
	}
}

// misspelled has methods that look right.
type misspelled struct{ httpserver.BaseRequestHandler }

func (h *misspelled) DoGet()     {}
func (h *misspelled) DoHead()    {}
func (h *misspelled) DoPost()    {}
func (h *misspelled) DoPut()     {}
func (h *misspelled) DoPatch()   {}
func (h *misspelled) DoDelete()  {}
func (h *misspelled) DoOptions() {}
func (h *misspelled) DoConnect() {}
func (h *misspelled) DoTrace()   {}

func TestMisspelledMethod(t *testing.T) {
	t.Parallel()
	s, log := start(t, httpserver.New[misspelled], nil)
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"} {
		target := "/"
		if method == "CONNECT" {
			target = "x:1"
		}
		if got := exchange(t, s.Addr(), method+" "+target+" HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 501 ") {
			t.Errorf("%s: got %q", method, got)
		}
		name := "Do" + method[:1] + strings.ToLower(method[1:])
		want := fmt.Sprintf("] *httpserver_test.misspelled has a method %s, but the one for %s is Do%[2]s\n", name, method)
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not in the log:\n%s", want, log)
		}
	}
}

// unhijacked reads from RFile what the client sends after the request, as a handler of
// Python does after the handshake of WebSocket.
type unhijacked struct{ httpserver.BaseRequestHandler }

func (h *unhijacked) DoGET() {
	h.SendResponseOnly(101, "")
	h.EndHeaders()
	body, err := io.ReadAll(h.RFile)
	fmt.Fprintf(h.WFile, "%s %v", body, err)
}

func (h *unhijacked) DoCONNECT() {
	h.SendResponseOnly(200, "")
	h.EndHeaders()
	h.RFile.Read(make([]byte, 1))
}

// What follows a 101 is never read as a request, whatever its head says.
type switched struct{ httpserver.BaseRequestHandler }

func (h *switched) DoGET() {
	h.SendResponseOnly(101, "")
	h.SendHeader("Content-Length", "0")
	h.EndHeaders()
}

func (h *switched) DoHEAD() { h.DoGET() }

func TestSwitchingEndsRequests(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD"} {
		s, _ := start(t, func() httpserver.Handler {
			h := new(switched)
			h.ProtocolVersion = "HTTP/1.1"
			return h
		}, nil)
		request := method + " / HTTP/1.1\r\nHost: x\r\n\r\n"
		if got := exchange(t, s.Addr(), request+request); strings.Count(got, "HTTP/1.1 101 ") != 1 {
			t.Errorf("%s: got %q", method, got)
		}
	}
}

func TestReadWithoutHijack(t *testing.T) {
	t.Parallel()
	const line = "httpserver: what follows this response is read from the reader of Hijack, not from RFile"
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\nframe":                          "HTTP/1.0 101 Switching Protocols\r\n\r\n " + line,
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbodyframe": "HTTP/1.0 101 Switching Protocols\r\n\r\nbody " + line,
		"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\nhello":                  "HTTP/1.0 200 OK\r\n\r\n",
	} {
		s, log := start(t, httpserver.New[unhijacked], nil)
		if got := exchange(t, s.Addr(), request); got != want {
			t.Errorf("%q: got %q", request, got)
		}
		s.Shutdown(t.Context())
		if !strings.HasSuffix(log.String(), "] Request body: "+line+"\n") {
			t.Errorf("%q: log %s", request, log)
		}
	}
}

// A hooked ProcessRequest may close the connection itself, also a wrapped or a hijacked
// one, without a trace in the server.
func TestProcessRequestCloses(t *testing.T) {
	t.Parallel()
	for name, newHandler := range map[string]func() httpserver.Handler{"answered": httpserver.New[hello], "hijacked": httpserver.New[hijacker]} {
		for _, how := range []string{"", "wrapped", "in a goroutine", "wrapped in a goroutine"} {
			s, _ := start(t, newHandler, func(s *httpserver.HTTPServer) {
				process := func(conn net.Conn) {
					if strings.Contains(how, "wrapped") {
						conn = &wrapped{Conn: conn}
					}
					s.FinishRequest(conn)
					conn.Close()
				}
				s.ProcessRequest = process
				if strings.Contains(how, "goroutine") {
					s.ProcessRequest = func(conn net.Conn) { go process(conn) }
				}
			})
			for range 3 {
				exchange(t, s.Addr(), "GET / HTTP/1.0\r\n\r\n")
			}
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if n := httpserver.Connections(&s.HTTPServer); n > 0 {
				t.Errorf("%s %s: the server knows %d connections", name, how, n)
			}
		}
	}
}

type hijacker struct{ httpserver.BaseRequestHandler }

func (h *hijacker) DoGET() {
	conn, _ := h.Hijack()
	io.WriteString(conn, "hijacked")
}

func TestHosts(t *testing.T) {
	t.Parallel()
	s, _ := start(t, httpserver.New[hello], func(s *httpserver.HTTPServer) { s.Hosts = []string{"files.example"} })
	for request, want := range map[string]string{
		"GET / HTTP/1.0\r\n\r\n":                                       "200",
		"GET / HTTP/1.1\r\nHost: Files.Example:8000\r\n\r\n":           "200",
		"GET / HTTP/1.1\r\nHost: files.example.\r\n\r\n":               "200",
		"GET / HTTP/1.1\r\nHost: LOCALHOST:1\r\n\r\n":                  "200",
		"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n":                    "200",
		"GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n":                   "200",
		"GET / HTTP/1.1\r\nHost:\r\n\r\n":                              "200",
		"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n":                 "421",
		"GET / HTTP/1.0\r\nHost: evil.example:8000\r\n\r\n":            "421",
		"GET / HTTP/1.1\r\nHost: files.example.evil\r\n\r\n":           "421",
		"GET / HTTP/1.1\r\nHost: localhost.evil\r\n\r\n":               "421",
		"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n": "421",
		"GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\n\r\n": "200",
		"GET / HTTP/1.1\r\nHost: files.e\u212aample\r\n\r\n":           "400",
		"GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example:8000\r\n\r\n":  "421",

		"GET / HTTP/1.1\r\nHost: " + strings.Repeat("&", 60_000) + "\r\n\r\n": "421",
	} {
		if got := exchange(t, s.Addr(), request); !strings.HasPrefix(got, "HTTP/1.0 "+want+" ") {
			t.Errorf("%q: got %.40q, want %s", request, got, want)
		} else if len(got) > 16<<10 {
			t.Errorf("%.40q: a response of %d bytes", request, len(got))
		}
	}
	if got := exchange(t, s.Addr(), "GET http://evil.example/\r\n"); !strings.Contains(got, "<p>Error code: 421</p>") {
		t.Errorf("HTTP/0.9: got %.40q", got)
	}
}
