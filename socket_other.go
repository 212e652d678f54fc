//go:build !linux || portable

package httpserver

import "net"

// copyLimit is up to how many bytes of a file reading and writing is cheaper than
// the system's own copying.
const copyLimit = smallBody

// A socket can do nothing here that a net.Conn cannot.
type socket struct{}

// A keeper has nothing to do here.
type keeper struct{}

func (*socket) attach(net.Conn, *keeper) {}
func (*socket) sendMore([]byte) int      { return 0 }
func (*socket) pushSoon()                {}
func (*socket) push()                    {}
func (*socket) nothingKept()             {}
