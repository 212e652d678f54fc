//go:build unix

package httpserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"sync/atomic"
	"syscall"
)

// This file contains what a script needs of a Unix system: a user and a process
// group. Its twin for other systems is cgi_other.go.

// inherited contains the names of variables that scripts get from the environment of
// the server.
var inherited = []string{"PATH", "TZ", "TMPDIR", "LANG", "LANGUAGE", "LC_ALL", "LC_ADDRESS", "LC_COLLATE",
	"LC_CTYPE", "LC_IDENTIFICATION", "LC_MEASUREMENT", "LC_MESSAGES", "LC_MONETARY", "LC_NAME", "LC_NUMERIC",
	"LC_PAPER", "LC_TELEPHONE", "LC_TIME"}

// changesUser reports whether scripts run as another user than the server. That is
// so if the server runs as root, unless asServer is set.
func changesUser(asServer bool) bool {
	return !asServer && (os.Getuid() == 0 || os.Geteuid() == 0)
}

// isolate makes a script the leader of a new process group and, unless asServer is
// set, takes root's privileges from it.
func isolate(cmd *exec.Cmd, asServer bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if changesUser(asServer) {
		cmd.SysProcAttr.Credential, cmd.Err = nobody()
	}
}

// chownFiles makes the user of a script the owner of open files, which may be nil, so that
// the script can open them again by names such as /dev/stderr.
func chownFiles(script *exec.Cmd, files ...*os.File) {
	if user := script.SysProcAttr.Credential; user != nil {
		for _, f := range files {
			f.Chown(int(user.Uid), int(user.Gid))
		}
	}
}

// foundNobody is the result of nobody; nil before the first success.
var foundNobody atomic.Pointer[syscall.Credential]

// nobody returns the user nobody, without supplementary groups. If the system has no file
// descriptors to look the user up, the error wraps EAGAIN.
func nobody() (*syscall.Credential, error) {
	if found := foundNobody.Load(); found != nil {
		return found, nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil && !errors.As(err, new(user.UnknownUserError)) { // package user may hide the error of the system
		err = fmt.Errorf("%w (%w)", err, syscall.EAGAIN)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot run scripts as nobody: %w", err)
	}
	uid, err1 := strconv.ParseUint(nobody.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(nobody.Gid, 10, 32)
	if err1 != nil || err2 != nil || uid == 0 {
		return nil, fmt.Errorf("cannot run scripts as nobody: its user and group ids are %q and %q", nobody.Uid, nobody.Gid)
	}
	foundNobody.Store(&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)})
	return foundNobody.Load(), nil
}

// signalGroup sends a signal to the process group of a script; signal 0 only tests
// whether the group exists. The caller makes sure that it is the group of the script:
// after its last process was waited for, its number may belong to another one.
func signalGroup(script *os.Process, sig syscall.Signal) error {
	return syscall.Kill(-script.Pid, sig)
}

// reapGroup waits for processes that a script has left behind and that have ended, as
// far as they are children of this process. They are if it has the process number 1
// or is a subreaper. It reports whether there are such children that have not ended.
// The script itself was waited for before.
func reapGroup(script *os.Process) (more bool) {
	for {
		pid, err := syscall.Wait4(-script.Pid, nil, syscall.WNOHANG, nil)
		if pid <= 0 && err != syscall.EINTR {
			return err == nil
		}
	}
}
