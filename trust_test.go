package httpserver_test

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
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"httpserver"
)

// This file tests what clients and file systems do that is not expected of them.

// echoPath responds with the request target.
type echoPath struct{ httpserver.BaseRequestHandler }

func (h *echoPath) DoGET() {
	h.SendResponse(200, "")
	h.SendHeader("Content-Length", fmt.Sprint(len(h.Path)))
	h.EndHeaders()
	io.WriteString(h.WFile, h.Path)
}

func newEchoPath() httpserver.Handler {
	h := new(echoPath)
	h.ProtocolVersion = "HTTP/1.1"
	return h
}

func TestManyPipelinedRequests(t *testing.T) {
	t.Parallel()
	const requests = 1000
	s, _ := start(t, newEchoPath, nil)
	conn := dial(t, s.Addr())
	go func() {
		for i := range requests {
			fmt.Fprintf(conn, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
		}
		conn.(*net.TCPConn).CloseWrite()
	}()
	r := bufio.NewReader(conn)
	for i := range requests {
		if _, body := readResponse(t, r); body != fmt.Sprint("/", i) {
			t.Fatalf("response %d is %q", i, body)
		}
	}
	if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
		t.Errorf("after the last response: %q, %v", rest, err)
	}
}

// Idle clients that take all descriptors keep others waiting only until they leave.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	notOnWindows(t, "descriptors have no limit")
	cmd := exec.Command("sh", "-c", `ulimit -n 64 && exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), "SERVE_SITE="+makeSite(t), "SERVE_BY=httpserver")
	addr := startServing(t, cmd)

	const request = "GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n"
	var clients []net.Conn
	for range 100 {
		conn, _ := send(t, addr, request)
		clients = append(clients, conn)
	}
	last := clients[len(clients)-1]
	last.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if response, err := http.ReadResponse(bufio.NewReader(last), nil); err == nil && response.StatusCode != 503 {
		t.Errorf("with 64 descriptors, 100 clients were served: %s", response.Status)
	}
	last.SetReadDeadline(time.Now().Add(testLimit))
	for i, conn := range clients[:len(clients)-1] {
		response, _ := readResponse(t, bufio.NewReader(conn))
		if response.StatusCode != 200 && response.StatusCode != 503 {
			t.Errorf("client %d: %s", i, response.Status)
		}
		conn.Close()
	}
	last.Close()
	for range 100 {
		conn, r := send(t, addr, request)
		if response, body := readResponse(t, r); body != "hello, world\n" {
			t.Fatalf("after all had left: %s", response.Status)
		}
		conn.Close()
	}
}

// Clients that leave after any byte of an exchange, in any way, leave nothing behind.
func TestClientsLeaveAnywhere(t *testing.T) {
	notOnWindows(t, "a connection that is reset early may not be accepted")
	if !alone(t) {
		return
	}
	before := descriptors(t)
	ended := make(chan struct{}, 100)
	s, err := httpserver.NewThreadingHTTPServer("127.0.0.1:0", newEchoPath)
	if err != nil {
		t.Fatal(err)
	}
	s.Stderr = io.Discard
	s.ProcessRequest = func(conn net.Conn) {
		s.FinishRequest(conn)
		s.ShutdownRequest(conn)
		ended <- struct{}{}
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeForever() }()

	request := "GET /" + strings.Repeat("x", 60) + " HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n"
	conn, r := send(t, s.Addr(), request)
	response, body := readResponse(t, r)
	conn.Close()
	<-ended
	size := len("HTTP/1.1 200 OK\r\n\r\n") + len(body)
	for name := range response.Header {
		size += len(name) + len(": \r\n") + len(response.Header.Get(name))
	}
	for _, leave := range []func(conn *net.TCPConn){
		func(conn *net.TCPConn) { conn.Close() },
		func(conn *net.TCPConn) { conn.SetLinger(0); conn.Close() },
		func(conn *net.TCPConn) { conn.CloseWrite(); io.Copy(io.Discard, conn); conn.Close() },
	} {
		for sent := range len(request) + 1 {
			conn := dial(t, s.Addr())
			io.WriteString(conn, request[:sent])
			leave(conn.(*net.TCPConn))
			awaitEnded(t, ended)
		}
		for received := range size + 1 {
			conn := dial(t, s.Addr())
			io.WriteString(conn, request)
			if _, err := io.CopyN(io.Discard, conn, int64(received)); err != nil {
				t.Errorf("the first %d bytes of a response: %v", received, err)
			}
			leave(conn.(*net.TCPConn))
			awaitEnded(t, ended)
		}
	}
	closeServer(t, s)
	<-served
	wantNothingLeft(t, before)
}

// awaitEnded waits until a connection has ended by itself.
func awaitEnded(t *testing.T, ended <-chan struct{}) {
	t.Helper()
	limit := time.NewTimer(testLimit)
	defer limit.Stop()
	select {
	case <-ended:
	case <-limit.C:
		t.Fatal("a connection whose client has left does not end")
	}
}

// While directories and files are exchanged, a response has the content of one file, and
// none from outside of a root.
func TestExchangedFiles(t *testing.T) {
	t.Parallel()
	notOnWindows(t, "an open file cannot be renamed")
	for _, confined := range []bool{true, false} {
		t.Run(fmt.Sprintf("confined=%v", confined), func(t *testing.T) {
			t.Parallel()
			outside, site := t.TempDir(), t.TempDir()
			makeLetters(t, outside, site)
			root, err := os.OpenRoot(site)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			s := serveFiles(t, func(h *httpserver.SimpleHandler) {
				if h.Directory = site; confined {
					h.FS = root.FS()
				}
			})
			ctx, stop := context.WithCancel(t.Context())
			var exchanging sync.WaitGroup
			exchanging.Go(func() {
				for ctx.Err() == nil {
					for _, name := range []string{"folder", "file", "either"} {
						exchangeFiles(t, filepath.Join(site, name))
					}
				}
			})
			defer exchanging.Wait()
			defer stop()
			seen := make(map[byte]int)
			letters := "abcde"
			if !confined {
				letters += "z" // of the link that leads out
			}
			seenAll := func() bool {
				return !strings.ContainsFunc(letters, func(letter rune) bool { return seen[byte(letter)] == 0 })
			}
			for i := 0; i < 50 || !seenAll(); i++ {
				for _, target := range []string{"/folder/small", "/folder/large", "/folder/", "/file", "/either", "/either/"} {
					checkLetters(t, s, target, confined, seen)
				}
			}
		})
	}
}

const largeLetters = 300_000

// makeLetters makes files that are each filled with one letter, z outside of site.
func makeLetters(t *testing.T, outside, site string) {
	t.Helper()
	for name, letters := range map[string]string{
		"folder/small":            strings.Repeat("a", 100),
		"folder/large":            strings.Repeat("a", largeLetters),
		"file":                    strings.Repeat("b", largeLetters),
		"file.other":              strings.Repeat("c", largeLetters),
		"either":                  strings.Repeat("d", 100),
		"either.other/index.html": strings.Repeat("e", 100),
	} {
		writeLetters(t, filepath.Join(site, name), letters)
	}
	writeLetters(t, filepath.Join(outside, "small"), strings.Repeat("z", 100))
	writeLetters(t, filepath.Join(outside, "large"), strings.Repeat("z", largeLetters))
	writeLetters(t, filepath.Join(outside, "secret"), "z")
	symlink(t, outside, filepath.Join(site, "folder.other"))
}

func writeLetters(t *testing.T, name, letters string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(letters), 0o666); err != nil {
		t.Fatal(err)
	}
	os.Chtimes(name, siteTime, siteTime) // neither time nor size tell the files apart
}

// exchangeFiles exchanges what is called name and name.other.
func exchangeFiles(t *testing.T, name string) {
	for _, names := range [][2]string{{name, name + ".third"}, {name + ".other", name}, {name + ".third", name + ".other"}} {
		if err := os.Rename(names[0], names[1]); err != nil {
			t.Error(err)
		}
	}
}

// checkLetters requests target and counts in seen what its body is filled with.
func checkLetters(t *testing.T, s *httpserver.ThreadingHTTPServer, target string, confined bool, seen map[byte]int) {
	t.Helper()
	conn := dial(t, s.Addr())
	defer conn.Close()
	io.WriteString(conn, "GET "+target+" HTTP/1.0\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Errorf("%s: %v", target, err)
		return
	}
	body, _ := io.ReadAll(response.Body) // an error where the file was cut off
	if confined && (bytes.Contains(body, []byte("secret")) || bytes.Contains(body, []byte("zz"))) {
		t.Errorf("%s: %s, and a body from outside", target, response.Status)
	}
	if response.StatusCode != 200 || len(body) == 0 || bytes.HasPrefix(body, []byte("<!")) {
		return // an error, or a listing
	}
	if n := bytes.Count(body, body[:1]); n != len(body) {
		t.Errorf("%s: a mixed body, %d of %d bytes are %c", target, n, len(body), body[0])
	}
	seen[body[0]]++
}
