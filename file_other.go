//go:build !linux || portable

package httpserver

import (
	"io/fs"
	"os"
)

// A systemFile opens files.
type systemFile struct{}

// open opens a file to be read, or a directory.
func (*systemFile) open(name string, _ *fileCache) (fs.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, err // a nil *os.File would be no nil fs.File
	}
	return f, nil
}

// A fileCache keeps nothing here.
type fileCache struct{}

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

// copyLimit is up to how many bytes of a file reading and writing is cheaper than
// the system's own copying.
const copyLimit = smallBody
