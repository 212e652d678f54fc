//go:build !linux || portable

package httpserver

import "net"

// copyLimit is from how many bytes on the system's own copying is cheaper than
// reading and writing.
const copyLimit = smallBody

// A socket can do nothing here that a net.Conn cannot.
type socket struct{}

func (*socket) attach(net.Conn)     {}
func (*socket) sendMore([]byte) int { return 0 }
func (*socket) pushSoon()           {}
func (*socket) push()               {}
func (*socket) sent()               {}
