package httpserver_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"httpserver"
)

// setLease sets the lease that this process has on a file (fcntl(2)).
func setLease(f *os.File, lease uintptr) error {
	const setLease = 1024 // F_SETLEASE
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), setLease, lease); errno != 0 {
		return errno
	}
	return nil
}

// TestHoldLease is the other process of TestLease: it holds a lease until another one
// wants to open the file.
func TestHoldLease(t *testing.T) {
	name := os.Getenv("LEASED_FILE")
	if name == "" {
		t.Skip("this is for TestLease")
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGIO)
	f, err := os.Open(name)
	if err == nil {
		err = setLease(f, syscall.F_WRLCK)
	}
	fmt.Println("lease:", err)
	if err != nil {
		return
	}
	<-asked
	if err := setLease(f, syscall.F_UNLCK); err != nil {
		t.Error(err)
	}
}

// A file on which another process has a lease is sent when that gave it up.
func TestLease(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, method := range []string{"GET", "HEAD"} {
		name := filepath.Join(dir, method)
		if err := os.WriteFile(name, []byte("leased"), 0o666); err != nil {
			t.Fatal(err)
		}
		holder := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHoldLease$")
		holder.Env = append(os.Environ(), "LEASED_FILE="+name)
		line, err := firstLine(t, holder)
		if line != "lease: <nil>\n" {
			holder.Wait()
			t.Skipf("no lease here: %q, %v", line, err)
		}
		s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.Directory = dir })
		got := exchange(t, s.Addr(), method+" /"+method+" HTTP/1.0\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.0 200 ") || strings.HasSuffix(got, "leased") != (method == "GET") {
			t.Errorf("%s: %s", method, got)
		}
		if err := holder.Wait(); err != nil {
			t.Errorf("%s: the holder of the lease: %v", method, err)
		}
	}
}
