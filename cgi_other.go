//go:build !unix

package httpserver

import (
	"os"
	"os/exec"
	"syscall"
)

// This file is the twin of cgi_unix.go for systems on which scripts run as the
// server's user and have no process group.

// inherited contains the names of variables that scripts get from the environment of
// the server. Without some of them, no program starts on Windows.
var inherited = []string{"PATH", "TZ", "TMPDIR", "LANG", "LC_ALL",
	"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP"}

func changesUser(asServer bool) bool { return false }

func isolate(cmd *exec.Cmd, asServer bool) {}

func chownFiles(script *exec.Cmd, files ...*os.File) {}

// signalGroup ends the script itself, which cannot be asked to end. There is no group
// for signal 0.
func signalGroup(script *os.Process, sig syscall.Signal) error {
	if sig == 0 {
		return os.ErrProcessDone
	}
	return script.Kill()
}

func reapGroup(script *os.Process) (more bool) { return false }
