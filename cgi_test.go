package httpserver_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"httpserver"
)

// Scripts and helpers.

// TestMain makes the test binary run as the CGI script that it is called as.
func TestMain(m *testing.M) {
	if os.Getenv("GATEWAY_INTERFACE") != "" {
		name := path.Base(os.Getenv("SCRIPT_NAME"))
		scripts[strings.TrimSuffix(strings.ToLower(name), ".exe")]()
		exit(0)
	}
	if site := os.Getenv("SERVE_SITE"); site != "" {
		serveSite(os.Getenv("SERVE_BY"), site)
		os.Exit(0)
	}
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		f.Value.Set(strconv.Itoa(3 * runtime.GOMAXPROCS(0))) // most tests wait
	}
	os.Exit(m.Run())
}

// exit ends a script at once. os.Exit would write a line about coverage, and let the race
// detector wait for a second.
func exit(code int) { syscall.Exit(code) }

const plainText = "Content-Type: text/plain\n\n"

func say(s string) { io.WriteString(os.Stdout, s) }

// says returns a script that writes output.
func says(output string) func() { return func() { say(output) } }

// forever runs until the script is ended, by its server or, at the end of the test, by
// its witness.
func forever() {
	if os.Getenv("QUERY_STRING") != "" {
		io.Copy(io.Discard, attach())
		exit(1)
	}
	r, w, _ := os.Pipe() // and not a select, which could be taken for a deadlock
	r.Read(make([]byte, 1))
	runtime.KeepAlive(w)
}

// attach connects a script to the witness that its query names.
func attach() net.Conn {
	conn, err := net.Dial("tcp", os.Getenv("QUERY_STRING"))
	if err != nil {
		panic(err)
	}
	return conn
}

// scripts are the scripts that the tests run.
var scripts = map[string]func(){
	"env": func() {
		env := os.Environ()
		slices.Sort(env)
		say(plainText + strings.Join(env, "\n") + "\n")
	},
	"args": func() { say(plainText + fmt.Sprintf("%q", os.Args[1:])) },
	"cwd":  func() { dir, _ := os.Getwd(); say(plainText + dir) },
	"echo": func() { say(plainText + os.Getenv("REQUEST_METHOD") + " "); io.Copy(os.Stdout, os.Stdin) },
	"sum": func() {
		n, _ := io.Copy(io.Discard, os.Stdin)
		say(plainText + fmt.Sprint(n, " of ", os.Getenv("CONTENT_LENGTH")))
	},
	"deaf":     says(plainText + "not listening"),
	"sized":    says("Content-Type: text/plain\r\nContent-Length: 5\r\nX-B: 1\r\nX-A: 2\r\nX-B: 3\r\n\r\n12345"),
	"long":     says("Content-Type: text/plain\nContent-Length: 5\n\n1234567890"),
	"short":    says("Content-Type: text/plain\nContent-Length: 10\n\n12345"),
	"missing":  says("Status: 404 Lost\nContent-Type: text/plain\n\nnope"),
	"empty":    says("Status: 204\nContent-Length: 5\n\n"),
	"longline": says("X-Long: " + strings.Repeat("y", 4079) + "\nX-Longer: " + strings.Repeat("z", 50000) + "\r\n\nok"),
	"fresh":    says("Status: 304 Not Modified\nETag: \"x\"\n\nno body"),
	"away":     says("Location: http://example.org/x\n\n"),
	"seeother": says("Status: 303\nLocation: /x\n\n"),
	"local":    says("Location: /hello.txt?x\n\n"),
	"longer":   says("Location: /hello.txt?" + strings.Repeat("x", 60_000) + "\n\n"),
	"tocgi":    says("Location: /cgi-bin/args?a+b\n\n"),
	"evil":     says("Location: //evil.example/\n\n"),
	"framed":   says("Content-Type: text/plain\nTransfer-Encoding: chunked\nConnection: keep-alive\nDate: never\nServer: no\n\nx"),
	"nph-raw":  says("HTTP/1.1 299 Mine\r\nas: it is\r\n\r\nraw"),
	"nothing":  func() {},
	"nonsense": says("what is this\n\n"),
	"blank":    says("\nbody"),
	"endless":  says("Content-Type: text/plain\n"),
	"huge":     says(strings.Repeat("X: "+strings.Repeat("y", 1000)+"\n", 70) + "\n"),
	"cr":       says("Content-Type: text/plain\nX: a\rSet-Cookie: b\n\n"),
	"nul":      says("Content-Type: text/plain\nX: a\x00b\n\n"),
	"badcode":  says("Status: 99 Bottles\n\n"),
	"fails":    func() { say(plainText + "failing"); exit(3) },
	"stderr": func() {
		io.WriteString(os.Stderr, "first\nse\x1b[31mcond\n"+strings.Repeat("z", 3<<10)+"\nlast")
		say(plainText + "done")
	},
	"flood": func() {
		for i := range 100000 {
			fmt.Fprintln(os.Stderr, "line", i)
		}
		say(plainText + "done")
	},
	"relay": func() { // writes what its witness sends
		say(plainText)
		io.Copy(os.Stdout, attach())
	},
	"gigabyte": func() {
		say(plainText)
		b := make([]byte, 1<<20)
		for range 1 << 10 {
			os.Stdout.Write(b)
		}
	},
	"silent": forever,
	"sleeper": func() {
		say(plainText + fmt.Sprintln(os.Getpid()))
		forever()
	},
	"stubborn": func() {
		signal.Ignore(syscall.SIGTERM)
		say(plainText + fmt.Sprintln(os.Getpid()))
		forever()
	},
	"cleansup": func() {
		ended := termination()
		say(plainText + fmt.Sprintln(os.Getpid()))
		cleanUp(ended)
	},
	"hesitates": func() { cleanUp(termination()) },
	"slow": func() { // reads all of its input, when it is told to
		bufio.NewReader(attach()).ReadString('\n')
		sum := sha256.New()
		n, _ := io.Copy(sum, os.Stdin)
		say(plainText + fmt.Sprintf("%d %x", n, sum.Sum(nil)))
	},
	"upload": func() { panic("not for a client that has gone") },
	"killed": func() {
		say(plainText + "half of")
		p, _ := os.FindProcess(os.Getpid())
		p.Kill()
		forever()
	},
	"busy": func() { // logs a line after its output, if all of that was read
		say(plainText + strings.Repeat("x", 1<<20))
		fmt.Fprintln(os.Stderr, "done")
	},
	"reports": func() {
		say(plainText)
		fmt.Fprintln(os.Stderr, "at work")
		forever()
	},
	"runson": func() {
		say(plainText + fmt.Sprintln(os.Getpid()))
		os.Stdout.Close()
		os.Stderr.Close()
		forever()
	},
	"parent": func() { // leaves a child that holds the pipes
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "SCRIPT_NAME=silent")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			panic(err)
		}
		say(plainText + fmt.Sprintln(child.Process.Pid))
	},
}

// termination returns what receives the SIGTERM of a script.
func termination() <-chan os.Signal {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	return ended
}

// cleanUp waits for the end of a script and then for its witness, before it leaves a file.
func cleanUp(ended <-chan os.Signal) {
	witness := attach()
	<-ended
	io.WriteString(witness, "ending\n")
	bufio.NewReader(witness).ReadString('\n')
	os.WriteFile(filepath.Join(os.Getenv("CLEANED_IN"), "cleaned"), nil, 0o666)
}

// makeScripts makes a site with the scripts in cgi-bin.
func makeScripts(t testing.TB) string {
	t.Helper()
	notOnWindows(t, "what can be run is told by its extension, as in TestCGIOnWindows")
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	site := makeSite(t)
	for _, dir := range []string{"cgi-bin/sub/deep", "htbin"} {
		if err := os.MkdirAll(filepath.Join(site, dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	link := func(name string) {
		if err := os.Symlink(binary, filepath.Join(site, name)); err != nil {
			t.Skip("no symbolic links here: ", err)
		}
	}
	for name := range scripts {
		link("cgi-bin/" + name)
	}
	link("cgi-bin/sub/deep/env")
	link("htbin/args")
	loop := "#!/bin/sh\necho Location: /cgi-bin/loop\necho\n" // cheaper than the test binary
	if err := writeExecutable(filepath.Join(site, "cgi-bin", "loop"), loop); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"cgi-bin/plain": 0o644, "cgi-bin/nointerpreter": 0o755, "cgi-bin/odd %41é": 0o644} {
		if err := os.WriteFile(filepath.Join(site, name), []byte("#!/no/such/program SECRET\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	return site
}

// startCGI serves the scripts on HTTP/1.1; set may change a handler.
func startCGI(t testing.TB, set func(*httpserver.CGIHandler)) (*httpserver.ThreadingHTTPServer, *logBuffer) {
	t.Helper()
	site := makeScripts(t)
	return start(t, func() httpserver.Handler {
		h := new(httpserver.CGIHandler)
		h.Directory, h.ProtocolVersion = site, "HTTP/1.1"
		h.RunAsServer = true // nobody may not enter the test's directory
		if set != nil {
			set(h)
		}
		return h
	}, nil)
}

// startCGISite serves the scripts of a site, on HTTP/1.0.
func startCGISite(t testing.TB, site string, asServer bool) (*httpserver.ThreadingHTTPServer, *logBuffer) {
	t.Helper()
	return start(t, func() httpserver.Handler {
		h := new(httpserver.CGIHandler)
		h.Directory, h.RunAsServer = site, asServer
		return h
	}, nil)
}

// ask sends a request on a connection of its own and reads the response to its end. The
// client does not end its side.
func ask(t testing.TB, addr net.Addr, request string) string {
	t.Helper()
	conn := dial(t, addr)
	io.WriteString(conn, request)
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("%.80q: %v after %.200q", request, err, answer)
	}
	conn.Close()
	return string(answer)
}

// script is a request for a script.
func script(method, target string) string {
	return method + " " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
}

// fields splits a response into its body and what comes before, without the fields that
// all responses have.
func fields(answer string) (head, body string) {
	head, body, _ = strings.Cut(answer, "\r\n\r\n")
	lines := slices.DeleteFunc(strings.Split(head, "\r\n"), func(line string) bool {
		return strings.HasPrefix(line, "Server: SimpleHTTP") || strings.HasPrefix(line, "Date: ") && line != "Date: never" || line == "Connection: close"
	})
	return strings.Join(lines, "|"), body
}

// A witness knows whether a script is running: the script connects to it, and the
// connection lasts as long as the script.
type witness struct {
	l    net.Listener
	conn net.Conn
	r    *bufio.Reader // of conn
}

func newWitness(t testing.TB) *witness {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &witness{l: l}
}

// query is the query of the script that is to connect.
func (w *witness) query() string { return "?" + w.l.Addr().String() }

// await waits until the script has connected.
func (w *witness) await(t testing.TB) {
	t.Helper()
	w.l.(*net.TCPListener).SetDeadline(time.Now().Add(testLimit))
	conn, err := w.l.Accept()
	if err != nil {
		t.Fatal("the script does not run: ", err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(testLimit))
	w.conn, w.r = conn, bufio.NewReader(conn)
}

// awaitEnd waits until the script has ended.
func (w *witness) awaitEnd(t testing.TB) {
	t.Helper()
	if _, err := io.Copy(io.Discard, w.r); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the script is still running")
	}
}

// startEnding requests a script that runs until it is ended, and returns when its response
// has begun.
func startEnding(t *testing.T, s *httpserver.ThreadingHTTPServer, name, more string) (net.Conn, *bufio.Reader, *witness) {
	t.Helper()
	w := newWitness(t)
	conn, r := send(t, s.Addr(), script("GET", "/cgi-bin/"+name+w.query())+more)
	w.await(t)
	readPID(t, r)
	return conn, r, w
}

// readPID reads the first line of a body, which may be chunked.
func readPID(t *testing.T, r *bufio.Reader) int {
	t.Helper()
	for blank := false; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if pid, err := strconv.Atoi(strings.TrimSuffix(line, "\n")); blank && err == nil {
			return pid
		}
		blank = blank || line == "\r\n"
	}
}

func signalTo(pid int, sig os.Signal) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer p.Release()
	return p.Signal(sig)
}

// Which requests run a script.

func TestCGILookup(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, nil)
	for target, want := range map[string]string{
		"/cgi-bin/args":              "200 OK",
		"/htbin/args":                "200 OK",
		"/cgi-bin/args/more/info":    "200 OK",
		"/cgi-bin/sub/deep/env":      "200 OK",
		"/cgi-bin/sub/deep/env/x":    "200 OK",
		"/cgi-bin%2fargs":            "200 OK",
		"//cgi-bin//args":            "200 OK",
		"/list/../cgi-bin/args":      "200 OK",
		"/%63gi-bin/./args":          "200 OK",
		"/cgi-bin/../cgi-bin/args":   "200 OK",
		"http://x/cgi-bin/args":      "200 OK",
		"/cgi-bin/plain":             "403 CGI script is not executable ('/cgi-bin/plain')",
		"/cgi-bin%2Fplain":           "403 CGI script is not executable ('/cgi-bin/plain')",
		"//cgi-bin/plain":            "403 CGI script is not executable ('/cgi-bin/plain')",
		"/a/../cgi-bin/plain":        "403 CGI script is not executable ('/cgi-bin/plain')",
		"/cgi-bin/x/../plain":        "403 CGI script is not executable ('/cgi-bin/plain')",
		"/list/..%2fcgi-bin/plain":   "403 CGI script is not executable ('/cgi-bin/plain')",
		"/cgi-bin/plain/":            "403 CGI script is not executable ('/cgi-bin/plain')",
		"/cgi-bin/plain?x":           "403 CGI script is not executable ('/cgi-bin/plain')",
		"/cgi-bin/odd%20%2541%C3%A9": "403 CGI script is not executable ('/cgi-bin/odd %41é')",
		"/cgi-bin/":                  "403 CGI script is not a plain file ('/cgi-bin/')",
		"/cgi-bin/sub":               "403 CGI script is not a plain file ('/cgi-bin/sub')",
		"/cgi-bin/sub/":              "403 CGI script is not a plain file ('/cgi-bin/sub/')",
		"/cgi-bin/nope":              "404 No such CGI script ('/cgi-bin/nope')",
		"/cgi-bin/nope/x":            "404 No such CGI script ('/cgi-bin/nope')",
		"/cgi-bin/%00":               "404 File not found",
		"/cgi-bin":                   "301 Moved Permanently",
		"/cgi-binx/args":             "404 File not found",
		"/hello.txt":                 "200 OK",
	} {
		answer := ask(t, s.Addr(), script("GET", target))
		status, _, _ := strings.Cut(answer, "\r\n")
		if status != "HTTP/1.1 "+want || strings.Contains(answer, "SECRET") {
			t.Errorf("%s: %.300q, want %s", target, answer, want)
		}
	}
	for method, want := range map[string]string{
		"POST": "501 Can only POST to CGI scripts", "PUT": "501 Unsupported method ('PUT')", "PATCH": "501 Unsupported method ('PATCH')",
		"DELETE": "501 Unsupported method ('DELETE')", "OPTIONS": "501 Unsupported method ('OPTIONS')",
	} {
		if answer := ask(t, s.Addr(), script(method, "/hello.txt")); !strings.HasPrefix(answer, "HTTP/1.1 "+want+"\r\n") {
			t.Errorf("%s: %.200q", method, answer)
		}
		if method == "OPTIONS" {
			continue
		}
		if _, body := fields(ask(t, s.Addr(), script(method, "/cgi-bin/echo"))); !strings.Contains(body, method+" \r\n") {
			t.Errorf("%s of a script: %q", method, body)
		}
	}
}

// On a file system that ignores case, scripts are not sent as files either.
func TestCGIIgnoringCase(t *testing.T) {
	t.Parallel()
	site := makeScripts(t)
	if err := os.Symlink("cgi-bin", filepath.Join(site, "CGI-BIN")); err != nil { // which is similar
		t.Skip("this file system ignores case")
	}
	if err := os.Rename(filepath.Join(site, "list"), filepath.Join(site, "Cgi-Bin")); err != nil { // as where there are no inodes
		t.Fatal(err)
	}
	s, _ := startCGISite(t, site, true)
	for target, want := range map[string]string{"/CGI-BIN/plain": "403", "/CGI-BIN/": "403", "/CGI-BIN": "301", "/Cgi-Bin/": "403", "/Cgi-Bin/sub/": "403", "/cGI-BIN/plain": "404"} {
		if answer := ask(t, s.Addr(), "GET "+target+" HTTP/1.0\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.0 "+want+" ") {
			t.Errorf("%s: got %.300q, want %s", target, answer, want)
		}
	}
}

// A long path costs as much as a short one when its first part leads nowhere.
func TestCGILongPath(t *testing.T) { // not parallel: it counts allocations
	site := makeScripts(t)
	s, _ := startCGISite(t, site, true)
	const deep = 30_000
	allocations := testing.AllocsPerRun(1, func() {
		if answer := ask(t, s.Addr(), "GET "+strings.Repeat("/a", deep)+" HTTP/1.0\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.0 404 ") {
			t.Errorf("got %.300q", answer)
		}
	})
	if allocations > deep {
		t.Errorf("%v allocations for %d parts of a path", allocations, deep)
	}
}

// A link is followed once, however many links are before it in a path.
func TestCGIManyLinks(t *testing.T) {
	t.Parallel()
	site := makeScripts(t)
	symlink(t, ".", filepath.Join(site, "self"))
	symlink(t, "..", filepath.Join(site, "list", "up"))
	symlink(t, site+strings.Repeat("/.", 1000), filepath.Join(site, "dots"))
	if err := os.MkdirAll(filepath.Join(site, "cgi-bin", strings.Repeat("d/", 200)), 0o777); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("L", 200)
	if err := os.Mkdir(filepath.Join(site, long), 0o777); err != nil {
		t.Fatal(err)
	}
	symlink(t, long+"/..", filepath.Join(site, "x"))
	s, _ := startCGISite(t, site, true)
	for target, want := range map[string]string{
		strings.Repeat("/x", 3) + "/hello.txt":         "200",
		strings.Repeat("/x", 30) + "/cgi-bin/plain":    "403",
		strings.Repeat("/x", 30) + "/cgi-bin/":         "403",
		"/" + strings.Repeat("y", 5000):                "404",
		strings.Repeat("/self", 35) + "/hello.txt":     "200",
		strings.Repeat("/list/up", 35) + "/hello.txt":  "200",
		strings.Repeat("/self", 35) + "/cgi-bin/plain": "403",
		strings.Repeat("/self", 300) + "/hello.txt":    "403",
		strings.Repeat("/dots", 10) + "/hello.txt":     "200",
		strings.Repeat("/dots", 39) + "/hello.txt":     "403",
		"/cgi-bin" + strings.Repeat("/d", 100) + "/x":  "404",
		"/cgi-bin" + strings.Repeat("/d", 200) + "/x":  "403", // as if the last one looked at were the script
	} {
		if answer := ask(t, s.Addr(), "GET "+target+" HTTP/1.0\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.0 "+want+" ") {
			t.Errorf("%s: got %.100q", target, answer)
		}
	}
}

// What is in a CGI directory is not sent as a file by a path that leads there from elsewhere,
// through a link.
func TestCGILinks(t *testing.T) {
	t.Parallel()
	site := makeScripts(t)
	for name, target := range map[string]string{
		"list/scripts": "../cgi-bin", "list/deeper": "../cgi-bin/sub", "list/plain": "../cgi-bin/plain", "list/up": "..", "list/outside": "scripts/plain",
		"list/args": "../htbin/args", "list/afar": "../cgi-bin/afar", "cgi-bin/afar": t.TempDir(), "list/loop": "../list/loop",
		"list/hello": "../hello.txt", "htbin/hello": "../hello.txt", "cgi-bin/sub/plain": "../plain", "pages": "list",
	} {
		symlink(t, target, filepath.Join(site, name))
	}
	if err := os.Mkdir(filepath.Join(site, "list", "page"), 0o777); err != nil {
		t.Fatal(err)
	}
	symlink(t, "../../cgi-bin/plain", filepath.Join(site, "list", "page", "index.html"))
	s, _ := start(t, func() httpserver.Handler {
		h := new(httpserver.CGIHandler)
		h.Directory, h.RunAsServer = site, true
		h.CGIDirectories = []string{"cgi-bin/", "/htbin"}
		return h
	}, nil)
	const forbidden = "403 Forbidden"
	for target, want := range map[string]string{
		"/list/scripts":          "301 Moved Permanently",
		"/list/scripts/":         forbidden,
		"/list/scripts/plain":    forbidden,
		"/list/scripts/sub/":     forbidden,
		"/list/scripts/none":     forbidden,
		"/list/deeper/":          forbidden,
		"/list/deeper/plain":     forbidden,
		"/list/plain":            forbidden,
		"/list/plain?x":          forbidden,
		"/list/outside":          forbidden,
		"/list/page/":            forbidden,
		"/list/page/index.html":  forbidden,
		"/pages/plain":           forbidden,
		"/list/up/cgi-bin/plain": forbidden,
		"/list/up/htbin/args":    forbidden,
		"/list/args":             forbidden,
		"/list/afar/x":           forbidden,
		"/list/loop":             forbidden,
		"/list/up/":              "200 OK",
		"/list/up/hello.txt":     "200 OK",
		"/list/hello":            "200 OK",
		"/pages/":                "200 OK",
		"/hello.txt/x":           "404 File not found",
	} {
		for _, method := range []string{"GET", "HEAD"} {
			got := exchange(t, s.Addr(), method+" "+target+" HTTP/1.0\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.0 "+want+"\r\n") || strings.Contains(got, "SECRET") {
				t.Errorf("%s %s: got %.200q, want %s", method, target, got, want)
			}
		}
	}
	if got := exchange(t, s.Addr(), "PUT /list/plain HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 501 ") {
		t.Errorf("PUT: got %.200q", got)
	}
}

// switching switches a link when the name of a file has been determined.
type switching struct {
	httpserver.CGIHandler
	then func()
}

func (h *switching) TranslatePath(path string) string {
	name := h.CGIHandler.TranslatePath(path)
	if path == "/pub/plain" {
		h.then()
	}
	return name
}

// A request is for one folder, even if a link to that is switched meanwhile.
func TestCGISwitchedFolder(t *testing.T) {
	t.Parallel()
	withScripts, other, link := makeScripts(t), t.TempDir(), filepath.Join(t.TempDir(), "site")
	symlink(t, "cgi-bin", filepath.Join(withScripts, "pub"))
	symlink(t, other, link)
	if err := os.Mkdir(filepath.Join(other, "pub"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, "pub", "plain"), []byte("public"), 0o666); err != nil {
		t.Fatal(err)
	}
	s, _ := start(t, func() httpserver.Handler {
		h := &switching{then: func() {
			os.Remove(link)
			os.Symlink(withScripts, link)
		}}
		h.Directory = link
		return h
	}, nil)
	if _, body := fields(ask(t, s.Addr(), "GET /pub/plain HTTP/1.0\r\n\r\n")); body != "public" {
		t.Errorf("got %q", body)
	}
	if got := ask(t, s.Addr(), "GET /pub/plain HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 403 ") {
		t.Errorf("then got %q", got)
	}
}

// A CGI directory may be the root: then nothing is sent as a file.
func TestCGIRoot(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, func(h *httpserver.CGIHandler) { h.CGIDirectories = []string{"/"}; h.ProtocolVersion = "HTTP/1.0" })
	for target, want := range map[string]string{"/cgi-bin/args": "200 OK", "/hello.txt": "403 CGI script is not executable ('/hello.txt')", "/": "403 CGI script is not a plain file ('/')"} {
		if got := ask(t, s.Addr(), script("GET", target)); !strings.HasPrefix(got, "HTTP/1.0 "+want+"\r\n") {
			t.Errorf("%s: %.200q", target, got)
		}
	}
}

// What a script gets: its environment, arguments, input and user.

func TestCGIEnvironment(t *testing.T) {
	t.Setenv("HTTPSERVER_SECRET", "no")
	t.Setenv("HTTPSERVER_PASSED", "yes")
	t.Setenv("TZ", "UTC")
	s, _ := startCGI(t, func(h *httpserver.CGIHandler) {
		h.Env = append(h.Env, "REMOTE_USER=me", "ADDED=1")
		h.InheritEnv = []string{"HTTPSERVER_PASSED"}
		h.ServerVersion, h.SysVersion = "Test/1", "x"
	})
	request := "POST /cgi-bin/sub/deep/env/in%20fo?a=b+c HTTP/1.0\r\nHost: h:1\r\nContent-Type: a/b\r\nContent-Length: 2\r\nUser-Agent: ua\r\nReferer: r\r\n" +
		"Accept: a\r\nAccept: b\r\nCookie: c=1\r\ncookie: d=2\r\nProxy: evil\r\nX_Under: no\r\nAuthorization: Basic eA==\r\nProxy-Authorization: x\r\n" +
		"Connection: close, X-Hop\r\nX-Hop: no\r\nTE: x\r\nUpgrade: x\r\nKeep-Alive: x\r\nX-Own: mine\r\n\r\nab"
	answer := ask(t, s.Addr(), request)
	_, body := fields(answer)
	got := make(map[string]string)
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		got[name] = value
	}
	_, port, _ := net.SplitHostPort(s.Addr().String())
	want := map[string]string{
		"GATEWAY_INTERFACE": "CGI/1.1", "SERVER_SOFTWARE": "Test/1 x", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": port, "SERVER_PROTOCOL": "HTTP/1.1",
		"REQUEST_METHOD": "POST", "SCRIPT_NAME": "/cgi-bin/sub/deep/env", "PATH_INFO": "/in fo", "QUERY_STRING": "a=b+c", "REQUEST_URI": "/cgi-bin/sub/deep/env/in%20fo?a=b+c",
		"REMOTE_ADDR": "127.0.0.1", "REMOTE_HOST": "", "CONTENT_TYPE": "a/b", "CONTENT_LENGTH": "2", "REQUEST_SCHEME": "http", "REDIRECT_STATUS": "200",
		"HTTP_HOST": "h:1", "HTTP_USER_AGENT": "ua", "HTTP_REFERER": "r", "HTTP_ACCEPT": "a, b", "HTTP_COOKIE": "c=1; d=2", "HTTP_X_OWN": "mine",
		"REMOTE_USER": "me", "ADDED": "1", "HTTPSERVER_PASSED": "yes", "TZ": "UTC", "PATH": os.Getenv("PATH"),
	}
	for name, value := range want {
		if g, ok := got[name]; g != value || !ok {
			t.Errorf("%s=%q, want %q", name, g, value)
		}
		delete(got, name)
	}
	root := strings.TrimSuffix(got["SCRIPT_FILENAME"], filepath.FromSlash("/cgi-bin/sub/deep/env"))
	if got["PATH_TRANSLATED"] != root+"/in fo" || strings.TrimSuffix(got["DOCUMENT_ROOT"], "/") != root || got["REMOTE_PORT"] == "" {
		t.Errorf("files: %q", got)
	}
	allowed := "PATH_TRANSLATED DOCUMENT_ROOT SCRIPT_FILENAME REMOTE_PORT TMPDIR SystemRoot SYSTEMROOT"
	for name := range got {
		if !slices.Contains(strings.Fields(allowed), name) && !strings.HasPrefix(name, "LC_") && !strings.HasPrefix(name, "LANG") {
			t.Errorf("%s=%q is not for scripts", name, got[name])
		}
	}
}

func TestCGIArguments(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, func(h *httpserver.CGIHandler) { h.ProtocolVersion = "HTTP/1.0" })
	for query, want := range map[string]string{
		"": "[]", "?": "[]", "?a": `["a"]`, "?a+b%20c+%2B": `["a" "b c" "+"]`, "?a=b": "[]", "?a%3Db": `["a=b"]`, "?a%00b": "[]",
		"?-s": "[]", "?%2ds": "[]", "?%20-s": "[]", "?%0a-s": "[]", "?a+-s": "[]", "?a-s": `["a-s"]`,
	} {
		if _, body := fields(ask(t, s.Addr(), script("GET", "/cgi-bin/args"+query))); body != want {
			t.Errorf("%q: %s, want %s", query, body, want)
		}
	}
	if _, body := fields(ask(t, s.Addr(), script("POST", "/cgi-bin/args?a"))); body != "[]" {
		t.Errorf("POST: %s", body)
	}
	if _, body := fields(ask(t, s.Addr(), script("GET", "/cgi-bin/cwd"))); filepath.Base(body) != "cgi-bin" {
		t.Errorf("working directory %s", body)
	}
}

func TestCGIBodies(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, nil)
	big := strings.Repeat("0123456789abcdef", 1<<17) // 2 MiB
	var inChunks bytes.Buffer
	for rest := big; rest != ""; rest = rest[1<<16:] {
		fmt.Fprintf(&inChunks, "%x\r\n%s\r\n", 1<<16, rest[:1<<16])
	}
	inChunks.WriteString("0\r\n\r\n")
	post := "POST /cgi-bin/%s HTTP/1.1\r\nHost: x\r\n%s\r\n%s"
	next := script("GET", "/cgi-bin/sized")
	for name, c := range map[string]struct{ request, want string }{
		"length":       {fmt.Sprintf(post, "sum", "Content-Length: 2097152\r\n", big), "2097152 of 2097152"},
		"chunks":       {fmt.Sprintf(post, "sum", "Transfer-Encoding: chunked\r\n", inChunks.String()), "2097152 of 2097152"},
		"no chunks":    {fmt.Sprintf(post, "sum", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), "0 of 0"},
		"none":         {fmt.Sprintf(post, "sum", "Content-Length: 0\r\n", ""), "0 of 0"},
		"small unread": {fmt.Sprintf(post, "deaf", "Content-Length: 3\r\n", "abc"), "not listening"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, s.Addr())
			go io.WriteString(conn, c.request+next)
			r := bufio.NewReader(conn)
			if _, body := readResponse(t, r); body != c.want {
				t.Errorf("got %q, want %q", body, c.want)
			}
			if _, body := readResponse(t, r); body != "12345" {
				t.Errorf("next: %q", body)
			}
		})
	}
	t.Run("slow reader", func(t *testing.T) {
		t.Parallel()
		conn, w := dial(t, s.Addr()), newWitness(t)
		go io.WriteString(conn, fmt.Sprintf(post, "slow"+w.query(), "Content-Length: 20971520\r\n", strings.Repeat(big, 10))+next)
		w.await(t)
		io.WriteString(w.conn, "read\n")
		r := bufio.NewReader(conn)
		if _, body := readResponse(t, r); body != fmt.Sprintf("20971520 %x", sha256.Sum256([]byte(strings.Repeat(big, 10)))) {
			t.Errorf("got %q", body)
		}
		if _, body := readResponse(t, r); body != "12345" {
			t.Errorf("next: %q", body)
		}
	})
	t.Run("header too large for the system", func(t *testing.T) {
		t.Parallel()
		if runtime.GOOS != "linux" {
			t.Skip("the limit of a string of the environment, 128 KiB, is that of Linux")
		}
		request := "GET /cgi-bin/args HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + strings.Repeat("X: "+strings.Repeat("y", 60000)+"\r\n", 3) + "\r\n"
		if got := ask(t, s.Addr(), request); !strings.HasPrefix(got, "HTTP/1.1 431 ") {
			t.Errorf("got %.300q", got)
		}
	})
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		s, _ := startCGI(t, func(h *httpserver.CGIHandler) { h.Timeout = 300 * time.Millisecond })
		for _, body := range []string{"Content-Length: 10\r\n\r\n12345", "Transfer-Encoding: chunked\r\n\r\n5\r\n12345"} {
			if got := ask(t, s.Addr(), "POST /cgi-bin/sum HTTP/1.1\r\nHost: x\r\n"+body); !strings.HasPrefix(got, "HTTP/1.1 408 Request Timeout\r\n") {
				t.Errorf("%q: %q", body, got)
			}
		}
	})
	t.Run("large unread", func(t *testing.T) {
		conn := dial(t, s.Addr())
		go io.WriteString(conn, fmt.Sprintf(post, "deaf", "Content-Length: 20971520\r\n", strings.Repeat(big, 10)))
		if _, body := readResponse(t, bufio.NewReader(conn)); body != "not listening" {
			t.Errorf("got %q", body)
		}
	})
	t.Run("too large", func(t *testing.T) {
		s, _ := startCGI(t, func(h *httpserver.CGIHandler) { h.MaxBody = 10 })
		for body, want := range map[string]string{"a\r\n0123456789\r\n0\r\n\r\n": "200 OK", "b\r\n0123456789a\r\n0\r\n\r\n": "413 Content Too Large"} {
			if got := ask(t, s.Addr(), fmt.Sprintf(post, "sum", "Connection: close\r\nTransfer-Encoding: chunked\r\n", body)); !strings.HasPrefix(got, "HTTP/1.1 "+want+"\r\n") {
				t.Errorf("%q: %q", body, got)
			}
		}
	})
	t.Run("bad chunk", func(t *testing.T) {
		if got := ask(t, s.Addr(), fmt.Sprintf(post, "sum", "Transfer-Encoding: chunked\r\n", "x\r\n")); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("expect", func(t *testing.T) {
		conn, r := send(t, s.Addr(), fmt.Sprintf(post, "sum", "Content-Length: 3\r\nExpect: 100-continue\r\n", ""))
		if line, _ := r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("got %q", line)
		}
		r.ReadString('\n')
		io.WriteString(conn, "abc")
		if _, body := readResponse(t, r); body != "3 of 3" {
			t.Errorf("got %q", body)
		}
	})
}

// If the server is started as root, scripts run as nobody, without root's groups.
func TestCGINobody(t *testing.T) {
	t.Parallel()
	site := nobodySite(t, "id", "#!/bin/sh\necho X: y; echo; id -u; id -G; echo said >/dev/stderr\n")
	for _, asServer := range []bool{false, true} {
		s, log := startCGISite(t, site, asServer)
		_, body := fields(ask(t, s.Addr(), "GET /cgi-bin/id HTTP/1.0\r\n\r\n"))
		ids := strings.Fields(body)
		if len(ids) < 2 || (ids[0] == "0") != asServer || !asServer && (len(ids) != 2 || ids[1] == "0") {
			t.Errorf("asServer %v: ids %q", asServer, body)
		}
		s.Shutdown(t.Context())
		if !strings.Contains(log.String(), "/cgi-bin/id: said\n") {
			t.Errorf("asServer %v: log %s", asServer, log)
		}
	}
}

// A script that the system refuses to run has a message that says why, as has the log.
func TestCGINotRun(t *testing.T) {
	t.Parallel()
	notOnWindows(t, "a script is a program by its suffix")
	for _, c := range []struct {
		name, text, message, log string
		mode                     os.FileMode
	}{
		{"nothing", "echo X: y\n", "does not begin with #!", "exec format error", 0o755},
		{"empty", "", "does not begin with #!", "exec format error", 0o755},
		{"mine", "#!/bin/sh\n", "is not executable for nobody", "permission denied", 0o700},
		{"plain", "#!/bin/sh\n", "is not executable", "CGI script is not executable", 0o644},
	} {
		site := t.TempDir()
		if c.mode == 0o700 {
			site = nobodySite(t, c.name, c.text)
		} else if err := os.Mkdir(filepath.Join(site, "cgi-bin"), 0o777); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(site, "cgi-bin", c.name)
		if err := writeExecutable(name, c.text); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, c.mode); err != nil {
			t.Fatal(err)
		}
		s, log := start(t, func() httpserver.Handler {
			h := new(httpserver.CGIHandler)
			h.Directory, h.RunAsServer = site, c.mode != 0o700
			return h
		}, nil)
		want := "HTTP/1.0 403 CGI script " + c.message + " ('/cgi-bin/" + c.name + "')\r\n"
		if got := exchange(t, s.Addr(), "GET /cgi-bin/"+c.name+" HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, want) {
			t.Errorf("got %.200q, want %q", got, want)
		}
		log.await(t, c.log)
	}
}

// What a client gets from a script.

func TestCGIAnswers(t *testing.T) {
	t.Parallel()
	s, log := startCGI(t, nil)
	ok, chunked := "HTTP/1.1 200 OK|Content-Type: text/plain", "|Transfer-Encoding: chunked"
	for _, c := range []struct{ request, head, body, log string }{
		{script("GET", "/cgi-bin/sized"), ok + "|Content-Length: 5|X-B: 1|X-A: 2|X-B: 3", "12345", ""},
		{script("HEAD", "/cgi-bin/sized"), ok + "|Content-Length: 5|X-B: 1|X-A: 2|X-B: 3", "", ""},
		{script("HEAD", "/cgi-bin/args"), ok, "", ""},
		{script("GET", "/cgi-bin/args"), ok + chunked, "2\r\n[]\r\n0\r\n\r\n", ""},
		{"GET /cgi-bin/args HTTP/1.0\r\n\r\n", ok, "[]", ""},
		{script("GET", "/cgi-bin/long"), ok + "|Content-Length: 5", "12345", ""},
		{script("GET", "/cgi-bin/short"), ok + "|Content-Length: 10", "12345", "Response has 5 bytes, Content-Length is 10"},
		{script("GET", "/cgi-bin/missing"), "HTTP/1.1 404 Lost|Content-Type: text/plain" + chunked, "4\r\nnope\r\n0\r\n\r\n", ""},
		{script("GET", "/cgi-bin/empty"), "HTTP/1.1 204 No Content", "", ""},
		{script("GET", "/cgi-bin/fresh"), "HTTP/1.1 304 Not Modified|ETag: \"x\"", "", ""},
		{script("GET", "/cgi-bin/longline"), "HTTP/1.1 200 OK|X-Long: " + strings.Repeat("y", 4079) + "|X-Longer: " + strings.Repeat("z", 50000) + chunked, "2\r\nok\r\n0\r\n\r\n", ""},
		{script("GET", "/cgi-bin/away"), "HTTP/1.1 302 Found|Location: http://example.org/x" + chunked, "0\r\n\r\n", ""},
		{script("GET", "/cgi-bin/seeother"), "HTTP/1.1 303 See Other|Location: /x" + chunked, "0\r\n\r\n", ""},
		{script("GET", "/cgi-bin/local"), "HTTP/1.1 200 OK|Content-type: text/plain|Content-Length: 13|Last-Modified: Sat, 29 Feb 2020 12:34:56 GMT|ETag: \"5e5a5a70-2f072f40-d\"|Accept-Ranges: bytes", "hello, world\n", ""},
		{script("HEAD", "/cgi-bin/local"), "HTTP/1.1 200 OK|Content-type: text/plain|Content-Length: 13|Last-Modified: Sat, 29 Feb 2020 12:34:56 GMT|ETag: \"5e5a5a70-2f072f40-d\"|Accept-Ranges: bytes", "", ""},
		{"POST /cgi-bin/tocgi HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", ok + chunked, "9\r\n[\"a\" \"b\"]\r\n0\r\n\r\n", ""},
		{script("GET", "/cgi-bin/evil"), "HTTP/1.1 404 File not found", "*", ""},
		{script("GET", "/cgi-bin/loop"), "HTTP/1.1 502 Bad Gateway", "*", "more than 10 local redirects"},
		{script("GET", "/cgi-bin/framed"), ok + chunked, "1\r\nx\r\n0\r\n\r\n", ""},
		{script("GET", "/cgi-bin/nph-raw"), "HTTP/1.1 299 Mine|as: it is", "raw", `"GET /cgi-bin/nph-raw HTTP/1.1" - -`},
		{script("GET", "/cgi-bin/nothing"), "HTTP/1.1 502 Bad Gateway", "*", "CGI script /cgi-bin/nothing: no output"},
		{script("GET", "/cgi-bin/nonsense"), "HTTP/1.1 502 Bad Gateway", "*", "nonsense: Bad header line ('what is this')"},
		{script("GET", "/cgi-bin/blank"), "HTTP/1.1 502 Bad Gateway", "*", "blank: no header field"},
		{script("GET", "/cgi-bin/endless"), "HTTP/1.1 502 Bad Gateway", "*", "endless: header without end"},
		{script("GET", "/cgi-bin/huge"), "HTTP/1.1 502 Bad Gateway", "*", "huge: header of more than 65536 bytes"},
		{script("GET", "/cgi-bin/cr"), "HTTP/1.1 502 Bad Gateway", "*", "cr: Bad header line"},
		{script("GET", "/cgi-bin/nul"), "HTTP/1.1 502 Bad Gateway", "*", "nul: Bad header line"},
		{script("GET", "/cgi-bin/badcode"), "HTTP/1.1 502 Bad Gateway", "*", "badcode: bad Status '99 Bottles'"},
		{script("GET", "/cgi-bin/fails"), ok + chunked, "7\r\nfailing\r\n0\r\n\r\n", "CGI script /cgi-bin/fails: exit status 3"},
		{script("GET", "/cgi-bin/nointerpreter"), "HTTP/1.1 403 CGI script is not executable ('/cgi-bin/nointerpreter')", "*", "nointerpreter: its interpreter is missing"},
	} {
		answer := ask(t, s.Addr(), c.request)
		head, body := fields(answer)
		if c.body == "*" {
			head, _, _ = strings.Cut(head, "|Content-Type: text/html")
			body = "*"
		}
		if head != c.head || body != c.body {
			t.Errorf("%q:\n got %q %q\nwant %q %q", c.request, head, body, c.head, c.body)
		}
		log.await(t, c.log)
	}
}

// Output is sent as it comes.
func TestCGIStreams(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"HTTP/1.0", "HTTP/1.1"} {
		s, _ := startCGI(t, func(h *httpserver.CGIHandler) { h.ProtocolVersion = version })
		w := newWitness(t)
		_, r := send(t, s.Addr(), script("GET", "/cgi-bin/relay"+w.query()))
		w.await(t)
		for _, want := range []string{"a\n", "b\n", "c\n"} {
			io.WriteString(w.conn, want)
			for line := ""; line != want; {
				var err error
				if line, err = r.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestCGIStatusFirst(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, func(h *httpserver.CGIHandler) { h.StatusFirst, h.ProtocolVersion = true, "HTTP/1.0" })
	head, body := fields(ask(t, s.Addr(), script("GET", "/cgi-bin/away")))
	if head != "HTTP/1.0 200 Script output follows|Location: http://example.org/x\n\n" || body != "" {
		t.Errorf("got %q, %q", head, body)
	}
}

// A script runs to its end also if its output is not sent.
func TestCGIHead(t *testing.T) {
	t.Parallel()
	s, log := startCGI(t, nil)
	_, r := send(t, s.Addr(), "HEAD /cgi-bin/busy HTTP/1.1\r\nHost: x\r\n\r\n"+script("GET", "/cgi-bin/sized"))
	if response, err := http.ReadResponse(r, &http.Request{Method: "HEAD"}); err != nil || response.StatusCode != 200 {
		t.Fatal(response, err)
	}
	if _, body := readResponse(t, r); body != "12345" {
		t.Errorf("next: %q", body)
	}
	log.await(t, "/cgi-bin/busy: done")
}

// A response that a signal cut off does not look complete.
func TestCGIKilled(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, nil)
	if got := ask(t, s.Addr(), script("GET", "/cgi-bin/killed")); !strings.Contains(got, "half of") || strings.HasSuffix(got, "0\r\n\r\n") {
		t.Errorf("got %q", got)
	}
}

// Scripts of other languages, where those are installed.
func TestCGILanguages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ program, text, want string }{
		{"perl", "use strict;\nmy $b; read STDIN, $b, $ENV{CONTENT_LENGTH};\nprint \"Status: 201 Made\\r\\nContent-Type: text/plain\\r\\n\\r\\n$ENV{REQUEST_METHOD} $b\\n\";\n", "HTTP/1.0 201 Made|Content-Type: text/plain POST a=1\n"},
		{"php-cgi", "<?php header('Content-Type: text/plain'); http_response_code(202); echo $_SERVER['SCRIPT_NAME'], ' ', $_GET['q'], ' ', $_POST['a'], \"\\n\";\n", "HTTP/1.0 202 Accepted|Content-type: text/plain;charset=UTF-8 /cgi-bin/script x 1\n"},
		{"python3", "import os, sys\nprint('Content-Type: text/plain\\n')\nprint(sys.stdin.read(int(os.environ['CONTENT_LENGTH'])))\n", "HTTP/1.0 200 OK|Content-Type: text/plain a=1\n"},
	} {
		t.Run(c.program, func(t *testing.T) {
			t.Parallel()
			program, err := exec.LookPath(c.program)
			if err != nil {
				t.Skip("not installed: ", err)
			}
			site := t.TempDir()
			if err := os.Mkdir(filepath.Join(site, "cgi-bin"), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := writeExecutable(filepath.Join(site, "cgi-bin", "script"), "#!"+program+"\n"+c.text); err != nil {
				t.Fatal(err)
			}
			s, log := startCGISite(t, site, true)
			head, body := fields(ask(t, s.Addr(), "POST /cgi-bin/script?q=x HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=1"))
			head = strings.ReplaceAll(head, "|X-Powered-By: PHP/", "\x00")
			head, powered, _ := strings.Cut(head, "\x00")
			if _, rest, ok := strings.Cut(powered, "|"); ok {
				head += "|" + rest
			}
			if got := head + " " + body; got != c.want {
				t.Errorf("got %q, want %q\nlog:\n%s", got, c.want, log)
			}
		})
	}
}

// What is logged about a script.

func TestCGIStandardError(t *testing.T) {
	t.Parallel()
	s, log := startCGI(t, nil)
	ask(t, s.Addr(), script("GET", "/cgi-bin/stderr"))
	ask(t, s.Addr(), script("GET", "/cgi-bin/flood"))
	s.Shutdown(t.Context())
	lines := strings.Split(log.String(), "\n")
	for _, want := range []string{"] /cgi-bin/stderr: first", `] /cgi-bin/stderr: se\x1b[31mcond`, "] /cgi-bin/stderr: " + strings.Repeat("z", 1024), "] /cgi-bin/stderr: last", "] /cgi-bin/flood: line 0"} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasSuffix(line, want) }) {
			t.Errorf("%q is not a line of the log", want)
		}
	}
	if i := slices.IndexFunc(lines, func(line string) bool { return strings.HasSuffix(line, "] /cgi-bin/stderr: ") }); i >= 0 {
		t.Errorf("after %q, an empty line was logged", lines[i-1])
	}
	if len(lines) > 400 {
		t.Errorf("%d lines were logged", len(lines))
	}
}

// Standard error is logged while the script runs.
func TestCGIStandardErrorAtOnce(t *testing.T) {
	t.Parallel()
	s, log := startCGI(t, nil)
	conn, _ := send(t, s.Addr(), script("GET", "/cgi-bin/reports"))
	log.await(t, "/cgi-bin/reports: at work")
	reset(conn)
}

// When scripts start and end.

// A request takes a place among the scripts when its script starts. The place is free
// again when the script has exited.
func TestCGISlots(t *testing.T) {
	t.Parallel()
	slots := make(chan struct{}, 1)
	s, _ := startCGI(t, func(h *httpserver.CGIHandler) { h.Slots = slots })
	upload := dial(t, s.Addr())
	io.WriteString(upload, "POST /cgi-bin/sum HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	if _, body := fields(ask(t, s.Addr(), script("GET", "/cgi-bin/tocgi"))); !strings.Contains(body, `["a" "b"]`) {
		t.Errorf("beside an upload: %q", body)
	}
	_, r := send(t, s.Addr(), script("GET", "/cgi-bin/runson"))
	pid := readPID(t, r)
	if n := len(slots); n != 1 {
		t.Errorf("%d places are taken", n)
	}
	io.WriteString(upload, "0\r\n\r\n")
	if answer, _ := io.ReadAll(upload); !strings.Contains(string(answer), "3 of 3") {
		t.Errorf("after the upload: %q", answer)
	}
	if err := signalTo(pid, syscall.Signal(0)); err == nil {
		t.Error("two scripts ran at once")
	}
}

// A script does not run if its client goes away while the request waits for a place.
func TestCGISlotsClientGone(t *testing.T) {
	t.Parallel()
	slots := make(chan struct{}, 1)
	s, log := startCGI(t, func(h *httpserver.CGIHandler) { h.Slots = slots })
	slots <- struct{}{}
	conn, _ := send(t, s.Addr(), script("GET", "/cgi-bin/sized"))
	upload, _ := send(t, s.Addr(), "POST /cgi-bin/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
	patient, r := send(t, s.Addr(), strings.Repeat("GET /cgi-bin/sized HTTP/1.1\r\nHost: x\r\n\r\n", 2))
	conn.Close()
	upload.Close()
	log.await(t, "/cgi-bin/sized: the client has gone before the script could run")
	log.await(t, "/cgi-bin/upload: the client has gone before the script could run")
	<-slots
	for range 2 { // also a request that came while the first one waited
		if _, body := readResponse(t, r); body != "12345" {
			t.Errorf("the patient client got %q", body)
		}
	}
	patient.Close()
}

// A request that waits for a place holds little more than its head. The arguments and the
// environment of the script are made when it has one.
func TestCGIWaitsSmall(t *testing.T) {
	if !alone(t) {
		return
	}
	const connections = 50
	site, slots, waiting := makeScripts(t), make(chan struct{}, 1), make(chan struct{}, connections)
	slots <- struct{}{}
	s, _ := start(t, func() httpserver.Handler {
		h := &waiter{waiting: waiting}
		h.Directory, h.RunAsServer, h.Slots = site, true, slots
		return h
	}, nil)
	before := heap()
	for range connections {
		send(t, s.Addr(), "GET /cgi-bin/args?"+strings.Repeat("+", 60_000)+" HTTP/1.0\r\n\r\n")
	}
	for range connections {
		<-waiting
	}
	if each := (int64(heap()) - int64(before)) / connections; each > 400_000 {
		t.Errorf("%d bytes are held for each request", each)
	}
}

// An idle connection keeps nothing of a request for a script.
func TestCGIIdleKeepsNothing(t *testing.T) {
	if !alone(t) {
		return
	}
	s, _ := startCGI(t, nil)
	s.Stderr = io.Discard
	for _, target := range []string{
		"/cgi-bin/nope/" + strings.Repeat("p", 60_000), "/cgi-bin/nope?" + strings.Repeat("p+", 30_000), "/cgi-bin/longer",
	} {
		const connections = 50
		before := heap()
		for range connections {
			_, r := send(t, s.Addr(), "GET "+target+" HTTP/1.1\r\nHost: x\r\n\r\n")
			readResponse(t, r)
		}
		if each := (int64(heap()) - int64(before)) / connections; each > 50_000 {
			t.Errorf("%.20s: %d bytes are kept for each connection", target, each)
		}
	}
}

// However a script ends, no process, descriptor or goroutine is left.
func TestCGIEnds(t *testing.T) {
	if !alone(t) {
		return
	}
	before := descriptors(t)
	t.Run("all", testScriptsEnd)
	wantNothingLeft(t, before)
}

func testScriptsEnd(t *testing.T) {
	s, _ := startCGI(t, func(h *httpserver.CGIHandler) { h.ProtocolVersion = "HTTP/1.0" })
	for _, name := range []string{"sleeper", "stubborn"} {
		t.Run("client gone/"+name, func(t *testing.T) {
			t.Parallel()
			conn, _, w := startEnding(t, s, name, "")
			conn.Close()
			w.awaitEnd(t)
		})
	}
	t.Run("client gone with a request begun", func(t *testing.T) {
		t.Parallel()
		conn, _, w := startEnding(t, s, "sleeper", "GET")
		io.WriteString(conn, " /")
		conn.Close()
		w.awaitEnd(t)
	})
	t.Run("client gone after many requests", func(t *testing.T) {
		t.Parallel()
		conn, _, w := startEnding(t, s, "sleeper", strings.Repeat(script("GET", "/"), 1000))
		conn.Close()
		w.awaitEnd(t)
	})
	for _, name := range []string{"runson", "parent"} { // closes its output; leaves a child that holds it
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, r, w := startEnding(t, s, name, "")
			if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
				t.Errorf("%q, %v", rest, err)
			}
			w.awaitEnd(t)
		})
	}
	t.Run("gigabyte", func(t *testing.T) {
		t.Parallel()
		conn, r := send(t, s.Addr(), script("GET", "/cgi-bin/gigabyte"))
		conn.SetDeadline(time.Time{})
		if n, err := io.Copy(io.Discard, r); n < 1<<30 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
	t.Run("gigabyte, client gone", func(t *testing.T) {
		t.Parallel()
		conn, r := send(t, s.Addr(), script("GET", "/cgi-bin/gigabyte"))
		io.CopyN(io.Discard, r, 1<<20)
		conn.Close()
	})
	t.Run("client gone in the body", func(t *testing.T) {
		t.Parallel()
		conn := dial(t, s.Addr())
		io.WriteString(conn, "POST /cgi-bin/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"+strings.Repeat("x", 16<<20))
		conn.Close()
	})
	t.Run("timeout", func(t *testing.T) {
		t.Parallel()
		s, log := startCGI(t, func(h *httpserver.CGIHandler) { h.ScriptTimeout = 3 * time.Second }) // enough for sleeper to start
		if head, _ := fields(ask(t, s.Addr(), script("GET", "/cgi-bin/silent"))); !strings.HasPrefix(head, "HTTP/1.1 504 Gateway Timeout|") {
			t.Errorf("got %q", head)
		}
		_, r, w := startEnding(t, s, "sleeper", "")
		if rest, _ := io.ReadAll(r); strings.Contains(string(rest), "0\r\n\r\n") {
			t.Errorf("a response that was cut short looks complete: %q", rest)
		}
		w.awaitEnd(t)
		if n := strings.Count(log.String(), "timed out"); n != 2 {
			t.Errorf("log:\n%s", log)
		}
	})
	t.Run("timeout, answered before the end", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s, _ := startCGI(t, func(h *httpserver.CGIHandler) {
			h.ScriptTimeout = 3 * time.Second
			h.Env = append(h.Env, "CLEANED_IN="+dir)
		})
		w := newWitness(t)
		_, r := send(t, s.Addr(), script("GET", "/cgi-bin/hesitates"+w.query()))
		w.await(t)
		if line, err := r.ReadString('\n'); line != "HTTP/1.1 504 Gateway Timeout\r\n" {
			t.Errorf("got %q, %v", line, err)
		}
		io.WriteString(w.conn, "go on\n")
		w.awaitEnd(t)
		if _, err := os.Stat(filepath.Join(dir, "cleaned")); err != nil {
			t.Errorf("the response waited until the script was killed: %v", err)
		}
	})
	t.Run("close", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s, _ := startCGI(t, func(h *httpserver.CGIHandler) { h.Env = append(h.Env, "CLEANED_IN="+dir) })
		_, _, cleansUp := startEnding(t, s, "cleansup", "")
		_, _, stubborn := startEnding(t, s, "stubborn", "")
		begin, closed := time.Now(), make(chan struct{})
		go func() { defer close(closed); s.Close() }()
		if line, err := cleansUp.r.ReadString('\n'); line != "ending\n" {
			t.Errorf("the script is not told to end: %q, %v", line, err)
		}
		io.WriteString(cleansUp.conn, "go on\n")
		<-closed
		if took := time.Since(begin); took < 2*time.Second {
			t.Errorf("Close waited only for %v", took)
		}
		if _, err := os.Stat(filepath.Join(dir, "cleaned")); err != nil {
			t.Error(err)
		}
		stubborn.awaitEnd(t)
	})
	t.Run("shutdown without time", func(t *testing.T) {
		t.Parallel()
		s, _ := startCGI(t, nil)
		_, r, w := startEnding(t, s, "runson", "")
		io.Copy(io.Discard, r) // the response has ended, the script has not
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.Shutdown(ctx)
		s.Close()
		w.awaitEnd(t)
	})
	t.Run("close twice", func(t *testing.T) {
		t.Parallel()
		s, _ := startCGI(t, nil)
		_, r, w := startEnding(t, s, "stubborn", "")
		begin, closed := time.Now(), make(chan struct{})
		go func() { defer close(closed); s.Close() }()
		io.Copy(io.Discard, r) // until the first Close has begun
		s.Close()
		<-closed
		if took := time.Since(begin); took >= 2*time.Second {
			t.Errorf("the second Close waited as long as one does: %v", took)
		}
		w.awaitEnd(t)
	})
}

// panicking panics in the middle of a response.
type panicking struct{ httpserver.CGIHandler }

func (h *panicking) SendHeader(name, value string) {
	if name == "X-B" {
		panic("X-B")
	}
	h.CGIHandler.SendHeader(name, value)
}

func TestCGIPanic(t *testing.T) {
	t.Parallel()
	site := makeScripts(t)
	text := "#!/bin/sh\nprintf 'X-A: %s\\nX-B: 1\\n\\n' $$\nexec sleep 60\n"
	if err := writeExecutable(filepath.Join(site, "cgi-bin", "pid"), text); err != nil {
		t.Fatal(err)
	}
	s, log := start(t, func() httpserver.Handler {
		h := new(panicking)
		h.Directory, h.RunAsServer = site, true
		return h
	}, nil)
	if got := ask(t, s.Addr(), "GET /cgi-bin/pid HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 500 ") {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(log.String(), "panic in a handler: X-B") {
		t.Errorf("log %s", log)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// nobodySite returns a directory with a script that nobody can run. It skips the test if
// scripts do not run as nobody.
func nobodySite(t *testing.T, name, text string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can become nobody")
	}
	site, err := os.MkdirTemp("/tmp", "httpserver-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(site) })
	os.Chmod(site, 0o755)
	os.Mkdir(filepath.Join(site, "cgi-bin"), 0o755)
	if err := writeExecutable(filepath.Join(site, "cgi-bin", name), text); err != nil {
		t.Fatal(err)
	}
	return site
}

// writeExecutable writes a script. Meanwhile no child is started: it would have the file
// open for writing, too, and the system refuses to run such a file.
func writeExecutable(name, text string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(name, []byte(text), 0o755)
}
