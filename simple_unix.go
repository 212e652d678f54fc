//go:build unix

package httpserver

import "syscall"

// openNonblock keeps an open of a FIFO or a device from waiting.
const openNonblock = syscall.O_NONBLOCK
