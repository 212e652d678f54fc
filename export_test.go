package httpserver

import "unsafe"

// This file is the door of external tests into the package.

// Portable reports whether this is the code for systems that have none of their own.
const Portable = unsafe.Sizeof(fileCache{}) == 0

// AwaitConnections waits until a server knows at most so many connections.
func AwaitConnections(s *HTTPServer, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.conns) > most {
		s.changed.Wait()
	}
}

// Connections returns the number of connections that the server knows.
func Connections(s *HTTPServer) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
