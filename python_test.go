package httpserver_test

import (
	"bufio"
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
	"strconv"
	"strings"
	"testing"
	"time"

	"httpserver"
)

// TestPython sends the same bytes to python -m http.server and to this package,
// for the same directory, and compares what comes back and what is logged. The
// environment variable PYTHON names another interpreter than python3.
func TestPython(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the site has names that Windows does not have")
	}
	python := findPython(t)
	site := makePythonSite(t)
	for _, protocol := range []string{"HTTP/1.0", "HTTP/1.1"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			if protocol != "HTTP/1.0" && python.minor < 11 {
				t.Skipf("Python 3.%d has no --protocol", python.minor)
			}
			ask := python.start(t, site, protocol)
			askOurs := startOurs(t, site, protocol)
			for _, e := range pythonExchanges() {
				t.Run(e.name, func(t *testing.T) {
					python.compare(t, strings.TrimPrefix(protocol, "HTTP/")+" "+e.name, ask(t, e.request), askOurs(t, e.request))
				})
			}
		})
	}
}

type pythonInterpreter struct {
	path  string
	minor int
}

func findPython(t *testing.T) *pythonInterpreter {
	t.Helper()
	path, err := exec.LookPath(cmp.Or(os.Getenv("PYTHON"), "python3"))
	if err != nil {
		t.Skip("no Python to compare with:", err)
	}
	out, err := exec.Command(path, "-I", "-c", "import sys; print(*sys.version_info[:2])").Output()
	if err != nil {
		t.Skip("no Python to compare with:", err)
	}
	var major, minor int
	if fmt.Sscan(string(out), &major, &minor); major != 3 || minor < 8 {
		t.Skipf("Python %d.%d is too old to compare with", major, minor)
	}
	return &pythonInterpreter{path, minor}
}

const pythonMain = `
import mimetypes, runpy, socket
mimetypes.knownfiles.clear()
socket.getfqdn = lambda name='': name
runpy.run_module('http.server', run_name='__main__', alter_sys=True)
`

var servingLine = regexp.MustCompile(`^Serving HTTP on 127\.0\.0\.1 port (\d+) \(http://127\.0\.0\.1:\d+/\) \.\.\.\n$`)

func (p *pythonInterpreter) start(t *testing.T, site, protocol string) func(*testing.T, string) string {
	t.Helper()
	args := []string{"-I", "-u", "-X", "utf8", "-c", pythonMain, "--bind", "127.0.0.1", "--directory", site}
	if protocol != "HTTP/1.0" {
		args = append(args, "--protocol", protocol)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cmd := exec.CommandContext(ctx, p.path, append(args, "0")...)
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
		log.Close()
	})
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	m := servingLine.FindStringSubmatch(line)
	if m == nil {
		text, _ := os.ReadFile(log.Name())
		t.Fatalf("Python's first line is %q; it says: %s", line, text)
	}
	port, _ := strconv.Atoi(m[1])
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
	seen := 0
	return func(t *testing.T, request string) string {
		t.Helper()
		response := exchange(t, addr, request)
		text, err := os.ReadFile(log.Name())
		if err != nil {
			t.Fatal(err)
		}
		lines := string(text[seen:])
		seen = len(text)
		return portrait(response, lines)
	}
}

func startOurs(t *testing.T, site, protocol string) func(*testing.T, string) string {
	t.Helper()
	s, log := start(t, func() httpserver.Handler {
		h := new(httpserver.SimpleHandler)
		h.Directory, h.ProtocolVersion = site, protocol
		return h
	}, nil)
	seen := 0
	return func(t *testing.T, request string) string {
		t.Helper()
		response := exchange(t, s.Addr(), request)
		text := log.String()
		lines := text[seen:]
		seen = len(text)
		return portrait(response, lines)
	}
}

var responseHead = regexp.MustCompile(`^(HTTP/1\.\d \d\d\d[^\r\n]*)\r\n((?:[^\r\n]+\r\n)*)\r\n`)

// portrait is what the two should have in common: all but the versions in
// Server, dates of now, and the look of pages.
func portrait(stream, log string) string {
	var b strings.Builder
	for stream != "" {
		m := responseHead.FindStringSubmatch(stream)
		if m == nil {
			b.WriteString(portraitBody(stream))
			break
		}
		stream = stream[len(m[0]):]
		fields := portraitFields(m[2])
		b.WriteString(escape(m[1]))
		b.WriteString(escape(fields))
		length := len(stream)
		if f := contentLength.FindStringSubmatch(m[2]); f != nil {
			length, _ = strconv.Atoi(f[1])
			length = min(length, len(stream))
		}
		if !strings.HasPrefix(stream, "HTTP/1.") {
			b.WriteString(portraitBody(stream[:length]))
			stream = stream[length:]
		}
	}
	b.WriteString(portraitLog(log))
	return b.String()
}

var (
	contentLength = regexp.MustCompile(`(?m)^Content-Length: (\d+)\r$`)
	serverField   = regexp.MustCompile(`(?m)^(Server: SimpleHTTP/0\.6) (Python|Go)/.*\r$`)
	dateField     = regexp.MustCompile(`(?m)^(Date): \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r$`)
	pageCharset   = regexp.MustCompile(`(?m)^Content-[Tt]ype: .*charset=`)
)

func portraitFields(fields string) string {
	fields = serverField.ReplaceAllString(fields, "$1")
	fields = dateField.ReplaceAllString(fields, "$1")
	if pageCharset.MatchString(fields) {
		fields = contentLength.ReplaceAllString(fields, "Content-Length of a page")
	}
	return strings.ReplaceAll(fields, "\r\n", "\n")
}

var (
	errorText    = regexp.MustCompile(`(?s)<p>Error code: (\d+)</p>.*<p>Message: (.*)\.</p>.*<p>Error code explanation: (?:HTTPStatus\.\w+ = )?(\d+) - .+\.</p>`)
	listingTitle = regexp.MustCompile(`(?s)<title>(Directory listing for .*)</title>`)
	listingH1    = regexp.MustCompile(`(?s)<h1>(Directory listing for .*)</h1>`)
	listingLink  = regexp.MustCompile(`(?s)<li><a href="([^"]*)">(.*?)</a></li>`)
)

func portraitBody(body string) string {
	var b strings.Builder
	if m := errorText.FindStringSubmatch(body); m != nil {
		fmt.Fprintf(&b, "page %s %s: %s\n", m[1], m[3], escape(html.UnescapeString(m[2])))
		return b.String()
	}
	title, h1 := listingTitle.FindStringSubmatch(body), listingH1.FindStringSubmatch(body)
	if title == nil || h1 == nil {
		return escape(body)
	}
	fmt.Fprintf(&b, "page %s, %s\n", escape(html.UnescapeString(title[1])), escape(html.UnescapeString(h1[1])))
	for _, m := range listingLink.FindAllStringSubmatch(body, -1) {
		fmt.Fprintf(&b, "%s %s", m[1], escape(html.UnescapeString(m[2])))
	}
	return b.String()
}

var (
	logPrefix = regexp.MustCompile(`(?m)^127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\] `)
	traceback = regexp.MustCompile(`(?s)-{40}\n.*\n(\w+)(:[^\n]*)?\n-{40}\n`)
)

func portraitLog(log string) string {
	log = traceback.ReplaceAllString(log, "traceback of $1\n")
	return collapse(logPrefix.ReplaceAllString(log, "log "))
}

func (p *pythonInterpreter) compare(t *testing.T, name, theirs, ours string) {
	t.Helper()
	if theirs != ours {
		t.Errorf("%s\nPython:\n%s\nours:\n%s", name, theirs, ours)
	}
}

// pythonTime is when the files of makePythonSite were changed.
var pythonTime = time.Date(2021, 3, 4, 5, 6, 7, 800_000_000, time.UTC)

func makePythonSite(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{
		"archive.tar.gz", "archive.tgz", "code.wasm", "data.json", "noext", "packed.gz", "page.html", "PAGE2.HTML",
		"paper.pdf", "picture.png", "picture.svg", "script.js", "module.mjs", "style.css", "hello.txt", "feed.xml", ".hidden",
		"packed.Z", "packed.bz2", "font.woff2", "table.csv", "read.md", "x.py", "x.c", "photo.webp", "two.txt.xyz", ".html", "..txt", "x.",
		"index/index.html", "index/index.htm", "htm/index.htm", "notafile/index.html/x", "notafile/y.txt",
		"list/B.txt", "list/a.txt", "list/C/x", "list/.hidden", "list/Zebra", "list/zoo", "list/\u00c4pfel", "list/\u00e9t\u00e9", "list/\U0001f600",
		"list/a b", "list/a&b", "list/a<b>", `list/a"b`, "list/a'b", "list/a#b", "list/a?b", "list/a%b", "list/a+b", "list/a;b", "list/a:b", "list/a~b", "list/a\tb", "list/a\\b", "list/a%41b", "list/d<>/x", "list/\x7f",
		"odd dir&/x", "\u00e9/x",
	} {
		makePythonFile(t, filepath.Join(dir, name), "the content of "+name+"\n")
	}
	makePythonFile(t, filepath.Join(dir, "empty"), "")
	if runtime.GOOS == "linux" {
		makePythonFile(t, filepath.Join(dir, "list", "\xff\xfe.txt"), "not UTF-8\n")
	}
	for name, target := range map[string]string{"to-file": "hello.txt", "to-dir": "list", "dangling": "nowhere", "list/to-file": "a.txt", "list/to-dir": "C", "list/dangling": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func makePythonFile(t *testing.T, name, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(name), 0o777)
	if err == nil {
		err = os.WriteFile(name, []byte(text), 0o666)
	}
	if err == nil {
		err = os.Chtimes(name, pythonTime, pythonTime)
	}
	if err != nil {
		t.Fatal(err)
	}
}

type pythonExchange struct{ name, request string }

// pythonTargets are asked for with GET and HEAD.
var pythonTargets = []string{
	"/", "/archive.tar.gz", "/archive.tgz", "/code.wasm", "/data.json", "/noext", "/packed.gz", "/page.html", "/PAGE2.HTML", "/Page.html",
	"/paper.pdf", "/picture.png", "/picture.svg", "/script.js", "/module.mjs", "/style.css", "/hello.txt", "/feed.xml", "/.hidden",
	"/packed.Z", "/packed.bz2", "/font.woff2", "/table.csv", "/read.md", "/x.py", "/x.c", "/photo.webp", "/two.txt.xyz", "/.html", "/..txt", "/x.",
	"/empty", "/nope", "/nope/", "/nope.html?x",
	"/index/", "/index", "/htm/", "/notafile/", "/list/", "/list", "/list?x=/y&z", "/list/?x", "/list?", "/list#x", "/list;x", "/list/#x",
	"/to-file", "/to-dir", "/to-dir/", "/to-dir/a.txt", "/dangling", "/dangling/",
	"/list/a%20b", "/list/a&b", "/list/a%26b", "/list/a%3Cb%3E", "/list/a<b>", `/list/a"b`, "/list/a%27b", "/list/a'b", "/list/a%23b", "/list/a#b", "/list/a%3Fb", "/list/a?b", "/list/a%25b", "/list/a%b",
	"/list/a+b", "/list/a;b", "/list/a:b", "/list/a~b", "/list/a%09b", "/list/a%5Cb", "/list/a\\b", "/list/a%2541b", "/list/a%41b", "/list/%C3%84pfel", "/list/\u00c4pfel", "/list/%C3%A9t%C3%A9", "/list/%F0%9F%98%80",
	"/list/%FF%FE.txt", "/list/\xff\xfe.txt", "/list/%ED%B3%BF%ED%B3%BE.txt", "/list/d%3C%3E", "/list/d%3C%3E/", "/list/d<>", "/odd%20dir%26", "/odd%20dir&/", "/%C3%A9", "/\u00e9", "/%C3%A9/", "/%FF", "/\xff", "/%c3%28",
	"/hello.txt?x", "/hello.txt#x", "/hello.txt?x#y", "/hello.txt#x?y", "/hello.txt;x", "/hello.txt/", "/hello.txt/x", "/hello.txt/.", "/hello.txt/..", "/hello.txt%2f", "/hello.txt%20", "/hello.txt.", "/hello%2etxt", "/HELLO.TXT",
	"/..", "/.", "/../", "/../hello.txt", "/../../../etc/passwd", "/index/../hello.txt", "/%2e%2e/hello.txt", "/%2e%2e%2f%2e%2e%2fhello.txt", "/index%2f..%2fhello.txt", "/nope/../hello.txt", "/.../hello.txt", "/%252e%252e/hello.txt", "/..%5chello.txt",
	"//hello.txt", "///hello.txt", "//list", "//list/", "//list/../list", "/.//list", "/%2flist", "/%2f%2flist", "/%5clist", "/\\list", "/\\list/..", "/list//a.txt", "/list//", "/list/.", "/list/./", "/list/..", "/list/C/..", "/list/../list", "/list/../list/", "/%6cist/", "/%6cist", "/./hello.txt", "/./list", "/list%2fa.txt", "/list%2f", "/list%2fC/",
	"/hello.txt%00", "/%00", "/list%00/", "/%00/../hello.txt", "/%zz", "/%", "/%4", "/%zzhello.txt", "/%u0041", "/%0d%0a", "/list/%0d%0ax", "/list/%7F",
	"hello.txt", "list", "?x", "#x", "*", "http://x/hello.txt", "http://x/list", "http://x", "http://x/", "x:hello.txt", "/http://x/", "/list/~", "/list/a%7eb",
}

func pythonExchanges() []pythonExchange {
	const next = "GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n"
	var all []pythonExchange
	for _, method := range []string{"GET ", "HEAD "} {
		for _, target := range pythonTargets {
			all = append(all, pythonExchange{strconv.Quote(method + target), method + target + " HTTP/1.1\r\nHost: x\r\n\r\n" + next})
		}
	}
	for _, value := range pythonDates {
		all = append(all, pythonExchange{"since " + value, "GET /hello.txt HTTP/1.1\r\nHost: x\r\nIf-Modified-Since: " + value + "\r\n\r\n" + next})
	}
	for _, line := range pythonRequestLines {
		all = append(all, pythonExchange{"line " + strconv.Quote(line), line + "\r\nHost: x\r\n\r\n" + next})
	}
	for _, fields := range pythonFields {
		all = append(all, pythonExchange{"fields " + strconv.Quote(fields), "GET /hello.txt HTTP/1.1\r\n" + fields + "\r\n" + next})
	}
	for _, request := range pythonRaw {
		all = append(all, pythonExchange{"raw " + collapse(strconv.Quote(request)), request})
	}
	return all
}

var pythonDates = []string{
	"Thu, 04 Mar 2021 05:06:07 GMT", "Thu, 04 Mar 2021 05:06:06 GMT", "Thu, 04 Mar 2021 05:06:08 GMT", "Thursday, 04-Mar-21 05:06:07 GMT", "Thursday, 04-Mar-21 05:06:06 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Thu Mar  4 05:06:07 2021", "Thu Mar  4 05:06:06 2021", "Thu Mar 14 05:06:06 2021",
	"Thu, 04 Mar 2021 05:06:07 +0000", "Thu, 04 Mar 2021 05:06:07 -0000", "Thu, 04 Mar 2021 05:06:07 +0100", "Thu, 04 Mar 2021 05:06:07", "04 Mar 2021 05:06:07 GMT", "Thu, 4 Mar 2021 05:06:07 GMT", "thu, 04 mar 2021 05:06:07 gmt", "Fri, 04 Mar 2021 05:06:07 GMT", "Thu, 04 Mar 2021 05:06:07 UTC", "Thu, 04 Mar 2021 05:06:07 EST", "Thu, 04 Mar 2021 25:06:07 GMT", "Thu, 04 Mar 21 05:06:07 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "2021-03-04T05:06:07Z", "yesterday", "", "0", "Thu, 04 Mar 2021 05:06:07 GMT; length=5",
	"Thu, 04 Mar 2021 05:06:07 GMT\r\nIf-None-Match: \"x\"", "Thu, 04 Mar 2021 05:06:07 GMT\r\nIf-None-Match: *", "Thu, 04 Mar 2021 05:06:07 GMT\r\nRange: bytes=0-3", "yesterday\r\nIf-Modified-Since: Thu, 04 Mar 2021 05:06:07 GMT",
}

var pythonRequestLines = []string{
	"POST /hello.txt HTTP/1.1", "PUT /hello.txt HTTP/1.1", "DELETE /hello.txt HTTP/1.1", "PATCH / HTTP/1.1", "OPTIONS / HTTP/1.1", "OPTIONS * HTTP/1.1", "TRACE / HTTP/1.1", "CONNECT x:80 HTTP/1.1", "SPAM / HTTP/1.1", "get /hello.txt HTTP/1.1", "POST /nope HTTP/1.0",
	"a'b / HTTP/1.1", `a"b / HTTP/1.1`, `a'"b / HTTP/1.1`, `a\b / HTTP/1.1`, "<b>&amp; / HTTP/1.1", "\x01 / HTTP/1.1", "\x7f / HTTP/1.1", "\x80 / HTTP/1.1", "\xe9 / HTTP/1.1", "\u00e9 / HTTP/1.1", "\u20ac / HTTP/1.1", "\xad / HTTP/1.1", "%s%d / HTTP/1.1", "__class__ / HTTP/1.1",
	"GET /hello.txt HTTP/1.0", "GET /hello.txt HTTP/0.9", "GET /hello.txt HTTP/1.2", "GET /hello.txt HTTP/1.10", "GET /hello.txt HTTP/01.01", "GET / HTTP/2.0", "GET / HTTP/2.1", "GET / HTTP/3.0", "GET / HTTP/1", "GET / HTTP/1.1.1", "GET / HTTP/1.x", "GET / HTTP/1.+1", "GET / HTTP/-1.1", "GET / HTTP/1.", "GET / HTTP/.1", "GET / HTTP/1.00000000001", "GET /hello.txt HTTP/1.0000000001", "GET / HTTP/1.1x", "GET / http/1.1", "GET / FTP/1.1", "GET / HTTP", "GET / HTTP/", "GET / x'y", `GET / x"y'\`, "GET / HTTP/1_0.1", "GET /hello.txt HTTP/0.0", "GET / HTTP/1\xb2.1",
	"GET /hello.txt", "GET /list", "GET /list/", "GET /nope", "POST /hello.txt", "HEAD /hello.txt", "get /hello.txt", "'/\" x", "GET", "a'b", `a"b`, `a'"b\`, "\x16\x03\x01", "caf\u00e9", "caf\xe9", "\x1b[31m",
	"GET / x HTTP/1.1", "GET /a b HTTP/1.1", "GET /a b c HTTP/1.1", "GET / HTTP/1.1 x", "GET /'\"\\ x y HTTP/1.1", "GET / \xe9 HTTP/1.1", "a b c d e HTTP/2.0",
	"GET  /hello.txt   HTTP/1.1", " GET /hello.txt HTTP/1.1", "GET /hello.txt HTTP/1.1 ", "GET\t/hello.txt\tHTTP/1.1", "GET\v/hello.txt\fHTTP/1.1", "GET\xa0/hello.txt\xa0HTTP/1.1", "GET\x1c/hello.txt HTTP/1.1", "GET /hello.txt\x00 HTTP/1.1", "GET /hello.txt\x01 HTTP/1.1", "GET /hello\rtxt HTTP/1.1", "GET /hello.txt HTTP/1.1\r", "PRI * HTTP/2.0",
}

var pythonFields = []string{
	"", "Host: x\r\nHost: x\r\n", "Host: x\r\nHost: y\r\n", "Host: x y\r\n", "Host:\r\n", "host:x\r\n", "Host: x/\r\n",
	"Host: x\nAccept: */*\n", "Host: x\r\nno colon\r\n", "Host: x\r\nAccept : */*\r\n", "Host: x\r\nAccept: */*,\r\n b\r\n", "Host: x\r\n: x\r\n", "Host: x\r\nA B: x\r\n", "Host: x\r\nX: a\x01b\r\n", "Host: x\r\nX: a\x00b\r\n", "Host: x\r\nX: a\rb\r\n", "Host: x\r\nX: \xff\r\n", " Host: x\r\n", "Host: x\r\n\u00e9: x\r\n",
	"Host: x\r\nContent-Length: 0\r\n", "Host: x\r\nContent-Length: x\r\n", "Host: x\r\nContent-Length: -1\r\n", "Host: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n", "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n", "Host: x\r\nTransfer-Encoding: gzip\r\n",
	"Host: x\r\nConnection: close\r\n", "Host: x\r\nConnection: Close\r\n", "Host: x\r\nConnection: keep-alive\r\n", "Host: x\r\nConnection: close, x\r\n", "Host: x\r\nConnection: x, close\r\n", "Host: x\r\nConnection: keep-alive, x\r\n", "Host: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n", "Host: x\r\nConnection: keep-alive\r\nConnection: close\r\n",
	"Host: x\r\nExpect: 100-continue\r\n", "Host: x\r\nExpect: 100-Continue\r\n", "Host: x\r\nExpect: x\r\n", "Host: x\r\nRange: bytes=0-3\r\n", "Host: x\r\nIf-None-Match: *\r\n", "Host: x\r\nIf-Match: \"x\"\r\n", "Host: x\r\nIf-Unmodified-Since: Thu, 04 Mar 1999 05:06:07 GMT\r\n", "Host: x\r\nAccept-Encoding: gzip\r\n",
	"Host: x\r\nX: " + strings.Repeat("a", 65536-5) + "\r\n",
	"Host: x\r\n" + strings.Repeat("X: y\r\n", 98), "Host: x\r\n" + strings.Repeat("X: y\r\n", 99),
}

var pythonRaw = []string{
	"", "\r\n", "\r\n\r\n", "\n", "   \r\n\r\n", "\r\nGET /hello.txt HTTP/1.0\r\n\r\n",
	"GET /hello.txt\r\n", "GET /hello.txt\n", "GET /hello.txt", "GET /nope\r\n", "GET /list\r\n", "GET /list/C/\r\n", "POST /hello.txt\r\n", "HEAD /hello.txt\r\n",
	"GET /hello.txt\r\n\r\nGET /hello.txt\r\n\r\n", "GET /hello.txt\r\nIf-Modified-Since: Thu, 04 Mar 2021 05:06:07 GMT\r\n\r\n",
	"GET", "GET /hello.txt HTTP/1.0", "GET /hello.txt HTTP/1.0\r\n", "GET /hello.txt HTTP/1.0\r\nHost: x", "GET /hello.txt HTTP/1.0\r\nHost: x\r\n", "GET /hello.txt HTTP/1.1\r\nHost: x\r\n", "GET /hello.txt HTTP/1.0\n\n", "GET /hello.txt HTTP/1.0\n\r\n",
	"GET /" + strings.Repeat("a", 65536-16) + " HTTP/1.0\r\n\r\n", "GET /" + strings.Repeat("a", 65536-5), "GET /" + strings.Repeat("a", 65537-5),
	"GET /" + strings.Repeat("/", 5000) + "hello.txt HTTP/1.0\r\n\r\n", "GET /" + strings.Repeat("a", 5000) + " HTTP/1.0\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 65537-3), "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 100),
	"GET /hello.txt HTTP/1.0\r\n\r\nGET /hello.txt HTTP/1.0\r\n\r\n", "GET /hello.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /hello.txt HTTP/1.0\r\n\r\nGET /hello.txt HTTP/1.0\r\n\r\n",
	"GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\nHEAD /list HTTP/1.1\r\nHost: x\r\n\r\nGET /list/C/ HTTP/1.1\r\nHost: x\r\n\r\nGET /nope HTTP/1.1\r\nHost: x\r\n\r\nGET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n\r\nGET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\nGET /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\nspam\r\n\r\nGET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n", "GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\nGET /hello.txt\r\n",
	"POST /hello.txt HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody", "POST /hello.txt HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody",
	"POST /hello.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbodyGET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /hello.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbodyGET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /hello.txt HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\nGET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n",
}
