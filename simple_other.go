//go:build !unix

package httpserver

// openNonblock is nothing: here no file name leads to a FIFO or a device.
const openNonblock = 0
