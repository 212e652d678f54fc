//go:build !unix

package httpserver

import (
	"os"
	"os/exec"
)

// isolate does nothing: here scripts have the server's user and no group.
func isolate(cmd *exec.Cmd, asServer bool) error { return nil }

// chownPipes does nothing, as isolate.
func chownPipes(cmd *exec.Cmd, files []*os.File) {}

// signalGroup ends a script's process, which cannot be asked here.
func signalGroup(p *os.Process, kill bool) { p.Kill() }

// groupEnded is true, as here there are no groups.
func groupEnded(p *os.Process) bool { return true }
