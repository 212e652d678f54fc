//go:build unix

package httpserver

import "syscall"

// openNonblock keeps an open of a FIFO or a device from waiting.
const openNonblock = syscall.O_NONBLOCK

// sendStep is how many bytes of a large file go out at most under one write
// deadline. What a deadline cuts off is sent again.
const sendStep = 8 << 20
