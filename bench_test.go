package httpserver_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"httpserver"
)

// BenchmarkBeside does the same with this package and with net/http, in turns,
// and reports how many times as many requests this package answers in the same
// time. Client and server share the processors, so that is less than what the
// servers differ by.
func BenchmarkBeside(b *testing.B) {
	site := b.TempDir()
	for name, size := range map[string]int{"small": 1 << 10, "middle": 64 << 10, "large": 1 << 20} {
		writeOld(b, filepath.Join(site, name), size)
	}
	for i := range 1000 {
		writeOld(b, filepath.Join(site, "listing", fmt.Sprintf("file-%04d.txt", i)), i)
	}
	files := func() httpserver.Handler {
		h := new(unloggedFiles)
		h.Directory, h.ProtocolVersion = site, "HTTP/1.1"
		return h
	}
	answer := func() httpserver.Handler {
		h := new(unlogged)
		h.ProtocolVersion = "HTTP/1.1"
		return h
	}
	theirFiles := http.FileServer(http.Dir(site))
	theirAnswer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello\n") })
	for _, c := range []struct {
		name, target, fields string
		ours                 func() httpserver.Handler
		theirs               http.Handler
	}{
		{"answer", "/", "", answer, theirAnswer},
		{"file of 1 KiB", "/small", "", files, theirFiles},
		{"file of 64 KiB", "/middle", "", files, theirFiles},
		{"file of 1 MiB", "/large", "", files, theirFiles},
		{"304", "/small", "If-Modified-Since: " + siteTime.Format(http.TimeFormat) + "\r\n", files, theirFiles},
		{"listing of 1000", "/listing/", "", files, theirFiles},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, _ := start(b, c.ours, nil)
			their := httptest.NewServer(c.theirs)
			b.Cleanup(their.Close)
			request := "GET " + c.target + " HTTP/1.1\r\nHost: x\r\n" + c.fields + "\r\n"
			ours, theirs := newAsker(b, s.Addr(), request), newAsker(b, their.Listener.Addr(), request)
			var oursTook, theirsTook time.Duration
			for b.Loop() {
				oursTook += ours.ask(b)
				theirsTook += theirs.ask(b)
			}
			b.ReportMetric(float64(theirsTook)/float64(oursTook), "x-net/http")
		})
	}
}

// writeOld writes a file that was last changed long ago.
func writeOld(b *testing.B, name string, size int) {
	b.Helper()
	os.Mkdir(filepath.Dir(name), 0o777)
	if err := os.WriteFile(name, []byte(strings.Repeat("x", size)), 0o666); err != nil {
		b.Fatal(err)
	}
	if err := os.Chtimes(name, siteTime, siteTime); err != nil {
		b.Fatal(err)
	}
}

// An asker repeats a request on a connection of its own.
type asker struct {
	conn    net.Conn
	r       *bufio.Reader
	request []byte
}

func newAsker(b *testing.B, addr net.Addr, request string) *asker {
	b.Helper()
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &asker{conn, bufio.NewReaderSize(conn, 256<<10), []byte(request)}
}

// ask tells how long it takes until the whole answer is there.
func (a *asker) ask(b *testing.B) time.Duration {
	begin := time.Now()
	a.conn.Write(a.request)
	response, err := http.ReadResponse(a.r, nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}
