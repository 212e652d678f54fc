package httpserver_test

import (
	"archive/zip"
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"httpserver"
)

//go:embed testdata/files.txt
var embedded embed.FS

// serveFiles serves with a SimpleHandler that set may change before.
func serveFiles(t *testing.T, set func(*httpserver.SimpleHandler)) *httpserver.ThreadingHTTPServer {
	t.Helper()
	s, _ := start(t, func() httpserver.Handler {
		h := new(httpserver.SimpleHandler)
		set(h)
		return h
	}, nil)
	return s
}

// get sends a GET and returns the head and the body of the response.
func get(t *testing.T, s *httpserver.ThreadingHTTPServer, target string) (head, body string) {
	t.Helper()
	head, body, ok := strings.Cut(exchange(t, s.Addr(), "GET "+target+" HTTP/1.0\r\n\r\n"), "\r\n\r\n")
	if !ok {
		t.Fatalf("%s: no head", target)
	}
	return head + "\r\n", body
}

func TestFS(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"hello.txt":      {Data: []byte("hello\n"), ModTime: siteTime},
		"index.html":     {Data: []byte("<p>top\n")},
		"sub/index.html": {Data: []byte("<p>index\n")},
		"list/a b":       {Data: []byte("a\n")},
		"list/B/x":       {},
		"big":            {Data: bytes.Repeat([]byte("0123456789"), 10000)},
		"device":         {Mode: fs.ModeDevice},
	}
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	if err := z.AddFS(fstest.MapFS{"hello.txt": files["hello.txt"], "sub/index.html": files["sub/index.html"], "list/a b": files["list/a b"], "list/B/x": files["list/B/x"], "big": files["big"], "index.html": files["index.html"]}); err != nil {
		t.Fatal(err)
	}
	z.Close()
	zipped, err := zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, zipped); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, fsys := range map[string]fs.FS{"map": files, "zip": zipped, "root": root.FS(), "dir": os.DirFS(dir)} {
		t.Run(name, func(t *testing.T) {
			s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.FS = fsys })
			for target, want := range map[string]string{
				"/hello.txt":         "hello\n",
				"/":                  "<p>top\n",
				"/sub/":              "<p>index\n",
				"/sub/../hello.txt":  "hello\n",
				"//hello.txt":        "hello\n",
				"/../../hello%2etxt": "hello\n",
				"/big":               string(files["big"].Data),
			} {
				if head, body := get(t, s, target); body != want || !strings.HasPrefix(head, "HTTP/1.0 200 ") {
					t.Errorf("%s: %.200s%.200s", target, head, body)
				}
			}
			for target, want := range map[string]string{
				"/sub":        "HTTP/1.0 301 Moved Permanently\r\n",
				"/nope":       "HTTP/1.0 404 File not found\r\n",
				"/hello.txt/": "HTTP/1.0 404 File not found\r\n",
				"/a\xff":      "HTTP/1.0 404 File not found\r\n",
				"/device":     "HTTP/1.0 404 File not found\r\n",
				"/%00":        "HTTP/1.0 404 File not found\r\n",
			} {
				if head, _ := get(t, s, target); !strings.HasPrefix(head, want) {
					t.Errorf("%s: %s", target, head)
				}
			}
			_, page := get(t, s, "/list/")
			if got := httpserver.Links(page); !slices.Equal(got, [][2]string{{"a%20b", "a b"}, {"B/", "B/"}}) {
				t.Errorf("links %q", got)
			}
		})
	}
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.FS = embedded })
	if head, body := get(t, s, "/testdata/files.txt"); strings.Contains(head, "Last-Modified") || len(body) < 1000 {
		t.Errorf("a file without a time: %s", head)
	}
}

// Entries of a zip archive that were made without a date have no validators.
func TestZipWithoutDates(t *testing.T) {
	t.Parallel()
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	if _, err := z.Create("f"); err != nil {
		t.Fatal(err)
	}
	z.Close()
	zipped, err := zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
	if err != nil {
		t.Fatal(err)
	}
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.FS = zipped })
	head, _ := get(t, s, "/f")
	if !strings.HasPrefix(head, "HTTP/1.0 200 ") || strings.Contains(head, "ETag") || strings.Contains(head, "Last-Modified") {
		t.Error(head)
	}
}

// Files with any name that the system allows are listed, linked and served.
func TestOddNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	names := []string{"a b", "%41", "#?", "<i>&amp;", `"'`, "a:b", "javascript:x", "..x", " lead", "-d", "é", "漢\u202e字", "a;b=c,d+e", `back\slash`, "~", "line\nend", "tab\t", "http:", "*", "a,b", "(c)"}
	if runtime.GOOS == "linux" {
		names = append(names, "latin\xe9", "\xff\xfe")
	}
	made := 0
	for _, name := range names {
		if runtime.GOOS == "windows" && strings.Contains(name, ":") {
			continue // it would be a stream of a file
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o666); err == nil {
			made++
		}
	}
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.Directory = dir })
	base, _ := url.Parse(s.URL() + "/")
	_, page := get(t, s, "/")
	found := httpserver.Links(page)
	if len(found) != made || made < 10 {
		t.Fatalf("%d links for %d files:\n%s", len(found), made, page)
	}
	for _, link := range found {
		u, err := base.Parse(link[0])
		if err != nil || u.Host != base.Host {
			t.Errorf("link %q leads to %v, %v", link[0], u, err)
			continue
		}
		if _, body := get(t, s, u.RequestURI()); body != link[1] {
			t.Errorf("link %q of %q opens %q", link[0], link[1], body)
		}
	}
}

// makeFIFO makes a FIFO, or skips the test.
func makeFIFO(t *testing.T, name string) {
	t.Helper()
	if err := exec.Command("mkfifo", name).Run(); err != nil {
		t.Skip("no FIFO here: ", err)
	}
}

func symlink(t *testing.T, target, name string) {
	t.Helper()
	notOnWindows(t, "symbolic links need privileges")
	if err := os.Symlink(target, name); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
}

func TestSymbolicLinks(t *testing.T) {
	t.Parallel()
	outside, dir := makeSite(t), t.TempDir()
	symlink(t, outside, filepath.Join(dir, "d"))
	symlink(t, filepath.Join(outside, "hello.txt"), filepath.Join(dir, "f"))
	symlink(t, "nowhere", filepath.Join(dir, "x"))
	symlink(t, "loop", filepath.Join(dir, "loop"))
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.Directory = dir })
	_, page := get(t, s, "/")
	if got := httpserver.Links(page); !slices.Equal(got, [][2]string{{"d/", "d@"}, {"f", "f@"}, {"loop", "loop@"}, {"x", "x@"}}) {
		t.Errorf("links %q", got)
	}
	if _, body := get(t, s, "/d/hello.txt"); body != "hello, world\n" {
		t.Errorf("through a link: %q", body)
	}
	for _, target := range []string{"/x", "/loop", "/f/"} {
		if head, _ := get(t, s, target); !strings.HasPrefix(head, "HTTP/1.0 404 ") {
			t.Errorf("%s: %s", target, head)
		}
	}

	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	s = serveFiles(t, func(h *httpserver.SimpleHandler) { h.FS = root.FS() })
	for _, target := range []string{"/f", "/d/hello.txt"} {
		if head, _ := get(t, s, target); !strings.HasPrefix(head, "HTTP/1.0 404 ") {
			t.Errorf("%s outside the root: %s", target, head)
		}
	}
}

// A file that is not a regular one is not served, and not waited for.
func TestSpecialFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	makeFIFO(t, filepath.Join(dir, "fifo"))
	symlink(t, "/dev/tty", filepath.Join(dir, "tty"))
	symlink(t, "/dev/zero", filepath.Join(dir, "zero"))
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, set := range map[string]func(*httpserver.SimpleHandler){
		"Directory": func(h *httpserver.SimpleHandler) { h.Directory = dir },
		"DirFS":     func(h *httpserver.SimpleHandler) { h.FS = os.DirFS(dir) },
		"Root":      func(h *httpserver.SimpleHandler) { h.FS = root.FS() },
	} {
		s := serveFiles(t, func(h *httpserver.SimpleHandler) { set(h); h.IndexPages = []string{"fifo"} })
		for _, target := range []string{"/fifo", "/tty", "/zero", "/fifo/"} {
			if head, _ := get(t, s, target); !strings.HasPrefix(head, "HTTP/1.0 404 File not found\r\n") {
				t.Errorf("%s: %s: %s", name, target, head)
			}
		}
		if _, page := get(t, s, "/"); len(httpserver.Links(page)) != 3 {
			t.Errorf("%s: a FIFO as index page: %s", name, page)
		}
	}
}

func TestNoPermission(t *testing.T) {
	t.Parallel()
	if os.Geteuid() <= 0 {
		t.Skip("a superuser, or Windows, may read everything")
	}
	dir := makeSite(t)
	if err := os.Rename(filepath.Join(dir, "list", "sub"), filepath.Join(dir, "hidden")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "hidden", "index.html"), nil, 0); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]fs.FileMode{"list": 0o300, "hello.txt": 0, "index": 0o100} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(filepath.Join(dir, name), 0o700) })
	}
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.Directory = dir })
	for target, want := range map[string]string{
		"/list":      "301 Moved Permanently",
		"/list/":     "404 No permission to list directory",
		"/hello.txt": "404 File not found",
		"/index/":    "200 OK",
		"/hidden/":   "404 File not found", // and no listing
	} {
		if head, _ := get(t, s, target); !strings.HasPrefix(head, "HTTP/1.0 "+want+"\r\n") {
			t.Errorf("%s: %s", target, head)
		}
	}
}

// A poorFS has no descriptors left.
type poorFS struct{}

func (poorFS) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EMFILE}
}

// If the system is out of resources, the response is not that there is no file.
func TestNoDescriptors(t *testing.T) {
	t.Parallel()
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.FS = poorFS{} })
	if head, _ := get(t, s, "/hello.txt"); !strings.HasPrefix(head, "HTTP/1.0 503 Service Unavailable\r\n") {
		t.Error(head)
	}
}

// The same holds for an FS that can examine names without descriptors, unless there is no
// file.
func TestNoDescriptorsToOpen(t *testing.T) {
	t.Parallel()
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.FS = examinedFS{fstest.MapFS{"f": {}}} })
	for target, want := range map[string]string{"/f": "503 Service Unavailable", "/nope": "404 File not found"} {
		if head, _ := get(t, s, target); !strings.HasPrefix(head, "HTTP/1.0 "+want+"\r\n") {
			t.Errorf("%s: %s", target, head)
		}
	}
}

// An examinedFS has no descriptors left, but still examines names.
type examinedFS struct{ fstest.MapFS }

func (examinedFS) Open(name string) (fs.File, error) { return poorFS{}.Open(name) }

// A directory that cannot be listed is a 404, whatever the reason.
func TestListingFails(t *testing.T) {
	t.Parallel()
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.FS = unlistable{} })
	if head, _ := get(t, s, "/"); !strings.HasPrefix(head, "HTTP/1.0 404 No permission to list directory\r\n") {
		t.Error(head)
	}
}

// lister lists what is no directory as well.
type lister struct{ httpserver.SimpleHandler }

func (h *lister) SendHead() (io.ReadCloser, bool) { return h.ListDirectory(h.TranslatePath(h.Path)) }

// A target that cannot stand for a file is not listed as the root.
func TestListingOfNoName(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*lister){
		"Directory": func(h *lister) { h.Directory = t.TempDir() },
		"FS":        func(h *lister) { h.FS = fstest.MapFS{"f": {}} },
	} {
		s, _ := start(t, func() httpserver.Handler {
			h := new(lister)
			set(h)
			return h
		}, nil)
		if head, _ := get(t, s, "/%00"); !strings.HasPrefix(head, "HTTP/1.0 404 No permission to list directory\r\n") {
			t.Errorf("%s: %s", name, head)
		}
	}
}

type unlistable struct{}

func (unlistable) Open(string) (fs.File, error) {
	f, err := fstest.MapFS{}.Open(".")
	return struct{ fs.File }{f}, err
}

func TestFields(t *testing.T) {
	t.Parallel()
	site := makeSite(t)
	s := serveFiles(t, func(h *httpserver.SimpleHandler) {
		h.Directory = site
		h.IndexPages = []string{"nope", "x", "page.HTML"}
		h.ExtensionsMap = map[string]string{".HTML": "text/exact", ".txt": "text/x"}
		h.DefaultContentType = "text/default"
		h.ExtraResponseHeaders = []httpserver.Field{{Name: "X-One", Value: "1"}, {Name: "content-TYPE", Value: "no"}, {Name: "x-one", Value: "2"}}
	})
	for target, want := range map[string][]string{
		"/":          {"Content-type: text/exact\r\n", "X-One: 1\r\n"},
		"/list/sub/": {"Content-type: text/default\r\n"},
		"/hello.txt": {"Content-type: text/x\r\n", "X-One: 1\r\nx-one: 2\r\n"},
		"/empty":     {"Content-type: text/default\r\n", "Content-Length: 0\r\n"},
		"/list/":     {"Content-type: text/html; charset=utf-8\r\n", "X-One: 1\r\n"},
	} {
		head, _ := get(t, s, target)
		for _, line := range want {
			if !strings.Contains(head, "\r\n"+line) {
				t.Errorf("%s: %q is not in %q", target, line, head)
			}
		}
		if strings.Contains(head, "content-TYPE") {
			t.Errorf("%s: doubled field in %q", target, head)
		}
	}
	for _, target := range []string{"/nope", "/hello.txt/"} {
		if head, _ := get(t, s, target); strings.Contains(head, "X-One") {
			t.Errorf("%s: %s", target, head)
		}
	}
	if got := exchange(t, s.Addr(), "GET /empty\r\n"); got != "" {
		t.Errorf("HTTP/0.9: %q", got)
	}
	s = serveFiles(t, func(h *httpserver.SimpleHandler) {
		h.Directory = filepath.Join(site, "index")
		h.IndexPages, h.ExtensionsMap = []string{}, map[string]string{}
	})
	if _, body := get(t, s, "/"); !strings.Contains(body, "Directory listing for /<") {
		t.Errorf("no index pages: %s", body)
	}
}

// A redirect, which browsers keep, has the fields that say how long.
func TestExtraFieldsOfRedirect(t *testing.T) {
	t.Parallel()
	site := makeSite(t)
	s := serveFiles(t, func(h *httpserver.SimpleHandler) {
		h.Directory = site
		h.ExtraResponseHeaders = []httpserver.Field{{Name: "Cache-Control", Value: "no-store"}, {Name: "location", Value: "/"}}
	})
	for _, method := range []string{"GET", "HEAD"} {
		head := exchange(t, s.Addr(), method+" /list HTTP/1.0\r\n\r\n")
		if !strings.HasPrefix(head, "HTTP/1.0 301 ") || !strings.HasSuffix(head, "\r\nLocation: /list/\r\nContent-Length: 0\r\nCache-Control: no-store\r\n\r\n") {
			t.Errorf("%s: %s", method, head)
		}
	}
}

func TestCharset(t *testing.T) {
	t.Parallel()
	types := map[string]string{
		"html": "text/html; charset=x", "txt": "text/plain; charset=x", "css": "text/css; charset=x", "js": "text/javascript; charset=x", "a": "Application/JavaScript; charset=x",
		"b": "text/plain; format=flowed; charset=x", "c": "text/plain; Charset=y", "d": `text/plain;charset="y"`, "e": "text/plain; charset=x",
		"json": "application/json", "xml": "text/xml", "svg": "image/svg+xml", "png": "image/png", "webmanifest": "application/manifest+json", "f": "text/x+xml", "g": "text/json", "xhtml": "application/xhtml+xml", "mp3": "", // as Python sends it
	}
	files := fstest.MapFS{}
	for suffix := range types {
		files["f."+suffix] = &fstest.MapFile{Data: []byte("0123456789"), ModTime: siteTime}
	}
	extensions := map[string]string{".a": "Application/JavaScript", ".b": "text/plain; format=flowed", ".c": "text/plain; Charset=y", ".d": `text/plain;charset="y"`, ".e": "text/plain;", ".f": "text/x+xml", ".g": "text/json", ".mp3": ""}
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.FS, h.ExtensionsMap, h.Charset = files, extensions, "x" })
	for suffix, want := range types {
		for _, request := range []string{"GET /f.%s HTTP/1.0\r\n\r\n", "HEAD /f.%s HTTP/1.0\r\n\r\n", "GET /f.%s HTTP/1.0\r\nRange: bytes=1-\r\n\r\n"} {
			if head := exchange(t, s.Addr(), fmt.Sprintf(request, suffix)); !strings.Contains(head, "\r\nContent-type: "+want+"\r\n") {
				t.Errorf("%s: %s", suffix, head)
			}
		}
	}
	if _, page := get(t, s, "/"); !strings.Contains(page, `<meta charset="utf-8">`) {
		t.Errorf("listing: %s", page)
	}
	if head, _ := get(t, s, "/"); !strings.Contains(head, "\r\nContent-type: text/html; charset=utf-8\r\n") {
		t.Errorf("listing: %s", head)
	}
}

// With NoHidden, names that begin with a dot are not found, and not listed.
func TestNoHidden(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{}
	if runtime.GOOS == "windows" {
		t.Skip("Windows takes no names that end in a dot")
	}
	for _, name := range []string{".env", ".git/config", "a/.b/c", "a/.b/d/e", "a/b.c", ".well-known/acme-challenge/token", ".well-known/.x", ".well-known2/x", "..x/y", "plain/.index.html", "...", "a/..."} {
		files[name] = &fstest.MapFile{Data: []byte(name), ModTime: siteTime}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(h *httpserver.CGIHandler){
		"FS":        func(h *httpserver.CGIHandler) { h.FS = files },
		"directory": func(h *httpserver.CGIHandler) { h.Directory = dir },
	} {
		newHandler := func() httpserver.Handler {
			h := new(httpserver.CGIHandler)
			set(h)
			h.NoHidden, h.CGIDirectories, h.IndexPages = true, []string{"/cgi-bin"}, []string{".index.html"}
			return h
		}
		s, _ := start(t, newHandler, nil)
		for target, want := range map[string]string{
			"/.env": "404", "/%2eenv": "404", "/a/../.env": "404", "/.git": "404", "/.git/": "404", "/.git/config": "404", "/.git/nothing": "404",
			"/a/.b/c": "404", "/a/.b/d/e": "404", "/a/.b/d/": "404", "/a/b.c": "200", "/a/./b.c": "200", "/.env/../a/b.c": "200",
			"/.well-known/acme-challenge/token": "200", "/.well-known/.x": "404", "/.well-known2/x": "404", "/..x/y": "404", "/...": "404", "/a/...": "404",
			"/cgi-bin/.script": "404", "/.cgi-bin": "404", "/.nothing": "404",
		} {
			for _, method := range []string{"GET", "HEAD"} {
				if got := exchange(t, s.Addr(), method+" "+target+" HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 "+want) {
					t.Errorf("%s: %s %s: %.100s", name, method, target, got)
				}
			}
		}
		for target, want := range map[string][][2]string{
			"/":                      {{".well-known/", ".well-known/"}, {"a/", "a/"}, {"plain/", "plain/"}},
			"/?sort=name&order=desc": {{"plain/", "plain/"}, {"a/", "a/"}, {".well-known/", ".well-known/"}},
			"/a/":                    {{"b.c", "b.c"}},
			"/plain/":                nil, // and not its index page
		} {
			if _, page := get(t, s, target); !slices.Equal(httpserver.Links(page), want) || strings.Contains(page, "...") {
				t.Errorf("%s: %s: %q", name, target, httpserver.Links(page))
			}
		}
		list := exchange(t, s.Addr(), "GET / HTTP/1.0\r\nAccept: application/json\r\n\r\n")
		if strings.Contains(list, `".env"`) || !strings.Contains(list, `".well-known"`) || strings.Count(list, `"name"`) != 3 {
			t.Errorf("%s: %s", name, list)
		}
	}
}

func TestGuessType(t *testing.T) {
	t.Parallel()
	h := new(httpserver.SimpleHandler)
	for name, want := range map[string]string{
		"a.html": "text/html", "a.HTM": "text/html", "a.css": "text/css", "a.js": "text/javascript", "a.mjs": "text/javascript",
		"a.json": "application/json", "a.wasm": "application/wasm", "a.svg": "image/svg+xml", "a.avif": "image/avif",
		"a.webp": "image/webp", "a.woff2": "font/woff2", "a.md": "text/markdown", "a.csv": "text/csv", "a.xml": "text/xml",
		"a.pdf": "application/pdf", "a.mp4": "video/mp4", "a.webm": "video/webm", "a.txt": "text/plain", "a.png": "image/png",
		"a.jpeg": "image/jpeg", "a.gif": "image/gif", "a.ico": "image/vnd.microsoft.icon",
		"a.tar.gz": "application/gzip", "a.html.gz": "application/gzip", "a.Z": "application/octet-stream", "a.bz2": "application/x-bzip2", "a.txz": "application/x-xz", "a.odg": "application/vnd.oasis.opendocument.graphics", "a.XZ": "application/x-xz",
		"a": "application/octet-stream", ".html": "application/octet-stream", "..html": "application/octet-stream", ".a.html": "text/html", "a.": "application/octet-stream",
		"x.html/a": "application/octet-stream", "a.unknown": "application/octet-stream", "": "application/octet-stream",
	} {
		if got := h.GuessType(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	m := httpserver.DefaultExtensionsMap()
	m[".gz"] = "changed"
	if got := h.GuessType("a.gz"); got != "application/gzip" || len(m) != 4 {
		t.Errorf("DefaultExtensionsMap gives the package's own map: %s", got)
	}
}

// An SVG image in gzip is an image, but an archive is not what is in it.
func TestContentEncoding(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{}
	for _, name := range []string{"p.svgz", "P.SVGZ", "x.tar.gz", "x.svg.gz", "p.svg", ".svgz"} {
		files[name] = &fstest.MapFile{Data: make([]byte, 1000), ModTime: siteTime}
	}
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.FS = files })
	other := serveFiles(t, func(h *httpserver.SimpleHandler) {
		h.FS, h.ExtensionsMap = files, map[string]string{".svgz": "application/gzip"}
	})
	for _, tt := range []struct {
		s              *httpserver.ThreadingHTTPServer
		request        string
		code, mimeType string
		coding         bool
	}{
		{s, "GET /p.svgz", "200", "image/svg+xml", true},
		{s, "HEAD /P.SVGZ", "200", "image/svg+xml", true},
		{s, "GET /p.svgz HTTP/1.0\r\nRange: bytes=2-", "206", "image/svg+xml", true},
		{s, "GET /p.svgz HTTP/1.0\r\nRange: bytes=0-1,5-6", "200", "image/svg+xml", true},
		{s, "GET /x.tar.gz", "200", "application/gzip", false},
		{s, "GET /x.svg.gz", "200", "application/gzip", false},
		{s, "GET /p.svg", "200", "image/svg+xml", false},
		{s, "GET /.svgz", "200", "application/octet-stream", false},
		{other, "GET /p.svgz", "200", "application/gzip", false},
	} {
		request, fields, _ := strings.Cut(tt.request, " HTTP/1.0")
		head := exchange(t, tt.s.Addr(), request+" HTTP/1.0"+fields+"\r\n\r\n")
		if !strings.HasPrefix(head, "HTTP/1.0 "+tt.code) || !strings.Contains(head, "\r\nContent-type: "+tt.mimeType+"\r\n") || strings.Contains(head, "\r\nContent-Encoding: gzip\r\n") != tt.coding {
			t.Errorf("%s: %s", tt.request, head)
		}
	}
}

func TestTranslatePath(t *testing.T) {
	t.Parallel()
	h := &httpserver.SimpleHandler{Directory: "/d"}
	if got := h.TranslatePath("/a%20b/../c/?x"); got != "/d/c/" {
		t.Error(got)
	}
	h = &httpserver.SimpleHandler{FS: embedded}
	for target, want := range map[string]string{"/": "./", "/a": "a", "/a/": "a/", "/%00": ""} {
		if got := h.TranslatePath(target); got != want {
			t.Errorf("TranslatePath(%q) = %q with FS", target, got)
		}
	}
}

// An idle connection keeps nothing of the request for a file.
func TestIdleFilesKeepNothing(t *testing.T) {
	if !alone(t) {
		return
	}
	site := makeSite(t)
	rest := " HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("a: "+strings.Repeat("b", 2000)+"\r\n", 90) + "\r\n"
	for _, c := range []struct{ directory, target string }{
		{site, "/hello.txt"},
		{site, "/" + strings.Repeat("p/", 30_000) + "hello.txt"},
		{"/", site + "/hello.txt?" + strings.Repeat("q", 60_000)},
	} {
		const connections = 100
		s, _ := start(t, newUnloggedFiles(c.directory, "HTTP/1.1"), nil)
		before := heap()
		for range connections {
			_, r := send(t, s.Addr(), "GET "+c.target+rest)
			readResponse(t, r)
		}
		if each := (int64(heap()) - int64(before)) / connections; each > 50_000 {
			t.Errorf("%s, %.20s: %d bytes are kept for each connection", c.directory, c.target, each)
		}
	}
}

func TestFutureFile(t *testing.T) {
	t.Parallel()
	dir := makeSite(t)
	future := time.Now().Add(24 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "hello.txt"), future, future); err != nil {
		t.Fatal(err)
	}
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.Directory = dir })
	head, _ := get(t, s, "/hello.txt")
	field := func(name string) time.Time {
		_, rest, _ := strings.Cut(head, "\r\n"+name+": ")
		value, _, _ := strings.Cut(rest, "\r\n")
		d, err := http.ParseTime(value)
		if err != nil {
			t.Fatalf("%s in %q: %v", name, head, err)
		}
		return d
	}
	if field("Last-Modified").After(field("Date").Add(time.Second)) {
		t.Errorf("Last-Modified is later than Date: %s", head)
	}
}

// Each response has a boundary of its own.
func TestBoundaries(t *testing.T) {
	t.Parallel()
	site := makeSite(t)
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.Directory = site })
	var boundaries []string
	for range 2 {
		response := exchange(t, s.Addr(), "GET /index/large HTTP/1.0\r\nRange: bytes=0-1,4-5\r\n\r\n")
		_, value, _ := strings.Cut(response, "\r\nContent-type: multipart/byteranges; boundary=")
		boundaries = append(boundaries, boundary.FindString(value[:min(32, len(value))]))
	}
	if a, b := boundaries[0], boundaries[1]; a == b || len(a) != 32 || len(b) != 32 {
		t.Errorf("boundaries %q", boundaries)
	}
}

// A changingFS has one file whose content is shorter or longer than it says.
type changingFS int

func (n changingFS) Open(name string) (fs.File, error) {
	f, err := fstest.MapFS{"f": {Data: make([]byte, 10)}}.Open(name)
	return &changingFile{f, int(n)}, err
}

type changingFile struct {
	fs.File
	left int
}

func (f *changingFile) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), f.left)
	f.left -= n
	return n, nil
}

func TestFileChangesSize(t *testing.T) {
	t.Parallel()
	request := "GET /f HTTP/1.1\r\nHost: x\r\n\r\n"
	for n, responses := range map[int]int{3: 1, 10: 2, 99: 2, 0: 1} {
		s := serveFiles(t, func(h *httpserver.SimpleHandler) {
			h.FS, h.ProtocolVersion = changingFS(n), "HTTP/1.1"
		})
		got := exchange(t, s.Addr(), request+request)
		if c := strings.Count(got, "HTTP/1.1 200 OK\r\n"); c != responses {
			t.Errorf("%d bytes of 10: %d responses:\n%q", n, c, got)
		}
		if body := got[strings.Index(got, "\r\n\r\n")+4:]; responses == 1 && len(body) != n {
			t.Errorf("%d bytes of 10: body %q", n, body)
		}
	}
}

// TestMirror follows all links from the root of a tree and compares all files.
func TestMirror(t *testing.T) {
	t.Parallel()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("no Go sources here: ", err)
	}
	tree := filepath.Join(strings.TrimSpace(string(root)), "src", "net")
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.Directory, h.IndexPages = tree, []string{} })
	got := make(map[string]bool)
	var follow func(dir string)
	follow = func(dir string) {
		_, page := get(t, s, dir)
		for _, link := range httpserver.Links(page) {
			target := dir + link[0]
			if strings.HasSuffix(link[0], "/") {
				follow(target)
				continue
			}
			name, _ := url.PathUnescape(target)
			want, err := os.ReadFile(filepath.Join(tree, filepath.FromSlash(name)))
			if _, body := get(t, s, target); err != nil || body != string(want) {
				t.Errorf("%s: %d bytes, want %d, %v", target, len(body), len(want), err)
			}
			got[path.Clean(name)] = true
		}
	}
	follow("/")
	files := 0
	err = filepath.WalkDir(tree, func(name string, d fs.DirEntry, err error) error {
		if d.Type().IsRegular() {
			files++
		}
		return err
	})
	if err != nil || len(got) != files || files < 100 {
		t.Errorf("%d of %d files, %v", len(got), files, err)
	}
}

// failing has a CopyFile that fails.
type failing struct{ httpserver.SimpleHandler }

func (h *failing) CopyFile(io.Writer, io.Reader) error { return errors.New("no\nway") }

func TestCopyFileFails(t *testing.T) {
	t.Parallel()
	site := makeSite(t)
	s, log := start(t, func() httpserver.Handler {
		h := new(failing)
		h.Directory, h.ProtocolVersion = site, "HTTP/1.1"
		return h
	}, nil)
	request := "GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n"
	if got := exchange(t, s.Addr(), request+request); strings.Count(got, "HTTP/1.1 200") != 1 || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("got %q", got)
	}
	if want := `Sending /hello.txt: no\x0away`; !strings.Contains(log.String(), want) {
		t.Errorf("log %q", log)
	}
}

// A meetingFS reads a directory when another one is read as well.
type meetingFS struct {
	fs.FS
	meet *sync.WaitGroup
}

func (f meetingFS) ReadDir(name string) ([]fs.DirEntry, error) {
	f.meet.Done()
	f.meet.Wait()
	return fs.ReadDir(f.FS, name)
}

// Handlers with an FS of their own do not share what is read of a directory.
func TestListingOfEachFS(t *testing.T) {
	t.Parallel()
	var meet sync.WaitGroup
	meet.Add(2)
	names := []string{"a", "b"}
	s, _ := start(t, func() httpserver.Handler {
		h := new(httpserver.SimpleHandler)
		h.FS = meetingFS{fstest.MapFS{names[0]: {}}, &meet}
		names = names[1:]
		return h
	}, nil)
	var pages [2]string
	var clients sync.WaitGroup
	for i := range pages {
		clients.Go(func() { pages[i] = exchange(t, s.Addr(), "GET / HTTP/1.0\r\n\r\n") })
	}
	clients.Wait()
	for _, name := range []string{"a", "b"} {
		link := `<a href="` + name + `">`
		if n := strings.Count(pages[0], link) + strings.Count(pages[1], link); n != 1 {
			t.Errorf("%s is listed %d times:\n%s\n%s", name, n, pages[0], pages[1])
		}
	}
}
