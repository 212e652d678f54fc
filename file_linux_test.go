//go:build !portable

package httpserver

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// A file is in the cache as long as it is the same in every respect.
func TestFileCache(t *testing.T) {
	t.Parallel()
	// write writes until that can be seen, as clocks of file systems tick.
	write := func(t *testing.T, name, text string) {
		var before, after syscall.Stat_t
		syscall.Stat(name, &before)
		for after = before; after.Ctim == before.Ctim; syscall.Stat(name, &after) {
			if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	old := time.Date(2020, 2, 29, 12, 34, 56, 0, time.UTC)
	for change, c := range map[string]struct {
		change func(t *testing.T, name string)
		same   bool
	}{
		"none":        {func(t *testing.T, name string) {}, true},
		"overwritten": {func(t *testing.T, name string) { write(t, name, "12345") }, false},
		"overwritten, its time set back": {func(t *testing.T, name string) {
			write(t, name, "12345")
			os.Chtimes(name, old, old)
		}, false},
		"cut":     {func(t *testing.T, name string) { os.Truncate(name, 4) }, false},
		"removed": {func(t *testing.T, name string) { os.Remove(name) }, false},
		"replaced": {func(t *testing.T, name string) {
			write(t, name+"2", "12345")
			os.Chtimes(name+"2", old, old)
			os.Rename(name+"2", name)
		}, false},
		"another in its place": {func(t *testing.T, name string) {
			os.Rename(filepath.Dir(name), filepath.Dir(name)+"2")
			os.Mkdir(filepath.Dir(name), 0o777)
			os.WriteFile(name, []byte("12345"), 0o666)
		}, false},
		"hidden": {func(t *testing.T, name string) { os.Rename(filepath.Dir(name), filepath.Dir(name)+"2") }, false},
	} {
		t.Run(change, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "dir", "f")
			os.Mkdir(filepath.Dir(name), 0o777)
			write(t, name, "abcde")
			os.Chtimes(name, old, old)
			var cache fileCache
			var opened systemFile
			f, err := opened.open(name, openNonblock)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			f.Stat()
			cache.put(name, &cachedFile{bytes.NewReader([]byte("abcde")), opened.stat})
			c.change(t, name)
			kept, modified := cache.get(name)
			if (kept != nil) != c.same {
				t.Errorf("kept: %v", kept != nil)
			}
			if c.same && !modified.Equal(old) {
				t.Errorf("modified: %v", modified)
			}
			if !c.same && (len(cache.files) > 0 || cache.size != 0) {
				t.Error("it is still kept")
			}
		})
	}
}

// The size of the cache includes names and what each file needs besides.
func TestFileCacheBound(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, smallBody} {
		var cache fileCache
		cost := size + 500 + entryCost
		for i := range 2 * maxCache / cost {
			cache.put(fmt.Sprintf("%0500d", i), &cachedFile{content: bytes.NewReader(make([]byte, size))})
		}
		if sum := len(cache.files) * cost; sum != cache.size || sum > maxCache || sum < maxCache/2 {
			t.Errorf("%d files of %d bytes are kept, which cost %d bytes, %d counted", len(cache.files), size, sum, cache.size)
		}
	}
}

// A name in the cache does not keep the memory alive that it was cut from, such as the
// head of a request.
func TestFileCacheName(t *testing.T) {
	t.Parallel()
	var cache fileCache
	head := strings.Repeat("x", 1<<20)
	cache.put(head[:10], &cachedFile{content: bytes.NewReader(nil)})
	for name := range cache.files {
		if name != head[:10] || unsafe.StringData(name) == unsafe.StringData(head) {
			t.Errorf("%q is a part of the head", name)
		}
	}
}

// Responses from the cache are those for a file. The content in the cache differs from
// that of the file here, to tell the two apart.
func TestFileCacheServes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "index.html")
	cached := bytes.Repeat([]byte("cached\n"), 7000)
	old := time.Date(2020, 2, 29, 12, 34, 56, 0, time.UTC)
	if err := os.WriteFile(name, make([]byte, len(cached)), 0o666); err != nil {
		t.Fatal(err)
	}
	os.Chtimes(name, old, old)
	s, err := NewThreadingHTTPServer("127.0.0.1:0", func() Handler { return &SimpleHandler{Directory: dir} })
	if err != nil {
		t.Fatal(err)
	}
	s.Stderr = io.Discard
	go s.ServeForever()
	defer s.Close()
	exchange := func(request string) (head, body string) {
		t.Helper()
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, request+"\r\n\r\n")
		response, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		head, body, _ = strings.Cut(string(response), "\r\n\r\n")
		return head[:strings.Index(head, "\r\n")], body
	}
	var stat syscall.Stat_t
	syscall.Stat(name, &stat)
	shared[fileState](&s.HTTPServer).cache.put(name, &cachedFile{bytes.NewReader(cached), stat})
	etag := newValidators(int64(len(cached)), old, time.Time{}, time.Now()).tag
	for _, tt := range []struct{ request, head, body string }{
		{"GET /index.html HTTP/1.0", "HTTP/1.0 200 OK", string(cached)},
		{"GET / HTTP/1.0", "HTTP/1.0 200 OK", string(cached)},
		{"GET / HTTP/1.0\r\nRange: bytes=10000-45000", "HTTP/1.0 206 Partial Content", string(cached[10000:45001])},
		{"GET / HTTP/1.0\r\nRange: bytes=99999-", "HTTP/1.0 416 Range Not Satisfiable", ""},
		{"GET / HTTP/1.0\r\nIf-None-Match: " + etag, "HTTP/1.0 304 Not Modified", ""},
		{"HEAD / HTTP/1.0", "HTTP/1.0 200 OK", ""},
	} {
		head, body := exchange(tt.request)
		if head != tt.head || body != tt.body && !strings.Contains(head, "416") {
			t.Errorf("%s: got %s, %.20q (%d bytes), want %s, %.20q (%d bytes)", tt.request, head, body, len(body), tt.head, tt.body, len(tt.body))
		}
	}
	_, parts := exchange("GET / HTTP/1.0\r\nRange: bytes=7-12,21-26")
	if strings.Count(parts, "\r\n\r\ncached\r\n") != 2 {
		t.Errorf("parts: %q", parts)
	}
	os.WriteFile(name, []byte("new"), 0o666)
	if _, body := exchange("GET / HTTP/1.0"); body != "new" {
		t.Errorf("after a change: %.20q", body)
	}
}

// A file that changes again and again, or has just changed, is not put into the cache;
// one that has been the same for long is, if its file system records changes and the content
// is all of it.
func TestFileCacheKeeps(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable() // just built
	if err != nil {
		t.Fatal(err)
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("no go command here: ", err)
	}
	for name, settledFile := range map[string]bool{exe: false, filepath.Join(strings.TrimSpace(string(root)), "VERSION"): true} {
		var cache fileCache
		var opened systemFile
		f, err := opened.open(name, openNonblock)
		if err != nil {
			t.Skip("no file to try it with: ", err)
		}
		defer f.Close()
		f.Stat()
		changed := time.Unix(int64(max(opened.stat.Mtim.Sec, opened.stat.Ctim.Sec)), 0)
		if settledFile != (time.Since(changed) > stableFor) || settledFile && !opened.recordsChanges() {
			t.Logf("%s is of no use for this test", name)
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		cache.add(f, data[:len(data)-1]) // the file has grown since that was read
		if kept, _ := cache.get(name); kept != nil {
			t.Errorf("%d bytes of %d of %s are kept", kept.Size(), len(data), name)
		}
		cache.add(f, data)
		kept, _ := cache.get(name)
		if (kept != nil) != settledFile {
			t.Errorf("%s is kept: %v", name, kept != nil)
		}
		if kept != nil {
			content, err := io.ReadAll(io.NewSectionReader(kept, 0, kept.Size()))
			if !bytes.Equal(content, data) || err != nil {
				t.Errorf("%q is kept, %v", content, err)
			}
		}
	}
}

// A file is not sent if a link was switched to a CGI directory before it was opened.
func TestForbiddenWhenOpened(t *testing.T) {
	site := t.TempDir()
	for _, dir := range []string{"public", "cgi-bin"} {
		if err := os.Mkdir(filepath.Join(site, dir), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(site, dir, "file"), []byte(dir), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(site, "link")
	if err := os.Symlink("public", link); err != nil {
		t.Fatal(err)
	}
	scripts, err := os.Stat(filepath.Join(site, "cgi-bin"))
	if err != nil {
		t.Fatal(err)
	}
	h := new(SimpleHandler)
	h.Server = new(HTTPServer)
	switchLink := func() {}
	h.forbidden = func(name string) bool {
		defer switchLink()
		return leadsInto(name, map[string]fs.FileInfo{filepath.Join(site, "cgi-bin"): scripts})
	}
	if b, err := h.open(filepath.Join(link, "file")); err != nil {
		t.Errorf("before the switch: %v", err)
	} else {
		b.Close()
	}
	// Nor is it if the CGI directory itself is a link.
	if err := os.Symlink("cgi-bin", filepath.Join(site, "htbin")); err != nil {
		t.Fatal(err)
	}
	public, err := os.Stat(filepath.Join(site, "public"))
	if err != nil {
		t.Fatal(err)
	}
	earlier := map[string]fs.FileInfo{filepath.Join(site, "htbin"): public}
	os.Symlink("htbin", filepath.Join(site, "scripts"))
	if !leadsInto(filepath.Join(site, "scripts", "file"), earlier) {
		t.Error("a link to a CGI directory whose link was switched")
	}
	switchLink = func() {
		os.Remove(link)
		os.Symlink("cgi-bin", link)
	}
	if _, err := h.open(filepath.Join(link, "file")); err != errForbidden {
		t.Errorf("after the switch: %v", err)
	}
}

// The names of a directory are listed even if its files must not be examined.
func TestListingWithoutSearch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o777); err != nil {
		t.Fatal(err)
	}
	for parent := dir; parent != filepath.Clean(os.TempDir()); parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	os.Chmod(dir, 0o444)
	t.Cleanup(func() { os.Chmod(dir, 0o755) })
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0) // root may search
	_, unreachable := os.Stat(dir)
	entries, err := new(SimpleHandler).readDirectory(dir)
	syscall.RawSyscall(syscall.SYS_SETFSUID, uintptr(os.Geteuid()), 0, 0)
	if unreachable != nil {
		t.Skip("other users do not reach temporary files here: ", unreachable)
	}
	want := []listingEntry{
		{name: "file", key: "file", size: -1, modified: noTime},
		{name: "folder", key: "folder", mode: fs.ModeDir, size: -1, modified: noTime},
	}
	if !slices.Equal(entries, want) || err != nil {
		t.Errorf("%+v, %v", entries, err)
	}
}

// A lateConn takes nothing by its first ReadFrom, which has read from the file by then, as
// when the system cannot copy the file itself and the client is slow.
type lateConn struct {
	net.Conn
	calls int
	sent  bytes.Buffer
}

func (c *lateConn) SetWriteDeadline(time.Time) error { return nil }

func (c *lateConn) ReadFrom(r io.Reader) (int64, error) {
	if c.calls++; c.calls == 1 {
		io.CopyN(io.Discard, r, 4)
		return 0, os.ErrDeadlineExceeded
	}
	return c.sent.ReadFrom(r)
}

func (c *lateConn) Write(p []byte) (int, error) {
	if c.calls++; c.calls < writeTries {
		return 0, os.ErrDeadlineExceeded
	}
	return c.sent.Write(p)
}

// What a client takes just before the timeout is noticed.
func TestLastLook(t *testing.T) {
	t.Parallel()
	conn, timeout := new(lateConn), time.Hour
	w := &responseWriter{conn: conn, timeout: &timeout}
	n, err := w.send([]byte("late"))
	if got := conn.sent.String(); n != 4 || err != nil || got != "late" {
		t.Errorf("sent %q: %d, %v", got, n, err)
	}
}

// A copy that is tried again begins where it began before.
func TestCopyTriedAgain(t *testing.T) {
	t.Parallel()
	conn, timeout := new(lateConn), time.Hour
	w := &responseWriter{conn: conn, timeout: &timeout}
	n, err := w.copyFrom(strings.NewReader("0123456789"), 2, 7)
	if got := conn.sent.String(); n != 7 || err != nil || got != "2345678" {
		t.Errorf("sent %q: %d, %v", got, n, err)
	}
}
