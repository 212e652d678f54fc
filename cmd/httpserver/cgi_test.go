package main

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// addScript adds a shell script to cgi-bin. All users can run it, because scripts run
// as nobody if the command is started as root.
func (p *process) addScript(t *testing.T, name, text string) {
	t.Helper()
	dir := filepath.Join(p.Dir, "cgi-bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	openUp(t, dir)
	if err := writeExecutable(filepath.Join(dir, name), "#!/bin/sh\necho Content-Type: text/plain\necho\n"+text+"\n"); err != nil {
		t.Fatal(err)
	}
}

// openUp lets all users reach a directory.
func openUp(t *testing.T, dir string) {
	t.Helper()
	for up := dir; len(up) > len(os.TempDir()) && strings.HasPrefix(up, os.TempDir()); up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// get sends a GET and returns the response.
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
	if got, err := io.ReadAll(p.dial(t, "GET /cgi-bin/slow HTTP/1.0\r\n\r\n")); err == nil {
		t.Errorf("a response that was cut off looks complete: %q", got)
	}
}

// At most as many scripts run at once as are allowed, a local redirect needs no place,
// and all scripts are run in the end.
func TestCGIMax(t *testing.T) {
	needSignals(t)
	t.Parallel()
	p := startServer(t, "--cgi", "--cgi-max", "2", "-q")
	p.addScript(t, "mark", "date +%s%N; sleep 0.1; date +%s%N")
	if err := writeExecutable(filepath.Join(p.Dir, "cgi-bin", "local"), "#!/bin/sh\necho Location: /cgi-bin/mark\necho\n"); err != nil {
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

// A script that ignores SIGTERM does not outlive the server.
func TestCGIEndsWithServer(t *testing.T) {
	eachSignal(t, func(t *testing.T, sig os.Signal) {
		p := startServer(t, "--cgi", "-q")
		fifo := filepath.Join(p.Dir, "fifo")
		sh(t, "mkfifo", "-m", "666", fifo)
		end, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { end.Close() })
		p.addScript(t, "stubborn", "trap '' TERM; exec 3>../fifo; echo begun; while :; do sleep 0.1; done")
		r := bufio.NewReader(p.dial(t, "GET /cgi-bin/stubborn HTTP/1.0\r\n\r\n"))
		for line := ""; line != "begun\n"; {
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		silent := p.dial(t, "")
		p.signal(t, sig)
		if sig != os.Interrupt {
			wantClosed(t, silent) // when the first signal was received
			p.signal(t, sig)      // at once
		}
		p.wait(t)
		end.SetReadDeadline(time.Now().Add(testLimit))
		if _, err := io.ReadAll(end); err != nil { // until no process has the FIFO open
			t.Errorf("the script is still running: %v", err)
		}
	})
}

// TestCGIGit clones and pushes through git http-backend, with a small pack and with
// one that git sends in chunks.
func TestCGIGit(t *testing.T) {
	needSignals(t)
	t.Parallel()
	out, err := exec.Command("git", "--exec-path").Output()
	backend := filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	if err == nil {
		_, err = os.Stat(backend)
	}
	if err != nil {
		t.Skip("no git http-backend here: ", err)
	}
	for _, version := range []string{"HTTP/1.0", "HTTP/1.1"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			git := func(in string, args ...string) {
				t.Helper()
				cmd := exec.Command("git", args...)
				cmd.Dir = in
				cmd.Env = append(os.Environ(), "HOME="+home, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
					"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("git %v: %v\n%s", args, err, out)
				}
			}
			p := startServer(t, "--cgi", "--protocol", version)
			git(p.Dir, "init", "-q", "--bare", "repo.git")
			git(p.Dir, "-C", "repo.git", "config", "http.receivepack", "true")
			git(p.Dir, "-C", "repo.git", "config", "gc.auto", "0")
			if os.Getuid() == 0 {
				giveToNobody(t, filepath.Join(p.Dir, "repo.git"))
			}
			dir := filepath.Join(p.Dir, "cgi-bin")
			p.addScript(t, "git", "")
			text := fmt.Sprintf("#!/bin/sh\nexport GIT_HTTP_EXPORT_ALL=1 GIT_PROJECT_ROOT='%s' HOME='%[1]s'\nexec '%s'\n", p.Dir, backend)
			if err := writeExecutable(filepath.Join(dir, "git"), text); err != nil {
				t.Fatal(err)
			}
			url := "http://" + p.addr + "/cgi-bin/git/repo.git"
			git(home, "clone", "-q", url, "work")
			work := filepath.Join(home, "work")
			noise := make([]byte, 3<<20) // which does not compress
			rand.NewChaCha8([32]byte{}).Read(noise)
			for _, file := range []struct {
				name    string
				content []byte
			}{{"small", []byte("hello\n")}, {"large", noise}} {
				if err := os.WriteFile(filepath.Join(work, file.name), file.content, 0o666); err != nil {
					t.Fatal(err)
				}
				git(work, "add", file.name)
				git(work, "commit", "-q", "-m", file.name)
				git(work, "push", "-q", "origin", "HEAD:main")
			}
			git(home, "clone", "-q", "-b", "main", url, "again")
			if got, err := os.ReadFile(filepath.Join(home, "again", "large")); err != nil || !bytes.Equal(got, noise) {
				t.Errorf("the clone has %d bytes, %v", len(got), err)
			}
		})
	}
}

// giveToNobody makes nobody the owner of a directory and of everything in it.
func giveToNobody(t *testing.T, dir string) {
	t.Helper()
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("no user nobody here: ", err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	err = filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		return cmp.Or(err, os.Chown(name, uid, gid))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// writeExecutable writes a script. Meanwhile no child is started: it would have the file
// open for writing, too, and the system refuses to run such a file.
func writeExecutable(name, text string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(name, []byte(text), 0o755)
}
