//go:build !portable

package httpserver_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"httpserver"
)

// changedAt returns what the Sys of a file has that changed at a time.
func changedAt(t time.Time) *syscall.Stat_t {
	return &syscall.Stat_t{Ctim: syscall.NsecToTimespec(t.UnixNano())}
}

// The download of a file whose time is yet to come resumes, unless the file has just
// changed.
func TestResumeFutureFile(t *testing.T) {
	t.Parallel()
	future := time.Now().Add(24 * time.Hour)
	s := serveFiles(t, func(h *httpserver.SimpleHandler) {
		h.FS = fstest.MapFS{
			"old": {Data: []byte("0123456789"), ModTime: future, Sys: changedAt(time.Now().Add(-time.Hour))},
			"new": {Data: []byte("0123456789"), ModTime: future, Sys: changedAt(time.Now())},
		}
	})
	for target, want := range map[string]string{"/old": "206 Partial Content", "/new": "200 OK"} {
		head, _ := get(t, s, target)
		_, tag, _ := strings.Cut(head, "\r\nETag: ")
		tag, _, _ = strings.Cut(tag, "\r\n")
		got := exchange(t, s.Addr(), "GET "+target+" HTTP/1.0\r\nRange: bytes=5-\r\nIf-Range: "+tag+"\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.0 "+want) {
			t.Errorf("%s with the tag %s: %s", target, tag, got)
		}
	}
}

// The Last-Modified of an unchanged file is true in later preconditions, even if the time of
// the file is yet to come.
func TestFutureFileUnmodified(t *testing.T) {
	t.Parallel()
	s := serveFiles(t, func(h *httpserver.SimpleHandler) {
		h.FS = fstest.MapFS{"f": {ModTime: time.Now().Add(24 * time.Hour), Sys: changedAt(siteTime)}}
	})
	head, _ := get(t, s, "/f")
	_, date, _ := strings.Cut(head, "\r\nLast-Modified: ")
	date, _, _ = strings.Cut(date, "\r\n")
	for fields, want := range map[string]string{"If-Unmodified-Since: ": "200", "If-Modified-Since: ": "304"} {
		if got := exchange(t, s.Addr(), "GET /f HTTP/1.0\r\n"+fields+date+"\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 "+want) || date != siteTime.Format(http.TimeFormat) {
			t.Errorf("%s%s: %s", fields, date, got)
		}
	}
}

// Files of /sys say that they are larger than they are.
func TestShorterFiles(t *testing.T) {
	t.Parallel()
	const dir, name = "/sys/kernel/mm/transparent_hugepage", "/enabled"
	content, err := os.ReadFile(dir + name)
	if info, statErr := os.Stat(dir + name); err != nil || statErr != nil || info.Size() == int64(len(content)) {
		t.Skip("no such file here: ", err)
	}
	for _, set := range []func(*httpserver.SimpleHandler){
		func(h *httpserver.SimpleHandler) { h.Directory = dir },
		func(h *httpserver.SimpleHandler) { h.FS = os.DirFS(dir) },
	} {
		head, body := get(t, serveFiles(t, set), name)
		if !strings.Contains(head, fmt.Sprintf("\r\nContent-Length: %d\r\n", len(content))) || strings.Contains(head, "ETag") || body != string(content) {
			t.Errorf("%s: %q, want %q", head, body, content)
		}
	}
}

// A file that consists of a hole is sent like any other.
func TestHole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, size := range []int64{1000, 60_000, 100_000} {
		name := filepath.Join(dir, "f")
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		os.Truncate(name, size)
		os.Chtimes(name, siteTime, siteTime)
		head, body := get(t, serveFiles(t, func(h *httpserver.SimpleHandler) { h.Directory = dir }), "/f")
		if body != string(make([]byte, size)) || !strings.Contains(head, "\r\nAccept-Ranges: bytes\r\n") {
			t.Errorf("%d bytes: %s, %d bytes", size, head, len(body))
		}
	}
}

// Files of /proc have content although their size is 0, but nothing that lets a client
// keep it. Those without an end are not sent.
func TestGeneratedFiles(t *testing.T) {
	t.Parallel()
	version, err := os.ReadFile("/proc/version")
	if err != nil {
		t.Skip("no /proc here: ", err)
	}
	root, err := os.OpenRoot("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, set := range map[string]func(*httpserver.SimpleHandler){
		"Directory": func(h *httpserver.SimpleHandler) { h.Directory = "/proc" },
		"DirFS":     func(h *httpserver.SimpleHandler) { h.FS = os.DirFS("/proc") },
		"Root":      func(h *httpserver.SimpleHandler) { h.FS = root.FS() },
	} {
		s := serveFiles(t, func(h *httpserver.SimpleHandler) { set(h); h.ProtocolVersion = "HTTP/1.1" })
		request := "GET /version HTTP/1.1\r\nHost: x\r\nRange: bytes=1-\r\nIf-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT\r\n"
		got := exchange(t, s.Addr(), request+"\r\nHEAD"+request[3:]+"Connection: close\r\n\r\n")
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		if !strings.HasPrefix(head, "HTTP/1.1 200 ") || !strings.Contains(head, fmt.Sprintf("\r\nContent-Length: %d", len(version))) || strings.Contains(head, "Accept-Ranges") || strings.Contains(head, "ETag") || strings.Contains(head, "Last-Modified") {
			t.Errorf("%s: %s", name, head)
		}
		if next, ok := strings.CutPrefix(body, string(version)); !ok || !strings.HasPrefix(next, head[:len("HTTP/1.1 200 OK\r\nServer")]) || !strings.HasSuffix(next, "\r\n\r\n") {
			t.Errorf("%s: %q", name, body)
		}
		if got := exchange(t, s.Addr(), "GET /self/pagemap HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 404 ") {
			t.Errorf("%s: a file without an end: %.200s", name, got)
		}
	}
}

// streamFS has files that can only be read once, from their start.
type streamFS struct{ fstest.MapFS }

func (s streamFS) Open(name string) (fs.File, error) {
	f, err := s.MapFS.Open(name)
	return struct{ fs.File }{f}, err
}

// A file without blocks, as on FUSE, is read to find out whether its size is right. One that
// cannot seek is sent nevertheless.
func TestStreamWithoutBlocks(t *testing.T) {
	t.Parallel()
	s, _ := start(t, func() httpserver.Handler {
		return &httpserver.SimpleHandler{FS: streamFS{fstest.MapFS{"f": {Data: []byte("data"), Sys: new(syscall.Stat_t)}}}}
	}, nil)
	if head, body := get(t, s, "/f"); !strings.Contains(head, "\r\nContent-Length: 4\r\n") || body != "data" {
		t.Errorf("got %s, %q", head, body)
	}
}
