package httpserver

// Connections returns how many connections the server knows.
func Connections(s *HTTPServer) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
