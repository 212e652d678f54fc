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

// haproxyConfig returns the configuration in the README with other addresses. HAProxy
// listens on the first file it inherits, and checks the replicas more often, so that the
// test is quick.
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

// A haproxy is HAProxy in front of replicas.
type haproxy struct {
	url string

	mu     sync.Mutex
	output bytes.Buffer
	more   chan struct{} // closed by the next Write; nil unless somebody waits for it
}

// Write adds to the output of HAProxy.
func (h *haproxy) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.more != nil {
		close(h.more)
		h.more = nil
	}
	return h.output.Write(p)
}

// printed returns the size of the output so far.
func (h *haproxy) printed() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.output.Len()
}

// missing returns a channel that is closed when there is more output, or nil if the
// output contains text after the first from bytes.
func (h *haproxy) missing(from int, text string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if bytes.Contains(h.output.Bytes()[from:], []byte(text)) {
		return nil
	}
	if h.more == nil {
		h.more = make(chan struct{})
	}
	return h.more
}

// await waits until HAProxy prints text after the first from bytes.
func (h *haproxy) await(t *testing.T, from int, text string) {
	t.Helper()
	for more := h.missing(from, text); more != nil; more = h.missing(from, text) {
		receive(t, more, "line of HAProxy: "+text)
	}
}

// receive waits for a value, or for the end of a channel.
func receive[T any](t *testing.T, c <-chan T, what string) {
	t.Helper()
	limit := time.NewTimer(testLimit)
	defer limit.Stop()
	select {
	case <-c:
	case <-limit.C:
		t.Fatalf("no %s", what)
	}
}

// startHAProxy starts HAProxy in front of replicas.
func startHAProxy(t *testing.T, program string, replicas []string) *haproxy {
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
	h := &haproxy{url: "http://" + l.Addr().String()}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, program, "-db", "-n", "200", "-f", config)
	cmd.ExtraFiles = []*os.File{file}
	cmd.Stdout, cmd.Stderr = h, h
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
		if t.Failed() {
			t.Logf("HAProxy: %s", &h.output)
		}
	})
	return h
}

// A replica is the command at an address of its own, so that a connection of another
// program does not get its port while it restarts.
type replica struct {
	*process
	dir, host, port string
	name            string        // in the configuration of HAProxy
	working         chan struct{} // closed at its first GET
	count           *atomic.Int64 // of GETs, of all its lives
}

// start starts the replica.
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

// restart ends the replica and starts it again, at once or, if seen is set, when HAProxy
// has seen that it is down. It waits until the replica gets requests.
func (r *replica) restart(t *testing.T, h *haproxy, seen bool) {
	t.Helper()
	printed := h.printed()
	r.signal(t, syscall.SIGTERM)
	if err := r.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if seen {
		h.await(t, printed, "Server files/"+r.name+" is DOWN")
	}
	r.start(t)
	receive(t, r.working, "requests for "+r.addr+" after its restart")
}

// A load is a number of clients of a server. No request may fail.
type load struct {
	url    string
	files  map[string][]byte
	done   chan struct{}
	client sync.WaitGroup

	mu         sync.Mutex
	requests   int
	failures   []string
	validators map[string]map[string]bool // by file; each should have one
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

// Three replicas behind HAProxy restart one after another, while clients request files. No
// request fails, and a response does not depend on the replica that sends it.
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
		r.dir, r.host, r.port, r.name, r.count = t.TempDir(), fmt.Sprintf("127.0.0.%d", i+2), "0", string(rune('a'+i)), new(atomic.Int64)
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
	h := startHAProxy(t, program, addrs)
	l := &load{url: h.url, files: files, done: make(chan struct{}), validators: make(map[string]map[string]bool)}
	for range 3 {
		l.start(new(http.Transport))
	}
	l.start(&http.Transport{DisableKeepAlives: true})
	for _, seen := range []bool{false, false, false, true} {
		for i := range replicas {
			replicas[i].restart(t, h, seen)
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
