package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// haproxyConfig gives the configuration in the README, with other addresses:
// HAProxy listens on the first file it inherits, and looks after the replicas
// more often, so that the test is quick.
func haproxyConfig(t *testing.T, replicas []string) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```haproxy\n(.*?)```").FindSubmatch(text)
	if m == nil {
		t.Fatal("no block of haproxy in the README")
	}
	config := string(m[1])
	replace := func(old, new string) {
		t.Helper()
		if strings.Count(config, old) != 1 {
			t.Fatalf("the configuration in the README has %q %d times", old, strings.Count(config, old))
		}
		config = strings.Replace(config, old, new, 1)
	}
	replace("bind :80\n", "bind fd@3\n")
	replace("inter 1s", "inter 200ms")
	for i, addr := range replicas {
		replace(fmt.Sprintf("10.0.0.%d:8000", i+1), addr)
	}
	return config
}

// startHAProxy starts HAProxy in front of replicas and gives its URL.
func startHAProxy(t *testing.T, program string, replicas []string) string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(config, []byte(haproxyConfig(t, replicas)), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	cmd := exec.CommandContext(ctx, program, "-db", "-n", "200", "-f", config)
	cmd.ExtraFiles = []*os.File{file}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
		if t.Failed() {
			t.Logf("HAProxy: %s", &output)
		}
	})
	return "http://" + l.Addr().String()
}

// A replica is the command at an address of its own, so that a connection of
// another program does not get its port while it restarts.
type replica struct {
	*process
	dir, host, port string
	working         chan struct{} // closed at its first GET
	count           *atomic.Int64 // of GETs, of all its lives
}

// start starts the replica and waits until it gets requests.
func (r *replica) start(t *testing.T) {
	t.Helper()
	r.process = start(t, "-b", r.host, "-d", r.dir, "-p", "HTTP/1.1", r.port)
	r.readBanner(t)
	_, r.port, _ = net.SplitHostPort(r.addr)
	working := make(chan struct{})
	r.working = working
	go func() {
		lines := bufio.NewScanner(r.stderr)
		for first := true; lines.Scan(); {
			if !strings.Contains(lines.Text(), `"GET /`) {
				continue
			}
			if r.count.Add(1); first {
				close(working)
				first = false
			}
		}
	}()
}

// restart ends the replica, and starts it again after a pause.
func (r *replica) restart(t *testing.T, pause time.Duration) {
	t.Helper()
	r.signal(t, syscall.SIGTERM)
	if err := r.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	<-time.After(pause)
	r.start(t)
	select {
	case <-r.working:
	case <-time.After(testLimit):
		t.Fatalf("%s gets no requests after its restart", r.addr)
	}
}

// A load is some clients of a server, none of which may fail.
type load struct {
	url    string
	files  map[string][]byte
	done   chan struct{}
	client sync.WaitGroup

	mu         sync.Mutex
	requests   int
	failures   []string
	validators map[string]map[string]bool // by file; each is to have one
}

func (l *load) start(transport *http.Transport) {
	l.client.Go(func() {
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport, Timeout: testLimit}
		pause := time.NewTicker(time.Millisecond)
		defer pause.Stop()
		for {
			for name, content := range l.files {
				select {
				case <-l.done:
					return
				case <-pause.C:
				}
				l.get(client, name, content)
			}
		}
	})
}

func (l *load) get(client *http.Client, name string, want []byte) {
	var got []byte
	res, err := client.Get(l.url + "/" + name)
	if err == nil {
		got, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	switch {
	case err != nil:
		l.failures = append(l.failures, err.Error())
	case res.StatusCode != 200 || !bytes.Equal(got, want):
		l.failures = append(l.failures, fmt.Sprintf("%s: %s with %d bytes", name, res.Status, len(got)))
	default:
		if l.validators[name] == nil {
			l.validators[name] = make(map[string]bool)
		}
		l.validators[name][res.Header.Get("Last-Modified")+" "+res.Header.Get("ETag")] = true
	}
}

// Three replicas behind HAProxy restart one after another, while clients ask for
// files. No request fails, and what is served does not tell which replica it was.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("no haproxy here")
	}
	if runtime.GOOS != "linux" {
		t.Skip("other systems may not have the addresses 127.0.0.2 to 127.0.0.4")
	}
	files := map[string][]byte{"small.txt": []byte(hello), "page.html": bytes.Repeat([]byte("page\n"), 4000), "large": bytes.Repeat([]byte("large\n"), 200000)}
	var replicas [3]replica
	var addrs []string
	for i := range replicas {
		r := &replicas[i]
		r.dir, r.host, r.port, r.count = t.TempDir(), fmt.Sprintf("127.0.0.%d", i+2), "0", new(atomic.Int64)
		date := time.Date(2020, 2, 29, 12, 34, 56, 789, time.UTC)
		for name, content := range files {
			path := filepath.Join(r.dir, name)
			if err := errors.Join(os.WriteFile(path, content, 0o644), os.Chtimes(path, date, date)); err != nil {
				t.Fatal(err)
			}
		}
		r.start(t)
		addrs = append(addrs, r.addr)
	}
	l := &load{url: startHAProxy(t, program, addrs), files: files, done: make(chan struct{}), validators: make(map[string]map[string]bool)}
	for range 3 {
		l.start(new(http.Transport))
	}
	l.start(&http.Transport{DisableKeepAlives: true})
	// HAProxy does not see a short pause, and in a long one learns that the replica is down.
	for _, pause := range []time.Duration{0, 0, 0, 500 * time.Millisecond} {
		for i := range replicas {
			replicas[i].restart(t, pause)
		}
	}
	close(l.done)
	l.client.Wait()

	if len(l.failures) > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", len(l.failures), l.requests, l.failures[0])
	}
	for name := range files {
		if len(l.validators[name]) != 1 {
			t.Errorf("%s was served with the validators %v", name, l.validators[name])
		}
	}
	for i := range replicas {
		if n := replicas[i].count.Load(); n < int64(l.requests)/10 {
			t.Errorf("replica %d answered %d of %d requests", i, n, l.requests)
		}
	}
	t.Logf("%d requests", l.requests)
}
