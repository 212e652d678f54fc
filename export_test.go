package httpserver

import "unsafe"

// This file is the door of external tests into the package.

// Portable reports whether this is the code for systems that have none of their own.
const Portable = unsafe.Sizeof(fileCache{}) == 0

// Connections returns the number of connections that the server knows.
func Connections(s *HTTPServer) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
