//go:build !unix

package httpserver

import (
	"os"
	"os/exec"
)

// This file is the twin of cgi_unix.go for systems on which scripts run as the
// server's user and have no process group.

func changesUser(asServer bool) bool { return false }

func isolate(cmd *exec.Cmd, asServer bool) error { return nil }

func chownFiles(cmd *exec.Cmd, files ...*os.File) {}

// signalGroup ends the script itself, which cannot be asked to end.
func signalGroup(script *os.Process, kill bool) error { return script.Kill() }

func groupExists(script *os.Process) bool { return false }

func reapGroup(script *os.Process) (more bool) { return false }
