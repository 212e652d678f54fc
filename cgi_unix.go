//go:build unix

package httpserver

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"sync"
	"syscall"
)

// isolate gives a script a process group of its own and, unless asServer, takes
// the privileges of root from it.
func isolate(cmd *exec.Cmd, asServer bool) (err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if !asServer && (os.Getuid() == 0 || os.Geteuid() == 0) {
		cmd.SysProcAttr.Credential, err = nobody()
	}
	return err
}

// nobody gives the user nobody, without supplementary groups. It is looked up
// once.
var nobody = sync.OnceValues(func() (*syscall.Credential, error) {
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("scripts of root run as nobody: %w", err)
	}
	uid, err1 := strconv.ParseUint(nobody.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(nobody.Gid, 10, 32)
	if err1 != nil || err2 != nil || uid == 0 {
		return nil, fmt.Errorf("scripts of root run as nobody, who has the ids %q and %q", nobody.Uid, nobody.Gid)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
})

// chownPipes lets a script that runs as another user open its pipes by name, as
// /dev/stderr and the like.
func chownPipes(cmd *exec.Cmd, files []*os.File) {
	c := cmd.SysProcAttr.Credential
	for _, f := range files {
		if c != nil && f != nil {
			f.Chown(int(c.Uid), int(c.Gid))
		}
	}
}

// signalGroup asks a script's process group to end, or ends it.
func signalGroup(p *os.Process, kill bool) {
	sig := syscall.SIGTERM
	if kill {
		sig = syscall.SIGKILL
	}
	syscall.Kill(-p.Pid, sig)
}

// groupEnded tells whether a script that has exited leaves no process behind.
// Its group's number may then become another's.
func groupEnded(p *os.Process) bool { return syscall.Kill(-p.Pid, 0) == syscall.ESRCH }
