//go:build !linux

package httpserver

import "os"

// look finds size and time of the file called name, which e is the entry of.
func (e *listingEntry) look(name string) {
	stat := os.Lstat
	if e.link {
		stat = os.Stat
	}
	if info, err := stat(name); err == nil {
		e.describe(info)
	}
}
