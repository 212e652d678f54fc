//go:build !linux || portable

package httpserver

import (
	"bytes"
	"io/fs"
	"net"
	"os"
	"time"
)

// This file is the counterpart of file_linux.go and filecache_linux.go for other
// systems, which open files by package os and do not cache them.

// A systemFile opens files and directories.
type systemFile struct{}

// open opens a file for reading, or a directory. With the flag openNonblock, it does not
// wait for the other end of a FIFO.
func (*systemFile) open(name string, flag int) (fs.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|flag, 0)
	if err != nil {
		return nil, err // a nil *os.File is not a nil fs.File
	}
	return f, nil
}

// openedName returns name.
func (*systemFile) openedName(name string) string { return name }

// A fileCache is always empty.
type fileCache struct{}

func (*fileCache) get(name string) (content *bytes.Reader, modified time.Time) {
	return nil, time.Time{}
}

func (*fileCache) add(f fs.File, content []byte) {}

// inodeOf returns no inode.
func inodeOf(fs.FileInfo) inode { return inode{} }

// mayBeGenerated reports whether the size of a file may be wrong, as that of generated
// files is.
func mayBeGenerated(info fs.FileInfo) bool { return info.Size() <= 0 }

// limitUnsent leaves conn as it is.
func limitUnsent(conn net.Conn) {}

// sendMore leaves p to be sent by conn.
func sendMore(conn net.Conn, p []byte) (n int) { return 0 }
