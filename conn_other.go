//go:build !unix

package httpserver

// openNonblock is nothing: here no file name leads to a FIFO or a device.
const openNonblock = 0

// sendStep is how many bytes of a large file go out under one write deadline.
// Windows does not tell how far it came.
const sendStep = 256 << 10

// A waiter would keep an idle connection from holding a buffer.
type waiter struct {
	n   int
	err error
}

// wait leaves the waiting to Read.
func (w *waiter) wait(*connReader) bool { return false }
