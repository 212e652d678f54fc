package httpserver_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"httpserver"
)

func init() {
	maps.Copy(scripts, map[string]func(){
		"lasting":         func() { say("Content-Length: 5\n\n12345"); reply(attach()) },
		"echoing":         func() { reply(attach()) },
		"leaving":         leaving,
		"nph-nothing":     says(""),
		"nph-silent":      func() { forever() },
		"nph-short":       says("12345"),
		"nph-killed":      func() { say("HTTP/1.1 200 OK\r\n\r\n"); scripts["killed"]() },
		"reset":           says("Status: 205 Reset\nContent-Type: text/plain\nContent-Length: 4\n\nbody"),
		"pause":           func() { exec.Command("sleep", "2").Run(); say(plainText + "late") },
		"family-cleansup": family,
		"family-stubborn": family,
	})
}

// reply sends back what it receives first.
func reply(conn net.Conn) {
	b := make([]byte, 1)
	io.ReadFull(conn, b)
	conn.Write(b)
}

// leaving leaves a child, which has none of its pipes.
func leaving() {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "SCRIPT_NAME=echoing")
	if err := child.Start(); err != nil {
		panic(err)
	}
	say("Content-Length: 5\n\n12345")
}

// family leaves a child in its process group, which is a script of its own, and runs until
// it is ended or until the witness PARENT has ended.
func family() {
	child := exec.Command(os.Args[0])
	name := strings.TrimPrefix(path.Base(os.Getenv("SCRIPT_NAME")), "family-")
	child.Env = append(os.Environ(), "SCRIPT_NAME="+name)
	if err := child.Start(); err != nil {
		panic(err)
	}
	os.Setenv("QUERY_STRING", os.Getenv("PARENT"))
	forever()
}

// post returns a request with a body of size bytes.
func post(target string, size int, inChunks bool) string {
	body, framing := strings.Repeat("x", size), fmt.Sprintf("Content-Length: %d", size)
	if inChunks {
		body, framing = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size, body), "Transfer-Encoding: chunked"
	}
	return "POST " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + framing + "\r\n\r\n" + body
}

func statusOf(answer string) string {
	status, _, _ := strings.Cut(answer, "\r\n")
	return strings.TrimPrefix(status, "HTTP/1.1 ")
}

// A script reads the whole body, however it was framed.
func TestScriptInput(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, nil)
	for _, size := range []int{1, 1 << 16, 1<<16 + 1, 1 << 20} {
		for _, inChunks := range []bool{false, true} {
			got := ask(t, s.Addr(), post("/cgi-bin/sum", size, inChunks))
			if want := fmt.Sprintf("%d of %[1]d", size); !strings.Contains(got, want) {
				t.Errorf("%d bytes, in chunks %v: got %q", size, inChunks, got)
			}
		}
	}
}

// MaxBody limits a body whatever its framing is. If its length is known to be too large,
// the client is told so before it sends anything.
func TestScriptMaxBody(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, func(h *httpserver.CGIHandler) { h.MaxBody = 10 })
	for request, want := range map[string]string{
		post("/cgi-bin/sum", 10, false):                                             "200 OK",
		post("/cgi-bin/sum", 11, false):                                             "413 Content Too Large",
		post("/cgi-bin/sum", 10, true):                                              "200 OK",
		post("/cgi-bin/sum", 11, true):                                              "413 Content Too Large",
		"POST /cgi-bin/sum HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n": "413 Content Too Large",
		"POST /cgi-bin/sum HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n":          "413 Content Too Large",
		"POST /hello.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n0123456789a": "100 Continue",
	} {
		conn := dial(t, s.Addr())
		io.WriteString(conn, request)
		conn.(*net.TCPConn).CloseWrite()
		answer, err := io.ReadAll(conn)
		if got := statusOf(string(answer)); got != want || err != nil {
			t.Errorf("%.100q: got %q, %v", request, answer, err)
		}
	}
}

// The temporary files of all handlers together are limited.
func TestScriptMaxStored(t *testing.T) {
	t.Parallel()
	s, log := startCGI(t, func(h *httpserver.CGIHandler) { h.MaxStored = 200_000 })
	w := newWitness(t)
	conn, _ := send(t, s.Addr(), post("/cgi-bin/relay"+w.query(), 150_000, false))
	w.await(t)
	for _, inChunks := range []bool{false, true} {
		if got := statusOf(ask(t, s.Addr(), post("/cgi-bin/sum", 100_000, inChunks))); got != "503 Service Unavailable" {
			t.Errorf("in chunks %v: got %q", inChunks, got)
		}
	}
	if got := statusOf(ask(t, s.Addr(), post("/cgi-bin/sum", 50_000, false))); got != "200 OK" {
		t.Errorf("a body for which there is room: got %q", got)
	}
	log.await(t, "MaxStored")
	reset(conn)
}

// reset closes a connection in a way that the server sees at once.
func reset(conn net.Conn) {
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// A body that cannot be stored is a failure of the server.
func TestScriptStoreFails(t *testing.T) {
	if !alone(t) {
		return
	}
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	t.Setenv("TMP", os.Getenv("TMPDIR"))
	s, log := startCGI(t, nil)
	if got := statusOf(ask(t, s.Addr(), post("/cgi-bin/sum", 100_000, false))); got != "500 Internal Server Error" {
		t.Errorf("got %q", got)
	}
	log.await(t, "needs a temporary file: open ")
}

// A body that is still on its way takes no place among the scripts.
func TestScriptSlowBody(t *testing.T) {
	t.Parallel()
	slots := make(chan struct{}, 1)
	s, _ := startCGI(t, func(h *httpserver.CGIHandler) { h.Slots = slots })
	request := post("/cgi-bin/sum", 3, false)
	conn, r := send(t, s.Addr(), strings.Replace(request, "xxx", "x", 1))
	for range 5 { // by then the other request has been read
		if _, body := fields(ask(t, s.Addr(), script("GET", "/cgi-bin/sized"))); body != "12345" {
			t.Errorf("beside a slow body: %q", body)
		}
	}
	io.WriteString(conn, "xx")
	if _, body := readResponse(t, r); body != "3 of 3" {
		t.Errorf("got %q", body)
	}
}

// A script does not start if the client leaves in the middle of the body.
func TestScriptIncompleteBody(t *testing.T) {
	t.Parallel()
	s, log := startCGI(t, nil)
	request := post("/cgi-bin/upload", 100_000, false)
	conn := dial(t, s.Addr())
	io.WriteString(conn, request[:len(request)-1])
	conn.(*net.TCPConn).CloseWrite()
	if answer, err := io.ReadAll(conn); statusOf(string(answer)) != "400 Bad request body" || err != nil {
		t.Errorf("got %q, %v", answer, err)
	}
	conn, _ = send(t, s.Addr(), request[:len(request)-1])
	reset(conn)
	s.Shutdown(t.Context())
	if text := log.String(); strings.Count(text, "upload") != 1 || strings.Contains(text, "not for a client") {
		t.Errorf("log:\n%s", text)
	}
}

// A client that has only ended its own side waits for the response, and gets it.
func TestScriptHalfClosed(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, nil)
	conn := dial(t, s.Addr())
	io.WriteString(conn, "GET /cgi-bin/pause HTTP/1.0\r\n\r\n")
	conn.(*net.TCPConn).CloseWrite()
	if answer, err := io.ReadAll(conn); !strings.HasSuffix(string(answer), "late") || err != nil {
		t.Errorf("got %q, %v", answer, err)
	}
}

// An idleConn limits each Read, as a listener of a program may.
type idleConn struct{ net.Conn }

func (c idleConn) Read(p []byte) (int, error) {
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	return c.Conn.Read(p)
}

// A script may run for longer than a read of the connection.
func TestScriptOnIdleConn(t *testing.T) {
	t.Parallel()
	site := makeScripts(t)
	s, _ := start(t, func() httpserver.Handler {
		h := new(httpserver.CGIHandler)
		h.Directory, h.RunAsServer = site, true
		return h
	}, func(s *httpserver.HTTPServer) {
		s.ProcessRequest = func(conn net.Conn) {
			s.FinishRequest(idleConn{conn})
			s.ShutdownRequest(conn)
		}
	})
	if answer := ask(t, s.Addr(), "GET /cgi-bin/pause HTTP/1.0\r\n\r\n"); !strings.HasSuffix(answer, "late") {
		t.Errorf("got %q", answer)
	}
}

// A response that was cut off does not look complete: if neither a length nor chunks tell,
// the connection is reset.
func TestScriptCutOff(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(h *httpserver.CGIHandler){
		"killed":     func(h *httpserver.CGIHandler) { h.ProtocolVersion = "HTTP/1.0" },
		"nph-killed": func(h *httpserver.CGIHandler) {},
		"sleeper":    func(h *httpserver.CGIHandler) { h.ProtocolVersion, h.ScriptTimeout = "HTTP/1.0", time.Second },
		"gigabyte":   func(h *httpserver.CGIHandler) { h.StatusFirst = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := startCGI(t, set)
			conn := dial(t, s.Addr())
			io.WriteString(conn, "GET /cgi-bin/"+name+" HTTP/1.0\r\n\r\n")
			r := bufio.NewReader(conn)
			if _, err := r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			if name == "gigabyte" {
				s.Close()
			}
			if _, err := io.Copy(io.Discard, r); err == nil {
				t.Error("the response looks complete")
			}
		})
	}
}

// A response with status 205 has no body (RFC 9110 section 15.3.6).
func TestScriptResetContent(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, nil)
	_, r := send(t, s.Addr(), "GET /cgi-bin/reset HTTP/1.1\r\nHost: x\r\n\r\n"+script("GET", "/cgi-bin/sized"))
	if response, body := readResponse(t, r); response.StatusCode != 205 || response.ContentLength != 0 || body != "" {
		t.Errorf("got %v, %q", response, body)
	}
	if _, body := readResponse(t, r); body != "12345" {
		t.Errorf("next: %q", body)
	}
}

// Scripts get a variable for a field only if no other name becomes the same one, and none
// for what the client did not send.
func TestScriptFields(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, nil)
	request := "GET /cgi-bin/env HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nx-one: 2\r\nX_One: 3\r\nX.One: 4\r\nX`id`: 5\r\nX~Y: 6\r\n" +
		"X-Hop: 7\r\nX-Last: 8\r\nConnection: close, x-hop,,,\r\nConnection: X-LAST\r\n%s\r\n"
	env := ask(t, s.Addr(), fmt.Sprintf(request, ""))
	if !strings.Contains(env, "\nHTTP_X_ONE=1, 2\n") {
		t.Errorf("X-One is missing in:\n%s", env)
	}
	for _, name := range []string{"CONTENT_TYPE=", "HTTP_X`", "HTTP_X.", "HTTP_X~", "HTTP_X_HOP", "HTTP_X_LAST", "HTTP_CONNECTION"} {
		if strings.Contains(env, "\n"+name) {
			t.Errorf("%s is in:\n%s", name, env)
		}
	}
	for value, want := range map[string]string{"text/plain": "CONTENT_TYPE=text/plain\n", "": "CONTENT_TYPE=\n"} {
		if env := ask(t, s.Addr(), fmt.Sprintf(request, "Content-Type: "+value+"\r\n")); !strings.Contains(env, "\n"+want) {
			t.Errorf("%q is missing in:\n%s", want, env)
		}
	}
}

// What a script leaves behind gets two seconds after SIGTERM, too, and then SIGKILL,
// although the script itself ends at once.
func TestScriptChildren(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func(t *testing.T, name string) (child *witness, closed <-chan struct{}) {
		child, parent := newWitness(t), newWitness(t)
		s, _ := startCGI(t, func(h *httpserver.CGIHandler) {
			h.Env = append(h.Env, "CLEANED_IN="+dir, "PARENT="+strings.TrimPrefix(parent.query(), "?"))
		})
		send(t, s.Addr(), script("GET", "/cgi-bin/"+name+child.query()))
		child.await(t)
		parent.await(t)
		done := make(chan struct{})
		go func() { defer close(done); s.Close() }()
		parent.awaitEnd(t)
		return child, done
	}
	t.Run("cleansup", func(t *testing.T) {
		t.Parallel()
		child, closed := start(t, "family-cleansup")
		if line, err := child.r.ReadString('\n'); line != "ending\n" {
			t.Errorf("the child is not told to end: %q, %v", line, err)
		}
		io.WriteString(child.conn, "go on\n")
		<-closed
		if _, err := os.Stat(filepath.Join(dir, "cleaned")); err != nil {
			t.Error(err)
		}
	})
	t.Run("stubborn", func(t *testing.T) {
		t.Parallel()
		child, closed := start(t, "family-stubborn")
		<-closed
		child.awaitEnd(t)
	})
}

// A lateConn is closed by the second call of Close, and so can still be written to after
// HTTPServer.Close.
type lateConn struct {
	net.Conn
	closes atomic.Int32
}

func (c *lateConn) Close() error {
	if c.closes.Add(1) == 1 {
		return nil
	}
	return c.Conn.Close()
}

type lateListener struct{ net.Listener }

func (l lateListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &lateConn{Conn: conn}, nil
}

// A waiter says when it is about to run a script.
type waiter struct {
	httpserver.CGIHandler
	waiting chan<- struct{}
}

func (h *waiter) IsExecutable(name string) bool {
	select {
	case h.waiting <- struct{}{}:
	default:
	}
	return h.CGIHandler.IsExecutable(name)
}

// A request that waits for a place when the server ends is answered.
func TestScriptWaitsAtClose(t *testing.T) {
	t.Parallel()
	site := makeScripts(t)
	slots := make(chan struct{}, 1)
	slots <- struct{}{}
	waiting := make(chan struct{}, 1)
	s, _ := start(t, func() httpserver.Handler {
		h := &waiter{waiting: waiting}
		h.Directory, h.RunAsServer, h.Slots = site, true, slots
		return h
	}, func(s *httpserver.HTTPServer) { s.Listener = lateListener{s.Listener} })
	conn, r := send(t, s.Addr(), "GET /cgi-bin/sized HTTP/1.0\r\n\r\n")
	<-waiting
	s.Close()
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != 503 {
		t.Errorf("got %v, %v", response, err)
	}
	conn.Close()
}

// A request that waits for its place when the server shuts down is answered at once.
func TestScriptWaitsAtShutdown(t *testing.T) {
	t.Parallel()
	site := makeScripts(t)
	slots := make(chan struct{}, 1)
	slots <- struct{}{}
	waiting := make(chan struct{}, 1)
	s, _ := start(t, func() httpserver.Handler {
		h := &waiter{waiting: waiting}
		h.Directory, h.RunAsServer, h.Slots = site, true, slots
		return h
	}, nil)
	_, r := send(t, s.Addr(), "GET /cgi-bin/sized HTTP/1.0\r\n\r\n")
	<-waiting
	ended := make(chan error)
	go func() { ended <- s.Shutdown(t.Context()) }()
	if response, _ := readResponse(t, r); response.StatusCode != 503 {
		t.Errorf("got %v", response)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A script runs during a Shutdown if there is a place for it.
func TestScriptRunsAtShutdown(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, func(h *httpserver.CGIHandler) { h.Slots = make(chan struct{}, 1) })
	conn, r := send(t, s.Addr(), "POST /cgi-bin/sum HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	for range 2 { // 100 Continue: the request has begun
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error)
	go func() { ended <- s.Shutdown(t.Context()) }()
	for err := error(nil); err == nil; { // until nothing is accepted
		var other net.Conn
		if other, err = net.Dial("tcp", s.Addr().String()); err == nil {
			other.Close()
		}
	}
	io.WriteString(conn, "abc")
	if _, body := readResponse(t, r); body != "3 of 3" {
		t.Errorf("got %q", body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// When the server shuts down, a client that has stopped sending its body gets a 503 before
// the server has to close the connection.
func TestScriptUploadAtShutdown(t *testing.T) {
	site := makeScripts(t)
	const head = "POST /cgi-bin/sum HTTP/1.0\r\nContent-Length: 3\r\n\r\n"
	for _, sent := range [][2]string{{head + "a", ""}, {head + "a", "b"}, {"", head}} { // before and after Shutdown is called
		for _, timeout := range []time.Duration{0, time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				s, _, l := startInMemory(t, func() httpserver.Handler {
					h := new(httpserver.CGIHandler)
					h.Directory, h.RunAsServer, h.Timeout = site, true, timeout
					return h
				}, nil)
				conn := l.dial(t)
				go func() {
					for _, part := range sent {
						if part != "" { // a write of nothing would end a read
							io.WriteString(conn, part)
						}
						pass(100 * time.Millisecond)
					}
				}()
				synctest.Wait()
				begin := time.Now()
				go s.Shutdown(t.Context())
				answer := make([]byte, 100)
				n, err := conn.Read(answer)
				if got := string(answer[:n]); !strings.HasPrefix(got, "HTTP/1.0 503 ") || err != nil || time.Since(begin) >= 5*time.Second {
					t.Errorf("%q, timeout %v: got %q, %v after %v", sent, timeout, got, err, time.Since(begin))
				}
			})
		}
	}
}

// What is counted of one body does not refuse the next one on the connection.
func TestScriptMaxStoredInTurn(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, func(h *httpserver.CGIHandler) { h.MaxStored = 250_000 })
	conn := dial(t, s.Addr())
	r := bufio.NewReader(conn)
	for range 50 {
		io.WriteString(conn, strings.Replace(post("/cgi-bin/sized", 200_000, false), "Connection: close\r\n", "", 1))
		if response, _ := readResponse(t, r); response.StatusCode != 200 {
			t.Fatalf("got %s", response.Status)
		}
	}
}

// unversioned panics when the first script is about to start.
type unversioned struct {
	httpserver.CGIHandler
	first *atomic.Bool
}

func (h *unversioned) VersionString() string {
	if h.first.Swap(false) {
		panic("of a test")
	}
	return "x"
}

// A panic before a script starts takes neither its place nor what is stored for it.
func TestScriptPanicAtStart(t *testing.T) {
	t.Parallel()
	site, first, slots := makeScripts(t), new(atomic.Bool), make(chan struct{}, 1)
	first.Store(true)
	s, _ := start(t, func() httpserver.Handler {
		h := &unversioned{first: first}
		h.Directory, h.RunAsServer, h.ProtocolVersion, h.Slots, h.MaxStored = site, true, "HTTP/1.1", slots, 150_000
		return h
	}, nil)
	for _, want := range []string{"500 Internal Server Error", "200 OK"} {
		if got := statusOf(ask(t, s.Addr(), post("/cgi-bin/sum", 100_000, false))); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A client that leaves after a complete response does not end the script. Nor does it end
// what the script has left.
func TestScriptAfterResponse(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, nil)
	for _, name := range []string{"lasting", "leaving"} {
		w := newWitness(t)
		conn, r := send(t, s.Addr(), script("GET", "/cgi-bin/"+name+w.query()))
		w.await(t)
		if _, body := readResponse(t, r); body != "12345" {
			t.Errorf("%s: got %q", name, body)
		}
		reset(conn)
		httpserver.AwaitConnections(&s.HTTPServer, 0)
		io.WriteString(w.conn, "x")
		if got, err := w.r.ReadByte(); got != 'x' || err != nil {
			t.Errorf("%s was ended: %v", name, err)
		}
	}
}

// A script without output is a 502, and one that takes too long a 504, also if it would send
// the head itself.
func TestScriptRawWithoutOutput(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, nil)
	if got := statusOf(ask(t, s.Addr(), script("GET", "/cgi-bin/nph-nothing"))); got != "502 Bad Gateway" {
		t.Errorf("got %q", got)
	}
	s, _ = startCGI(t, func(h *httpserver.CGIHandler) { h.ScriptTimeout = 100 * time.Millisecond })
	if got := statusOf(ask(t, s.Addr(), script("GET", "/cgi-bin/nph-silent"))); got != "504 Gateway Timeout" {
		t.Errorf("got %q", got)
	}
}

// A client of HTTP/0.9, which does not see the length, sees by a reset that a response is
// not complete.
func TestScriptSimpleRequest(t *testing.T) {
	t.Parallel()
	s, _ := startCGI(t, nil)
	for path, complete := range map[string]bool{"sized": true, "short": false, "nph-short": true} {
		conn := dial(t, s.Addr())
		io.WriteString(conn, "GET /cgi-bin/"+path+"\r\n")
		if got, err := io.ReadAll(conn); (err == nil) != complete || len(got) == 0 {
			t.Errorf("%s: got %q, %v", path, got, err)
		}
	}
}
