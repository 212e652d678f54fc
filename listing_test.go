package httpserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"io/fs"
	"math"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// listingPage returns the page of a directory for a request target.
func listingPage(target string, list ...listingEntry) string {
	entries, order := sortListing(target, list)
	return wholePage(newListingPage(targetPath(target), entries, order))
}

// listingJSON returns the JSON of a directory for a request target.
func listingJSON(target string, list ...listingEntry) string {
	entries, _ := sortListing(target, list)
	return wholePage(newListingJSON(entries))
}

// wholePage returns a page, generated as one piece.
func wholePage(l *listing) string {
	l.unread = new(bytes.Buffer)
	l.fill(math.MaxInt)
	return l.unread.String()
}

// Large pages that are being sent have a limit; small ones do not count.
func TestListingsBeingSent(t *testing.T) {
	t.Parallel()
	files := make(fstest.MapFS)
	for i := range 3000 {
		files[fmt.Sprintf("large/%0200d", i)] = new(fstest.MapFile)
	}
	files["small/x"] = new(fstest.MapFile)
	s := &HTTPServer{Stderr: io.Discard, NewHandler: func() Handler { return &SimpleHandler{FS: files} }}
	sending := &shared[fileState](s).sending
	for _, c := range []struct {
		others int64
		target string
		want   string
	}{
		{0, "/large/", "200 "},
		{maxListings - 3000*500, "/large/", "200 "},
		{maxListings - 3000*400, "/large/", "503 "},
		{maxListings, "/small/", "200 "},
	} {
		sending.Store(c.others)
		client, conn := net.Pipe()
		go func() {
			s.FinishRequest(conn)
			conn.Close()
		}()
		io.WriteString(client, "GET "+c.target+" HTTP/1.0\r\n\r\n")
		if got, _ := io.ReadAll(client); !strings.HasPrefix(string(got), "HTTP/1.0 "+c.want) {
			t.Errorf("%+v: got %.100q", c, got)
		}
		if n := sending.Load(); n != c.others {
			t.Errorf("%+v: %d bytes are left", c, n-c.others)
		}
	}
}

// A page is the same however it is read, and as long as was said before.
func TestListingPieces(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 500, 2000, 5000} {
		entries := make([]listingEntry, n)
		for i := range entries {
			entries[i] = listingEntry{name: fmt.Sprint("<", i), size: int64(i * i), modified: int64(i)}
		}
		for name, newListing := range map[string]func() *listing{
			"page": func() *listing { return newListingPage("/", entries, listingOrder{}) },
			"JSON": func() *listing { return newListingJSON(entries) },
		} {
			want := wholePage(newListing())
			for reader, read := range map[string]func(l *listing) string{
				"Read": func(l *listing) string {
					var got strings.Builder
					io.CopyBuffer(&got, struct{ io.Reader }{l}, make([]byte, 777))
					return got.String()
				},
				"WriteTo": func(l *listing) string {
					var got strings.Builder
					if n, err := l.WriteTo(&got); int(n) != got.Len() || err != nil {
						t.Errorf("WriteTo: %d, %v", n, err)
					}
					return got.String()
				},
				"Read, then WriteTo": func(l *listing) string {
					begin := make([]byte, 20_000)
					n, _ := l.Read(begin)
					var got strings.Builder
					l.WriteTo(&got)
					return string(begin[:n]) + got.String()
				},
			} {
				l := newListing()
				l.release = func() {}
				length := l.begin()
				if got := read(l); got != want || int(length) != len(want) {
					t.Errorf("%s of %d entries by %s: %d bytes, length %d, want %d", name, n, reader, len(got), length, len(want))
				}
				if held := l.unread.Cap(); len(want) > wholeListing && held > 2*listingPiece {
					t.Errorf("%s of %d entries: %d bytes are held", name, n, held)
				}
				l.Close()
				l.Close()
				if n, err := l.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("after Close: %d, %v", n, err)
				}
			}
		}
	}
}

// sortListing puts entries into the order that a request target asks for.
func sortListing(target string, list []listingEntry) ([]listingEntry, listingOrder) {
	entries := slices.Clone(list)
	for i := range entries {
		entries[i].key = strings.ToLower(entries[i].name)
	}
	slices.SortFunc(entries, compareNames)
	order := parseListingOrder(targetQuery(target))
	return order.apply(entries), order
}

var linkRE = regexp.MustCompile(`<li><a href="([^"]*)">([^<]*)</a></li>`)

// Links returns the href and the text of each entry of a page.
func Links(page string) (pairs [][2]string) {
	for _, m := range linkRE.FindAllStringSubmatch(page, -1) {
		pairs = append(pairs, [2]string{html.UnescapeString(m[1]), html.UnescapeString(m[2])})
	}
	return pairs
}

func TestListingOrder(t *testing.T) {
	t.Parallel()
	list := []listingEntry{
		{name: "b", size: 20, modified: 100},
		{name: "C", mode: fs.ModeDir, size: -1, modified: 300},
		{name: "a", size: 0, modified: 200},
		{name: "B", size: 20, modified: 200},
		{name: "d", mode: fs.ModeSymlink, size: -1, modified: noTime},
		{name: "e", mode: fs.ModeDir | fs.ModeSymlink, size: -1, modified: 100},
		{name: "_", size: 1 << 40, modified: -5},
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
		for _, link := range Links(listingPage("/"+query, list...)) {
			got = append(got, link[1])
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

// Each column's link sorts by it, the largest first where that is what people look for.
// The link of the column that the page is sorted by reverses the order.
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
		for _, m := range head.FindAllStringSubmatch(listingPage("/"+query, listingEntry{name: "x"}), -1) {
			got = append(got, strings.Join(strings.Fields(m[3]+" "+m[1]+" "+html.UnescapeString(m[2])), " "))
		}
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

// The links of a directory's own path cost the same however many entries it has. Followed
// again for each entry, those of the test make it 160 times as long.
func TestListingOfLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 500 {
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	again := strings.Repeat("/again", 38)
	if err := os.Symlink(strings.Repeat("./", 2000), filepath.Join(dir, "again")); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	if _, err := os.Stat(dir + again); err != nil {
		t.Skip("no path of so many links here, as on Windows: ", err)
	}
	fastest := func(name string) time.Duration {
		var h SimpleHandler
		best := time.Hour
		for range 5 {
			begin := time.Now()
			entries, err := h.readDirectory(name)
			if len(entries) != 501 || err != nil {
				t.Fatalf("%d entries, %v", len(entries), err)
			}
			best = min(best, time.Since(begin))
		}
		return best
	}
	plain, linked := fastest(dir), fastest(dir+again)
	if linked > 30*plain {
		t.Errorf("a listing takes %v, through links %v", plain, linked)
	}
}

// The links of the path lead from the page to the directories that they name.
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
		page := listingPage(path, listingEntry{name: "x"})
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

// The page of a path with many slashes is about as long as the path.
func TestListingLongPath(t *testing.T) {
	t.Parallel()
	path := strings.Repeat("/", 60_000)
	page := listingPage("/." + path)
	if len(page) > 3*len(path) || !strings.Contains(page, `<a href="../">/</a><a href="./" aria-current="page">/</a></nav>`) {
		t.Errorf("a page of %d bytes: %.1000s", len(page), page[strings.Index(page, "<nav"):])
	}
}

// A path is shown as it was sent, unless it is much longer than the name it stands for.
func TestShownPath(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/a/../b%20c/?q": "/a/../b%20c/",
		"/" + strings.Repeat("&", maxShown) + "/../b%20c/?q": "/b%20c/",
	} {
		if got := shownPath(target); got != want {
			t.Errorf("%.20q: got %.20q, want %q", target, got, want)
		}
	}
}

func TestListingSummary(t *testing.T) {
	t.Parallel()
	file := func(size int64) listingEntry { return listingEntry{name: "f", size: size} }
	folder := listingEntry{name: "d", mode: fs.ModeDir, size: -1}
	for want, list := range map[string][]listingEntry{
		"This folder is empty.":      {},
		"1 file, 0 B":                {file(0)},
		"1 file, 1 other, 4.2 MB":    {file(4_200_000), file(-1)},
		"1 folder, 2 others":         {file(-1), folder, file(-1)},
		"1 folder":                   {folder},
		"2 folders":                  {folder, folder},
		"2 files, 3 folders, 2.0 kB": {folder, file(1999), folder, file(1), folder},
		"3 files, 9.2 EB":            {file(7 << 60), file(7 << 60), file(1)}, // 9.2 EB or more
	} {
		page := listingPage("/", list...)
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
	for want, e := range map[string]listingEntry{
		"<li><a href=\"a%20b\">a b</a></li>\n</ul><td>999 B<td><time datetime=\"1970-01-01T00:00:00Z\">1970-01-01 00:00</time>\n":                 {name: "a b", size: 999},
		"<li><a href=\"x\">x</a></li>\n</ul><td title=\"1000 bytes\">1.0 kB<td><time datetime=\"2026-11-24T15:02:59Z\">2026-11-24 15:02</time>\n": {name: "x", size: 1000, modified: 1795532579},
		"<li><a href=\"d/\">d/</a></li>\n</ul><td><td>\n":                            {name: "d", mode: fs.ModeDir, size: -1, modified: noTime},
		"<li><a href=\"d/\">d@</a></li>\n</ul><td><td>\n":                            {name: "d", mode: fs.ModeDir | fs.ModeSymlink, size: -1, modified: noTime},
		"<li><a href=\"f\">f@</a></li>\n</ul><td>1 B<td>\n":                          {name: "f", mode: fs.ModeSymlink, size: 1, modified: noTime},
		"<li><a href=\"%3C%26%22%3E%27\">&lt;&amp;\"&gt;'</a></li>\n</ul><td><td>\n": {name: `<&">'`, size: -1, modified: noTime},
		"<li><a href=\"%FFx\">\xffx</a></li>\n</ul><td><td>\n":                       {name: "\xffx", size: -1, modified: noTime},
	} {
		if page := listingPage("/", e); !strings.Contains(page, "\n"+want) {
			t.Errorf("%q is not in %q", want, page[strings.Index(page, "<tbody>"):])
		}
	}
}

// A name that cannot be seen is marked, so that the style shows its link.
func TestListingBlankNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		" ": true, "\t\n": true, "\u00a0": true, "\u3000": true, "\u200b\u202e": true, "\x01": true,
		"a": false, " a ": false, ".": false, "\xff": false, "\u0301": false, "😀": false, "é": false,
	} {
		if got := strings.Contains(listingPage("/", listingEntry{name: name}), `<ul role="none" class="blank">`); got != want {
			t.Errorf("%q is taken for blank: %v", name, got)
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
		if got := string(appendSize(nil, n)); got != want {
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
		if got := prefersJSON(Header{{"accept", accept}}); got != want {
			t.Errorf("Accept: %s: %v", accept, got)
		}
	}
	if prefersJSON(nil) {
		t.Error("no Accept is one for JSON")
	}
	if !prefersJSON(Header{{"Accept", "text/html;q=0.5"}, {"X", "text/html"}, {"Accept", "application/json"}}) {
		t.Error("the second field of two is not read")
	}
}

func TestListingJSON(t *testing.T) {
	t.Parallel()
	if got := listingJSON("/"); got != "[]\n" {
		t.Errorf("nothing: %q", got)
	}
	text := listingJSON("/?sort=size&order=desc",
		listingEntry{name: "d", mode: fs.ModeDir | fs.ModeSymlink, size: -1, modified: 951782400},
		listingEntry{name: "\"\\\n\x1f</x>\xff", size: 3, modified: 0},
		listingEntry{name: "x", mode: fs.ModeSymlink, size: -1, modified: noTime},
		listingEntry{name: "big", size: 1<<63 - 1, modified: -1},
	)
	const want = `[{"name":"big","type":"file","size":9223372036854775807,"mtime":"1969-12-31T23:59:59Z","href":"big"},
{"name":"\"\\\u000a\u001f</x>` + "\ufffd" + `","type":"file","size":3,"mtime":"1970-01-01T00:00:00Z","href":"%22%5C%0A%1F%3C/x%3E%FF"},
{"name":"d","type":"directory","size":null,"mtime":"2000-02-29T00:00:00Z","href":"d/"},
{"name":"x","type":"other","size":null,"mtime":null,"href":"x"}]
`
	if text != want || !json.Valid([]byte(text)) {
		t.Errorf("got %s", text)
	}
}

// FuzzListing lists any name. It can be read from the JSON, except for what is not UTF-8
// in it, and from the page; the links of both lead to it.
func FuzzListing(f *testing.F) {
	for _, name := range []string{"a", "é", "\xff\xfe", "\"\\/\b\f\n\r\t\x00\x7f", "\u2028\u202e", "</script>", "%41", "x\xe2\x80", "&lt;", "<li><a href=\"x\">y</a></li>"} {
		f.Add(name, int64(1), int64(951782400), false)
	}
	f.Fuzz(func(t *testing.T, name string, size, modified int64, dir bool) {
		modified = modified % 1e11
		e, mark := listingEntry{name: name, size: size, modified: modified}, ""
		if dir {
			e.mode, mark = fs.ModeDir, "/"
		}
		var list []struct {
			Name, Href string
			Mtime      time.Time
		}
		text := listingJSON("/", e)
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if len(list) != 1 || list[0].Name != string([]rune(name)) || list[0].Mtime.Unix() != modified {
			t.Errorf("%q gives %+v", name, list)
		}
		if got, err := url.PathUnescape(list[0].Href); got != name+mark || err != nil {
			t.Errorf("%q is linked by %q", name, list[0].Href)
		}
		page := Links(listingPage("/", e))
		if want := [][2]string{{list[0].Href, name + mark}}; !slices.Equal(page, want) {
			t.Errorf("%q gives %q", name, page)
		}
	})
}
