//go:build !unix

package httpserver

import "net"

// openNonblock is 0: here no file name stands for a FIFO or a device.
const openNonblock = 0

// sendStep is the number of bytes of a large file that are sent under one write
// deadline. When that passes, Windows does not say how many were sent.
const sendStep = 256 << 10

// writeTries is 1: a write that timed out may have sent some of its bytes without saying so,
// and a second try would send them again.
const writeTries = 1

// hasArrived returns false: package net reads nothing of a connection without waiting.
func hasArrived(net.Conn) bool { return false }

// A waiter would wait for a request without a buffer.
type waiter struct {
	n   int
	err error
}

// wait returns false: Read is to wait.
func (w *waiter) wait(*connReader) bool { return false }
