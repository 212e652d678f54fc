package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// needUnix skips a test on Windows, whose unix sockets are different.
func needUnix(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no inherited sockets, and others on the path that a socket leaves")
	}
}

// socketPath returns a free path that is short enough for a socket, as those of
// t.TempDir may not be.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// startUnix starts the command on a unix socket.
func startUnix(t *testing.T, path string, args ...string) *process {
	t.Helper()
	p := start(t, append(args, "-b", "unix:"+path)...)
	p.readUnixBanner(t, path)
	return p
}

func (p *process) readUnixBanner(t *testing.T, path string) {
	t.Helper()
	if p.banner, _ = p.stdout.ReadString('\n'); p.banner != "Serving HTTP on unix:"+path+" ...\n" {
		_, _, stderr := p.wait(t)
		t.Fatalf("%q: first line is %q; stderr:\n%s", p.Args[1:], p.banner, stderr)
	}
	p.readLinksLine(t)
}

// getUnix requests hello.txt.
func getUnix(t *testing.T, path string) {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(testLimit))
	io.WriteString(conn, "GET /hello.txt HTTP/1.0\r\n\r\n")
	if got, err := io.ReadAll(conn); !strings.HasSuffix(string(got), hello) {
		t.Errorf("got %q, %v", got, err)
	}
}

// The socket is removed when the server ends, however it does.
func TestUnixSocket(t *testing.T) {
	needUnix(t)
	t.Parallel()
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		path := socketPath(t)
		p := startUnix(t, path)
		getUnix(t, path)
		if line, _ := p.stderr.ReadString('\n'); !strings.HasPrefix(line, "- - - [") || !strings.HasSuffix(line, `] "GET /hello.txt HTTP/1.0" 200 -`+"\n") {
			t.Errorf("log line is %q", line)
		}
		p.signal(t, sig)
		if code, _, stderr := p.wait(t); code != 0 || stderr != "" {
			t.Errorf("%v: exit code %d, stderr %s", sig, code, stderr)
		}
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%v: the socket is left", sig)
		}
	}
}

// A socket that has replaced that of the server is not removed.
func TestUnixSocketReplaced(t *testing.T) {
	needUnix(t)
	t.Parallel()
	path := socketPath(t)
	p := startUnix(t, path, "-q")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	startUnix(t, path, "-q")
	p.signal(t, syscall.SIGTERM)
	p.wait(t)
	getUnix(t, path)
}

// Only a socket that nobody listens on is replaced.
func TestUnixSocketTaken(t *testing.T) {
	needUnix(t)
	t.Parallel()
	file, dir, stale, live, link := socketPath(t), socketPath(t), socketPath(t), socketPath(t), socketPath(t)
	if err := os.WriteFile(file, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if err := os.Symlink(stale, link); err != nil {
		t.Fatal(err)
	}
	other := startUnix(t, live, "-q")
	long := filepath.Join(filepath.Dir(live), strings.Repeat("x", 120))
	for _, tt := range []struct{ path, want string }{
		{file, "this is a file or directory, not a socket; choose another path"},
		{dir, "this is a file or directory, not a socket; choose another path"},
		{link, "this is a file or directory, not a socket; choose another path"},
		{live, "another program listens there; choose another path"},
		{long, "the path is too long; systems take about 100 bytes for a socket"},
		{filepath.Join(filepath.Dir(live), "missing", "s"), "bind: no such file or directory"},
	} {
		want := "httpserver: listen on unix:" + tt.path + ": " + tt.want + "\n"
		start(t, "-b", "unix:"+tt.path).wantExit(t, 1, "", want)
	}
	if text, err := os.ReadFile(file); string(text) != "precious" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	getUnix(t, live)
	p := startUnix(t, stale, "-q")
	getUnix(t, stale)
	other.Process.Kill()
	other.wait(t)
	startUnix(t, live, "-q") // a killed process could not remove the socket
	getUnix(t, live)
	p.Process.Kill()
}

// An abstract socket, whose name begins with @, has no file.
func TestUnixSocketAbstractTaken(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has abstract sockets")
	}
	path := fmt.Sprintf("@httpserver-test-%d", os.Getpid())
	startUnix(t, path, "-q")
	want := "httpserver: listen on unix:" + path + ": another program listens there; choose another path\n"
	start(t, "-b", "unix:"+path).wantExit(t, 1, "", want)
}

func TestUnixSocketCurl(t *testing.T) {
	needUnix(t)
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl here: ", err)
	}
	path := socketPath(t)
	startUnix(t, path, "-q", "-p", "HTTP/1.1")
	if got := sh(t, "curl", "-sS", "--unix-socket", path, "http://localhost/hello.txt"); got != hello {
		t.Errorf("got %q", got)
	}
}

// On a unix socket, a script gets the name of the server, and no port.
func TestUnixSocketScript(t *testing.T) {
	needUnix(t)
	t.Parallel()
	path := socketPath(t)
	p := startUnix(t, path, "--cgi", "-q")
	p.addScript(t, "env", `echo "[$SERVER_NAME][$SERVER_PORT][$REMOTE_ADDR]"`)
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /cgi-bin/env HTTP/1.0\r\n\r\n")
	if got, err := io.ReadAll(conn); !strings.HasSuffix(string(got), "\r\n\r\n[localhost][][]\n") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestUnixSocketTLS(t *testing.T) {
	needUnix(t)
	t.Parallel()
	keys, path := makePKI(t), socketPath(t)
	p := start(t, "--tls-cert", keys.path("both.pem"), "-b", "unix:"+path, "-q")
	if p.banner, _ = p.stdout.ReadString('\n'); p.banner != "Serving HTTPS on unix:"+path+" ...\n" {
		t.Fatalf("first line is %q", p.banner)
	}
	client := keys.client(t)
	client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) }
	res, err := client.Get("https://127.0.0.1/hello.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); string(body) != hello {
		t.Errorf("got %q, %v", body, err)
	}
}

// handOver starts the command as systemd does, with sockets from descriptor 3 on. A
// shell sets LISTEN_PID, which is not known before; env may be "".
func handOver(t *testing.T, env string, sockets []*os.File, args ...string) *process {
	t.Helper()
	p := prepare(t, args...)
	p.Args = append([]string{"sh", "-c", env + ` exec "$0" "$@"`}, p.Args...)
	p.Path = "/bin/sh"
	p.ExtraFiles = sockets
	p.begin(t)
	return p
}

// socketFile returns a listener of this process as a file.
func socketFile(t *testing.T, network, address string) (*os.File, net.Addr) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, l.Addr()
}

const listenPID = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web"

func TestInheritedTCP(t *testing.T) {
	needUnix(t)
	t.Parallel()
	socket, addr := socketFile(t, "tcp", "127.0.0.1:0")
	p := handOver(t, listenPID, []*os.File{socket}, "-q", "--cgi", "--cgi-env", "LISTEN_FDS", "--cgi-env", "LISTEN_PID", "1")
	p.readBanner(t)
	if p.addr != addr.String() {
		t.Errorf("serves on %s, not on %s", p.addr, addr)
	}
	p.idle(t)
	p.addScript(t, "env", `echo "[$LISTEN_FDS$LISTEN_PID][$SERVER_NAME]"`)
	if got := p.get(t, "/cgi-bin/env"); !strings.HasSuffix(got, "\r\n\r\n[][127.0.0.1]\n") {
		t.Errorf("got %q", got)
	}
	p.signal(t, syscall.SIGTERM)
	p.wantExit(t, 0, "", "")
}

// A client that connects while nobody serves on the socket waits for the next server.
func TestInheritedRestart(t *testing.T) {
	needUnix(t)
	t.Parallel()
	socket, _ := socketFile(t, "tcp", "127.0.0.1:0")
	p := handOver(t, listenPID, []*os.File{socket}, "-q")
	p.readBanner(t)
	p.idle(t)
	p.signal(t, syscall.SIGTERM)
	p.wantExit(t, 0, "", "")
	waiting := p.dial(t, getHello)
	handOver(t, listenPID, []*os.File{socket}, "-q").readBanner(t)
	if body, err := io.ReadAll(readHead(t, waiting).Body); string(body) != hello {
		t.Errorf("got %q, %v", body, err)
	}
}

// The path of an inherited socket belongs to the process that made it.
func TestInheritedUnix(t *testing.T) {
	needUnix(t)
	t.Parallel()
	path := socketPath(t)
	socket, _ := socketFile(t, "unix", path)
	p := handOver(t, listenPID, []*os.File{socket}, "-q")
	p.readUnixBanner(t, path)
	getUnix(t, path)
	p.signal(t, syscall.SIGTERM)
	p.wantExit(t, 0, "", "")
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

func TestInheritedNothing(t *testing.T) {
	needUnix(t)
	t.Parallel()
	for _, env := range []string{
		"LISTEN_PID=1 LISTEN_FDS=1", // of another process
		"LISTEN_FDS=1",
		"LISTEN_PID=$$ LISTEN_FDS=0",
		"LISTEN_PID=$$",
	} {
		p := handOver(t, env, nil, "-b", "127.0.0.1", "0")
		p.readBanner(t)
		p.idle(t)
		p.Process.Kill()
	}
}

func TestInheritedFailures(t *testing.T) {
	needUnix(t)
	t.Parallel()
	socket, _ := socketFile(t, "tcp", "127.0.0.1:0")
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, tt := range []struct {
		env, want string
		sockets   []*os.File
	}{
		{"LISTEN_PID=$$ LISTEN_FDS=2", `LISTEN_FDS is "2", which is not one socket; let the .socket unit have one Listen line`, []*os.File{socket, socket}},
		{"LISTEN_PID=$$ LISTEN_FDS=x", `LISTEN_FDS is "x", which is not one socket; let the .socket unit have one Listen line`, nil},
		{listenPID, "LISTEN_FDS is 1, but file descriptor 3 is not a listening socket: ", []*os.File{file}},
	} {
		code, stdout, stderr := handOver(t, tt.env, tt.sockets, "0").wait(t)
		if code != 1 || stdout != "" || !strings.HasPrefix(stderr, "httpserver: "+tt.want) || strings.Index(stderr, "\n") != len(stderr)-1 {
			t.Errorf("%s: exit code %d, stdout %q, stderr %s", tt.env, code, stdout, stderr)
		}
	}
}
