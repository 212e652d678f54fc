package httpserver_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"httpserver"
)

func init() {
	scripts["orphan"] = func() { // leaves a child, which holds no pipe
		leave(&exec.Cmd{SysProcAttr: new(syscall.SysProcAttr)})
	}
	scripts["emigrant"] = func() { // leaves a child, which holds the pipe, in another process group
		leave(&exec.Cmd{Stdout: os.Stdout, SysProcAttr: &syscall.SysProcAttr{Setsid: true}})
	}
}

// leave starts the script silent, and prints the numbers of both processes.
func leave(child *exec.Cmd) {
	child.Path, child.Env = os.Args[0], append(os.Environ(), "SCRIPT_NAME=silent")
	if err := child.Start(); err != nil {
		panic(err)
	}
	say(plainText + fmt.Sprintln(os.Getpid(), child.Process.Pid))
}

// Where the server inherits orphans, as the first process of a container does, none of a
// script's process group is left as a zombie, and no exit status is lost.
func TestScriptOrphans(t *testing.T) {
	if !alone(t) {
		return
	}
	const setChildSubreaper, pid, exited, noWait = 36, 1, 4, 0x1000000 // PR_SET_CHILD_SUBREAPER, P_PID, WEXITED, WNOWAIT
	if _, _, err := syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0); err != 0 {
		t.Skip("no subreaper: ", err)
	}
	s, log := startCGI(t, nil)
	var orphans []int
	for range 20 {
		var script1, orphan int
		_, body := fields(ask(t, s.Addr(), "GET /cgi-bin/orphan HTTP/1.0\r\n\r\n"))
		if _, err := fmt.Sscan(body, &script1, &orphan); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		orphans = append(orphans, orphan)
	}
	ask(t, s.Addr(), "GET /cgi-bin/fails HTTP/1.0\r\n\r\n")
	for _, orphan := range orphans[1:] {
		syscall.Kill(orphan, syscall.SIGKILL)
		syscall.Syscall6(syscall.SYS_WAITID, pid, uintptr(orphan), 0, exited|noWait, 0, 0) // until it has ended
	}
	if err := s.Shutdown(t.Context()); err != nil { // one orphan still runs
		t.Error(err)
	}
	if zombie, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); zombie != 0 || err != nil {
		t.Errorf("process %d is a zombie, %v", zombie, err)
	}
	if !strings.Contains(log.String(), "/cgi-bin/fails: exit status 3") {
		t.Errorf("log:\n%s", log)
	}
	syscall.Kill(orphans[0], syscall.SIGKILL)
}

// A signal for a script does not go to the process group that has got its number after the
// script and its group have ended.
func TestScriptNumberReused(t *testing.T) {
	if !alone(t) {
		return
	}
	slots := make(chan struct{}, 1)
	s, _ := startCGI(t, func(h *httpserver.CGIHandler) { h.ProtocolVersion, h.Slots = "HTTP/1.0", slots })
	_, r := send(t, s.Addr(), "GET /cgi-bin/emigrant HTTP/1.0\r\n\r\n")
	var number, emigrant int
	for number == 0 {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		fmt.Sscan(line, &number, &emigrant)
	}
	t.Cleanup(func() { syscall.Kill(emigrant, syscall.SIGKILL) })
	ask(t, s.Addr(), "GET /cgi-bin/cwd HTTP/1.0\r\n\r\n") // it starts when the server has seen the first one's end
	bystander, stdin := startAs(t, number)
	if _, err := io.ReadAll(r); err != nil { // until the server waits for the emigrant no longer
		t.Error(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	stdin.Close()
	if err := bystander.Wait(); err != nil {
		t.Errorf("another process: %v", err)
	}
}

// startAs starts a process that has a number and the process group of that number. It ends
// when stdin is closed.
func startAs(t *testing.T, number int) (cmd *exec.Cmd, stdin io.WriteCloser) {
	t.Helper()
	for range 1000 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(number-1)), 0); err != nil {
			t.Skip("cannot choose the number of a process: ", err)
		}
		cmd = exec.Command("cat")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		stdin, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if cmd.Process.Pid == number {
			return cmd, stdin
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	t.Skip("cannot get the number ", number)
	return nil, nil
}

// A full disk is not the client's fault.
func TestScriptDiskFull(t *testing.T) {
	if !alone(t) {
		return
	}
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("cannot mount a disk: ", err)
	}
	t.Cleanup(func() { syscall.Unmount(disk, 0) })
	t.Setenv("TMPDIR", disk)
	s, log := startCGI(t, nil)
	if got := statusOf(ask(t, s.Addr(), post("/cgi-bin/sum", 200_000, false))); got != "507 Insufficient Storage" {
		t.Errorf("got %q", got)
	}
	log.await(t, "no space left")
}

// A script that runs as another user can open its standard input again, by its name.
func TestScriptOpensInput(t *testing.T) {
	t.Parallel()
	site := nobodySite(t, "cat", "#!/bin/sh\necho X: y; echo; cat /dev/stdin\n")
	s, log := startCGISite(t, site, false)
	for _, size := range []int{3, 100_000} {
		if _, body := fields(ask(t, s.Addr(), post("/cgi-bin/cat", size, false))); body != strings.Repeat("x", size) {
			t.Errorf("%d bytes: got %d; log:\n%s", size, len(body), log)
		}
	}
}

// A CGI directory that is mounted at another place, too, is one there.
func TestScriptMounted(t *testing.T) {
	if !alone(t) {
		return
	}
	site := makeScripts(t)
	mounted := filepath.Join(site, "list", "mounted")
	if err := os.Mkdir(mounted, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(filepath.Join(site, "cgi-bin"), mounted, "", syscall.MS_BIND, ""); err != nil {
		t.Skip("cannot mount a directory: ", err)
	}
	t.Cleanup(func() { syscall.Unmount(mounted, 0) })
	s, _ := start(t, func() httpserver.Handler {
		h := new(httpserver.CGIHandler)
		h.Directory, h.RunAsServer = site, true
		return h
	}, nil)
	for _, target := range []string{"/list/mounted/", "/list/mounted/plain", "/list/mounted/sub/"} {
		if got := exchange(t, s.Addr(), "GET "+target+" HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 403 ") {
			t.Errorf("%s: got %.300q", target, got)
		}
	}
}

// While there are no descriptors to look the user nobody up, scripts are answered with 503.
// Afterwards they run.
func TestScriptNobodyLater(t *testing.T) {
	if !alone(t) {
		return
	}
	site := nobodySite(t, "hi", "#!/bin/sh\necho X: y; echo; echo hi\n")
	s, log := start(t, func() httpserver.Handler {
		h := new(httpserver.CGIHandler)
		h.Directory, h.ProtocolVersion = site, "HTTP/1.1"
		return h
	}, nil)
	conn, r := send(t, s.Addr(), "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n") // it is accepted before descriptors run out
	readResponse(t, r)
	run := func() string {
		io.WriteString(conn, "GET /cgi-bin/hi HTTP/1.1\r\nHost: x\r\n\r\n")
		response, _ := readResponse(t, r)
		return response.Status
	}
	var limit syscall.Rlimit
	syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	limit.Cur = 100
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	var files []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		files = append(files, f)
	}
	if got := run(); got != "503 Service Unavailable" || !strings.Contains(log.String(), "scripts as nobody: ") {
		t.Errorf("without descriptors: got %q; log:\n%s", got, log)
	}
	for _, f := range files {
		f.Close()
	}
	if got := run(); got != "200 OK" {
		t.Errorf("with descriptors: got %q; log:\n%s", got, log)
	}
}
