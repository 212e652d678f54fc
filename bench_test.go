package httpserver_test

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"httpserver"
)

// BenchmarkBeside sends the same requests to this package and to net/http in turns,
// and reports how many times as many this package answers in the same time. Client and
// server share the processors, so the servers themselves differ by more.
func BenchmarkBeside(b *testing.B) {
	site := benchSite(b)
	files := newUnloggedFiles(site, "HTTP/1.1")
	ofFS := func() httpserver.Handler {
		h := new(unloggedFiles)
		h.FS, h.ProtocolVersion = os.DirFS(site), "HTTP/1.1"
		return h
	}
	answer := func() httpserver.Handler {
		h := new(unlogged)
		h.ProtocolVersion = "HTTP/1.1"
		return h
	}
	theirFiles := http.FileServer(http.Dir(site))
	theirAnswer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello\n") })
	certificate := benchCertificate(b)
	for _, c := range []struct {
		name, target, fields string
		ours                 func() httpserver.Handler
		theirs               http.Handler
		network              string // "" is tcp
	}{
		{name: "answer", target: "/", ours: answer, theirs: theirAnswer},
		{name: "file of 1 KiB", target: "/small", ours: files, theirs: theirFiles},
		{name: "connection each", target: "/small", fields: "Connection: close\r\n", ours: files, theirs: theirFiles},
		{name: "file of 64 KiB", target: "/middle", ours: files, theirs: theirFiles},
		{name: "range of 64 KiB", target: "/large", fields: "Range: bytes=500000-565535\r\n", ours: files, theirs: theirFiles},
		{name: "file of 1 MiB", target: "/large", ours: files, theirs: theirFiles},
		{name: "304", target: "/small", fields: "If-Modified-Since: " + siteTime.Format(http.TimeFormat) + "\r\n", ours: files, theirs: theirFiles},
		{name: "listing of 1000", target: "/listing/", ours: files, theirs: theirFiles},
		{name: "1 KiB of an FS", target: "/small", ours: ofFS, theirs: http.FileServer(http.FS(os.DirFS(site)))},
		{name: "1 KiB, unix socket", target: "/small", ours: files, theirs: theirFiles, network: "unix"},
		{name: "1 KiB, TLS", target: "/small", ours: files, theirs: theirFiles, network: "tls"},
		{name: "1 MiB, TLS", target: "/large", ours: files, theirs: theirFiles, network: "tls"},
	} {
		b.Run(c.name, func(b *testing.B) {
			listen := func() net.Listener { return benchListener(b, c.network, certificate) }
			s, _ := start(b, c.ours, func(s *httpserver.HTTPServer) {
				s.Listener.Close()
				s.Listener = listen()
			})
			their := &httptest.Server{Listener: listen(), Config: &http.Server{Handler: c.theirs}}
			their.Start()
			b.Cleanup(their.Close)
			request := "GET " + c.target + " HTTP/1.1\r\nHost: x\r\n" + c.fields + "\r\n"
			beside(b, "x-net/http", newAsker(b, c.network, s.Addr(), request), newAsker(b, c.network, their.Listener.Addr(), request))
		})
	}
	b.Run("python3", func(b *testing.B) {
		python := findPython(b).start(b, site, "HTTP/1.0")
		for name, target := range map[string]string{"file of 1 KiB": "/small", "file of 1 MiB": "/large", "listing of 1000": "/listing/"} {
			b.Run(name, func(b *testing.B) {
				s, _ := start(b, newUnloggedFiles(site, "HTTP/1.0"), nil)
				request := "GET " + target + " HTTP/1.0\r\n\r\n"
				beside(b, "x-python3", newAsker(b, "", s.Addr(), request), newAsker(b, "", python.addr, request))
			})
		}
	})
}

// benchSite makes a directory of files that were last changed long ago.
func benchSite(b *testing.B) string {
	b.Helper()
	site := b.TempDir()
	for name, size := range map[string]int64{"small": 1 << 10, "middle": 64 << 10, "large": 1 << 20} {
		writeOld(b, filepath.Join(site, name), size)
	}
	for i := range 1000 {
		writeOld(b, filepath.Join(site, "listing", fmt.Sprintf("file-%04d.txt", i)), int64(i))
	}
	return site
}

// benchListener listens on a network, or with TLS if that is "tls".
func benchListener(b *testing.B, network string, certificate tls.Certificate) net.Listener {
	b.Helper()
	var l net.Listener
	var err error
	switch network {
	case "unix":
		l, err = net.Listen("unix", filepath.Join(b.TempDir(), "socket"))
	case "tls":
		l, err = tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	default:
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// benchCertificate returns the certificate of httptest.
func benchCertificate(b *testing.B) tls.Certificate {
	b.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates[0]
}

// BenchmarkOverride sends requests to a server with an override and to one without, in
// turns, and reports how many times as many requests the first one answers.
func BenchmarkOverride(b *testing.B) {
	site := benchSite(b)
	quiet := func(s *httpserver.HTTPServer) { s.Stderr = io.Discard }
	for name, newHandler := range map[string]func() benchHandler{
		"GuessType":  func() benchHandler { return new(guesses) },
		"SendHead":   func() benchHandler { return new(sendsHead) },
		"CopyFile":   func() benchHandler { return new(copies) },
		"EndHeaders": func() benchHandler { return new(endsHeaders) },
		"LogRequest": func() benchHandler { return new(logsNothing) },
	} {
		for _, target := range []string{"/small", "/large"} {
			b.Run(name+target, func(b *testing.B) {
				serve := func(newHandler func() benchHandler) *httpserver.ThreadingHTTPServer {
					s, _ := start(b, func() httpserver.Handler {
						h := newHandler()
						h.serve(site)
						return h
					}, quiet)
					return s
				}
				with, without := serve(newHandler), serve(func() benchHandler { return new(benchFiles) })
				request := "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n"
				beside(b, "x-plain", newAsker(b, "", with.Addr(), request), newAsker(b, "", without.Addr(), request))
			})
		}
	}
}

// A benchHandler serves the files of a site. Most of them override a method.
type benchHandler interface {
	httpserver.Handler
	serve(site string)
}

type benchFiles struct{ httpserver.SimpleHandler }

func (h *benchFiles) serve(site string) { h.Directory, h.ProtocolVersion = site, "HTTP/1.1" }

type guesses struct{ benchFiles }

func (h *guesses) GuessType(name string) string { return h.SimpleHandler.GuessType(name) }

type sendsHead struct{ benchFiles }

func (h *sendsHead) SendHead() (io.ReadCloser, bool) { return h.SimpleHandler.SendHead() }

type copies struct{ benchFiles }

func (h *copies) CopyFile(dst io.Writer, src io.Reader) error {
	_, err := io.Copy(dst, src)
	return err
}

type endsHeaders struct{ benchFiles }

func (h *endsHeaders) EndHeaders() {
	h.SendHeader("X-Content-Type-Options", "nosniff")
	h.SimpleHandler.EndHeaders()
}

type logsNothing struct{ benchFiles }

func (h *logsNothing) LogRequest(int, int64) {}

// writeOld makes a file that was last changed long ago. After 64 KiB it consists of a hole,
// which is read like any other file; a small file without blocks would be taken for a
// generated one.
func writeOld(b testing.TB, name string, size int64) {
	b.Helper()
	os.Mkdir(filepath.Dir(name), 0o777)
	f, err := os.Create(name)
	if err == nil {
		_, err = f.Write(make([]byte, min(size, 64<<10)))
		err = cmp.Or(err, f.Truncate(size), f.Close())
	}
	if err == nil {
		err = os.Chtimes(name, siteTime, siteTime)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// beside sends requests to both in turns, and reports how many times as many ours
// answers in the same time.
func beside(b *testing.B, unit string, ours, theirs *asker) {
	b.Helper()
	var oursTook, theirsTook time.Duration
	for b.Loop() {
		oursTook += ours.ask(b)
		theirsTook += theirs.ask(b)
	}
	b.ReportMetric(float64(theirsTook)/float64(oursTook), unit)
}

// An asker repeats a request on a connection of its own, or on a new one if the server
// has closed that.
type asker struct {
	network string // "tls"; else that of addr counts
	addr    net.Addr
	conn    net.Conn // nil before the first request and after the last response on it
	r       *bufio.Reader
	request []byte
}

func newAsker(b *testing.B, network string, addr net.Addr, request string) *asker {
	b.Helper()
	a := &asker{network: network, addr: addr, r: bufio.NewReaderSize(nil, 64<<10), request: []byte(request)}
	b.Cleanup(a.close)
	return a
}

func (a *asker) dial() (net.Conn, error) {
	if a.network == "tls" {
		return tls.Dial("tcp", a.addr.String(), &tls.Config{InsecureSkipVerify: true})
	}
	return net.Dial(a.addr.Network(), a.addr.String())
}

func (a *asker) close() {
	if a.conn != nil {
		a.conn.Close()
		a.conn = nil
	}
}

// ask returns how long it takes until the whole response has arrived.
func (a *asker) ask(b *testing.B) time.Duration {
	begin := time.Now()
	a.send(b)
	a.receive(b)
	return time.Since(begin)
}

func (a *asker) send(b *testing.B) {
	if a.conn == nil {
		var err error
		if a.conn, err = a.dial(); err != nil {
			b.Fatal(err)
		}
		a.r.Reset(a.conn)
	}
	a.conn.Write(a.request)
}

func (a *asker) receive(b *testing.B) {
	response, err := http.ReadResponse(a.r, nil)
	if err != nil {
		b.Fatal(err)
	}
	if response.StatusCode >= 400 {
		b.Fatal(response.Status)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		b.Fatal(err)
	}
	if response.Close {
		a.close()
	}
}
