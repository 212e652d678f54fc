//go:build !portable

package httpserver

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"sync"
	"syscall"
	"time"
)

// This file holds files as system calls of Linux give them. An *os.File is
// offered to the runtime's poller, which cannot poll it; without that a small
// file takes half the time. Its twin for other systems is file_other.go.

// A systemFile is an open file or directory.
type systemFile struct {
	systemInfo
	isOpen bool
	fd     int
	cache  *fileCache
}

// open opens a file to be read, or a directory, unless its content is at hand. It
// makes f that file, or another one if f is open.
func (f *systemFile) open(name string, cache *fileCache) (fs.File, error) {
	if kept := cache.open(name); kept != nil {
		return kept, nil
	}
	var fd int
	err := ignoreEINTR(func() (err error) {
		fd, err = syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
		return err
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if f.isOpen {
		f = new(systemFile)
	}
	f.name, f.isOpen, f.fd, f.cache = name, true, fd, cache
	return f, nil
}

// Stat gives what is valid until the next Stat.
func (f *systemFile) Stat() (fs.FileInfo, error) {
	if !f.isOpen {
		return nil, fs.ErrClosed
	}
	if err := syscall.Fstat(f.fd, &f.stat); err != nil {
		return nil, f.failed("stat", err)
	}
	return &f.systemInfo, nil
}

func (f *systemFile) failed(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

// Read implements [io.Reader].
func (f *systemFile) Read(p []byte) (n int, err error) {
	if !f.isOpen {
		return 0, f.failed("read", fs.ErrClosed)
	}
	err = ignoreEINTR(func() error { n, err = syscall.Read(f.fd, p); return err })
	switch {
	case err != nil:
		return 0, f.failed("read", err)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// Seek implements [io.Seeker].
func (f *systemFile) Seek(offset int64, whence int) (int64, error) {
	if !f.isOpen {
		return 0, f.failed("seek", fs.ErrClosed)
	}
	position, err := syscall.Seek(f.fd, offset, whence)
	if err != nil {
		return 0, f.failed("seek", err)
	}
	return position, nil
}

// SyscallConn implements [syscall.Conn], so that package net can have the system
// copy the file.
func (f *systemFile) SyscallConn() (syscall.RawConn, error) {
	if !f.isOpen {
		return nil, f.failed("read", fs.ErrClosed)
	}
	return rawFile(f.fd), nil
}

// A rawFile is the descriptor of a file, which is always ready.
type rawFile uintptr

// Control implements [syscall.RawConn], as the other two do.
func (f rawFile) Control(call func(fd uintptr)) error { call(uintptr(f)); return nil }

// Read calls once.
func (f rawFile) Read(call func(fd uintptr) bool) error { call(uintptr(f)); return nil }

// Write calls once.
func (f rawFile) Write(call func(fd uintptr) bool) error { call(uintptr(f)); return nil }

// ReadAt is that of io.ReaderAt.
func (f *systemFile) ReadAt(p []byte, off int64) (n int, err error) {
	if !f.isOpen {
		return 0, fs.ErrClosed
	}
	for n < len(p) {
		m, err := syscall.Pread(f.fd, p[n:], off+int64(n))
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return n, f.failed("read", err)
		case m == 0:
			return n, io.EOF
		default:
			n += m
		}
	}
	return n, nil
}

// Close may be called twice.
func (f *systemFile) Close() error {
	if !f.isOpen {
		return nil
	}
	f.isOpen = false
	return syscall.Close(f.fd)
}

// A systemInfo is the fs.FileInfo of a systemFile.
type systemInfo struct {
	name string
	stat syscall.Stat_t
}

// Name is that of fs.FileInfo, as are the others.
func (i *systemInfo) Name() string { return path.Base(i.name) }

// Size gives bytes.
func (i *systemInfo) Size() int64 { return i.stat.Size }

// IsDir tells directories.
func (i *systemInfo) IsDir() bool { return i.stat.Mode&syscall.S_IFMT == syscall.S_IFDIR }

// ModTime is when the content last changed.
func (i *systemInfo) ModTime() time.Time { return time.Unix(i.stat.Mtim.Unix()) }

// Sys gives a *syscall.Stat_t.
func (i *systemInfo) Sys() any { return &i.stat }

// Mode tells regular files, directories and others apart.
func (i *systemInfo) Mode() fs.FileMode {
	mode := fs.FileMode(i.stat.Mode & 0o777)
	switch i.stat.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		return mode
	case syscall.S_IFDIR:
		return mode | fs.ModeDir
	}
	return mode | fs.ModeIrregular
}

// A fileCache keeps the content of small files that have not changed for a
// while. Each use asks the system whether the name still leads to the same file
// in the same state. The zero value is ready.
type fileCache struct {
	mu    sync.RWMutex
	files map[string]*cachedFile
	size  int // bytes of content
}

// copyLimit is up to how many bytes of a file reading and writing is cheaper than
// the system's own copying.
const copyLimit = 32 << 10

const (
	maxCache = 8 << 20 // bytes of content

	// stableFor is for how long a file must not have changed. By then what a
	// program wrote through a memory map is on the disk, and the next such write
	// changes the times of the file; until then it might not.
	stableFor = time.Minute
)

// A cachedFile is a file that is open for ever, as far as its users see.
type cachedFile struct {
	systemInfo
	content []byte
}

// open gives the file if it is kept and has not changed.
func (c *fileCache) open(name string) *cachedFile {
	c.mu.RLock()
	f := c.files[name]
	c.mu.RUnlock()
	if f == nil {
		return nil
	}
	var now syscall.Stat_t
	if syscall.Stat(name, &now) == nil && sameState(&now, &f.stat) {
		return f
	}
	c.drop(name, f)
	return nil
}

// sameState tells whether it is the same file, in which nothing has changed: the
// time of the last change of the inode, unlike the other, cannot be set back.
func sameState(a, b *syscall.Stat_t) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Mode == b.Mode && a.Size == b.Size && a.Mtim == b.Mtim && a.Ctim == b.Ctim
}

func (c *fileCache) drop(name string, f *cachedFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files[name] == f {
		delete(c.files, name)
		c.size -= len(f.content)
	}
}

// keep keeps the content of f, in the state that its last Stat told, if it can be
// known when that changes.
func (f *systemFile) keep(content []byte) {
	changed := time.Unix(int64(max(f.stat.Mtim.Sec, f.stat.Ctim.Sec)), 0)
	if time.Since(changed) >= stableFor && f.tellsChanges() {
		f.cache.add(&cachedFile{f.systemInfo, bytes.Clone(content)})
	}
}

// add keeps a file, and drops others, whichever they are, where that is too much.
func (c *fileCache) add(f *cachedFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil {
		c.files = make(map[string]*cachedFile)
	}
	if old := c.files[f.name]; old != nil {
		c.size -= len(old.content)
	}
	c.files[f.name] = f
	c.size += len(f.content)
	for name, other := range c.files {
		if c.size <= maxCache {
			break
		}
		delete(c.files, name)
		c.size -= len(other.content)
	}
}

// tellsChanges tells whether the file is on a disk of this machine. Elsewhere
// the times may be those that the system has last heard of, and files in memory
// do not have them changed by writes through a memory map.
func (f *systemFile) tellsChanges() bool {
	const ext4, xfs, btrfs, f2fs = 0xef53, 0x58465342, 0x9123683e, 0xf2f52010
	var st syscall.Statfs_t
	if syscall.Fstatfs(f.fd, &st) != nil {
		return false
	}
	switch uint32(st.Type) {
	case ext4, xfs, btrfs, f2fs:
		return true
	}
	return false
}

// Stat gives the state in which the file was kept.
func (f *cachedFile) Stat() (fs.FileInfo, error) { return &f.systemInfo, nil }

// Close does nothing.
func (f *cachedFile) Close() error { return nil }

// Read is not used: there is ReadAt.
func (f *cachedFile) Read([]byte) (int, error) { return 0, fs.ErrInvalid }

// ReadAt is that of io.ReaderAt.
func (f *cachedFile) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(f.content)) {
		return 0, io.EOF
	}
	n := copy(p, f.content[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// look finds size and time of the file called name, which e is the entry of.
// Without an fs.FileInfo that takes half the memory.
func (e *listingEntry) look(name string) {
	var st syscall.Stat_t
	var err error
	if e.link {
		err = ignoreEINTR(func() error { return syscall.Stat(name, &st) })
	} else {
		err = ignoreEINTR(func() error { return syscall.Lstat(name, &st) })
	}
	if err != nil {
		return
	}
	e.dir = st.Mode&syscall.S_IFMT == syscall.S_IFDIR
	if st.Mode&syscall.S_IFMT == syscall.S_IFREG {
		e.size = st.Size
	}
	e.setTime(int64(st.Mtim.Sec))
}

// ignoreEINTR calls again what a signal has interrupted, as some file systems
// let it.
func ignoreEINTR(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR {
			return err
		}
	}
}
