package httpserver_test

import (
	"cmp"
	"context"
	"fmt"
	"html"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"httpserver"
)

// A difference is something that this package does differently from Python, and why.
type difference struct {
	reason   string
	cases    []string       // names of exchanges that show it
	added    *regexp.Regexp // lines that only this package sends or logs; without them, the exchanges are the same
	instead  string         // what Python has in their place
	protocol string         // of the servers; "" means either
	until    pythonVersion  // the last version that it holds for, {minor: 11} being any 3.11; the zero one means all
}

var differences = []difference{
	// requests that are refused
	{
		reason: "A request line of white space, with other white space than spaces and tabs, or with a control character, is 400 (RFC 9112 section 3).",
		cases: []string{
			"\x01 / HTTP/1.1", "\x1b[31m / HTTP/1.1", "\x7f / HTTP/1.1", "GET /hello.txt\x00 HTTP/1.1",
			"GET /hello.txt\x01 HTTP/1.1", "GET /hello.txt HTTP/1.1\r",
			"GET\v/hello.txt\fHTTP/1.1", "GET /hello.txt\v HTTP/1.1", "GET\x1c/hello.txt HTTP/1.1", "GET\x85/hello.txt HTTP/1.1",
			"GET\xa0/hello.txt\xa0HTTP/1.1", "   ",
		},
	},
	{
		reason: "A request target that is neither a path nor an absolute URI, with a host and without a user name, is 400 (RFC 9112 section 3.2).",
		cases:  []string{"hello.txt", "list", `\list`, "?x", "#x", "*", "x:hello.txt", "http:///hello.txt", "http://", "GET hello.txt"},
	},
	{
		reason: "A path with %00 is 404; Python closes the connection or uses the NUL as part of a name.",
		cases:  []string{"/hello.txt%00", "/%00", "/list/%00", "/%00/../hello.txt"},
	},
	{
		reason: "A header line that is not `name: value`, or whose value has a control character, is 400 (RFC 9112 section 5).",
		cases:  []string{"no colon", "Accept : */*", "Accept: */*,\r\n b", " Host: x", ": x", "A B: x", "\u00e9: x", "X: a\x00b", "X: a\x01b", "X: a\rb"},
	},
	{
		reason: "A Host that is missing on HTTP/1.1, comes twice, or is not a host and port is 400 (RFC 9112 section 3.2).",
		cases:  []string{"Xhost: x", "Host: x\r\nHost: x", "Host: x\r\nHost: y", "Host: x y", "Host: x/"},
	},
	{
		reason: "A Content-Length that is not a number, differs from another one, or comes with Transfer-Encoding is 400; an unknown transfer coding is 501 (RFC 9112 section 6).",
		cases:  []string{"Content-Length: x", "Content-Length: -1", "Content-Length: 1\r\nContent-Length: 2", "Transfer-Encoding: chunked\r\nContent-Length: 1", "Transfer-Encoding: gzip"},
	},
	{
		reason: "A request that ends within its header is 400; Python answers it (RFC 9112 section 8).",
		cases:  []string{"cut in the method", "cut in the target", "cut in the version", "cut after the request line", "cut in a field", "cut after a field"},
	},

	// requests that are understood
	{
		reason: "Up to 100 empty lines before a request are skipped (RFC 9112 section 2.2).",
		cases:  []string{"empty line first"},
	},
	{
		reason: "An absolute URI as the target stands for its path (RFC 9112 section 3.2.2).",
		cases:  []string{"http://x/hello.txt", "http://x/list", "http://x//list", "http://x/", "http://x", "http://x?y", "HTTP://x:80/hello.txt"},
	},
	{
		reason: "A request without a version, of HTTP/0.9, has no header (RFC 1945 section 4.1).",
		cases:  []string{"HTTP/0.9 with a header"},
	},
	{
		reason: "An If-Modified-Since that comes twice, or is not an HTTP-date, is ignored (RFC 9110 section 13.1.3).",
		cases: []string{
			"If-Modified-Since: Thu, 04 Mar 2021 05:06:07 +0000", "If-Modified-Since: Thu, 04 Mar 2021 05:06:07 -0000",
			"If-Modified-Since: Thu, 04 Mar 2021 05:06:07 UTC", "If-Modified-Since: Thu, 04 Mar 2021 05:06:07",
			"If-Modified-Since: 04 Mar 2021 05:06:07 GMT", "If-Modified-Since: Thu, 4 Mar 2021 05:06:07 GMT",
			"If-Modified-Since: thu, 04 mar 2021 05:06:07 gmt", "If-Modified-Since: Thu, 04 Mar 21 05:06:07 GMT",
			"If-Modified-Since: Thu, 04 Mar 2021 05:06:07 GMT; length=5",
		},
	},
	{
		reason: "A header may have 100 fields; Python allows 99.",
		cases:  []string{strings.Repeat("X: y\r\n", 98) + "X: y"},
	},
	{
		reason: "A byte outside of ASCII in a target means itself; Python decodes it as Latin-1 and finds no file.",
		cases:  []string{"/list/\u00c4pfel", "/bytes/\xff\xfe.txt", "/dir%20\u00e9&"},
	},

	// connections
	{
		reason:   "The Connection field is a list, over all fields of that name (RFC 9110 section 7.6.1).",
		protocol: "HTTP/1.1",
		cases:    []string{"Connection: close, x", "Connection: x, close", "Connection: keep-alive\r\nConnection: close"},
	},
	{
		reason:   "The last response on HTTP/1.1 says `Connection: close`; to a client of HTTP/1.0, all but the last say `keep-alive` (RFC 9112 section 9).",
		protocol: "HTTP/1.1",
		cases: []string{
			"GET /hello.txt HTTP/1.0", "GET /hello.txt HTTP/0.0", "Connection: close", "Connection: Close",
			"Connection: close\r\nConnection: keep-alive",
			"HTTP/1.0", "HTTP/1.0, close", "HTTP/1.0, keep-alive", "HTTP/1.0, Keep-Alive", "pipelined, close",
		},
	},
	{
		reason:   keptAfterError,
		protocol: "HTTP/1.1",
		cases:    []string{"/nope", "/secret/x", "SPAM / HTTP/1.1", "POST /hello.txt HTTP/1.1", "POST", "POST, expecting 100"},
		added:    regexp.MustCompile(`(?m)^(HTTP/1\.1 [45]\d\d .*\n(?:(?:Server|Date): .*\n)+)((?:Content-.*\n)+(?:page .*\n)?)(?:HTTP/1\.1 (?s:.*?))?^closed\n`),
		instead:  "${1}Connection: close\\r\\n\n${2}closed\n",
	},
	{
		reason:   keptAfterError,
		protocol: "HTTP/1.1",
		cases:    []string{"/nope", "/secret/x", "SPAM / HTTP/1.1", "POST /hello.txt HTTP/1.1", "POST"},
		added:    regexp.MustCompile(`(?m)^(log code .*\nlog ".*" [45]\d\d -\n)log "GET /hello\.txt HTTP/1\.1" 200 -\n`),
		instead:  "$1",
	},
	{
		reason:   "A request of HTTP/0.9, whose response has no head, is the first of its connection; a later one is 400 (RFC 9112 section 3).",
		protocol: "HTTP/1.1",
		cases:    []string{"HTTP/0.9 after HTTP/1.1", "HTTP/0.9 by name after HTTP/1.1", "pipelined, then no request"},
	},
	{
		reason:   "The body of a request is not read as the next request (RFC 9112 section 6.3).",
		protocol: "HTTP/1.1",
		cases:    []string{"GET with a body", "GET with chunks"},
	},

	// responses
	{
		reason: "Location has only characters of a URI: others, backslashes included, are percent-encoded (RFC 9110 section 10.2.2).",
		cases:  []string{"/list?x=<>\"'", "/dir<>", `/\list/..`},
	},
	{
		reason: "Last-Modified is not later than Date (RFC 9110 section 8.8.2.1).",
		cases:  []string{"/future.txt"},
	},
	{
		reason: "A file has an ETag of its size and modification time; preconditions and Range are obeyed (RFC 9110 sections 8.8.3, 13.2 and 14.2).",
		cases:  []string{"/hello.txt", "/empty", "/large.bin", "/to-file", "/index/"},
		added:  regexp.MustCompile(`(?m)^ETag: .*\n(?:Accept-Ranges: bytes\\r\\n\n)?`),
	},
	{
		reason: "A file dated up to 1970-01-01 00:00:01, or from 1979-11-30 to 1980-01-01, as by build tools and in zip archives, has neither Last-Modified nor ETag (RFC 9110 section 8.8.1).",
		cases:  []string{"/old.txt"},
	},
	{
		reason: "A file has an ETag of its size and modification time; preconditions and Range are obeyed (RFC 9110 sections 8.8.3, 13.2 and 14.2).",
		cases: []string{
			"If-None-Match: *", `If-Match: "x"`, "If-Unmodified-Since: Thu, 04 Mar 1999 05:06:07 GMT",
			"If-Modified-Since: Thu, 04 Mar 2021 05:06:07 GMT\r\nIf-None-Match: *",
		},
	},
	{
		reason: "An If-Modified-Since that comes twice, or is not an HTTP-date, is ignored (RFC 9110 section 13.1.3).",
		cases:  []string{"If-Modified-Since: Thu, 04 Mar 2021 05:06:07 GMT\r\nIf-Modified-Since: yesterday"},
	},
	{
		reason: "A file has an ETag of its size and modification time; preconditions and Range are obeyed (RFC 9110 sections 8.8.3, 13.2 and 14.2).",
		cases:  []string{"Range: bytes=0-3", "Range: bytes=-3", "Range: bytes=0-3,99-", "Range: bytes=99-"},
	},
	{
		reason: "A file name that is not UTF-8 is linked by its percent-encoded bytes (RFC 3986 section 2.1); Python encodes surrogates.",
		cases:  []string{"/bytes/", "/bytes/%FF%FE.txt", "/bytes/%ED%B3%BF%ED%B3%BE.txt"},
	},
	{
		reason: "A listing shows sizes and dates, can be sorted, is JSON for clients that prefer that (RFC 9110 section 12.5.5), forbids scripts, and has a title without the query.",
		cases:  []string{"/?", "/list/?x", "/list/?", "/list/#x"},
	},
	{
		reason: "Messages and log lines show UTF-8; Python decodes it as Latin-1.",
		cases:  []string{"\u00e9 / HTTP/1.1", "\u20ac / HTTP/1.1", "\xe9 / HTTP/1.1", "GET / \u00e9", "GET / \xe9 HTTP/1.1", "caf\u00e9"},
	},

	{
		reason: "A listing shows sizes and dates, can be sorted, is JSON for clients that prefer that (RFC 9110 section 12.5.5), forbids scripts, and has a title without the query.",
		cases:  []string{"/", "/list/"},
		added:  regexp.MustCompile(`(?m)^(?:Content-Security-Policy: default-src 'none';.*|X-Content-Type-Options: nosniff|Vary: Accept)\\r\\n\n`),
	},

	// content types
	{
		reason: "A type describes what is sent: .tgz is application/gzip like .tar.gz, .js.br is not JavaScript, and .svgz has Content-Encoding (RFC 9110 section 8.3).",
		cases:  []string{"/archive.tgz", "/script.js.br"},
	},
	{
		reason: "The table of content types knows more suffixes, and some newer types, such as text/vcard (RFC 6350), and audio/ogg for Opus (RFC 7845). The tables of the system are not used.",
		cases:  []string{"/card.vcf", "/music.opus"},
	},
	{
		reason: "The table of content types knows more suffixes, and some newer types, such as text/vcard (RFC 6350), and audio/ogg for Opus (RFC 7845). The tables of the system are not used.",
		cases:  []string{"/font.woff2"},
	},

	// like later versions of Python
	{
		reason: "A path that ends in %2F is that of a directory, as in Python 3.14.",
		cases:  []string{"/hello.txt%2f"},
		until:  pythonVersion{minor: 13},
	},
	{
		reason: "The numbers of a version are one to ten digits, without sign or underscore, as in Python 3.11.4.",
		cases:  []string{"GET / HTTP/1.00000000001", "GET / HTTP/1.+1", "GET / HTTP/-1.1", "GET / HTTP/1_0.1"},
		until:  pythonVersion{11, 3},
	},
	{
		reason: "A directory is no index page, as in Python 3.10.",
		cases:  []string{"/notafile/"},
		until:  pythonVersion{minor: 9},
	},
	{
		reason: "A compressed file has the type of its coding, and Python source is text/x-python, as in Python 3.9.",
		cases:  []string{"/packed.gz", "/archive.tar.gz", "/packed.bz2", "/packed.xz", "/x.py"},
		until:  pythonVersion{minor: 8},
	},
	{
		reason: "JavaScript is text/javascript (RFC 9239), as in Python 3.12.",
		cases:  []string{"/script.js", "/module.mjs"},
		until:  pythonVersion{minor: 11},
	},
	{
		reason: "Markdown, RTF and WebP have a type, as in Python 3.13.",
		cases:  []string{"/text.md", "/text.rtf", "/picture.webp"},
		until:  pythonVersion{minor: 12},
	},
	{
		reason: "Reason phrases are those of RFC 9110, as in Python 3.13.",
		cases:  []string{"line of 65537 bytes"},
		until:  pythonVersion{minor: 12},
	},
}

const keptAfterError = "An error such as 404, 416 or 501 keeps a connection of HTTP/1.1 (RFC 9112 section 9.3); Python closes it."

// pythonsTried are the versions that the differences were found with. Others may have
// more or fewer.
var pythonsTried = []pythonVersion{{8, 18}, {9, 18}, {10, 13}, {11, 2}, {11, 7}, {12, 1}, {13, 0}}

// TestPython sends the same bytes to python3 -m http.server and to this package, which
// serve the same directory, and compares responses and logs. The environment variable
// PYTHON names another interpreter.
func TestPython(t *testing.T) {
	t.Parallel()
	exchanges := pythonExchanges()
	checkDifferences(t, exchanges)
	if runtime.GOOS == "windows" {
		t.Skip("Windows cannot hold the file names")
	}
	p := findPython(t)
	site := pythonSite(t)
	for _, protocol := range []string{"HTTP/1.0", "HTTP/1.1"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			if protocol != "HTTP/1.0" && p.minor < 11 {
				t.Skipf("Python 3.%d has no --protocol", p.minor)
			}
			theirs := p.start(t, site, protocol)
			ours := startOurs(t, site, protocol)
			for _, e := range exchanges {
				t.Run(e.name, func(t *testing.T) {
					p.compare(t, e.name, protocol, theirs.portrait(t, e), ours.portrait(t, e))
				})
			}
		})
	}
}

// compare fails if the two differ and no difference is listed, or if one is listed and
// they do not differ. For a version that was not tried it only logs that.
func (p *python) compare(t *testing.T, name, protocol, theirs, ours string) {
	t.Helper()
	if p.minor == 8 {
		theirs = redirectField.ReplaceAllString(theirs, "${0}Content-Length: 0\\r\\n\n")
	}
	ours, missing := dropAdded(name, protocol, ours)
	reason, listed := p.findDifference(name, protocol)
	differ := theirs != ours
	if missing != "" {
		t.Errorf("not to be seen: %s", missing)
	}
	if differ == listed {
		return
	}
	report := t.Logf
	if differ && p.known() || listed && p.tried() {
		report = t.Errorf
	}
	if differ {
		report("Python -, here +\n%s", lineDiff(theirs, ours))
	} else {
		report("no difference, but one is listed: %s", reason)
	}
}

// redirectField is the field after which Python 3.9 and later send the length of a
// redirect.
var redirectField = regexp.MustCompile(`(?m)^Location: .*\n`)

func (p *python) findDifference(name, protocol string) (reason string, ok bool) {
	for _, d := range differences {
		if d.added == nil && (d.protocol == "" || d.protocol == protocol) && d.until.covers(p.pythonVersion) && slices.Contains(d.cases, name) {
			return d.reason, true
		}
	}
	return "", false
}

// dropAdded replaces the lines that only this package sends or logs. It returns the
// reason of those that should be there and are not.
func dropAdded(name, protocol, ours string) (rest, missing string) {
	for _, d := range differences {
		if d.added == nil || d.protocol != "" && d.protocol != protocol {
			continue
		}
		if slices.Contains(d.cases, name) && !d.added.MatchString(ours) {
			missing = d.reason
		}
		ours = d.added.ReplaceAllString(ours, d.instead)
	}
	return ours, missing
}

// checkDifferences fails for names that are not those of exactly one exchange.
func checkDifferences(t *testing.T, exchanges []pythonExchange) {
	t.Helper()
	names := make(map[string]bool)
	for _, e := range exchanges {
		if names[e.name] {
			t.Errorf("two exchanges are called %q", e.name)
		}
		names[e.name] = true
	}
	for _, d := range differences {
		for _, name := range d.cases {
			if !names[name] {
				t.Errorf("no exchange is called %q", name)
			}
		}
	}
}

// lineDiff returns the lines of two texts without those that both begin and end with.
func lineDiff(a, b string) string {
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	for len(x) > 0 && len(y) > 0 && x[0] == y[0] {
		x, y = x[1:], y[1:]
	}
	for len(x) > 0 && len(y) > 0 && x[len(x)-1] == y[len(y)-1] {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	var d strings.Builder
	for _, line := range x {
		d.WriteString("- " + line)
	}
	for _, line := range y {
		d.WriteString("+ " + line)
	}
	return d.String()
}

// A pythonVersion is 3.minor.patch.
type pythonVersion struct{ minor, patch int }

func (until pythonVersion) covers(v pythonVersion) bool {
	if until.minor == v.minor {
		return until.patch == 0 || v.patch <= until.patch
	}
	return until.minor == 0 || v.minor < until.minor
}

// A python is an interpreter.
type python struct {
	pythonVersion
	path string
}

// tried reports whether the differences were found with this version.
func (p *python) tried() bool {
	return runtime.GOOS == "linux" && slices.Contains(pythonsTried, p.pythonVersion)
}

// known reports whether all differences should be listed.
func (p *python) known() bool {
	return slices.ContainsFunc(pythonsTried, func(tried pythonVersion) bool {
		return p.minor == tried.minor && p.patch >= tried.patch
	})
}

func findPython(t testing.TB) *python {
	t.Helper()
	name := cmp.Or(os.Getenv("PYTHON"), "python3")
	out, err := exec.CommandContext(t.Context(), name, "-c", "import sys; print(*sys.version_info[:3], sys.executable)").Output()
	if err != nil {
		t.Skip("no Python to compare with: ", err)
	}
	var major int
	p := new(python)
	if _, err := fmt.Sscan(string(out), &major, &p.minor, &p.patch, &p.path); err != nil || major != 3 || p.minor < 8 {
		t.Skipf("no Python 3.8 or later to compare with: %s is %q", name, out)
	}
	return p
}

// pythonMain is python -m http.server without the system's tables of content types,
// and without DNS queries.
const pythonMain = `
import mimetypes, runpy, socket
mimetypes.knownfiles.clear()
socket.getfqdn = lambda name='': name
runpy.run_module('http.server', run_name='__main__', alter_sys=True)
`

var servingLine = regexp.MustCompile(`^Serving HTTP on 127\.0\.0\.1 port (\d+) \(http://127\.0\.0\.1:\d+/\) \.\.\.\n$`)

// start runs python -m http.server until the end of the test.
func (p *python) start(t testing.TB, site, protocol string) *pythonPeer {
	t.Helper()
	args := []string{"-I", "-u", "-X", "utf8", "-c", pythonMain, "--bind", "127.0.0.1", "--directory", site, "0"}
	if protocol != "HTTP/1.0" {
		args = append(args, "--protocol", protocol)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Stderr = log
	line, _ := firstLine(t, cmd)
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
		log.Close()
	})
	readLog := func() string {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	m := servingLine.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("Python's first line is %q; it says %q", line, readLog())
	}
	port, _ := strconv.Atoi(m[1])
	return &pythonPeer{addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, log: readLog}
}

func startOurs(t *testing.T, site, protocol string) *pythonPeer {
	t.Helper()
	s, log := start(t, func() httpserver.Handler {
		h := new(httpserver.SimpleHandler)
		h.Directory, h.ProtocolVersion = site, protocol
		return h
	}, nil)
	return &pythonPeer{addr: s.Addr(), log: log.String}
}

// A pythonPeer is one of the two servers.
type pythonPeer struct {
	addr   net.Addr
	log    func() string // all that was logged so far; lines about a connection are there before it ends
	logged int           // how much of the log was seen
}

// portrait returns what the two should have in common when they serve an exchange.
// That excludes the version in Server, the current date, and the look and so the
// length of pages.
func (p *pythonPeer) portrait(t *testing.T, e pythonExchange) string {
	t.Helper()
	var b strings.Builder
	for _, request := range e.requests {
		portrayResponses(&b, exchange(t, p.addr, request))
	}
	log := p.log()
	portrayLog(&b, log[p.logged:])
	p.logged = len(log)
	return httpserver.Collapse(b.String())
}

var (
	responseHead  = regexp.MustCompile(`^(HTTP/1\.\d \d\d\d.*\r\n)((?:.+\r\n)*)\r\n`)
	contentLength = regexp.MustCompile(`(?m)^Content-Length: (\d+)\r$`)
	serverField   = regexp.MustCompile(`(?m)^(Server: SimpleHTTP/0\.6) (?:Python|Go)/.+\r$`)
	dateField     = regexp.MustCompile(`(?m)^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r$`)
	pageField     = regexp.MustCompile(`(?m)^Content-[Tt]ype: .*charset=`)
)

func portrayResponses(b *strings.Builder, stream string) {
	for stream != "" {
		head, fields := "", ""
		if m := responseHead.FindStringSubmatch(stream); m != nil {
			head, fields = m[0], m[2]
			b.WriteString(httpserver.Escape(m[1]))
		}
		stream = stream[len(head):]
		body := stream
		if m := contentLength.FindStringSubmatch(fields); m != nil {
			n, _ := strconv.Atoi(m[1])
			body = stream[:min(n, len(stream))]
		}
		if strings.HasPrefix(stream, "HTTP/1.") {
			body = "" // of a response to HEAD, or without content
		}
		stream = stream[len(body):]
		fields = serverField.ReplaceAllString(fields, "$1\r")
		fields = dateField.ReplaceAllString(fields, "Date: now\r")
		if pageField.MatchString(fields) {
			fields = contentLength.ReplaceAllString(fields, "Content-Length: of the page\r")
		}
		b.WriteString(httpserver.Escape(fields))
		portrayBody(b, body)
	}
	b.WriteString("closed\n")
}

var (
	errorText    = regexp.MustCompile(`(?s)<p>Error code: (\d+)</p>.*<p>Message: ([^<>]*)\.</p>.*<p>Error code explanation: \S+ - [^<>]+\.</p>`)
	listingTitle = regexp.MustCompile(`(?s)<title>(Directory listing for [^<>]*)</title>.*<h1>(Directory listing for [^<>]*)</h1>`)
	listingLink  = regexp.MustCompile(`<li><a href="([^"]*)">([^<>]*)</a></li>`)
)

func portrayBody(b *strings.Builder, body string) {
	if m := errorText.FindStringSubmatch(body); m != nil {
		fmt.Fprintf(b, "page %s %s", m[1], httpserver.Escape(html.UnescapeString(m[2])))
	} else if m := listingTitle.FindStringSubmatch(body); m != nil {
		fmt.Fprintf(b, "page %spage %s", httpserver.Escape(html.UnescapeString(m[1])), httpserver.Escape(html.UnescapeString(m[2])))
		for _, m := range listingLink.FindAllStringSubmatch(body, -1) {
			fmt.Fprintf(b, "link %s %s", m[1], httpserver.Escape(html.UnescapeString(m[2])))
		}
	} else {
		b.WriteString(httpserver.Escape(body))
	}
}

var (
	logPrefix = regexp.MustCompile(`(?m)^127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\] `)
	traceback = regexp.MustCompile(`(?s)-{40}\n.*?\n(\w+)[^\n]*\n-{40}\n`)
)

func portrayLog(b *strings.Builder, log string) {
	log = traceback.ReplaceAllString(log, "Traceback: $1\n")
	b.WriteString(logPrefix.ReplaceAllString(log, "log "))
}

// pythonTime is when the files of pythonSite were changed.
var pythonTime = time.Date(2021, 3, 4, 5, 6, 7, 800_000_000, time.UTC)

// pythonSite makes the files that the exchanges request.
func pythonSite(t *testing.T) string {
	t.Helper()
	site := t.TempDir()
	names := []string{
		"hello.txt", "noext", ".hidden", ".html", "..txt", "x.", "two.txt.xyz", "PAGE.HTML",
		"page.html", "style.css", "script.js", "module.mjs", "data.json", "code.wasm", "feed.xml", "table.csv", "text.md",
		"picture.svg", "picture.png", "picture.webp", "icon.ico", "font.woff2", "paper.pdf", "film.mp4", "sound.mp3",
		"packed.gz", "archive.tar.gz", "archive.tgz", "packed.Z", "packed.bz2", "packed.xz", "archive.zip", "script.js.br", "x.py",
		"x.c", "music.opus", "card.vcf", "text.rtf", "run.sh", "style.xsl",
		"index/index.html", "index/index.htm", "htm/index.htm", "notafile/index.html/x", "notafile/y.txt",
		"list/B.txt", "list/a.txt", "list/C/x", "list/.hidden", "list/Zebra", "list/zoo", "list/10", "list/9",
		"list/\u00c4pfel", "list/\u00e9t\u00e9", "list/\U0001f600", "dir \u00e9&/x", "dir<>/x",
		"odd/a b", "odd/a&b", "odd/a&amp;b", "odd/a<b>", `odd/a"b`, "odd/a'b", "odd/a#b", "odd/a?b", "odd/a%b", "odd/a%41b",
		"odd/a+b", "odd/a;b", "odd/a:b", "odd/a~b", "odd/a\tb", "odd/a\nb", "odd/a\\b", "odd/-", "odd/\x7f", "odd/ ", "odd/~",
		"odd/a@b!$()*,=[]^`{|}",
	}
	if runtime.GOOS == "linux" {
		names = append(names, "bytes/\xff\xfe.txt")
	}
	for _, name := range names {
		pythonFile(t, filepath.Join(site, name), "the content of "+name+"\n", pythonTime)
	}
	pythonFile(t, filepath.Join(site, "empty"), "", pythonTime)
	pythonFile(t, filepath.Join(site, "large.bin"), strings.Repeat("\x00", 300_000), pythonTime)
	pythonFile(t, filepath.Join(site, "future.txt"), "future\n", time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC)) // that fits 32 bits
	pythonFile(t, filepath.Join(site, "old.txt"), "old\n", time.Unix(0, 0))
	pythonFile(t, filepath.Join(site, "secret.txt"), "secret\n", pythonTime)
	if err := os.Chmod(filepath.Join(site, "secret.txt"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(site, "secret"), 0); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"to-file": "hello.txt", "to-dir": "list", "dangling": "nowhere", "loop": "loop",
		"list/to-file": "a.txt", "list/to-dir": "C", "list/dangling": "nowhere", "list/loop": "loop", "list/up": "..",
	} {
		if err := os.Symlink(target, filepath.Join(site, name)); err != nil {
			t.Fatal(err)
		}
	}
	return site
}

func pythonFile(t *testing.T, name, text string, changed time.Time) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(name), 0o777)
	if err == nil {
		err = os.WriteFile(name, []byte(text), 0o666)
	}
	if err == nil {
		err = os.Chtimes(name, changed, changed)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A pythonExchange is what a client sends on one connection after another.
type pythonExchange struct {
	name     string
	requests []string
}

// pythonNext follows a request: its response shows that the connection persists.
const pythonNext = "GET /hello.txt HTTP/1.1\r\nHost: next\r\n\r\n"

func pythonExchanges() []pythonExchange {
	var all []pythonExchange
	add := func(name string, requests ...string) {
		all = append(all, pythonExchange{name, requests})
	}
	for _, target := range pythonTargets {
		rest := " " + target + " HTTP/1.1\r\nHost: x\r\n\r\n" + pythonNext
		add(target, "GET"+rest, "HEAD"+rest)
	}
	for _, line := range pythonLines {
		add(line, line+"\r\nHost: x\r\n\r\n"+pythonNext)
	}
	for _, fields := range pythonFields {
		host := "Host: x\r\n"
		if strings.Contains(strings.ToLower(fields), "host:") {
			host = ""
		}
		add(fields, "GET /hello.txt HTTP/1.1\r\n"+host+fields+"\r\n\r\n"+pythonNext)
	}
	for _, c := range pythonConnections {
		add(c[0], c[1])
	}
	return all
}

// pythonTargets are requested with GET and with HEAD.
var pythonTargets = []string{
	"/hello.txt", "/noext", "/.hidden", "/.html", "/..txt", "/x.", "/two.txt.xyz", "/PAGE.HTML",
	"/page.html", "/style.css", "/script.js", "/module.mjs", "/data.json", "/code.wasm", "/feed.xml", "/table.csv", "/text.md",
	"/picture.svg", "/picture.png", "/picture.webp", "/icon.ico", "/font.woff2", "/paper.pdf", "/film.mp4", "/sound.mp3",
	"/packed.gz", "/archive.tar.gz", "/archive.tgz", "/packed.Z", "/packed.bz2", "/packed.xz", "/archive.zip", "/script.js.br",
	"/x.py", "/x.c", "/music.opus", "/card.vcf", "/text.rtf", "/run.sh", "/style.xsl",
	"/empty", "/large.bin", "/future.txt", "/old.txt", "/secret.txt", "/secret/", "/secret", "/secret/x",

	// names
	"/Page.html", "/HELLO.TXT", "/nope", "/nope/", "/nope.html?x", "/hello%2etxt", "/hello%2Etxt", "/hello.txt.", "/hello.txt%20",
	"/hello.txt;x",
	"/odd/a%20b", "/odd/a&b", "/odd/a%26b", "/odd/a&amp;b", "/odd/a%3Cb%3E", "/odd/a<b>", "/odd/a%22b", `/odd/a"b`, "/odd/a%27b",
	"/odd/a'b",
	"/odd/a%23b", "/odd/a#b", "/odd/a%3Fb", "/odd/a?b", "/odd/a%25b", "/odd/a%b", "/odd/a%2541b", "/odd/a%41b", "/odd/a+b",
	"/odd/a%2Bb", "/odd/a;b", "/odd/a:b",
	"/odd/a~b", "/odd/a%7eb", "/odd/a%09b", "/odd/a%0Ab", "/odd/a%5Cb", `/odd/a\b`, "/odd/-", "/odd/%7F", "/odd/%20", "/odd/~",
	"/odd/a@b!$()*,=[]^`{|}",
	"/list/%C3%84pfel", "/list/%c3%84pfel", "/list/\u00c4pfel", "/list/%F0%9F%98%80", "/bytes/%FF%FE.txt", "/bytes/\xff\xfe.txt",
	"/bytes/%ED%B3%BF%ED%B3%BE.txt", "/%FF", "/\xff", "/%c3%28",

	// directories
	"/", "/?", "/index/", "/index", "/htm/", "/htm", "/notafile/", "/notafile", "/list/", "/list", "/odd/", "/bytes/", "/list/C/",
	"/dir%3C%3E/", "/dir%20%C3%A9&/",
	"/list?x=/y&z", "/list?", "/list/?x", "/list/?", "/list#x", "/list#", "/list/#x", "/list?x#y", "/list#x?y", "/list;x",
	"/list?x=<>\"'", "/list?%0d%0a",
	"/dir%3C%3E", "/dir<>", "/dir%20%C3%A9&", "/dir%20%c3%a9%26?a=b", "/dir%20\u00e9&",

	// links
	"/to-file", "/to-file/", "/to-dir", "/to-dir/", "/to-dir/a.txt", "/dangling", "/dangling/", "/loop", "/loop/",

	// queries, fragments and slashes
	"/hello.txt?x", "/hello.txt?", "/hello.txt#x", "/hello.txt?x#y", "/hello.txt#x?y", "/hello.txt?/", "/hello.txt/",
	"/hello.txt/?x", "/hello.txt/x", "/hello.txt/.", "/hello.txt/..", "/hello.txt%2f",
	"//hello.txt", "///hello.txt", "//list", "//list/", "//list/..", "//x/../list", "/.//list", "/%2flist", "/%2f%2flist",
	"/list//a.txt", "/list//", "/list///C", "/list%2fa.txt", "/list%2f", "/list%2fC", "/list%2fC/",
	`/\list`, `/\list/..`, `/%5clist`, `/%5clist/..`, `\list`,

	// dots
	"/.", "/..", "/./", "/../", "/./hello.txt", "/../hello.txt", "/../../../etc/passwd", "/index/../hello.txt",
	"/nope/../hello.txt", "/.../hello.txt", "/./list", "/list/.", "/list/./", "/list/..", "/list/../", "/list/C/..", "/list/C/../",
	"/list/../list", "/list/../list/",
	"/%2e", "/%2e%2e", "/%2e%2e/", "/%2e%2e/hello.txt", "/%2e%2e%2f%2e%2e%2fhello.txt", "/index%2f..%2fhello.txt",
	"/%252e%252e/hello.txt", "/..%5chello.txt", `/..\hello.txt`, "/%6cist", "/%6cist/",

	// no file names
	"/hello.txt%00", "/%00", "/list%00/", "/list/%00", "/%00/../hello.txt", "/%zz", "/%", "/%4", "/%zzhello.txt", "/%u0041", "/%0d%0a",

	// no paths
	"hello.txt", "list", "?x", "#x", "*", "x:hello.txt", "http://x/hello.txt", "http://x/list", "http://x//list", "http://x/",
	"http://x", "http://x?y", "HTTP://x:80/hello.txt", "http:///hello.txt", "http://", "/http://x/", "//x@y/",
}

// pythonLines are request lines; a header with Host follows them.
var pythonLines = []string{
	// methods
	"POST /hello.txt HTTP/1.1", "POST /nope HTTP/1.1", "PUT /hello.txt HTTP/1.1", "DELETE /hello.txt HTTP/1.1", "PATCH / HTTP/1.1",
	"OPTIONS / HTTP/1.1", "OPTIONS * HTTP/1.1", "TRACE / HTTP/1.1", "CONNECT x:80 HTTP/1.1", "SPAM / HTTP/1.1",
	"get /hello.txt HTTP/1.1", "Head / HTTP/1.1",
	"a'b / HTTP/1.1", `a"b / HTTP/1.1`, `a'"b / HTTP/1.1`, `a\b / HTTP/1.1`, `a\'b / HTTP/1.1`, "<b>&amp; / HTTP/1.1",
	"%s%d / HTTP/1.1", "__class__ / HTTP/1.1", "%41 / HTTP/1.1",
	"\x01 / HTTP/1.1", "\x1b[31m / HTTP/1.1", "\x7f / HTTP/1.1", "\x80 / HTTP/1.1", "\x9f / HTTP/1.1", "\xad / HTTP/1.1",
	"\xe9 / HTTP/1.1", "\u00e9 / HTTP/1.1", "\u20ac / HTTP/1.1",

	// versions
	"GET /hello.txt HTTP/1.0", "GET /hello.txt HTTP/0.9", "GET /nope HTTP/0.9", "GET /hello.txt HTTP/0.0",
	"GET /hello.txt HTTP/1.2", "GET /hello.txt HTTP/1.10", "GET /hello.txt HTTP/01.01", "GET /hello.txt HTTP/1.0000000001",
	"GET / HTTP/1.00000000001", "GET / HTTP/2.0", "GET / HTTP/2.1", "GET / HTTP/3.0", "PRI * HTTP/2.0", "SPAM x HTTP/2.0",
	"GET / HTTP/1", "GET / HTTP/1.1.1", "GET / HTTP/1.x", "GET / HTTP/1.+1", "GET / HTTP/-1.1", "GET / HTTP/1.", "GET / HTTP/.1",
	"GET / HTTP/1_0.1", "GET / HTTP/1\xb2.1",
	"GET / HTTP/1.1x", "GET / http/1.1", "GET / FTP/1.1", "GET / HTTP", "GET / HTTP/", "GET / x'y", `GET / x"y'\`, "GET / \xe9",
	"GET / \u00e9",

	// HTTP/0.9
	"GET /hello.txt", "GET /list", "GET /list/C/", "GET /nope", "GET /empty", "GET hello.txt", "POST /hello.txt",
	"HEAD /hello.txt", "get /hello.txt", "'/\" x",

	// other numbers of words
	"GET", "a'b", `a"b`, `a'"b\`, "\x16\x03\x01", "caf\u00e9", "caf\xe9", "\x1b[31m", "%",
	"GET / x HTTP/1.1", "GET /a b HTTP/1.1", "GET /a b c HTTP/1.1", "GET / HTTP/1.1 x", "GET /'\"\\ x y HTTP/1.1",
	"GET / \xe9 HTTP/1.1", "a b c d e HTTP/2.0", "a b c d",

	// spaces
	"GET  /hello.txt   HTTP/1.1", " GET /hello.txt HTTP/1.1", "GET /hello.txt HTTP/1.1 ", "GET\t/hello.txt\tHTTP/1.1", "   ",
	"GET\v/hello.txt\fHTTP/1.1", "GET /hello.txt\v HTTP/1.1", "GET\xa0/hello.txt\xa0HTTP/1.1", "GET\x85/hello.txt HTTP/1.1",
	"GET\x1c/hello.txt HTTP/1.1",
	"GET /hello.txt\x00 HTTP/1.1", "GET /hello.txt\x01 HTTP/1.1", "GET /hello\rtxt HTTP/1.1", "GET /hello.txt HTTP/1.1\r",
}

// pythonFields follow GET /hello.txt HTTP/1.1, and a Host unless they contain one.
var pythonFields = []string{
	"Accept: */*", "Accept:*/*", "accept:\t*/* ", "X:", "X: \xff", "Host: x\nAccept: */*",
	"Range: bytes=0-3", "Range: bytes=-3", "Range: bytes=0-3,99-", "Range: bytes=99-", "Range: bytes=0-3,6-9", "Range: lines=0-3",
	"Range: bytes=3-0", "Range: bytes=0-3\r\nIf-Range: \"x\"",
	"Accept-Encoding: gzip", "If-None-Match: *", "If-Match: \"x\"", "If-Unmodified-Since: Thu, 04 Mar 1999 05:06:07 GMT",
	"X: " + strings.Repeat("a", 8192), strings.Repeat("X: y\r\n", 97) + "X: y", strings.Repeat("X: y\r\n", 98) + "X: y",
	strings.Repeat("X: y\r\n", 99) + "X: y",

	"Xhost: x", "Host: x\r\nHost: x", "Host: x\r\nHost: y", "Host: x y", "Host:", "host:x", "Host: x/", "Host: [::1]:80", " Host: x",
	"no colon", "Accept : */*", "Accept: */*,\r\n b", ": x", "A B: x", "X: a\x01b", "X: a\x00b", "X: a\rb", "\u00e9: x",
	"Content-Length: 0", "Content-Length: x", "Content-Length: -1", "Content-Length: 1\r\nContent-Length: 2",
	"Transfer-Encoding: chunked\r\nContent-Length: 1", "Transfer-Encoding: gzip",

	"Connection: close", "Connection: Close", "Connection: keep-alive", "Connection: x", "Connection: close, x",
	"Connection: x, close", "Connection: keep-alive, x", "Connection: upgrade\r\nUpgrade: h2c",
	"Connection: keep-alive\r\nConnection: close", "Connection: close\r\nConnection: keep-alive",
	"Expect: 100-continue", "Expect: 100-Continue", "Expect: x",

	"If-Modified-Since: Thu, 04 Mar 2021 05:06:07 GMT", "If-Modified-Since: Thu, 04 Mar 2021 05:06:06 GMT",
	"If-Modified-Since: Thu, 04 Mar 2021 05:06:08 GMT", "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT",
	"if-modified-since: Thu, 04 Mar 2021 05:06:07 GMT",
	"If-Modified-Since: Thursday, 04-Mar-21 05:06:07 GMT", "If-Modified-Since: Thursday, 04-Mar-21 05:06:06 GMT",
	"If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT",
	"If-Modified-Since: Thu Mar  4 05:06:07 2021", "If-Modified-Since: Thu Mar  4 05:06:06 2021",
	"If-Modified-Since: Thu Mar 14 05:06:06 2021",
	"If-Modified-Since: Thu, 04 Mar 2021 05:06:07 +0000", "If-Modified-Since: Thu, 04 Mar 2021 05:06:07 -0000",
	"If-Modified-Since: Thu, 04 Mar 2021 05:06:07 +0100", "If-Modified-Since: Thu, 04 Mar 2021 05:06:07 UTC",
	"If-Modified-Since: Thu, 04 Mar 2021 05:06:07 EST", "If-Modified-Since: Thu, 04 Mar 2021 05:06:07",
	"If-Modified-Since: 04 Mar 2021 05:06:07 GMT", "If-Modified-Since: Thu, 4 Mar 2021 05:06:07 GMT",
	"If-Modified-Since: thu, 04 mar 2021 05:06:07 gmt", "If-Modified-Since: Thu, 04 Mar 21 05:06:07 GMT",
	"If-Modified-Since: Thu, 04 Mar 2021 05:06:07 GMT; length=5",
	"If-Modified-Since: Fri, 04 Mar 2021 05:06:07 GMT", "If-Modified-Since: Thu, 04 Mar 2021 25:06:07 GMT",
	"If-Modified-Since: 2021-03-04T05:06:07Z", "If-Modified-Since: yesterday", "If-Modified-Since: 0", "If-Modified-Since:",
	"If-Modified-Since: Thu, 04 Mar 2021 05:06:07 GMT\r\nIf-None-Match: \"x\"",
	"If-Modified-Since: Thu, 04 Mar 2021 05:06:07 GMT\r\nIf-None-Match: *",
	"If-Modified-Since: Thu, 04 Mar 2021 05:06:07 GMT\r\nRange: bytes=0-3",
	"If-Modified-Since: Thu, 04 Mar 2021 05:06:07 GMT\r\nIf-Modified-Since: yesterday",
	"If-Modified-Since: yesterday\r\nIf-Modified-Since: Thu, 04 Mar 2021 05:06:07 GMT",
}

// pythonConnections are the names of exchanges and all the bytes sent in them.
var pythonConnections = [][2]string{
	{"nothing", ""},
	{"empty line alone", "\r\n"},
	{"empty lines alone", "\r\n\n"},
	{"empty line first", "\r\n" + pythonNext + "\r\n" + pythonNext},
	{"lines end in LF", "GET /hello.txt HTTP/1.1\nHost: x\n\n" + pythonNext},
	{"lines end in either", "GET /hello.txt HTTP/1.1\nHost: x\r\n\n" + pythonNext},

	{"HTTP/0.9", "GET /hello.txt\r\n"},
	{"HTTP/0.9, LF", "GET /hello.txt\n"},
	{"HTTP/0.9, twice", "GET /hello.txt\r\n\r\nGET /hello.txt\r\n\r\n"},
	{"HTTP/0.9 with a header", "GET /hello.txt\r\nIf-Modified-Since: Thu, 04 Mar 2021 05:06:07 GMT\r\n\r\n"},
	{"HTTP/0.9 after HTTP/1.1", pythonNext + "GET /hello.txt\r\n"},
	{"HTTP/0.9 by name after HTTP/1.1", pythonNext + "GET /hello.txt HTTP/0.9\r\n\r\n"},

	{"cut in the method", "GET"},
	{"cut in the target", "GET /hello.txt"},
	{"cut in the version", "GET /hello.txt HTTP/1.0"},
	{"cut after the request line", "GET /hello.txt HTTP/1.0\r\n"},
	{"cut in a field", "GET /hello.txt HTTP/1.1\r\nHost: x"},
	{"cut after a field", "GET /hello.txt HTTP/1.1\r\nHost: x\r\n"},

	{"line of 65536 bytes", "GET /" + strings.Repeat("a", 65536-16) + " HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"line of 65537 bytes", "GET /" + strings.Repeat("a", 65537-5)},
	{"name too long", "GET /" + strings.Repeat("a", 5000) + " HTTP/1.1\r\nHost: x\r\n\r\n" + pythonNext},
	{"many slashes", "GET " + strings.Repeat("/", 5000) + "hello.txt HTTP/1.1\r\nHost: x\r\n\r\n" + pythonNext},
	{"header line of 65536 bytes", "GET /hello.txt HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 65536-5) + "\r\n\r\n"},
	{"header line of 65537 bytes", "GET /hello.txt HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 65537-3)},
	{"101 header lines", "GET /hello.txt HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 100)},

	{"HTTP/1.0", "GET /hello.txt HTTP/1.0\r\n\r\n" + pythonNext},
	{"HTTP/1.0, close", "GET /hello.txt HTTP/1.0\r\nConnection: close\r\n\r\n" + pythonNext},
	{"HTTP/1.0, keep-alive", "GET /hello.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + pythonNext},
	{"HTTP/1.0, Keep-Alive", "GET /list HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" + pythonNext},
	{"pipelined", pythonNext + "HEAD /list HTTP/1.1\r\nHost: x\r\n\r\nGET /list/C/ HTTP/1.1\r\nHost: x\r\n\r\nGET /nope HTTP/1.1\r\nHost: x\r\n\r\n" + pythonNext},
	{"pipelined, not modified", "GET /hello.txt HTTP/1.1\r\nHost: x\r\nIf-Modified-Since: Thu, 04 Mar 2021 05:06:07 GMT\r\n\r\n" + pythonNext},
	{"pipelined, close", pythonNext + "GET /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + pythonNext},
	{"pipelined, then no request", pythonNext + "spam\r\n\r\n" + pythonNext},

	{"POST", "POST /hello.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody" + pythonNext},
	{"POST, expecting 100", "POST /hello.txt HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody"},
	{"POST of HTTP/1.0, expecting 100", "POST /hello.txt HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody"},
	{"GET with a body", "GET /hello.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody" + pythonNext},
	{"GET with chunks", "GET /hello.txt HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n" + pythonNext},
}
