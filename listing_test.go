package httpserver_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"httpserver"
)

func TestListingOrder(t *testing.T) {
	t.Parallel()
	list := []httpserver.ListingEntry{
		{Name: "b", Size: 20, Modified: 100},
		{Name: "C", Dir: true, Size: -1, Modified: 300},
		{Name: "a", Size: 0, Modified: 200},
		{Name: "B", Size: 20, Modified: 200},
		{Name: "d", Link: true, Size: -1, Modified: httpserver.NoTime},
		{Name: "e", Dir: true, Link: true, Size: -1, Modified: 100},
		{Name: "_", Size: 1 << 40, Modified: -5},
	}
	for query, want := range map[string]string{
		"":                              "_ a B b C/ d@ e@",
		"?":                             "_ a B b C/ d@ e@",
		"?sort=name":                    "_ a B b C/ d@ e@",
		"?sort=name&order=asc":          "_ a B b C/ d@ e@",
		"?sort=name&order=desc":         "e@ d@ C/ b B a _",
		"?order=desc":                   "e@ d@ C/ b B a _",
		"?sort=size":                    "C/ d@ e@ a B b _",
		"?sort=size&order=asc":          "C/ d@ e@ a B b _",
		"?sort=size&order=desc":         "_ B b a C/ d@ e@",
		"?order=desc&sort=size":         "_ B b a C/ d@ e@",
		"?sort=date":                    "d@ _ b e@ a B C/",
		"?sort=date&order=desc":         "C/ a B b e@ _ d@",
		"?sort=date&order=desc#x":       "C/ a B b e@ _ d@",
		"?sort=type&order=desc":         "e@ d@ C/ b B a _",
		"?sort=size&order=down":         "C/ d@ e@ a B b _",
		"?sort=size&sort=x":             "_ a B b C/ d@ e@",
		"?sort=size&order=desc&order=x": "C/ d@ e@ a B b _",
		"?Sort=size":                    "_ a B b C/ d@ e@",
		"?x=y&&sort=size&;=&%":          "C/ d@ e@ a B b _",
		"?sort":                         "_ a B b C/ d@ e@",
		"?C=S&O=D":                      "_ a B b C/ d@ e@",
	} {
		var got []string
		for _, link := range links(httpserver.ListingPage("/"+query, list...)) {
			got = append(got, link[1])
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

// Each column's link sorts by it, its largest first where that is what people
// look for, and the present one's turns the order round.
func TestListingSortLinks(t *testing.T) {
	t.Parallel()
	head := regexp.MustCompile(`<th scope="col"(?: aria-sort="(\w+)")?><a rel="nofollow" href="([^"]*)">([^<]*)</a>`)
	for query, want := range map[string]string{
		"":                      "Name ascending ?sort=name&order=desc, Size ?sort=size&order=desc, Modified (UTC) ?sort=date&order=desc",
		"?sort=name&order=desc": "Name descending ?sort=name&order=asc, Size ?sort=size&order=desc, Modified (UTC) ?sort=date&order=desc",
		"?sort=size&order=desc": "Name ?sort=name&order=asc, Size descending ?sort=size&order=asc, Modified (UTC) ?sort=date&order=desc",
		"?sort=size&order=asc":  "Name ?sort=name&order=asc, Size ascending ?sort=size&order=desc, Modified (UTC) ?sort=date&order=desc",
		"?sort=date&order=desc": "Name ?sort=name&order=asc, Size ?sort=size&order=desc, Modified (UTC) descending ?sort=date&order=asc",
		"?sort=%22%3E&order=<b": "Name ascending ?sort=name&order=desc, Size ?sort=size&order=desc, Modified (UTC) ?sort=date&order=desc",
	} {
		var got []string
		for _, m := range head.FindAllStringSubmatch(httpserver.ListingPage("/"+query, httpserver.ListingEntry{Name: "x"}), -1) {
			got = append(got, strings.Join(strings.Fields(m[3]+" "+m[1]+" "+html.UnescapeString(m[2])), " "))
		}
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

// The links of the path lead, from where the browser is, to the part that they name.
func TestListingPath(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`<a href="([^"]*)"( aria-current="page")?>([^<]*)</a>`)
	for path, want := range map[string][]string{
		"/":                {"/ /"},
		"/a/":              {"/ /", "a/ /a/"},
		"/a/b%20c/":        {"/ /", "a/ /a/", "b c/ /a/b%20c/"},
		"/a%2Fb/c/":        {"/ /", "a/b/ /a%2Fb/", "c/ /a%2Fb/c/"},
		"/%3Cb%3E&amp;/x/": {"/ /", "<b>&amp;/ /%3Cb%3E&amp;/", "x/ /%3Cb%3E&amp;/x/"},
		"/a//b/":           {"/ /", "a/ /a/", "/ /a//", "b/ /a//b/"},
		"/javascript:x/":   {"/ /", "javascript:x/ /javascript:x/"},
		"/a/?sort=size":    {"/ /", "a/ /a/"},
		"http://x/a/":      {"/ /", "a/ /a/"},
		"http://x":         {"/ /"},
	} {
		page := httpserver.ListingPage(path, httpserver.ListingEntry{Name: "x"})
		_, nav, _ := strings.Cut(page, "<nav")
		nav, _, _ = strings.Cut(nav, "</nav>")
		base, err := url.Parse("http://proxy/prefix/" + strings.TrimPrefix(strings.TrimPrefix(path, "http://x"), "/"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		found := link.FindAllStringSubmatch(nav, -1)
		for i, m := range found {
			to, err := base.Parse(m[1])
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, html.UnescapeString(m[3])+" "+strings.TrimPrefix(to.EscapedPath(), "/prefix"))
			if (m[2] != "") != (i == len(found)-1) {
				t.Errorf("%s: the present page is %s", path, m[0])
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestListingSummary(t *testing.T) {
	t.Parallel()
	file := func(size int64) httpserver.ListingEntry { return httpserver.ListingEntry{Name: "f", Size: size} }
	folder := httpserver.ListingEntry{Name: "d", Dir: true, Size: -1}
	for want, list := range map[string][]httpserver.ListingEntry{
		"This folder is empty.":      {},
		"1 file, 0 B":                {file(0)},
		"1 file, 1 other, 4.2 MB":    {file(4_200_000), file(-1)},
		"1 folder, 2 others":         {file(-1), folder, file(-1)},
		"1 folder":                   {folder},
		"2 folders":                  {folder, folder},
		"2 files, 3 folders, 2.0 kB": {folder, file(1999), folder, file(1), folder},
	} {
		page := httpserver.ListingPage("/", list...)
		if !strings.Contains(page, "<p>"+want+"</p>\n") {
			t.Errorf("%q is not in %s", want, page)
		}
		if strings.Contains(page, "<table>") != (len(list) > 0) {
			t.Errorf("%s: a table without rows, or none with: %s", want, page)
		}
	}
}

func TestListingRows(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]httpserver.ListingEntry{
		"<li><a href=\"a%20b\">a b</a></li>\n</ul><td>999 B<td><time datetime=\"1970-01-01T00:00:00Z\">1970-01-01 00:00</time>\n":                 {Name: "a b", Size: 999},
		"<li><a href=\"x\">x</a></li>\n</ul><td title=\"1000 bytes\">1.0 kB<td><time datetime=\"2026-11-24T15:02:59Z\">2026-11-24 15:02</time>\n": {Name: "x", Size: 1000, Modified: 1795532579},
		"<li><a href=\"d/\">d/</a></li>\n</ul><td><td>\n":                            {Name: "d", Dir: true, Size: -1, Modified: httpserver.NoTime},
		"<li><a href=\"d/\">d@</a></li>\n</ul><td><td>\n":                            {Name: "d", Dir: true, Link: true, Size: -1, Modified: httpserver.NoTime},
		"<li><a href=\"f\">f@</a></li>\n</ul><td>1 B<td>\n":                          {Name: "f", Link: true, Size: 1, Modified: httpserver.NoTime},
		"<li><a href=\"%3C%26%22%3E%27\">&lt;&amp;\"&gt;'</a></li>\n</ul><td><td>\n": {Name: `<&">'`, Size: -1, Modified: httpserver.NoTime},
		"<li><a href=\"%FFx\">\xffx</a></li>\n</ul><td><td>\n":                       {Name: "\xffx", Size: -1, Modified: httpserver.NoTime},
	} {
		if page := httpserver.ListingPage("/", e); !strings.Contains(page, "\n"+want) {
			t.Errorf("%q is not in %q", want, page[strings.Index(page, "<tbody>"):])
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 999: "999 B", 1000: "1.0 kB", 1049: "1.0 kB", 1050: "1.1 kB", 9949: "9.9 kB", 9950: "10 kB", 10_499: "10 kB", 10_500: "11 kB",
		999_499: "999 kB", 999_500: "1.0 MB", 999_999: "1.0 MB", 1_000_000: "1.0 MB", 4_200_000: "4.2 MB", 9_949_999: "9.9 MB", 9_950_000: "10 MB",
		999_499_999: "999 MB", 999_500_000: "1.0 GB", 1 << 30: "1.1 GB", 5e12: "5.0 TB", 42e15: "42 PB", 1<<63 - 1: "9.2 EB",
	} {
		if got := httpserver.FormatSize(n); got != want {
			t.Errorf("%d bytes: %s, want %s", n, got, want)
		}
	}
}

func TestPrefersJSON(t *testing.T) {
	t.Parallel()
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
	for accept, want := range map[string]bool{
		"": false, "*/*": false, browser: false, "text/html": false, "text/plain": false, "application/xml": false, "application/jsonx": false,
		"application/json": true, "Application/JSON": true, " application/json ; charset=utf-8 ": true, "application/json, */*": true,
		"application/json, text/plain, */*": true, "*/*, application/json": true, "application/*": true, "APPLICATION/*": true, "application/*, */*": false,
		"text/html, application/json": false, "application/json, text/html": false, "application/json, text/*": true,
		"application/json;q=0.5, text/html": false, "application/json, text/html;q=0.9": true, "application/json;q=0.5, */*": false,
		"application/json;q=0.9, */*;q=0.1": true, "application/json;q=0": false, "application/json;Q=0.001": true, "application/json;q=0.000": false,
		"text/html;q=0, */*": true, "*/*;q=0, application/json;q=1.000": true, "application/json;q=2": false, "application/json;q=1.001": false,
		"application/json;q=x": false, "application/json;q=0.1234": false, "application/json;q=": false, "application/json;q=.5": false,
		",,;,/,*/,": false, "application/json,": true, "application/json;": true, "application/json;v=1;q=0.2, text/html;q=0.1": true,
		"application/*;q=0.2, application/json;q=0.8, text/html;q=0.5": true, "application/json;q=0.2, application/*, text/html;q=0.5": false,
	} {
		if got := httpserver.PrefersJSON(httpserver.Header{{Name: "accept", Value: accept}}); got != want {
			t.Errorf("Accept: %s: %v", accept, got)
		}
	}
	if httpserver.PrefersJSON(nil) {
		t.Error("no Accept is one for JSON")
	}
	if !httpserver.PrefersJSON(httpserver.Header{{Name: "Accept", Value: "text/html;q=0.5"}, {Name: "X", Value: "text/html"}, {Name: "Accept", Value: "application/json"}}) {
		t.Error("the second field of two is not read")
	}
}

// A jsonEntry is what a client reads.
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

func TestListingJSON(t *testing.T) {
	t.Parallel()
	if got := string(httpserver.ListingJSON("/")); got != "[]\n" {
		t.Errorf("nothing: %q", got)
	}
	text := httpserver.ListingJSON("/?sort=size&order=desc",
		httpserver.ListingEntry{Name: "d", Dir: true, Link: true, Size: -1, Modified: 951782400},
		httpserver.ListingEntry{Name: "\"\\\n\x1f</x>\xff", Size: 3, Modified: 0},
		httpserver.ListingEntry{Name: "x", Link: true, Size: -1, Modified: httpserver.NoTime},
		httpserver.ListingEntry{Name: "big", Size: 1<<63 - 1, Modified: -1},
	)
	const want = `[{"name":"big","type":"file","size":9223372036854775807,"mtime":"1969-12-31T23:59:59Z","href":"big"},
{"name":"\"\\\u000a\u001f</x>` + "\ufffd" + `","type":"file","size":3,"mtime":"1970-01-01T00:00:00Z","href":"%22%5C%0A%1F%3C/x%3E%FF"},
{"name":"d","type":"directory","size":null,"mtime":"2000-02-29T00:00:00Z","href":"d/"},
{"name":"x","type":"other","size":null,"mtime":null,"href":"x"}]
`
	if string(text) != want {
		t.Errorf("got %s", text)
	}
	readJSON(t, text)
}

// Any name can be read from the JSON, but for what is not UTF-8 in it, and
// fetched by its link; from the page, too.
func FuzzListing(f *testing.F) {
	for _, name := range []string{"a", "é", "\xff\xfe", "\"\\/\b\f\n\r\t\x00\x7f", "\u2028\u202e", "</script>", "%41", "x\xe2\x80", "&lt;", "<li><a href=\"x\">y</a></li>"} {
		f.Add(name, int64(1), int64(951782400), false)
	}
	f.Fuzz(func(t *testing.T, name string, size, modified int64, dir bool) {
		modified = modified % 1e11
		e := httpserver.ListingEntry{Name: name, Dir: dir, Size: size, Modified: modified}
		mark := map[bool]string{true: "/"}[dir]
		list := readJSON(t, httpserver.ListingJSON("/", e))
		if len(list) != 1 || list[0].Name != string([]rune(name)) || list[0].Mtime.Unix() != modified {
			t.Errorf("%q gives %+v", name, list)
		}
		if got, err := url.PathUnescape(list[0].Href); got != name+mark || err != nil {
			t.Errorf("%q is linked by %q", name, list[0].Href)
		}
		page := links(httpserver.ListingPage("/", e))
		if want := [][2]string{{list[0].Href, name + mark}}; !slices.Equal(page, want) {
			t.Errorf("%q gives %q", name, page)
		}
	})
}

// A listing over HTTP has what keeps it apart and harmless, and nothing by which
// an old one could be taken for the present one.
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
	if strings.Contains(httpserver.BaseStyle, "%") {
		t.Error("a percent sign in the style of the error page")
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

func withoutDate(head string) string {
	return regexp.MustCompile(`\r\nDate: [^\r]*`).ReplaceAllString(head, "")
}

// What cannot be looked at is listed without size and date.
func TestListingOfWhatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := exec.Command("mkfifo", filepath.Join(dir, "fifo")).Run(); err != nil {
		t.Skip("no FIFO here: ", err)
	}
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
		if _, page := get(t, s, "/"); len(links(page)) != len(want) || !strings.Contains(page, "<p>3 files, 1 folder, 4 others, 2.5 kB</p>") {
			t.Errorf("%s: %s", name, page)
		}
	}
}

// A vanishingFS has a file that is gone when it is looked at, and one from
// before the year 0.
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

// BenchmarkListing makes the listing of 1,000 files on disk, over one connection
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

// TestReadings has requests come before a reading, while another one reads, and when
// that ends: no request gets what was read before it came.
func TestReadings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		read, left := httpserver.ShareReadings()
		begun := 0 // readings so far
		ended := make(chan error)
		got := make(chan string, 10)
		bug := errors.New("bug")
		request := func(who, name string) {
			go func() {
				defer func() {
					if v := recover(); v != nil {
						got <- fmt.Sprint(who, "=panic ", v)
					}
				}()
				found, err := read(name, func() (string, error) {
					begun++
					found := fmt.Sprint(name, begun)
					err := <-ended
					if err == bug {
						panic(err)
					}
					return found, err
				})
				if err != nil {
					found = err.Error()
				}
				got <- who + "=" + found
			}()
			synctest.Wait()
		}
		end := func(err error, want ...string) {
			t.Helper()
			ended <- err
			synctest.Wait()
			var all []string
			for len(got) > 0 {
				all = append(all, <-got)
			}
			slices.Sort(all)
			if !slices.Equal(all, want) {
				t.Errorf("%q, want %q", all, want)
			}
		}
		request("a", "x")
		request("b", "x") // waits for the second reading
		request("c", "x")
		end(nil, "a=x1")
		request("d", "x") // that has begun, so this waits for the third
		end(nil, "b=x2", "c=x2")
		end(errors.New("gone"), "d=gone")
		request("e", "x")
		request("f", "x") // waits for a reading that panics
		request("g", "x")
		end(bug, "e=panic bug")
		request("h", "x")
		end(bug, "f=panic bug", "g=httpserver: the directory was not read")
		end(nil, "h=x6")
		request("i", "x")
		request("j", "y") // does not wait for x
		end(nil, "i=x7")
		end(nil, "j=y8")
		if n := left(); n != 0 {
			t.Errorf("%d readings are left", n)
		}
	})
}

// No request gets what was read before it came, however many there are.
func TestReadingsAge(t *testing.T) {
	t.Parallel()
	read, _ := httpserver.ShareReadings()
	var now atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				came := now.Add(1)
				found, err := read("x", func() (string, error) { return strconv.FormatInt(now.Load(), 10), nil })
				if at, _ := strconv.ParseInt(found, 10, 64); at < came || err != nil {
					t.Errorf("a request that came at %d got what was read at %s, %v", came, found, err)
				}
			}
		})
	}
	wg.Wait()
}
