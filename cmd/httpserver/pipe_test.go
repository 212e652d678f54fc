package main

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// fullPipe returns a pipe that takes no byte more, and that nobody reads.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	for n := 1; n > 0; {
		w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, _ = w.Write(make([]byte, 1<<20))
	}
	return w
}

// The command serves though nobody reads what it prints, and signals end it though
// nobody reads what it logs.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	eachSignal(t, func(t *testing.T, sig os.Signal) {
		socket, addr := socketFile(t, "tcp", "127.0.0.1:0")
		p := prepare(t, "-q")
		p.Args = append([]string{"sh", "-c", listenPID + ` exec "$0" "$@"`}, p.Args...)
		p.Path, p.ExtraFiles, p.addr = "/bin/sh", []*os.File{socket}, addr.String()
		p.Stdout = fullPipe(t)
		p.Stderr = p.Stdout
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Cancel() })
		p.wantBody(t, "/hello.txt", hello)
		for range 3 {
			p.dial(t, "POST /"+strings.Repeat("x", 30_000)+" HTTP/1.0\r\n\r\n") // which is logged with -q, too
		}
		p.signal(t, sig)
		if err := p.Wait(); err != nil {
			t.Error(err)
		}
	})
}

// A line for a pipe that is read late is not lost.
func TestPrintSoon(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	printSoon(w, "line\n") // which returns though nobody reads yet
	got := make([]byte, 5)
	if _, err := io.ReadFull(r, got); string(got) != "line\n" {
		t.Errorf("got %q, %v", got, err)
	}
}
