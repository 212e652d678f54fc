package httpserver_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"httpserver"
)

var update = flag.Bool("update", false, "rewrite the responses and logs in testdata")

// wireHandler responds to the requests of transcripts. Dates and addresses are
// constant.
type wireHandler struct{ httpserver.SimpleHandler }

func (h *wireHandler) LogDateTimeString() string { return "date" }
func (h *wireHandler) AddressString() string     { return "client" }

func (h *wireHandler) DateTimeString(t time.Time) string {
	if t.IsZero() {
		return "now"
	}
	return h.SimpleHandler.DateTimeString(t)
}

func (h *wireHandler) HandleExpect100() bool {
	if h.Headers.Get("X-Defer") != "" {
		return true // and no 100 Continue
	}
	if h.Headers.Get("X-Refuse") == "" {
		return h.SimpleHandler.HandleExpect100()
	}
	h.SendError(417, "", "")
	return false
}

// DoPOST responds with the body of the request.
func (h *wireHandler) DoPOST() {
	body, err := io.ReadAll(h.RFile)
	if err != nil {
		h.SendError(400, "", err.Error())
		return
	}
	h.answer(fmt.Sprintf("%d bytes: %.32s\n", len(body), body))
}

// DoPUT leaves the body unread.
func (h *wireHandler) DoPUT() {
	h.SendResponse(204, "")
	h.EndHeaders()
}

// DoDELETE sends no length.
func (h *wireHandler) DoDELETE() {
	h.SendResponse(200, "")
	h.EndHeaders()
	io.WriteString(h.WFile, "gone")
}

// DoPATCH sends less than the length that it has announced.
func (h *wireHandler) DoPATCH() {
	h.SendResponse(200, "")
	h.SendHeader("Content-Length", "10")
	h.EndHeaders()
	io.WriteString(h.WFile, "short")
}

func (h *wireHandler) DoOPTIONS() { h.answer(h.Path + " at " + h.Headers.Get("Host") + "\n") }

func (h *wireHandler) Method(name string) func() {
	switch name {
	case "SPAM":
		return func() { h.answer("spam\n") }
	case "KEEP":
		return func() {
			h.SendResponse(200, "fine\r\nX-Not: a header")
			h.SendHeader("connection", "Keep-Alive")
			h.SendHeader("Content-Length", "0")
			h.EndHeaders()
		}
	case "CLOSE":
		return func() {
			h.SendResponse(200, "")
			h.SendHeader("Connection", "foo, Close")
			h.SendHeader("Content-Length", "0")
			h.EndHeaders()
		}
	case "NOTHING":
		return func() {}
	case "UNENDED":
		return func() { h.SendResponse(200, "") }
	case "RAW":
		return func() { io.WriteString(h.WFile, "HTTP/1.1 200 raw\nas: told\n\n") }
	case "UNKNOWN":
		return func() { h.SendError(599, "", "") }
	case "EARLY":
		return func() { h.SendError(103, "", ""); h.DoPUT() }
	case "TWICE":
		return func() { h.answer("one"); h.answer("two") }
	case "LATE":
		return func() { h.answer("ok"); h.SendHeader("Too", "late"); h.EndHeaders() }
	case "LENGTHS":
		return func() {
			h.SendResponse(200, "")
			h.SendHeader("Content-Length", "0")
			h.SendHeader("Content-Length", "1")
			h.EndHeaders()
		}
	case "NEGATIVE":
		return func() {
			h.SendResponse(200, "")
			h.SendHeader("Content-Length", "-1")
			h.EndHeaders()
		}
	case "EMPTY":
		return func() { h.SendError(204, "", "") }
	case "HEADERS":
		return func() { h.answer(fmt.Sprintf("%q\n", h.Headers)) }
	case "PANIC":
		return func() { panic("boom") }
	case "INJECT":
		return func() { h.SendResponse(200, ""); h.SendHeader("X", "a\r\nb") }
	case "CUT":
		return func() {
			h.SendResponse(200, "")
			h.SendHeader("Content-Length", "10")
			h.EndHeaders()
			io.WriteString(h.WFile, "begun")
			panic("boom")
		}
	}
	return nil
}

func (h *wireHandler) answer(body string) {
	h.SendResponse(200, "")
	h.SendHeader("Content-Length", strconv.Itoa(len(body)))
	h.EndHeaders()
	io.WriteString(h.WFile, body)
}

// notOnWindows skips a test that needs what Windows does not have.
func notOnWindows(t testing.TB, reason string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("not on Windows: ", reason)
	}
}

// testLimit ends what hangs. Nothing that works takes nearly as long.
const testLimit = 2 * time.Minute

// A logBuffer collects log lines.
type logBuffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{} // closed by the next Write; nil unless somebody waits for it
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await waits until the log contains a text.
func (l *logBuffer) await(t testing.TB, text string) {
	t.Helper()
	limit := time.NewTimer(testLimit)
	defer limit.Stop()
	for {
		more := l.missing(text)
		if more == nil {
			return
		}
		select {
		case <-more:
		case <-limit.C:
			t.Fatalf("%q is not in the log:\n%s", text, l)
		}
	}
}

// missing returns a channel that is closed when the log changes, or nil if the log
// contains text.
func (l *logBuffer) missing(text string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.Contains(l.b.String(), text) {
		return nil
	}
	if l.more == nil {
		l.more = make(chan struct{})
	}
	return l.more
}

// start serves with a ThreadingHTTPServer that set may change before. At the end of the
// test it is closed, and its handlers have returned.
func start(t testing.TB, newHandler func() httpserver.Handler, set func(*httpserver.HTTPServer)) (*httpserver.ThreadingHTTPServer, *logBuffer) {
	t.Helper()
	s, err := httpserver.NewThreadingHTTPServer("127.0.0.1:0", newHandler)
	if err != nil {
		t.Fatal(err)
	}
	log := new(logBuffer)
	s.Stderr = log
	if set != nil {
		set(&s.HTTPServer)
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeForever() }()
	t.Cleanup(func() {
		closeServer(t, s)
		if err := <-served; err != httpserver.ErrServerClosed {
			t.Errorf("ServeForever: %v", err)
		}
	})
	return s, log
}

// closeServer closes a server and waits for its handlers.
func closeServer(t testing.TB, s *httpserver.ThreadingHTTPServer) {
	t.Helper()
	s.Close()
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("handlers are left: %v", err)
	}
}

// firstLine starts a command and returns the first line that it prints.
func firstLine(t testing.TB, cmd *exec.Cmd) (string, error) {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(stdout).ReadString('\n')
}

// dial connects to a server; the connection fails after testLimit.
func dial(t testing.TB, addr net.Addr) net.Conn {
	t.Helper()
	conn, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(testLimit))
	t.Cleanup(func() { conn.Close() })
	return conn
}

// exchange sends raw bytes, ends the client's side, and returns all that comes.
func exchange(t testing.TB, addr net.Addr, request string) string {
	t.Helper()
	conn := dial(t, addr)
	sent := make(chan struct{})
	go func() {
		io.WriteString(conn, request)
		conn.(interface{ CloseWrite() error }).CloseWrite()
		close(sent)
	}()
	response, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("after %.200q: %v", response, err)
	}
	conn.Close()
	<-sent
	return string(response)
}

func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	site := makeSite(t)
	for _, file := range files {
		head, cases := httpserver.ReadTranscripts(t, file)
		for i := range cases {
			c := &cases[i]
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+c.Name, func(t *testing.T) {
				listsSite := strings.Contains(c.Response, "Content-Security-Policy: ") && !strings.Contains(c.Request, "/list")
				if strings.Contains(c.Name, "odd name") || listsSite {
					notOnWindows(t, "no file can have the odd name, and no listing contains it")
				}
				response, log := replay(t, site, c)
				if *update {
					c.Response, c.Log = response, log
					return
				}
				if response != c.Response {
					t.Errorf("response:\n%swant:\n%s", response, c.Response)
				}
				if log != c.Log {
					t.Errorf("log:\n%s\nwant:\n%s", log, c.Log)
				}
			})
		}
		if *update {
			httpserver.WriteTranscripts(t, file, head, cases)
		}
	}
}

// boundary matches the boundary of multipart/byteranges.
var boundary = regexp.MustCompile(`\b[0-9a-f]{32}\b`)

// replay serves the request of a transcript. It returns the response and the log,
// escaped.
func replay(t *testing.T, site string, c *httpserver.Transcript) (response, log string) {
	t.Helper()
	newHandler := func() httpserver.Handler {
		h := new(wireHandler)
		h.Directory, h.ProtocolVersion = site, c.Protocol
		h.ServerVersion, h.SysVersion = "Test/1", "x"
		h.ErrorMessageFormat = "%(code)d %(message)s: %(explain)s\n"
		return h
	}
	s, lines := start(t, newHandler, func(s *httpserver.HTTPServer) {
		s.HandleError = func(_ net.Conn, err error) {
			var p *httpserver.PanicError
			if !errors.As(err, &p) || !bytes.Contains(p.Stack, []byte("wire_test.go")) {
				t.Errorf("HandleError got %v", err)
			}
			fmt.Fprintln(s.Stderr, err)
		}
	})
	response = exchange(t, s.Addr(), httpserver.Unescape(t, c.Request))
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	response = boundary.ReplaceAllString(response, "boundary")
	response = pageStyle.ReplaceAllString(response, "<style></style>")
	return httpserver.Escape(response), httpserver.Collapse(strings.TrimRight(lines.String(), "\n"))
}

// pageStyle matches the part of a page that transcripts leave out.
var pageStyle = regexp.MustCompile(`(?s)<style>.*</style>`)

// siteTime is when the files and directories of makeSite were changed.
var siteTime = time.Date(2020, 2, 29, 12, 34, 56, 789_000_000, time.UTC)

// makeSite makes the files that the transcripts request.
func makeSite(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"hello.txt":              "hello, world\n",
		"empty":                  "",
		"page.HTML":              "<p>page\n",
		"a b&c<d>\"e'f#g%h?.txt": "odd\n",
		"naïve.txt":              "utf-8\n",
		"index/index.html":       "<p>index\n",
		"index/index.htm":        "<p>not this one\n",
		"index/large":            strings.Repeat("a", 500) + strings.Repeat("b", 500) + strings.Repeat("c", 1000),
		"htm/index.htm":          "<p>htm\n",
		"list/B.txt":             "B\n",
		"list/a.txt":             "a\n",
		"list/c&d":               "c\n",
		"list/sub/x":             "x\n",
		"list/.hidden":           "h\n",
		"notafile/index.html/x":  "x\n",
		"notafile/y":             "y\n",
	} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if strings.ContainsAny(name, `<>"?`) && filepath.Separator == '\\' {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		return cmp.Or(err, os.Chtimes(name, siteTime, siteTime))
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
