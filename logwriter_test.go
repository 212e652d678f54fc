package httpserver_test

import (
	"bufio"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"httpserver"
)

// Requests are answered although nobody reads the log. A later reader learns how many
// lines are missing.
func TestLogIsNotRead(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	if runtime.GOOS != "linux" {
		t.Skip("how much a pipe holds is known on Linux")
	}
	const full = 64 << 10
	io.WriteString(w, strings.Repeat("x", full-1)+"\n")
	s, _ := start(t, httpserver.New[hello], func(s *httpserver.HTTPServer) { s.Stderr = w })
	for range 5 {
		if got := exchange(t, s.Addr(), "GET / HTTP/1.0\r\n\r\n"); !strings.HasSuffix(got, "hello\n") {
			t.Fatalf("got %q", got)
		}
	}
	lines := bufio.NewReader(r)
	lines.ReadString('\n')
	for _, want := range []string{`"GET / HTTP/1.0" 200 -`, "httpserver: 4 log lines were dropped"} {
		if line, err := lines.ReadString('\n'); !strings.Contains(line, want) {
			t.Errorf("got %q, %v; want %q", line, err, want)
		}
	}
	logged := make(chan string)
	go func() {
		line, _ := lines.ReadString('\n')
		logged <- line
	}()
	exchange(t, s.Addr(), "GET /again HTTP/1.0\r\n\r\n")
	if line := <-logged; !strings.Contains(line, "GET /again") {
		t.Errorf("got %q", line)
	}
}

// fragile panics when the first line is written to it.
type fragile struct {
	logBuffer
	once sync.Once
}

func (w *fragile) Write(line []byte) (int, error) {
	w.once.Do(func() { panic("of a test") })
	return w.logBuffer.Write(line)
}

// The log goes on after a panic of Stderr.
func TestLogPanics(t *testing.T) {
	t.Parallel()
	log := new(fragile)
	s, _ := start(t, httpserver.New[hello], func(s *httpserver.HTTPServer) { s.Stderr = log })
	exchange(t, s.Addr(), "GET / HTTP/1.0\r\n\r\n")
	log.await(t, "panic in a handler: of a test")
}
