package httpserver_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"httpserver"
)

// A listing has the fields that protect it, and no validator by which an old one could
// be taken for the current one.
func TestListingFields(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.Directory = dir })
	fields := func(request string) (head, body string) {
		head, body, _ = strings.Cut(exchange(t, s.Addr(), request+"\r\n"), "\r\n\r\n")
		if !strings.Contains(head, "\r\nVary: Accept") || !strings.Contains(head, "\r\nX-Content-Type-Options: nosniff\r\n") {
			t.Errorf("%q: %s", request, head)
		}
		for _, name := range []string{"ETag", "Last-Modified", "Accept-Ranges", "Expires"} {
			if strings.Contains(head, "\r\n"+name+": ") {
				t.Errorf("%q: %s in %s", request, name, head)
			}
		}
		return head, body
	}
	head, page := fields("GET / HTTP/1.0\r\n")
	if !strings.Contains(head, "\r\nContent-type: text/html; charset=utf-8\r\n") {
		t.Error(head)
	}
	_, style, _ := strings.Cut(page, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	hash := sha256.Sum256([]byte(style))
	policy := "\r\nContent-Security-Policy: default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'\r\n"
	if !strings.Contains(head, policy) || style == "" {
		t.Errorf("no %s in %s", policy, head)
	}
	for n := range 3 {
		name := fmt.Sprint("file", n)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, page := fields("GET / HTTP/1.0\r\n"); !strings.Contains(page, name+"</a></li>\n</ul><td>0 B") {
			t.Errorf("a page without %s: %s", name, page)
		}
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 1500), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, page := fields("GET / HTTP/1.0\r\n"); !strings.Contains(page, fmt.Sprintf("%s</a></li>\n</ul><td title=\"1500 bytes\">1.5 kB", name)) {
			t.Errorf("a page with an old %s: %s", name, page)
		}
	}
	head, text := fields("GET /?order=desc HTTP/1.0\r\nAccept: application/json\r\n")
	if list := readJSON(t, []byte(text)); len(list) != 3 || list[0].Name != "file2" || !strings.Contains(head, "\r\nContent-type: application/json\r\n") {
		t.Errorf("%s\n%s", head, text)
	}
	if !strings.Contains(head, fmt.Sprintf("\r\nContent-Length: %d\r\n", len(text))) {
		t.Errorf("%d bytes: %s", len(text), head)
	}
	if onHEAD, body := fields("HEAD /?order=desc HTTP/1.0\r\nAccept: application/json\r\n"); body != "" || withoutDate(onHEAD) != withoutDate(head) {
		t.Errorf("HEAD: %s\n%s", onHEAD, body)
	}
	if page := exchange(t, s.Addr(), "GET /\r\n"); !strings.HasPrefix(page, "<!DOCTYPE html>") {
		t.Errorf("HTTP/0.9: %s", page)
	}
}

// A jsonEntry is an entry of a listing in JSON.
type jsonEntry struct {
	Name, Type string
	Size       *int64
	Mtime      *time.Time
	Href       string
}

func readJSON(t *testing.T, text []byte) (list []jsonEntry) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil || list == nil {
		t.Fatalf("%v in %s", err, text)
	}
	return list
}

func withoutDate(head string) string {
	return regexp.MustCompile(`\r\nDate: [^\r]*`).ReplaceAllString(head, "")
}

// An entry that is not a file, or cannot be examined, is listed without the size, or
// without size and date.
func TestListingOfWhatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	makeFIFO(t, filepath.Join(dir, "fifo"))
	symlink(t, "nowhere", filepath.Join(dir, "dangling"))
	symlink(t, "loop", filepath.Join(dir, "loop"))
	symlink(t, "fifo", filepath.Join(dir, "tofifo"))
	symlink(t, "file", filepath.Join(dir, "tofile"))
	symlink(t, ".", filepath.Join(dir, "todir"))
	for name, size := range map[string]int{"file": 1234, "old": 0} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(filepath.Join(dir, "old"), siteTime, siteTime); err != nil {
		t.Fatal(err)
	}
	for name, fsys := range map[string]fs.FS{"Directory": nil, "FS": os.DirFS(dir)} {
		s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.Directory, h.FS = dir, fsys })
		_, text, _ := strings.Cut(exchange(t, s.Addr(), "GET / HTTP/1.0\r\nAccept: application/json\r\n\r\n"), "\r\n\r\n")
		var got []string
		for _, e := range readJSON(t, []byte(text)) {
			line := e.Name + " " + e.Type
			if e.Size != nil {
				line += fmt.Sprint(" ", *e.Size)
			}
			if e.Mtime != nil && e.Name == "old" {
				line += e.Mtime.Format(" 2006-01-02T15:04:05")
			}
			if known := e.Mtime != nil; known == (e.Name == "dangling" || e.Name == "loop") {
				t.Errorf("%s: %s has a date: %v", name, e.Name, known)
			}
			got = append(got, line)
		}
		want := []string{"dangling other", "fifo other", "file file 1234", "loop other", "old file 0 2020-02-29T12:34:56", "todir directory", "tofifo other", "tofile file 1234"}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if _, page := get(t, s, "/"); len(httpserver.Links(page)) != len(want) || !strings.Contains(page, "<p>3 files, 1 folder, 4 others, 2.5 kB</p>") {
			t.Errorf("%s: %s", name, page)
		}
	}
}

// A vanishingFS has a file that is gone when it is examined.
type vanishingFS struct{ fstest.MapFS }

func (f vanishingFS) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := f.MapFS.ReadDir(name)
	for i, e := range list {
		list[i] = vanishing{e}
	}
	return list, err
}

type vanishing struct{ fs.DirEntry }

func (e vanishing) Info() (fs.FileInfo, error) {
	if e.Name() == "gone" {
		return nil, fs.ErrNotExist
	}
	return e.DirEntry.Info()
}

func TestListingOfWhatVanishes(t *testing.T) {
	t.Parallel()
	s := serveFiles(t, func(h *httpserver.SimpleHandler) {
		h.FS = vanishingFS{fstest.MapFS{
			"gone": {}, "here": {Data: []byte("x"), ModTime: siteTime}, "timeless": {},
			"early": {ModTime: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)}, "late": {ModTime: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		}}
	})
	_, page := get(t, s, "/")
	for name, want := range map[string]string{
		"gone": "<td><td>\n", "here": "<td>1 B<td><time datetime=\"2020-02-29T12:34:56Z\">2020-02-29 12:34</time>\n",
		"timeless": "<td>0 B<td>\n", "early": "<td>0 B<td>\n", "late": "<td>0 B<td>\n",
	} {
		if !strings.Contains(page, name+"</a></li>\n</ul>"+want) {
			t.Errorf("%s: %s", name, page)
		}
	}
}

// BenchmarkListing requests the listing of 1,000 files on disk, over one connection
// and over many.
func BenchmarkListing(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("File %04d of 1000.txt", i*7919%1000)), make([]byte, i), 0o666); err != nil {
			b.Fatal(err)
		}
	}
	s, _ := start(b, func() httpserver.Handler {
		h := new(httpserver.SimpleHandler)
		h.Directory, h.ProtocolVersion = dir, "HTTP/1.1"
		return h
	}, func(s *httpserver.HTTPServer) { s.Stderr = io.Discard })
	request := func(b *testing.B, more func() bool) {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		buf := make([]byte, 1<<20)
		for more() {
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			for n := 0; !bytes.HasSuffix(buf[:n], []byte("</html>\n")); {
				m, err := conn.Read(buf[n:])
				if err != nil {
					b.Error(err)
					return
				}
				n += m
			}
		}
	}
	b.Run("one client", func(b *testing.B) {
		request(b, b.Loop)
		b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N), "ms/op")
	})
	b.Run("64 clients", func(b *testing.B) {
		b.SetParallelism(64 / runtime.GOMAXPROCS(0))
		b.RunParallel(func(loop *testing.PB) { request(b, loop.Next) })
		b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N), "ms/op")
	})
}
