//go:build !portable

package httpserver

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// This file contains the cache of small files, which is asked before a file is
// opened. A hit costs one system call instead of five.

const (
	maxCache = 8 << 20 // size of a fileCache, in bytes

	// entryCost is about what a file in the cache takes besides content and name.
	entryCost = 256

	// stableFor is how long a file must have been unchanged before it is cached. A write
	// through a memory map may leave the times of the file as they are until the system
	// has put the previous one on disk, which takes less than stableFor.
	stableFor = time.Minute
)

// A fileCache holds the content of small files by name. Each look-up asks the system
// whether the name still stands for the same, unchanged file. The zero value is an
// empty cache.
//
// Only files on local disks (ext4, XFS, Btrfs, F2FS) are cached. A network file system
// may report times that are out of date, and tmpfs does not record writes through a
// memory map. Files on overlayfs, as in most containers, are not cached because its
// upper layer may be on tmpfs, and statfs does not tell.
type fileCache struct {
	mu    sync.RWMutex
	files map[string]*cachedFile
	size  int // sum of the costs of the files
}

// A cachedFile is the content of a file in the state that stat describes.
type cachedFile struct {
	content *bytes.Reader // only used for ReadAt, by many connections at once
	stat    syscall.Stat_t
}

// cost returns what f takes in a cache under a name, in bytes.
func (f *cachedFile) cost(name string) int { return int(f.content.Size()) + len(name) + entryCost }

// get returns the content and the modification time of a file, or nil if it is not
// in the cache.
func (c *fileCache) get(name string) (content *bytes.Reader, modified time.Time) {
	c.mu.RLock()
	f := c.files[name]
	c.mu.RUnlock()
	if f == nil {
		return nil, time.Time{}
	}
	var now syscall.Stat_t
	if syscall.Stat(name, &now) == nil && sameState(&now, &f.stat) {
		return f.content, time.Unix(f.stat.Mtim.Unix())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(name)
	return nil, time.Time{}
}

// sameState reports whether a and b describe the same file in the same state. A
// program can set back Mtim after it has changed a file, but not Ctim.
func sameState(a, b *syscall.Stat_t) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Mode == b.Mode && a.Size == b.Size && a.Mtim == b.Mtim && a.Ctim == b.Ctim
}

// add adds the content of f, as it was at the last Stat of f, if a later change of f
// cannot go unnoticed. It does nothing if content is only a part of f, or if f has grown
// since content was read.
func (c *fileCache) add(f fs.File, content []byte) {
	file, ok := f.(*systemFile)
	if !ok || file.Size() != int64(len(content)) || !file.isStable() || !file.recordsChanges() {
		return
	}
	c.put(file.name, &cachedFile{bytes.NewReader(bytes.Clone(content)), file.stat})
}

// isStable reports whether neither content nor metadata have changed for stableFor.
func (f *systemFile) isStable() bool {
	changed := max(f.stat.Mtim.Sec, f.stat.Ctim.Sec)
	return time.Since(time.Unix(int64(changed), 0)) >= stableFor
}

// recordsChanges reports whether f is on a file system that records the time of each
// change.
func (f *systemFile) recordsChanges() bool {
	const ext4, xfs, btrfs, f2fs = 0xef53, 0x58465342, 0x9123683e, 0xf2f52010
	var st syscall.Statfs_t
	return syscall.Fstatfs(f.fd, &st) == nil &&
		slices.Contains([]uint32{ext4, xfs, btrfs, f2fs}, uint32(st.Type))
}

// put adds a file, and removes others at random while the cache is too large.
func (c *fileCache) put(name string, f *cachedFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil {
		c.files = make(map[string]*cachedFile)
	}
	c.remove(name)
	c.files[strings.Clone(name)] = f // name may be a part of a request
	c.size += f.cost(name)
	for other := range c.files {
		if c.size <= maxCache {
			break
		}
		c.remove(other)
	}
}

// remove removes a file, if it is there. The caller holds mu.
func (c *fileCache) remove(name string) {
	if f := c.files[name]; f != nil {
		delete(c.files, name)
		c.size -= f.cost(name)
	}
}
