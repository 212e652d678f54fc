package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// addScript puts a shell script into cgi-bin, for all users to run: the command
// may be started as root.
func (p *process) addScript(t *testing.T, name, text string) {
	t.Helper()
	dir := filepath.Join(p.Dir, "cgi-bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for up := dir; len(up) > len(os.TempDir()) && strings.HasPrefix(up, os.TempDir()); up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho Content-Type: text/plain\necho\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// get gives what comes in answer to a GET.
func (p *process) get(t *testing.T, target string) string {
	t.Helper()
	answer, err := io.ReadAll(p.dial(t, "GET "+target+" HTTP/1.0\r\n\r\n"))
	if err != nil {
		t.Error(err)
	}
	return string(answer)
}

func TestCGI(t *testing.T) {
	needSignals(t)
	t.Setenv("HTTPSERVER_A", "passed on")
	t.Setenv("HTTPSERVER_B", "secret")
	p := startServer(t, "--cgi", "--cgi-env", "HTTPSERVER_A", "--cgi-timeout", "5", "-q")
	p.addScript(t, "env", `echo "[$HTTPSERVER_A][$HTTPSERVER_B][$QUERY_STRING]"`)
	if got := p.get(t, "/cgi-bin/env?x=1"); !strings.HasPrefix(got, "HTTP/1.0 200 OK\r\n") || !strings.HasSuffix(got, "\r\n\r\n[passed on][][x=1]\n") {
		t.Errorf("got %q", got)
	}
	if got := p.get(t, "/hello.txt"); !strings.HasSuffix(got, hello) {
		t.Errorf("got %q", got)
	}
}

func TestCGITimeout(t *testing.T) {
	needSignals(t)
	t.Parallel()
	p := startServer(t, "--cgi", "--cgi-timeout", "0.3")
	p.addScript(t, "slow", "exec sleep 60")
	if got := p.get(t, "/cgi-bin/slow"); strings.Contains(got, "0\r\n\r\n") {
		t.Errorf("got %q", got)
	}
}

// No more scripts run at once than were allowed, a local redirect holds no
// place, and all are run in the end.
func TestCGIMax(t *testing.T) {
	needSignals(t)
	t.Parallel()
	p := startServer(t, "--cgi", "--cgi-max", "2", "-q")
	p.addScript(t, "mark", "date +%s%N; sleep 0.1; date +%s%N")
	if err := os.WriteFile(filepath.Join(p.Dir, "cgi-bin", "local"), []byte("#!/bin/sh\necho Location: /cgi-bin/mark\necho\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var spans [][2]int64
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			target := "/cgi-bin/mark"
			if i%2 == 0 {
				target = "/cgi-bin/local"
			}
			_, body, _ := strings.Cut(p.get(t, target), "\r\n\r\n")
			var span [2]int64
			if _, err := fmt.Sscan(body, &span[0], &span[1]); err != nil {
				t.Errorf("%q: %v", body, err)
			}
			mu.Lock()
			defer mu.Unlock()
			spans = append(spans, span)
		})
	}
	wg.Wait()
	for _, a := range spans {
		running := 0
		for _, b := range spans {
			if b[0] <= a[0] && a[0] < b[1] {
				running++
			}
		}
		if running > 2 {
			t.Errorf("%d scripts at once", running)
		}
	}
}

// A script that does not mind SIGTERM does not outlive the server.
func TestCGIEndsWithServer(t *testing.T) {
	needSignals(t)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			p := startServer(t, "--cgi", "-q")
			p.addScript(t, "stubborn", "trap '' TERM; echo $$; while :; do sleep 0.1; done")
			r := bufio.NewReader(p.dial(t, "GET /cgi-bin/stubborn HTTP/1.0\r\n\r\n"))
			pid := 0
			for pid == 0 {
				line, err := r.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				pid, _ = strconv.Atoi(strings.TrimSpace(line))
			}
			p.signal(t, sig)
			if sig != os.Interrupt {
				p.signal(t, sig) // at once
			}
			p.wait(t)
			process, err := os.FindProcess(pid)
			if err != nil {
				return
			}
			defer process.Release()
			for begin := time.Now(); process.Signal(syscall.Signal(0)) == nil; runtime.Gosched() {
				if time.Since(begin) > 2*time.Second { // SIGKILL takes a moment
					t.Errorf("script %d runs on", pid)
					process.Kill()
					return
				}
			}
		})
	}
}
