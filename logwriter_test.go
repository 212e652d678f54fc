package httpserver_test

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"httpserver"
)

// Requests are answered although nobody reads the log. A later reader learns how many
// lines are missing.
func TestLogIsNotRead(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	s, _ := start(t, httpserver.New[hello], func(s *httpserver.HTTPServer) { s.Stderr = w })
	for range 5 {
		if got := exchange(t, s.Addr(), "GET / HTTP/1.0\r\n\r\n"); !strings.HasSuffix(got, "hello\n") {
			t.Fatalf("got %q", got)
		}
	}
	lines := bufio.NewReader(r)
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
