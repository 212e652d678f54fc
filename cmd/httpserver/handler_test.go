package main

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// ask sends a request with extra header lines, and returns the head of the response.
func (p *process) ask(t *testing.T, method, target string, extra ...string) *http.Response {
	t.Helper()
	request := method + " " + target + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
	for _, line := range extra {
		request += line + "\r\n"
	}
	return readHead(t, p.dial(t, request+"\r\n"))
}

func TestHeaderOption(t *testing.T) {
	t.Parallel()
	p := startServer(t, "-q", "-H", "X-A", "1", "--header", "X-A", "2", "-H", "Cache-Control", "no-cache, max-age=0")
	if err := os.Mkdir(filepath.Join(p.Dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		method, target string
		field          string
		code, want     int
	}{
		{"GET", "/hello.txt", "", 200, 2},
		{"HEAD", "/hello.txt", "", 200, 2},
		{"GET", "/", "", 200, 2},
		{"GET", "/hello.txt", "If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT", 304, 2},
		{"GET", "/hello.txt", "Range: bytes=1-", 206, 2},
		{"GET", "/folder", "", 301, 2},
		{"GET", "/missing", "", 404, 0},
		{"POST", "/hello.txt", "", 501, 0},
	} {
		res := p.ask(t, tt.method, tt.target, slices.DeleteFunc([]string{tt.field}, func(s string) bool { return s == "" })...)
		got := res.Header.Values("X-A")
		if res.StatusCode != tt.code || len(got) != tt.want || tt.want == 2 && (got[0] != "1" || got[1] != "2") {
			t.Errorf("%s %s: %s with X-A %q", tt.method, tt.target, res.Status, got)
		}
		if cache := res.Header.Get("Cache-Control"); tt.want > 0 && cache != "no-cache, max-age=0" {
			t.Errorf("%s %s: Cache-Control: %s", tt.method, tt.target, cache)
		}
	}
}

func TestCharsetOption(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-q"}, {"-q", "--charset", "utf-8"}, {"-q", "--charset", "utf-8", "--confine"}} {
		p := startServer(t, args...)
		p.addFile(t, "page.html", []byte("<p>page"))
		p.addFile(t, "data.json", []byte("{}"))
		want := "text/html"
		if len(args) > 1 {
			want += "; charset=utf-8"
		}
		for target, want := range map[string]string{"/page.html": want, "/data.json": "application/json"} {
			if got := p.ask(t, "HEAD", target).Header.Get("Content-Type"); got != want {
				t.Errorf("%q: %s: %s, want %s", args, target, got, want)
			}
		}
	}
}

// Requests for other names than those of --host are refused.
func TestHostOption(t *testing.T) {
	t.Parallel()
	p := startServer(t, "-q", "-p", "HTTP/1.1", "--host", "a.example", "--host", "b.example")
	for host, want := range map[string]int{"a.example": 200, "B.example:8000": 200, "127.0.0.1": 200, "localhost": 200, "c.example": 421, "a.example.c": 421} {
		res := readHead(t, p.dial(t, "GET /hello.txt HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"))
		if res.StatusCode != want {
			t.Errorf("%s: %s", host, res.Status)
		}
	}
}

func TestNoHiddenOption(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-q"}, {"-q", "--no-hidden"}, {"-q", "--no-hidden", "--confine"}, {"-q", "--no-hidden", "--cgi"}} {
		p := startServer(t, args...)
		p.addFile(t, ".env", []byte("secret"))
		shown := len(args) == 1
		if got := p.get(t, "/.env"); strings.HasPrefix(got, "HTTP/1.0 404 ") == shown {
			t.Errorf("%q: %s", args, got)
		}
		if got := p.get(t, "/"); strings.Contains(got, ".env") != shown {
			t.Errorf("%q: %s", args, got)
		}
	}
}

func TestContentTypeOption(t *testing.T) {
	t.Parallel()
	p := startServer(t, "-q", "--content-type", "text/plain; charset=utf-8")
	p.addFile(t, "README", []byte("read me"))
	p.addFile(t, "page.html", []byte("<p>page"))
	for target, want := range map[string]string{"/README": "text/plain; charset=utf-8", "/page.html": "text/html"} {
		if got := p.ask(t, "GET", target).Header.Get("Content-Type"); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

// Pages of other sites can read every response.
func TestCORS(t *testing.T) {
	t.Parallel()
	p := startServer(t, "-q", "--cors", "-p", "HTTP/1.1")
	if err := os.Mkdir(filepath.Join(p.Dir, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		method, target string
		code           int
	}{
		{"GET", "/hello.txt", 200}, {"HEAD", "/hello.txt", 200}, {"GET", "/", 200}, {"GET", "/dir", 301},
		{"GET", "/missing", 404}, {"POST", "/hello.txt", 501}, {"SPAM", "/", 501}, {"OPTIONS", "/missing", 204}, {"OPTIONS", "*", 204},
		{"GET", "nothing", 400},
	} {
		res := p.ask(t, tt.method, tt.target, "Origin: http://a.test")
		origin, expose := res.Header.Values("Access-Control-Allow-Origin"), res.Header.Get("Access-Control-Expose-Headers")
		if res.StatusCode != tt.code || len(origin) != 1 || origin[0] != "*" || !strings.Contains(expose, "Content-Range") || !strings.Contains(expose, "ETag") {
			t.Errorf("%s %s: %s\n%v", tt.method, tt.target, res.Status, res.Header)
		}
	}
	res := p.ask(t, "GET", "/hello.txt", "Expect: 100-continue", "Content-Length: 0")
	if res.StatusCode != 100 || len(res.Header) != 0 {
		t.Errorf("%s, %v", res.Status, res.Header)
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	ask := []string{"Origin: http://a.test", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: range"}
	for _, tt := range []struct {
		args  []string
		code  int
		allow string
	}{
		{nil, 501, ""},
		{[]string{"--cgi"}, 501, ""},
		{[]string{"--cors"}, 204, "GET, HEAD, OPTIONS"},
		{[]string{"--cors", "--cgi"}, 204, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
	} {
		res := startServer(t, append(tt.args, "-q")...).ask(t, "OPTIONS", "/hello.txt", ask...)
		h := res.Header
		if res.StatusCode != tt.code || h.Get("Allow") != tt.allow || tt.code == 204 && h.Get("Access-Control-Allow-Methods") != "GET, HEAD, OPTIONS" {
			t.Errorf("%q: %s\n%v", tt.args, res.Status, h)
		}
		if allowed := strings.Split(h.Get("Access-Control-Allow-Headers"), ", "); tt.code == 204 &&
			(!slices.Contains(allowed, "Range") || !slices.Contains(allowed, "If-Range") || h.Get("Access-Control-Max-Age") == "" || len(h.Values("Content-Length")) > 0) {
			t.Errorf("%q: %v", tt.args, h)
		}
	}
}

// A script may decide itself which pages may read its response.
func TestCORSScript(t *testing.T) {
	needSignals(t)
	t.Parallel()
	p := startServer(t, "-q", "--cors", "--cgi")
	p.addScript(t, "cors", "")
	script := "#!/bin/sh\necho Access-Control-Allow-Origin: http://a.test\necho X-A: b\necho\n"
	if err := os.WriteFile(filepath.Join(p.Dir, "cgi-bin", "cors"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	h := p.ask(t, "GET", "/cgi-bin/cors").Header
	if origin := h.Values("Access-Control-Allow-Origin"); len(origin) != 1 || origin[0] != "http://a.test" || h.Get("X-A") != "b" {
		t.Errorf("%v", h)
	}
}

// POST is refused with Python's message, which mentions scripts only with --cgi.
func TestUnsupported(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"501 Unsupported method ('POST')":   nil,
		"501 Can only POST to CGI scripts":  {"--cgi"},
		"501 Unsupported method ('DELETE')": {"--cgi"},
	} {
		method := "POST"
		if strings.Contains(want, "DELETE") {
			method = "DELETE"
		}
		p := startServer(t, append(args, "-q")...)
		if got := p.ask(t, method, "/hello.txt"); got.Status != want {
			t.Errorf("%q: %s %s, want %s", args, method, got.Status, want)
		}
	}
}

// Without --cgi, a script is a file like any other.
func TestScriptIsFile(t *testing.T) {
	t.Parallel()
	p := startServer(t, "-q")
	p.addScript(t, "script", "echo it ran")
	if got := p.get(t, "/cgi-bin/script"); !strings.Contains(got, "#!/bin/sh") {
		t.Errorf("got %q", got)
	}
}

const latin = "caf\xe9" // no UTF-8

// tree makes a file outside the directory of the command, and links in it.
func (p *process) tree(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows lets only some users make symbolic links")
	}
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(p.Dir, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(p.Dir, outside)
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"in": "hello.txt", "dir/up": "../hello.txt", "dirlink": "dir",
		"out": relative + "/secret", "outdir": relative, "abs": filepath.Join(outside, "secret"), "absin": filepath.Join(p.Dir, "hello.txt"),
		"dir/index.html": filepath.Join(outside, "secret"),
	} {
		if err := os.Symlink(target, filepath.Join(p.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(p.Dir, latin), []byte("latin"), 0o644); err != nil {
		t.Log("no name that is not UTF-8: ", err)
	}
	if err := exec.Command("mkfifo", filepath.Join(p.Dir, "fifo")).Run(); err != nil {
		t.Log("no FIFO: ", err)
	}
}

func TestConfine(t *testing.T) {
	t.Parallel()
	for _, confine := range []bool{false, true} {
		p := startServer(t, "-q")
		if confine {
			p = startServer(t, "-q", "--confine")
		}
		p.tree(t)
		for _, tt := range []struct {
			target         string
			free, confined string // ends of the responses
		}{
			{"/hello.txt", hello, hello},
			{"/in", hello, hello},
			{"/dir/up", hello, hello},
			{"/dirlink/up", hello, hello},
			{"/out", "secret", "404"},
			{"/abs", "secret", "404"},
			{"/outdir/secret", "secret", "404"},
			{"/outdir/", "listing", "404"},
			{"/dir/", "secret", "listing"}, // index.html is not sent as its page
			{"/absin", hello, "404"},       // an absolute link starts outside
			{"/../hello.txt", hello, hello},
			{"/..%2f..%2fhello.txt", hello, hello},
			{"/fifo", "404", "404"},
			{"/", "listing", "listing"},
			{"/caf%e9", "latin", "404"}, // io/fs has only names in UTF-8
		} {
			want := tt.free
			if confine {
				want = tt.confined
			}
			if _, err := os.Stat(filepath.Join(p.Dir, latin)); err != nil && want == "latin" {
				continue
			}
			got := p.get(t, tt.target)
			switch {
			case want == "404" && strings.HasPrefix(got, "HTTP/1.0 404 "):
			case want == "listing" && strings.HasPrefix(got, "HTTP/1.0 200 ") && strings.Contains(got, "<a href="):
			case strings.HasPrefix(got, "HTTP/1.0 200 ") && strings.HasSuffix(got, "\r\n\r\n"+want):
			default:
				t.Errorf("%s, confine %v: want %q, got %q", tt.target, confine, want, got)
			}
		}
	}
}

// A FIFO that has replaced a file after the server looked at it is not waited for.
func TestConfinedFIFO(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := exec.Command("mkfifo", filepath.Join(dir, "fifo")).Run(); err != nil {
		t.Skip("no FIFO here: ", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(hello), 0o644); err != nil {
		t.Fatal(err)
	}
	d := &confinedDirectory{name: dir}
	for name, want := range map[string]error{"fifo": fs.ErrNotExist, "missing": fs.ErrNotExist, "../x": fs.ErrInvalid, "caf\xe9": fs.ErrInvalid, "file": nil, ".": nil} {
		f, err := d.Open(name)
		if !errors.Is(err, want) || (f == nil) != (want != nil) {
			t.Errorf("%q: %v, %v, want %v", name, f, err, want)
		}
		if err == nil {
			f.Close()
		}
	}
	if entries, err := fs.ReadDir(d, "fifo"); err == nil {
		t.Errorf("a FIFO has the entries %v", entries)
	}
	if entries, err := fs.ReadDir(d, "."); err != nil || len(entries) != 2 || entries[0].Name() != "fifo" || entries[1].Name() != "file" {
		t.Errorf("ReadDir: %v, %v", entries, err)
	}
}

// The listing of a confined server includes files that it does not send, and the
// banner has no second line.
func TestConfinedListing(t *testing.T) {
	t.Parallel()
	p := startServer(t, "-q", "--confine")
	p.tree(t)
	page := p.get(t, "/")
	for _, link := range []string{"hello.txt", "in", "out", "abs", "dir/"} {
		if !strings.Contains(page, `<a href="`+link+`"`) {
			t.Errorf("no %s in the listing:\n%s", link, page)
		}
	}
	p.Process.Kill()
	if _, stdout, _ := p.wait(t); stdout != "" {
		t.Errorf("stdout after the banner: %q", stdout)
	}
}
