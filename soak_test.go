package httpserver_test

import (
	"context"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"httpserver"
)

// This file loads a server with a mixture of requests and faults, and looks for what is
// left afterwards.

var soak = flag.Duration("soak", time.Second, "how long TestSoak loads the server")

// soakRequests are requests, each of which closes its connection.
var soakRequests = []string{
	script("GET", "/hello.txt"),
	script("HEAD", "/large"),
	script("GET", "/large"),
	"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\nRange: bytes=1000-99999,-500\r\n\r\n",
	script("GET", "/list/"),
	script("GET", "/nope"),
	"POST /cgi-bin/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nbytes",
	"POST /cgi-bin/sum HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbytes\r\n0\r\n\r\n",
	script("GET", "/cgi-bin/gigabyte"),
	strings.Repeat(getHello, 20) + script("GET", "/hello.txt"),
	"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
}

// soakFaults say what a client does after its request. Each reads at most some bytes.
var soakFaults = []func(conn *net.TCPConn){
	func(conn *net.TCPConn) { io.CopyN(io.Discard, conn, 1<<20) },
	func(conn *net.TCPConn) { io.CopyN(io.Discard, conn, 1<<20) },
	func(conn *net.TCPConn) { conn.CloseWrite(); io.CopyN(io.Discard, conn, 1<<20) },
	func(conn *net.TCPConn) { io.CopyN(io.Discard, conn, rand.Int64N(2000)); conn.SetLinger(0) },
	func(conn *net.TCPConn) { io.CopyN(io.Discard, conn, rand.Int64N(2000)) },
	func(conn *net.TCPConn) {
		io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(conn, 20_000), make([]byte, 64))
	}, // slowly
}

func TestSoak(t *testing.T) {
	if !alone(t) {
		return
	}
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	site := makeScripts(t)
	writeOld(t, filepath.Join(site, "large"), 1<<20)
	serve := func(d time.Duration) (exchanges, cut int64) {
		s, err := httpserver.NewThreadingHTTPServer("127.0.0.1:0", func() httpserver.Handler {
			h := new(httpserver.CGIHandler)
			h.Directory, h.ProtocolVersion, h.RunAsServer = site, "HTTP/1.1", true
			return h
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Stderr = io.Discard
		s.HandleError = func(_ net.Conn, err error) { t.Error(err) }
		served := make(chan error, 1)
		go func() { served <- s.ServeForever() }()
		exchanges, cut = load(t, s.Addr(), d)
		ctx, cancel := context.WithTimeout(t.Context(), testLimit)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		<-served
		return exchanges, cut
	}
	serve(*soak / 5) // what is made once is made
	descriptorsBefore, heapBefore := descriptors(t), heap()
	exchanges, cut := serve(*soak)
	t.Logf("%d exchanges, %d of them cut off; heap %d KiB, was %d KiB", exchanges, cut, heap()>>10, heapBefore>>10)
	wantNothingLeft(t, descriptorsBefore)
	if now := heap(); now > heapBefore+2<<20 {
		t.Errorf("the heap grew from %d to %d bytes", heapBefore, now)
	}
	if left := children(); left != "" {
		t.Errorf("children are left: %s", left)
	}
	if left, _ := os.ReadDir(temporary); len(left) > 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}

// load sends requests from several clients for a while.
func load(t *testing.T, addr net.Addr, d time.Duration) (exchanges, cut int64) {
	var total, faulty atomic.Int64
	var clients sync.WaitGroup
	end := time.Now().Add(d)
	for range 8 {
		clients.Go(func() {
			for time.Now().Before(end) {
				conn, err := net.Dial("tcp", addr.String())
				if err != nil {
					t.Error(err)
					return
				}
				conn.SetDeadline(time.Now().Add(testLimit))
				request := soakRequests[rand.IntN(len(soakRequests))]
				if rand.IntN(10) == 0 {
					request = request[:rand.IntN(len(request))]
					faulty.Add(1)
					io.WriteString(conn, request)
				} else {
					io.WriteString(conn, request)
					soakFaults[rand.IntN(len(soakFaults))](conn.(*net.TCPConn))
				}
				conn.Close()
				total.Add(1)
			}
		})
	}
	clients.Wait()
	// The server still responds as it should.
	conn, r := send(t, addr, script("GET", "/hello.txt"))
	defer conn.Close()
	if _, body := readResponse(t, r); body != "hello, world\n" {
		t.Errorf("after the load: %q", body)
	}
	return total.Load(), faulty.Load()
}

// heap returns the size of what is in use on the heap.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // empties pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// children returns the process ids of this process's children, where that is known.
func children() string {
	var all strings.Builder
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, name := range lists {
		list, _ := os.ReadFile(name)
		all.Write(list)
	}
	return all.String()
}
