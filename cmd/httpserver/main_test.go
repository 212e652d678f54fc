package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// With this variable set, the test binary is the command.
const runMain = "HTTPSERVER_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
	}
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if signal.Ignored(sig) { // as nohup does; the command would inherit that
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	os.Exit(m.Run())
}

const (
	hello     = "Hello, world!\n"
	getHello  = "GET /hello.txt HTTP/1.1\r\nHost: test\r\n\r\n"
	testLimit = 2 * time.Minute // of a test that hangs
)

// A process is the command, running in a directory of its own that holds
// hello.txt.
type process struct {
	*exec.Cmd
	stdout, stderr *bufio.Reader
	errPipe        io.Closer // under stderr
	banner         string
	addr           string // its address on this machine
}

// start starts the command.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := prepare(t, args...)
	p.begin(t)
	return p
}

// prepare prepares the command for begin to start it.
func prepare(t *testing.T, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	t.Cleanup(cancel)
	p := &process{Cmd: exec.CommandContext(ctx, exe, args...)}
	p.Dir = t.TempDir()
	// A program with the race detector sleeps for a second at its end.
	p.Env = append(os.Environ(), runMain+"=1", "FORCE_COLOR=", "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	p.addFile(t, "hello.txt", []byte(hello))
	return p
}

func (p *process) begin(t *testing.T) {
	t.Helper()
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout, p.stderr, p.errPipe = bufio.NewReader(stdout), bufio.NewReader(stderr), stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Cancel()
		p.Wait()
	})
}

// bannerLine is the first line of a server: address, port, URL.
var bannerLine = regexp.MustCompile(`^Serving HTTPS? on (\S+) port (\d+) \((\S+)\) \.\.\.\n$`)

// linksLine is the second, unless the server is confined.
const linksLine = "Symbolic links are followed, even out of the directory; --confine prevents that.\n"

// startServer starts the command on a free port of 127.0.0.1, and waits until it
// serves.
func startServer(t *testing.T, args ...string) *process {
	t.Helper()
	p := start(t, slices.Concat([]string{"-b", "127.0.0.1"}, args, []string{"0"})...)
	p.readBanner(t)
	return p
}

func (p *process) readBanner(t *testing.T) {
	t.Helper()
	p.banner, _ = p.stdout.ReadString('\n')
	m := bannerLine.FindStringSubmatch(p.banner)
	if m == nil {
		_, _, stderr := p.wait(t)
		t.Fatalf("%q: first line is %q; stderr:\n%s", p.Args[1:], p.banner, stderr)
	}
	p.readLinksLine(t)
	host := m[1]
	if ip := net.ParseIP(host); ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	p.addr = net.JoinHostPort(host, m[2])
}

func (p *process) readLinksLine(t *testing.T) {
	t.Helper()
	if slices.Contains(p.Args, "--confine") {
		return
	}
	if line, err := p.stdout.ReadString('\n'); line != linksLine {
		t.Errorf("%q: second line is %q, %v", p.Args[1:], line, err)
	}
}

// wait waits for the end of the command. It returns the exit code, which is -1 after a
// signal, and the output that was not read before.
func (p *process) wait(t *testing.T) (code int, stdout, stderr string) {
	t.Helper()
	out, _ := io.ReadAll(p.stdout)
	errs, _ := io.ReadAll(p.stderr)
	p.Wait()
	return p.ProcessState.ExitCode(), string(out), string(errs)
}

// wantPrompt fails the test if the command seems to have waited for shutdownTime.
func wantPrompt(t *testing.T, begin time.Time) {
	t.Helper()
	if took := time.Since(begin); took >= shutdownTime {
		t.Errorf("took %v", took)
	}
}

// signal sends a signal.
func (p *process) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := p.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// addFile adds a file to the directory of the command.
func (p *process) addFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.Dir, name), content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// dial connects to the server, and sends text.
func (p *process) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(testLimit))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// idle returns a connection after one request. With HTTP/1.1 it is idle.
func (p *process) idle(t *testing.T) net.Conn {
	t.Helper()
	conn := p.dial(t, getHello)
	if body, err := io.ReadAll(readHead(t, conn).Body); string(body) != hello {
		t.Fatalf("got %q, %v", body, err)
	}
	return conn
}

// download requests a file that is larger than the buffers of sockets, and leaves the
// body unread.
func (p *process) download(t *testing.T) (body io.Reader, content []byte) {
	t.Helper()
	content = bytes.Repeat([]byte("0123456789abcde\n"), 768<<10) // more than the system buffers
	p.addFile(t, "large", content)
	conn := p.dial(t, "")
	conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	io.WriteString(conn, "GET /large HTTP/1.1\r\nHost: test\r\n\r\n")
	res := readHead(t, conn)
	if res.StatusCode != 200 || res.ContentLength != int64(len(content)) {
		t.Fatalf("got %s with %d bytes, want 200 with %d", res.Status, res.ContentLength, len(content))
	}
	return res.Body, content
}

func readHead(t *testing.T, conn net.Conn) *http.Response {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// wantClosed waits until the server closes a connection.
func wantClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	n, err := conn.Read(make([]byte, 1))
	if timeout, ok := err.(net.Error); n > 0 || ok && timeout.Timeout() {
		t.Fatalf("got %d bytes, %v, want a closed connection", n, err)
	}
}

// wantExit waits for the end of the command, and compares the exit code and the rest
// of the output.
func (p *process) wantExit(t *testing.T, code int, stdout, stderr string) {
	t.Helper()
	gotCode, gotOut, gotErr := p.wait(t)
	if gotCode != code {
		t.Errorf("%q exits %d, want %d", p.Args[1:], gotCode, code)
	}
	if gotOut != stdout {
		t.Errorf("%q stdout:\n%s\nwant:\n%s", p.Args[1:], gotOut, stdout)
	}
	if gotErr != stderr {
		t.Errorf("%q stderr:\n%s\nwant:\n%s", p.Args[1:], gotErr, stderr)
	}
}

// needSignals skips a test on a system where processes cannot be sent signals.
func needSignals(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no way to send SIGINT or SIGTERM to a process")
	}
}

// eachSignal runs a subtest for each signal that ends the command.
func eachSignal(t *testing.T, test func(t *testing.T, sig os.Signal)) {
	t.Helper()
	needSignals(t)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			test(t, sig)
		})
	}
}

func needIPv6(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	l.Close()
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{"help", []string{"-h"}, 0, help, ""},
		{"help among others", []string{"-q", "8000", "--help", "--bad"}, 0, help, ""},
		{"help without the password", []string{"--tls-password-file", "missing", "-h"}, 0, help, ""},
		{"unknown option", []string{"--bad"}, 2, "", usage + "httpserver: error: unrecognized arguments: --bad\n"},
		{"control characters", []string{"--bad\x1b[31m\n\u009b"}, 2, "", usage + "httpserver: error: unrecognized arguments: --bad?[31m??\n"},
		{"missing value", []string{"-b"}, 2, "", usage + "httpserver: error: argument -b/--bind: expected one argument\n"},
		{"bad port", []string{"http"}, 2, "", usage + "httpserver: error: argument port: invalid int value: 'http'\n"},
		{"bad port, no directory", []string{"-d", "missing", "-1"}, 2, "", usage + "httpserver: error: argument port: -1 is not in 0-65535\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start(t, tt.args...).wantExit(t, tt.code, tt.stdout, tt.stderr)
		})
	}
}

// A failure is one line that begins with what failed and contains what to do.
func TestFailure(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())

	for _, tt := range []struct {
		name   string
		args   []string
		prefix string
		hint   string
	}{
		{"no directory", []string{"-d", "missing", "0"}, `there is no directory "missing"`, "-d names the one to serve"},
		{"no directory, line feed", []string{"-d", "mis\nsing", "0"}, `there is no directory "mis\nsing"`, "-d names the one to serve"},
		{"file", []string{"-d", "hello.txt", "0"}, `"hello.txt" is a file`, "-d takes the directory to serve"},
		{"below a file", []string{"-d", "hello.txt/\n", "0"}, "", "-d "},
		{"port in use", []string{"-b", "127.0.0.1", port}, "listen on 127.0.0.1:" + port + ": ", "choose another port, or 0 for a free one"},
		{"foreign address", []string{"-b", "192.0.2.1", "0"}, "listen on 192.0.2.1:0: ", "no interface of this machine has that address"},
		{"no address", []string{"-b", "no such host", "0"}, "listen on no such host:0: ", "no such host (give an address of this machine)"},
		{"control in an address", []string{"-b", "a\n\x1b", "0"}, "listen on a??:0: ", "no such host"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := start(t, tt.args...).wait(t)
			if code != 1 || stdout != "" {
				t.Errorf("exit code %d, stdout %q, want 1 and nothing", code, stdout)
			}
			rest, ok := strings.CutPrefix(stderr, "httpserver: "+tt.prefix)
			if !ok || !strings.Contains(rest, tt.hint) || strings.Index(rest, "\n") != len(rest)-1 {
				t.Errorf("stderr:\n%s\nwant a line: httpserver: %s ... %s ...", stderr, tt.prefix, tt.hint)
			}
		})
	}
}

func TestBanner(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		ipv6 bool
		want string // with N for the port
	}{
		{"IPv4", []string{"-b", "127.0.0.1", "0"}, false, "Serving HTTP on 127.0.0.1 port N (http://127.0.0.1:N/) ...\n"},
		{"all of IPv4", []string{"-b", "0.0.0.0", "0"}, false, "Serving HTTP on 0.0.0.0 port N (http://0.0.0.0:N/) ...\n"},
		{"all of IPv4, as IPv6", []string{"-b", "::ffff:0.0.0.0", "0"}, true, "Serving HTTP on 0.0.0.0 port N (http://0.0.0.0:N/) ...\n"},
		{"IPv6", []string{"-b", "::1", "0"}, true, "Serving HTTP on ::1 port N (http://[::1]:N/) ...\n"},
		{"IPv6 in brackets", []string{"-b", "[::1]", "0"}, true, "Serving HTTP on ::1 port N (http://[::1]:N/) ...\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.ipv6 {
				needIPv6(t)
			}
			p := start(t, tt.args...)
			p.readBanner(t)
			_, port, _ := net.SplitHostPort(p.addr)
			if want := strings.ReplaceAll(tt.want, "N", port); p.banner != want {
				t.Errorf("got  %swant %s", p.banner, want)
			}
			p.idle(t)
		})
	}
}

func TestAllInterfaces(t *testing.T) {
	t.Parallel()
	p := start(t, "0")
	p.readBanner(t)
	_, port, _ := net.SplitHostPort(p.addr)
	v4 := fmt.Sprintf("Serving HTTP on 0.0.0.0 port %s (http://0.0.0.0:%[1]s/) ...\n", port)
	v6 := fmt.Sprintf("Serving HTTP on :: port %s (http://[::]:%[1]s/) ...\n", port)
	if p.banner != v4 && p.banner != v6 {
		t.Errorf("got %q, want %q or %q", p.banner, v6, v4)
	}
	p.idle(t)
	if p.banner == v6 {
		p.addr = "[::1]:" + port
		p.idle(t)
	}
	p.Process.Kill()
	if _, stdout, _ := p.wait(t); stdout != "" {
		t.Errorf("stdout after the banner, which is no terminal: %q", stdout)
	}
}

func TestReachableURLs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		addrs  string
		v4only bool
		want   string
	}{
		{"none", "", false, "http://localhost:80/"},
		{"loopback", "127.0.0.1/8 ::1/128", false, "http://localhost:80/"},
		{"IPv4", "192.0.2.7/24", false, "http://localhost:80/ http://192.0.2.7:80/"},
		{"private IPv4", "10.0.0.1/8", false, "http://localhost:80/ http://10.0.0.1:80/"},
		{"IPv6", "2001:db8::7/64", false, "http://localhost:80/ http://[2001:db8::7]:80/"},
		{"unique local IPv6", "fd00::7/64", false, "http://localhost:80/ http://[fd00::7]:80/"},
		{"link-local", "169.254.0.7/16 fe80::7/64", false, "http://localhost:80/"},
		{"multicast", "224.0.0.1/4 ff02::1/16", false, "http://localhost:80/"},
		{"unspecified", "0.0.0.0/0 ::/0", false, "http://localhost:80/"},
		{"IPv4 first", "::1/128 2001:db8::7/64 192.0.2.7/24 fd00::7/64 127.0.0.1/8 10.0.0.1/8", false,
			"http://localhost:80/ http://192.0.2.7:80/ http://10.0.0.1:80/ http://[2001:db8::7]:80/ http://[fd00::7]:80/"},
		{"IPv4 alone", "2001:db8::7/64 192.0.2.7/24", true, "http://localhost:80/ http://192.0.2.7:80/"},
		{"of another kind", "example", false, "http://localhost:80/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var addrs []net.Addr
			for _, s := range strings.Fields(tt.addrs) {
				if ip, network, err := net.ParseCIDR(s); err == nil {
					addrs = append(addrs, &net.IPNet{IP: ip, Mask: network.Mask})
				} else {
					addrs = append(addrs, &net.UnixAddr{Name: s, Net: "unix"})
				}
			}
			if got := strings.Join(reachableURLs(addrs, "http", "80", tt.v4only), " "); got != tt.want {
				t.Errorf("%s\ngot  %s\nwant %s", tt.addrs, got, tt.want)
			}
		})
	}
}

func TestServesDirectory(t *testing.T) {
	t.Parallel()
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "other.txt"), []byte("other\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		path string
		code int
		body string // the beginning of the body
	}{
		{"current directory", nil, "/hello.txt", 200, hello},
		{"directory by name", []string{"-d", other}, "/other.txt", 200, "other\n"},
		{"only that directory", []string{"-d", other}, "/hello.txt", 404, "<!DOCTYPE"},
		{"relative directory", []string{"--dir=."}, "/hello.txt", 200, hello},
		{"listing", nil, "/", 200, "<!DOCTYPE"},
		{"nothing above", nil, "/../../hello.txt", 200, hello},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startServer(t, tt.args...)
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			res, err := client.Get("http://" + p.addr + tt.path)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != tt.code || !strings.HasPrefix(string(body), tt.body) {
				t.Errorf("GET %s: %d %q, %v, want %d %q", tt.path, res.StatusCode, body, err, tt.code, tt.body)
			}
		})
	}
}

// A line is logged before its response is sent.
func TestLog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want string // without dates
	}{
		{"requests and errors", nil, "127.0.0.1 - - [] \"GET /hello.txt HTTP/1.1\" 200 -\n" +
			"127.0.0.1 - - [] code 404, message File not found\n" +
			"127.0.0.1 - - [] \"GET /missing HTTP/1.1\" 404 -\n" +
			"127.0.0.1 - - [] code 400, message Bad Host ('a b')\n" +
			"127.0.0.1 - - [] \"GET / HTTP/1.1\" 400 -\n" +
			"127.0.0.1 - - [] code 501, message Unsupported method ('POST')\n" +
			"127.0.0.1 - - [] \"POST / HTTP/1.1\" 501 -\n"},
		{"quiet", []string{"-q"}, "127.0.0.1 - - [] code 501, message Unsupported method ('POST')\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startServer(t, tt.args...)
			p.idle(t)
			for _, request := range []string{
				"GET /missing HTTP/1.1\r\nHost: test\r\n\r\n",
				"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
				"POST / HTTP/1.1\r\nHost: test\r\n\r\n",
			} {
				readHead(t, p.dial(t, request))
			}
			p.Process.Kill()
			_, stdout, stderr := p.wait(t)
			date := regexp.MustCompile(`\[\d\d/[A-Z][a-z][a-z]/\d{4} \d\d:\d\d:\d\d\]`)
			if got := date.ReplaceAllString(stderr, "[]"); got != tt.want {
				t.Errorf("stderr:\n%s\nwant:\n%s", got, tt.want)
			}
			if stdout != "" {
				t.Errorf("stdout after the banner: %q", stdout)
			}
		})
	}
}

// Two requests on one connection get one response with HTTP/1.0, two with HTTP/1.1.
func TestProtocol(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		args    []string
		version string
		want    int
	}{
		{"default", nil, "HTTP/1.0", 1},
		{"HTTP/1.0", []string{"-p", "HTTP/1.0"}, "HTTP/1.0", 1},
		{"HTTP/1.1", []string{"-p", "HTTP/1.1"}, "HTTP/1.1", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conn := startServer(t, tt.args...).dial(t, getHello+"GET /hello.txt HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
			got, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(got), tt.version+" 200 OK\r\n"); n != tt.want {
				t.Errorf("got %d responses, want %d:\n%s", n, tt.want, got)
			}
			if n := strings.Count(string(got), "\r\n\r\n"+hello); n != tt.want {
				t.Errorf("got %d bodies, want %d:\n%s", n, tt.want, got)
			}
		})
	}
}

// The default of a minute would be too long for a test.
func TestTimeout(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		text string
	}{
		{"silence", ""},
		{"half a request line", "GET /hel"},
		{"half a header", "GET /hello.txt HTTP/1.1\r\nHost: te"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startServer(t, "--timeout", "0.2")
			begin := time.Now()
			conn := p.dial(t, tt.text)
			wantClosed(t, conn)
			if took := time.Since(begin); took < 200*time.Millisecond {
				t.Errorf("closed after %v, want 200ms", took)
			}
			if line, _ := p.stderr.ReadString('\n'); !strings.HasSuffix(line, "] Request timed out\n") {
				t.Errorf("log line is %q", line)
			}
		})
	}
}

func TestInterrupt(t *testing.T) {
	needSignals(t)
	t.Parallel()
	p := startServer(t, "-q", "-p", "HTTP/1.1")
	conns := []net.Conn{
		p.dial(t, ""),
		p.idle(t),
		p.dial(t, getHello+"GET /hel"), // the half is read along with the whole
		p.dial(t, getHello+"GET /hello.txt HTTP/1.1\r\nHo"),
	}
	for _, conn := range conns[2:] {
		readHead(t, conn)
	}
	p.download(t)
	begin := time.Now()
	p.signal(t, os.Interrupt)
	code, stdout, stderr := p.wait(t)
	if want := "\nKeyboard interrupt received, exiting.\n"; code != 0 || stdout != want || stderr != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q, want 0, %q and nothing", code, stdout, stderr, want)
	}
	wantPrompt(t, begin)
}

// The reader of the log may go away.
func TestLogReaderGoesAway(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	p.errPipe.Close()
	for range 3 {
		conn := p.dial(t, "GET /hello.txt HTTP/1.0\r\n\r\n")
		if got, err := io.ReadAll(conn); !strings.HasSuffix(string(got), hello) {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

// After SIGTERM no connection is accepted, idle ones are closed, and a response in
// progress is completed.
func TestTerminate(t *testing.T) {
	needSignals(t)
	t.Parallel()
	p := startServer(t, "-q", "-p", "HTTP/1.1")
	idle := p.idle(t)
	body, want := p.download(t)
	p.signal(t, syscall.SIGTERM)
	wantClosed(t, idle)
	if conn, err := net.Dial("tcp", p.addr); err == nil {
		conn.Close()
		t.Error("a connection was accepted after SIGTERM")
	}
	if got, err := io.ReadAll(body); !bytes.Equal(got, want) {
		t.Errorf("got %d bytes of %d, %v", len(got), len(want), err)
	}
	begin := time.Now()
	p.wantExit(t, 0, "", "")
	wantPrompt(t, begin)
}

func TestTerminateIdle(t *testing.T) {
	needSignals(t)
	t.Parallel()
	p := startServer(t, "-q", "-p", "HTTP/1.1")
	p.idle(t)
	p.dial(t, "")
	begin := time.Now()
	p.signal(t, syscall.SIGTERM)
	p.wantExit(t, 0, "", "")
	wantPrompt(t, begin)
}

func TestTerminateStuck(t *testing.T) {
	needSignals(t)
	t.Parallel()
	p := startServer(t, "-q")
	p.download(t) // and read nothing more
	begin := time.Now()
	p.signal(t, syscall.SIGTERM)
	if code, _, _ := p.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if took := time.Since(begin); took < shutdownTime {
		t.Errorf("took %v, want %v", took, shutdownTime)
	}
}

func TestTerminateTwice(t *testing.T) {
	needSignals(t)
	t.Parallel()
	for _, second := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(second.String(), func(t *testing.T) {
			t.Parallel()
			p := startServer(t, "-q", "-p", "HTTP/1.1")
			idle := p.idle(t)
			p.download(t)
			p.signal(t, syscall.SIGTERM)
			wantClosed(t, idle)
			begin := time.Now()
			p.signal(t, second)
			if code, _, _ := p.wait(t); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			wantPrompt(t, begin)
		})
	}
}

// A signal ends the command while it waits for its certificate.
func TestSignalAtStart(t *testing.T) {
	t.Parallel()
	eachSignal(t, func(t *testing.T, sig os.Signal) {
		p := prepare(t, "--tls-cert", "fifo", "-b", "127.0.0.1", "0")
		fifo := filepath.Join(p.Dir, "fifo")
		sh(t, "mkfifo", fifo)
		p.begin(t)
		w, err := os.OpenFile(fifo, os.O_WRONLY, 0) // waits until the command opens it
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		p.signal(t, sig)
		p.wantExit(t, -1, "", "")
		if got, want := p.ProcessState.String(), "signal: "+sig.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// The message for a link-local address without a zone says what is missing.
func TestBindWithoutZone(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("other systems have another error or none")
	}
	needIPv6(t)
	start(t, "-b", "fe80::1", "0").wantExit(t, 1, "",
		"httpserver: listen on [fe80::1]:0: invalid argument (a link-local address needs a zone, such as %eth0)\n")
}
