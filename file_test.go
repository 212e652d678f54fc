package httpserver_test

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	mimemultipart "mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"httpserver"
)

// A stateFS has one file, which changes in the middle of one of its reads.
type stateFS struct {
	data     []byte
	modified time.Time
	access   string // "at" for io.ReaderAt, "seek" for io.Seeker, else it has only Read
	reads    int
	at       int  // the read in which change is called
	before   bool // change is called before that read, else in the middle of it
	change   func(*stateFS)
}

func (s *stateFS) Open(name string) (fs.File, error) {
	f := &stateFile{fs: s}
	switch {
	case name != "f":
		return nil, fs.ErrNotExist
	case s.access == "at":
		return struct {
			fs.File
			io.ReaderAt
		}{f, f}, nil
	case s.access == "seek":
		return struct {
			fs.File
			io.Seeker
		}{f, f}, nil
	}
	return struct{ fs.File }{f}, nil
}

type stateFile struct {
	fs  *stateFS
	pos int64
}

func (f *stateFile) Stat() (fs.FileInfo, error) {
	file := &fstest.MapFile{Data: f.fs.data, ModTime: f.fs.modified}
	return fs.Stat(fstest.MapFS{"f": file}, "f")
}

func (f *stateFile) Close() error { return nil }

func (f *stateFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *stateFile) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekStart {
		f.pos = offset
	}
	return f.pos, nil
}

func (f *stateFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.reads++
	half := 0
	if f.fs.reads == f.fs.at {
		if !f.fs.before {
			half, _ = bytes.NewReader(f.fs.data).ReadAt(p[:len(p)/2], off)
		}
		f.fs.change(f.fs)
	}
	n, err := bytes.NewReader(f.fs.data).ReadAt(p[half:], off+int64(half))
	return half + n, err
}

// numbered returns n bytes in which no two pieces are alike.
func numbered(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%063d\n", i)
	}
	return b.Bytes()[:n]
}

// other returns content of the same length that differs in every line.
func other(data []byte) []byte { return append(bytes.Clone(data[64:]), data[:64]...) }

// A slowCopy copies by Read alone.
type slowCopy struct{ httpserver.SimpleHandler }

func (h *slowCopy) CopyFile(dst io.Writer, src io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, 5000))
	return err
}

// The body is the state of the file that the head is of, or it is not complete. A file
// that is only appended to can be sent if it is recent, so that it was summed, and if the
// client does not combine the body with other parts of the file.
func TestFileChanges(t *testing.T) {
	t.Parallel()
	later := time.Now().Add(time.Hour)
	changes := map[string]func(*stateFS){
		"none":                               func(s *stateFS) {},
		"overwritten":                        func(s *stateFS) { s.data, s.modified = other(s.data), later },
		"overwritten before":                 func(s *stateFS) { s.data, s.modified = other(s.data), later },
		"overwritten larger":                 func(s *stateFS) { s.data, s.modified = other(append(s.data, s.data...)), later },
		"overwritten larger before":          func(s *stateFS) { s.data, s.modified = other(append(s.data, s.data...)), later },
		"overwritten, in an instant, larger": func(s *stateFS) { s.data = other(append(s.data, s.data...)) },
		"cut":                                func(s *stateFS) { s.data, s.modified = s.data[:len(s.data)/2], later },
		"emptied":                            func(s *stateFS) { s.data, s.modified = nil, later },
		"appended":                           func(s *stateFS) { s.data, s.modified = append(s.data, "more\n"...), later },
		"touched":                            func(s *stateFS) { s.modified = later },
	}
	requests := []struct {
		name, fields string
		size         int
		reads        int // in each of which the change is tried
	}{
		{"small", "", 1000, 1},
		{"large", "", 200_000, 3},
		{"small range", "Range: bytes=100-\r\n", 1000, 1},
		{"large range", "Range: bytes=100-190000\r\n", 200_000, 3},
		{"range, combined by tag", "Range: bytes=100-\r\nIf-Match: *\r\n", 1000, 1},
		{"range, combined by date", "Range: bytes=100-\r\nif-unmodified-since: Fri, 31 Dec 2100 23:59:59 GMT\r\n", 1000, 1},
		{"small parts", "Range: bytes=0-299,400-699\r\n", 1000, 2},
		{"large parts", "Range: bytes=0-89999,100000-189999\r\n", 200_000, 6},
	}
	for _, r := range requests {
		data := numbered(r.size)
		for kind, change := range changes {
			for _, access := range []string{"at", "seek", "on"} {
				if access == "on" && r.fields != "" {
					continue
				}
				for _, slow := range []bool{false, true} {
					if slow && access == "seek" {
						continue
					}
					for at := 1; at <= 2*r.reads; at++ {
						at, modified, watched := at, siteTime, false
						if at > r.reads {
							at, modified, watched = at-r.reads, time.Now().Add(-time.Minute), true
						}
						whole := kind == "none"
						if access != "on" && !strings.Contains(r.name, "parts") && !strings.Contains(r.name, "combined") && watched {
							whole = whole || kind == "appended"
						}
						name := fmt.Sprintf("%s, %s in read %d, access %q, slow %v, watched %v", r.name, kind, at, access, slow, watched)
						s := &stateFS{data: bytes.Clone(data), modified: modified, access: access, at: at, change: change}
						if s.before = strings.HasSuffix(kind, " before"); s.before && at > 1 {
							continue
						}
						if kind == "overwritten larger before" && watched {
							continue // the new bytes arrive if all that is sent is read after the change
						}
						checkChange(t, name, s, data, r.fields, slow, whole)
					}
				}
			}
		}
	}
}

// A change that leaves the same size and time, as in a new file, is found by the sum.
func TestFileChangesUnseen(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1000, 200_000} {
		data := numbered(size)
		for _, slow := range []bool{false, true} {
			for kind, change := range map[string]func(*stateFS){
				"none":        func(s *stateFS) {},
				"overwritten": func(s *stateFS) { s.data = other(s.data) },
			} {
				name := fmt.Sprintf("%d bytes, %s, slow %v", size, kind, slow)
				s := &stateFS{data: bytes.Clone(data), modified: time.Now().Add(time.Hour), access: "at", at: 1, change: change}
				checkChange(t, name, s, data, "", slow, kind == "none")
			}
		}
	}
}

func checkChange(t *testing.T, name string, s *stateFS, old []byte, fields string, slow, whole bool) {
	t.Helper()
	server, log := start(t, func() httpserver.Handler {
		if slow {
			h := new(slowCopy)
			h.FS, h.ProtocolVersion = s, "HTTP/1.1"
			return h
		}
		h := new(httpserver.SimpleHandler)
		h.FS, h.ProtocolVersion = s, "HTTP/1.1"
		return h
	}, nil)
	request := "GET /f HTTP/1.1\r\nHost: x\r\n"
	got := exchange(t, server.Addr(), request+fields+"\r\n"+request+"Connection: close\r\n\r\n")
	server.Close()
	in := bufio.NewReader(strings.NewReader(got))
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	body, err := io.ReadAll(response.Body)
	if (err == nil) != whole || s.reads < s.at {
		t.Errorf("%s: %d bytes of %d, %v, %d reads", name, len(body), response.ContentLength, err, s.reads)
	}
	if _, err := in.Peek(1); (err == nil) != whole {
		t.Errorf("%s: next response: %v", name, err)
	}
	if strings.Contains(log.String(), "the file changed while it was sent") == whole {
		t.Errorf("%s: log %s", name, log)
	}
	if whole {
		checkContent(t, name, response, body, old)
	}
}

// checkContent compares a body with those parts of a file that it should be.
func checkContent(t *testing.T, name string, response *http.Response, body, file []byte) {
	t.Helper()
	part := func(contentRange string) []byte {
		var start, end, size int
		if _, err := fmt.Sscanf(contentRange, "bytes %d-%d/%d", &start, &end, &size); err != nil || size != len(file) {
			t.Fatalf("%s: Content-Range %q", name, contentRange)
		}
		return file[start : end+1]
	}
	_, params, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if params["boundary"] == "" {
		want := file
		if response.StatusCode == 206 {
			want = part(response.Header.Get("Content-Range"))
		}
		if !bytes.Equal(body, want) {
			t.Errorf("%s: another body", name)
		}
		return
	}
	parts := mimemultipart.NewReader(bytes.NewReader(body), params["boundary"])
	for n := 0; ; n++ {
		p, err := parts.NextPart()
		if err == io.EOF && n > 1 {
			return
		}
		if err != nil {
			t.Fatalf("%s: part %d: %v", name, n, err)
		}
		got, err := io.ReadAll(p)
		if err != nil || !bytes.Equal(got, part(p.Header.Get("Content-Range"))) {
			t.Errorf("%s: part %d is another, %v", name, n, err)
		}
	}
}

// A large file changes while the client, which has read the head, does not read on:
// the buffers between client and server do not hold the file.
func TestLargeFileChanges(t *testing.T) {
	t.Parallel()
	const size = 16 << 20
	data := numbered(size)
	write := func(t *testing.T, name string, flag int, data []byte) {
		f, err := os.OpenFile(name, os.O_WRONLY|flag, 0)
		if err == nil {
			_, err = f.Write(data)
			f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	setBack := func(t *testing.T, name string) {
		if httpserver.Portable {
			t.Skip("this is not noticed here")
		}
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, name, 0, other(data))
		os.Chtimes(name, info.ModTime(), info.ModTime())
	}
	for _, c := range []struct {
		name             string
		change           func(t *testing.T, name string)
		whole, ifWatched bool
	}{
		{"none", func(t *testing.T, name string) {}, true, true},
		{"overwritten", func(t *testing.T, name string) { write(t, name, 0, other(data)) }, false, false},
		{"overwritten larger", func(t *testing.T, name string) { write(t, name, 0, other(append(data[:size:size], "more"...))) }, false, false},
		{"end overwritten larger", func(t *testing.T, name string) {
			write(t, name, os.O_APPEND, []byte("more"))
			f, _ := os.OpenFile(name, os.O_RDWR, 0)
			f.WriteAt([]byte("x"), size-1)
			f.Close()
		}, false, false},
		{"overwritten in the middle, larger", func(t *testing.T, name string) {
			f, _ := os.OpenFile(name, os.O_RDWR, 0)
			f.WriteAt([]byte("x"), size/2)
			f.WriteAt([]byte("x"), size)
			f.Close()
		}, false, false},
		{"first bytes overwritten", func(t *testing.T, name string) { write(t, name, 0, []byte("x")) }, false, false},
		{"written anew", func(t *testing.T, name string) { write(t, name, os.O_TRUNC, data) }, false, false},
		{"cut", func(t *testing.T, name string) { os.Truncate(name, size-1) }, false, false},
		{"emptied", func(t *testing.T, name string) { os.Truncate(name, 0) }, false, false},
		{"appended", func(t *testing.T, name string) { write(t, name, os.O_APPEND, []byte("more\n")) }, false, true},
		{"overwritten, its time set back", setBack, false, false},
		{"extracted anew, with another mode", func(t *testing.T, name string) {
			setBack(t, name)
			os.Chmod(name, 0o600)
		}, false, false},
		{"removed", func(t *testing.T, name string) { os.Remove(name) }, true, true},
		{"renamed", func(t *testing.T, name string) { os.Rename(name, name+"2") }, true, true},
		{"replaced", func(t *testing.T, name string) {
			os.WriteFile(name+"2", other(data), 0o666)
			os.Rename(name+"2", name)
		}, true, true},
		{"hidden", func(t *testing.T, name string) { os.Chmod(name, 0) }, httpserver.Portable, httpserver.Portable},
	} {
		for i, fields := range []string{"", "Range: bytes=5-\r\n", "Range: bytes=9000000-,0-8000000\r\n", "", "Range: bytes=5-\r\n", "Range: bytes=5-\r\nIf-Range: "} {
			watched, combined := i >= 3, i == 5
			t.Run(fmt.Sprintf("%s watched=%v %s", c.name, watched, fields), func(t *testing.T) {
				dir := t.TempDir()
				name := filepath.Join(dir, "f")
				t.Parallel()
				if err := os.WriteFile(name, data, 0o666); err != nil {
					t.Fatal(err)
				}
				modified := siteTime
				if watched {
					modified = time.Now().Add(-time.Minute)
				}
				os.Chtimes(name, modified, modified)
				s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.Directory = dir })
				if combined {
					_, head, _ := strings.Cut(exchange(t, s.Addr(), "HEAD /f HTTP/1.0\r\n\r\n"), "\nETag: ")
					fields += head[:strings.Index(head, "\n")+1]
				}
				conn := dial(t, s.Addr())
				io.WriteString(conn, "GET /f HTTP/1.0\r\n"+fields+"\r\n")
				response, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				begun := make([]byte, 1000)
				io.ReadFull(response.Body, begun)
				c.change(t, name)
				if c.name == "removed" {
					if _, err := os.Stat(name); err == nil {
						t.Skip("an open file cannot be removed here")
					}
				}
				body, err := io.ReadAll(response.Body)
				switch {
				case err == nil && watched && !combined && !c.ifWatched: // it may be of the new state
					now, err := os.ReadFile(name)
					if err != nil {
						t.Fatal(err)
					}
					checkContent(t, c.name, response, append(begun, body...), now[:size])
				case err == nil && (c.whole || watched && !combined):
					checkContent(t, c.name, response, append(begun, body...), data)
				case (err == nil) || c.whole || c.ifWatched && watched && !combined:
					t.Errorf("%d bytes of %d, %v", len(begun)+len(body), response.ContentLength, err)
				}
			})
		}
	}
}

// Ranges of a file are the same whatever holds the file, on all kinds of connections.
func TestRanges(t *testing.T) {
	t.Parallel()
	data := numbered(300_000)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), data, 0o666); err != nil {
		t.Fatal(err)
	}
	os.Chtimes(filepath.Join(dir, "f"), siteTime, siteTime)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	pair := httptest.NewUnstartedServer(nil)
	pair.StartTLS()
	defer pair.Close()
	state := func(access string) fs.FS { return &stateFS{data: data, modified: siteTime, access: access} }
	for name, c := range map[string]struct {
		set     func(h *httpserver.SimpleHandler)
		tls, on bool
	}{
		"directory":      {set: func(h *httpserver.SimpleHandler) { h.Directory = dir }},
		"directory, TLS": {set: func(h *httpserver.SimpleHandler) { h.Directory = dir }, tls: true},
		"root":           {set: func(h *httpserver.SimpleHandler) { h.FS = root.FS() }},
		"map": {set: func(h *httpserver.SimpleHandler) {
			h.FS = fstest.MapFS{"f": {Data: data, ModTime: siteTime}}
		}},
		"io.ReaderAt": {set: func(h *httpserver.SimpleHandler) { h.FS = state("at") }},
		"io.Seeker":   {set: func(h *httpserver.SimpleHandler) { h.FS = state("seek") }},
		"neither":     {set: func(h *httpserver.SimpleHandler) { h.FS = state("") }, on: true},
	} {
		s, log := start(t, func() httpserver.Handler {
			h := new(httpserver.SimpleHandler)
			c.set(h)
			h.ProtocolVersion = "HTTP/1.1"
			return h
		}, func(s *httpserver.HTTPServer) {
			if c.tls {
				s.Listener = tls.NewListener(s.Listener, &tls.Config{Certificates: pair.TLS.Certificates})
			}
		})
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		defer transport.CloseIdleConnections()
		url := strings.Replace(s.URL(), "http:", map[bool]string{true: "https:", false: "http:"}[c.tls], 1) + "/f"
		for value, code := range map[string]int{
			"":                              200,
			"bytes=0-":                      206,
			"bytes=1-1":                     206,
			"bytes=-70000":                  206,
			"bytes=100000-299998":           206,
			"bytes=5-9,299990-":             206,
			"bytes=0-99999,100000-200000":   206,
			"bytes=200-90000,150000-160000": 206,
			"bytes=300000-":                 416,
			"bytes=0-199999,199999-":        200,
		} {
			request, _ := http.NewRequest("GET", url, nil)
			if value != "" {
				request.Header.Set("Range", value)
			}
			response, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(name, err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if c.on {
				code = 200
			}
			if response.StatusCode != code || err != nil || (response.Header.Get("Accept-Ranges") == "bytes") != (!c.on && code != 416) {
				t.Errorf("%s, %s: %s, %v, %v", name, value, response.Status, response.Header, err)
			}
			switch code {
			case 416:
				if got := response.Header.Get("Content-Range"); got != "bytes */"+strconv.Itoa(len(data)) {
					t.Errorf("%s, %s: Content-Range %q", name, value, got)
				}
			default:
				checkContent(t, name+", "+value, response, body, data)
			}
		}
		if strings.Contains(log.String(), "changed") {
			t.Errorf("%s: %s", name, log)
		}
	}
}

// A file without a modification time has no validators, but ranges.
func TestRangeWithoutTime(t *testing.T) {
	t.Parallel()
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.FS = embedded })
	whole := exchange(t, s.Addr(), "GET /testdata/files.txt HTTP/1.0\r\n\r\n")
	_, whole, _ = strings.Cut(whole, "\r\n\r\n")
	head, body, _ := strings.Cut(exchange(t, s.Addr(), "GET /testdata/files.txt HTTP/1.0\r\nRange: bytes=2-6\r\n\r\n"), "\r\n\r\n")
	if body != whole[2:7] || !strings.Contains(head, " 206 ") || strings.Contains(head, "ETag") || strings.Contains(head, "Last-Modified") {
		t.Errorf("%s\n%s", head, body)
	}
}

// rejecting overrides SendError.
type rejecting struct{ httpserver.SimpleHandler }

func (h *rejecting) SendError(code int, message, explain string) {
	h.SendResponse(code, message)
	h.SendHeader("Content-Length", "0")
	h.EndHeaders()
}

func (h *rejecting) DoPOST() { h.SendError(416, "", "") }

func (h *rejecting) GuessType(name string) string {
	return map[bool]string{true: "text/x\r\nX: y", false: "text/x"}[strings.HasSuffix(name, "bad")]
}

// Overrides are called, and no other 416 has the Content-Range.
func TestRangeOverrides(t *testing.T) {
	t.Parallel()
	data := numbered(1000)
	s, log := start(t, func() httpserver.Handler {
		h := new(rejecting)
		h.FS = fstest.MapFS{"f": {Data: data}, "bad": {Data: data}}
		h.ProtocolVersion = "HTTP/1.1"
		return h
	}, nil)
	get := func(request, fields string) string {
		return exchange(t, s.Addr(), request+" HTTP/1.1\r\nHost: x\r\n"+fields+"\r\n")
	}
	got := get("GET /f", "Range: bytes=1000-\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 416 ") || !strings.HasSuffix(got, "Content-Length: 0\r\nContent-Range: bytes */1000\r\n\r\n") {
		t.Error(got)
	}
	if got := get("POST /f", ""); !strings.HasPrefix(got, "HTTP/1.1 416 ") || strings.Contains(got, "Content-Range") {
		t.Error(got)
	}
	if got := get("GET /f", "Range: bytes=0-0,-1\r\n"); strings.Count(got, "Content-type: text/x\r\n") != 2 {
		t.Error(got)
	}
	if got := get("GET /bad", "Range: bytes=0-0,-1\r\n"); strings.Contains(got, "X: y") || !strings.Contains(log.String(), "in a header field") {
		t.Error(got, log)
	}
}

// The tail of a file is that of the state that the rest is of, even if the file changes
// just after the last look at its size and time.
func TestFileEndChanges(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "f")
	data := numbered(100_000)
	checkSystemFile(t, name, data, func(f *os.File) fs.File {
		return &lateFile{File: f, change: func() {
			if err := os.WriteFile(name, other(data), 0o666); err != nil {
				t.Error(err)
			}
		}}
	})
}

// A lateFile changes after its second Stat, which is the last.
type lateFile struct {
	*os.File
	stats  int
	change func()
}

func (f *lateFile) Stat() (fs.FileInfo, error) {
	info, err := f.File.Stat()
	if f.stats++; f.stats == 2 {
		f.change()
	}
	return info, err
}

// An uncopyableFile has no descriptor that the system could copy from.
type uncopyableFile struct{ *os.File }

func (uncopyableFile) SyscallConn() (syscall.RawConn, error) { return nil, errors.ErrUnsupported }

// A flakyFile reads only 400 bytes at first, with an error that may be nil. If again is not
// set, it stays so.
type flakyFile struct {
	*os.File
	err   error
	again bool
	reads int
}

func (f *flakyFile) ReadAt(p []byte, off int64) (int, error) {
	if f.reads++; f.reads > 1 && f.again {
		return f.File.ReadAt(p, off)
	}
	n, _ := f.File.ReadAt(p[:min(len(p), 400)], off)
	return n, f.err
}

// retrying has a CopyFile that copies once more after an error.
type retrying struct{ httpserver.SimpleHandler }

func (h *retrying) CopyFile(dst io.Writer, src io.Reader) error {
	if err := h.SimpleHandler.CopyFile(dst, src); err == nil {
		return nil
	}
	return h.SimpleHandler.CopyFile(dst, src)
}

// A body that is read on after an error continues where it was.
func TestReadAfterError(t *testing.T) {
	t.Parallel()
	dir, data := t.TempDir(), numbered(1000)
	if err := os.WriteFile(filepath.Join(dir, "f"), data, 0o666); err != nil {
		t.Fatal(err)
	}
	os.Chtimes(filepath.Join(dir, "f"), siteTime, siteTime)
	s, _ := start(t, func() httpserver.Handler {
		h := new(retrying)
		h.FS = wrapFS{os.DirFS(dir), func(f *os.File) fs.File {
			return &flakyFile{File: f, err: errors.New("transient"), again: true}
		}}
		return h
	}, nil)
	if _, body := get(t, s, "/f"); body != string(data) {
		t.Errorf("got %d bytes that are not the file: %q", len(body), body)
	}
}

// A file whose ReadAt returns less than it should, without an error, is not completed with
// zeros.
func TestShortReadAt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), numbered(1000), 0o666); err != nil {
		t.Fatal(err)
	}
	os.Chtimes(filepath.Join(dir, "f"), siteTime, siteTime)
	files := wrapFS{os.DirFS(dir), func(f *os.File) fs.File { return &flakyFile{File: f} }}
	for name, newHandler := range map[string]func() httpserver.Handler{
		"as it is": func() httpserver.Handler { return &httpserver.SimpleHandler{FS: files} },
		"slowly": func() httpserver.Handler {
			h := new(slowCopy)
			h.FS = files
			return h
		},
	} {
		s, log := start(t, newHandler, nil)
		if _, body := get(t, s, "/f"); !strings.HasPrefix(string(numbered(1000)), body) || len(body) > 400 || !strings.Contains(log.String(), "unexpected EOF") {
			t.Errorf("%s: %q, log %s", name, body, log)
		}
	}
}

// A panickingFile panics in one of its methods.
type panickingFile struct {
	*os.File
	method string
	closed chan struct{}
}

func (f panickingFile) Close() error { close(f.closed); return f.File.Close() }

func (f panickingFile) call(method string) {
	if f.method == method {
		panic("of a test")
	}
}

func (f panickingFile) Stat() (fs.FileInfo, error) { f.call("Stat"); return f.File.Stat() }
func (f panickingFile) Read(p []byte) (int, error) { f.call("Read"); return f.File.Read(p) }

func (f panickingFile) Seek(offset int64, whence int) (int64, error) {
	f.call("Seek")
	return f.File.Seek(offset, whence)
}

// A file is closed even if one of its methods panics.
func TestPanickingFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o666); err != nil { // Read finds whether it is empty
		t.Fatal(err)
	}
	for _, method := range []string{"Stat", "Seek", "Read"} {
		closed := make(chan struct{})
		s := serveFiles(t, func(h *httpserver.SimpleHandler) {
			h.FS = statFS{wrapFS{os.DirFS(dir), func(f *os.File) fs.File {
				return struct { // without ReadAt
					fs.File
					io.Seeker
				}{panickingFile{f, method, closed}, panickingFile{f, method, closed}}
			}}}
		})
		if head, _ := get(t, s, "/f"); !strings.HasPrefix(head, "HTTP/1.0 500 ") {
			t.Errorf("%s: %s", method, head)
		}
		closeServer(t, s)
		select {
		case <-closed:
		default:
			t.Errorf("after a panic in %s the file is open", method)
		}
	}
}

// A statFS examines names without opening them as what wrap returns.
type statFS struct{ wrapFS }

func (s statFS) Stat(name string) (fs.FileInfo, error) { return fs.Stat(s.FS, name) }

// An entry of a zip archive whose checksum is wrong is not completed.
func TestWrongChecksum(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1000, 200_000} {
		var compressed, archive bytes.Buffer
		deflate, _ := flate.NewWriter(&compressed, flate.DefaultCompression)
		deflate.Write(numbered(size))
		deflate.Close()
		z := zip.NewWriter(&archive)
		w, err := z.CreateRaw(&zip.FileHeader{
			Name: "f", Method: zip.Deflate, Modified: siteTime, CRC32: 1,
			CompressedSize64: uint64(compressed.Len()), UncompressedSize64: uint64(size),
		})
		if err != nil {
			t.Fatal(err)
		}
		w.Write(compressed.Bytes())
		z.Close()
		zipped, err := zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
		if err != nil {
			t.Fatal(err)
		}
		s, log := start(t, func() httpserver.Handler { return &httpserver.SimpleHandler{FS: zipped} }, nil)
		if head, body := get(t, s, "/f"); !strings.HasPrefix(head, "HTTP/1.0 200 ") || len(body) >= size || !strings.Contains(log.String(), "checksum error") {
			t.Errorf("%s: %d bytes of %d, log %s", head, len(body), size, log)
		}
	}
}

// A file that the system cannot copy is read and written.
func TestUncopyable(t *testing.T) {
	t.Parallel()
	checkSystemFile(t, filepath.Join(t.TempDir(), "f"), numbered(100_000), func(f *os.File) fs.File {
		return uncopyableFile{f}
	})
}

// checkSystemFile writes an old file and requests it from an FS that opens it as what
// wrap returns.
func checkSystemFile(t *testing.T, name string, data []byte, wrap func(*os.File) fs.File) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o666); err != nil {
		t.Fatal(err)
	}
	os.Chtimes(name, siteTime, siteTime)
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.FS = wrapFS{os.DirFS(filepath.Dir(name)), wrap} })
	if _, body, _ := strings.Cut(exchange(t, s.Addr(), "GET /f HTTP/1.0\r\n\r\n"), "\r\n\r\n"); body != string(data) {
		t.Errorf("got %d bytes that are not the file", len(body))
	}
}

type wrapFS struct {
	fs.FS
	wrap func(*os.File) fs.File
}

func (w wrapFS) Open(name string) (fs.File, error) {
	f, err := w.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return w.wrap(f.(*os.File)), nil
}

// Delta downloads, as of zsync, ask for many small parts.
func TestManyRanges(t *testing.T) {
	t.Parallel()
	data := numbered(1 << 20)
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.FS = fstest.MapFS{"f": {Data: data, ModTime: siteTime}} })
	var specs []string
	for i := range 20 {
		specs = append(specs, fmt.Sprintf("%d-%d", i*50_000, i*50_000+4095))
	}
	response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(exchange(t, s.Addr(), "GET /f HTTP/1.1\r\nHost: x\r\nRange: bytes="+strings.Join(specs, ", ")+"\r\n\r\n"))), nil)
	if err != nil || response.StatusCode != 206 {
		t.Fatalf("got %v, %v", response, err)
	}
	_, params, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	r := mimemultipart.NewReader(response.Body, params["boundary"])
	for i := range 20 {
		part, err := r.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(part); !bytes.Equal(got, data[i*50_000:i*50_000+4096]) {
			t.Errorf("part %d has %d bytes, %v", i, len(got), err)
		}
	}
}

// sendsTwice has two bodies open at once.
type sendsTwice struct {
	httpserver.SimpleHandler
	got [2]string
}

func (h *sendsTwice) DoGET() {
	var bodies [2]io.ReadCloser
	for i := range bodies {
		h.Path = "/" + strconv.Itoa(i)
		bodies[i], _ = h.SendHead()
	}
	for i, body := range bodies {
		content, err := io.ReadAll(body)
		h.got[i] = fmt.Sprint(string(content), err, body.Close(), body.Close())
	}
}

// A body that was not closed is not the one of the next SendHead.
func TestTwoBodies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"0", "1"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("body "+name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	h := new(sendsTwice)
	h.Directory = dir
	s, _ := start(t, func() httpserver.Handler { return h }, nil)
	exchange(t, s.Addr(), "GET / HTTP/1.0\r\n\r\n")
	s.Shutdown(t.Context())
	if want := [2]string{"body 0<nil> <nil> <nil>", "body 1<nil> <nil> <nil>"}; h.got != want {
		t.Errorf("got %q, want %q", h.got, want)
	}
}

// hoarder keeps the body of one request until the next.
type hoarder struct {
	httpserver.SimpleHandler
	kept io.Reader
	got  chan string
}

func (h *hoarder) DoGET() {
	if h.kept != nil {
		content, err := io.ReadAll(h.kept)
		h.got <- fmt.Sprintf("%s %v", content, err)
	}
	body, _ := h.SendHead()
	h.kept = body
	io.Copy(h.WFile, body)
	body.Close()
}

// The body of a request has nothing of the next one's, whoever keeps it.
func TestKeptBody(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	s, _ := start(t, func() httpserver.Handler {
		h := &hoarder{got: got}
		h.ProtocolVersion = "HTTP/1.1"
		h.Directory = makeSite(t)
		return h
	}, nil)
	exchange(t, s.Addr(), "GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\nGET /list/a.txt HTTP/1.1\r\nHost: x\r\n\r\n")
	if content := <-got; content != " <nil>" {
		t.Errorf("the body of the first request is now %q", content)
	}
}

// generatedFS has one file, which says that its size is 0.
type generatedFS []byte

func (g generatedFS) Open(name string) (fs.File, error) {
	f, err := fstest.MapFS{"f": {ModTime: siteTime}}.Open(name)
	if err != nil {
		return nil, err
	}
	return &generatedFile{f, bytes.NewReader(g)}, nil
}

type generatedFile struct {
	fs.File
	content *bytes.Reader
}

func (f *generatedFile) Read(p []byte) (int, error) { return f.content.Read(p) }

// Content of any length up to 1 MiB is sent from a file that says its size is 0. A file
// that is empty has validators.
func TestGeneratedContent(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 64 << 10, 64<<10 + 1, 1 << 20, 1<<20 + 1} {
		data := numbered(size)
		for _, slow := range []bool{false, true} {
			s, _ := start(t, func() httpserver.Handler {
				if slow {
					h := new(slowCopy)
					h.FS = generatedFS(data)
					return h
				}
				return &httpserver.SimpleHandler{FS: generatedFS(data)}
			}, nil)
			head, body := get(t, s, "/f")
			switch {
			case size > 1<<20:
				if !strings.HasPrefix(head, "HTTP/1.0 404 ") {
					t.Errorf("%d bytes: %s", size, head)
				}
			case !strings.HasPrefix(head, "HTTP/1.0 200 ") || !strings.Contains(head, fmt.Sprintf("\r\nContent-Length: %d\r\n", size)) || strings.Contains(head, "\r\nETag: ") != (size == 0) || body != string(data):
				t.Errorf("%d bytes, slow %v: %s, %d bytes", size, slow, head, len(body))
			}
		}
	}
}
