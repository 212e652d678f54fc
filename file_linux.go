//go:build !portable

package httpserver

import (
	"cmp"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"strconv"
	"syscall"
	"time"
)

// This file contains files and directories as the system calls of Linux return them.
// Package os offers each file to the runtime's poller, which cannot poll it; without
// that, a small file takes half the time. file_other.go is the counterpart for other
// systems.

// A systemFile is an open file or directory, and the fs.FileInfo that its Stat returns. It
// is made ready by open.
type systemFile struct {
	name string
	fd   int            // -1 after Close
	stat syscall.Stat_t // set by Stat
}

// open opens a file for reading, or a directory. With the flag openNonblock, it does not
// wait for the other end of a FIFO. It may be called again after Close.
func (f *systemFile) open(name string, flag int) (fs.File, error) {
	fd, err := ignoreEINTR(func() (int, error) {
		return syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC|flag, 0)
	})
	f.name, f.fd = name, fd
	if err != nil {
		return nil, f.failed("open", err)
	}
	return f, nil
}

// openedName returns the name of the open file without links, as the system knows it, or
// name if that cannot be found out.
func (f *systemFile) openedName(name string) string {
	resolved, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(f.fd))
	return cmp.Or(resolved, name)
}

// Stat returns f, which describes the file until the next call of Stat or open.
func (f *systemFile) Stat() (fs.FileInfo, error) {
	return f, f.failed("stat", syscall.Fstat(f.fd, &f.stat))
}

// Name implements [fs.FileInfo].
func (f *systemFile) Name() string { return path.Base(f.name) }

// Size implements [fs.FileInfo].
func (f *systemFile) Size() int64 { return f.stat.Size }

// Mode implements [fs.FileInfo], without permissions. What is neither a file nor a
// directory is irregular.
func (f *systemFile) Mode() fs.FileMode {
	switch f.stat.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		return 0
	case syscall.S_IFDIR:
		return fs.ModeDir
	}
	return fs.ModeIrregular
}

// ModTime implements [fs.FileInfo].
func (f *systemFile) ModTime() time.Time { return time.Unix(f.stat.Mtim.Unix()) }

// IsDir implements [fs.FileInfo].
func (f *systemFile) IsDir() bool { return f.Mode().IsDir() }

// Sys implements [fs.FileInfo]. It returns a *syscall.Stat_t.
func (f *systemFile) Sys() any { return &f.stat }

// failed returns the error for an operation that failed with err, or nil if err is nil.
func (f *systemFile) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

// Read implements [io.Reader].
func (f *systemFile) Read(p []byte) (n int, err error) {
	n, err = ignoreEINTR(func() (int, error) { return syscall.Read(f.fd, p) })
	switch {
	case err != nil:
		return 0, f.failed("read", err)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// ReadAt implements [io.ReaderAt].
func (f *systemFile) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		m, err := ignoreEINTR(func() (int, error) { return syscall.Pread(f.fd, p[n:], off+int64(n)) })
		switch {
		case err != nil:
			return n, f.failed("read", err)
		case m == 0:
			return n, io.EOF
		}
		n += m
	}
	return n, nil
}

// Seek implements [io.Seeker].
func (f *systemFile) Seek(offset int64, whence int) (int64, error) {
	position, err := syscall.Seek(f.fd, offset, whence)
	return position, f.failed("seek", err)
}

// SyscallConn implements [syscall.Conn], which package net needs to have the system
// copy the file.
func (f *systemFile) SyscallConn() (syscall.RawConn, error) { return rawFile(f.fd), nil }

// A rawFile is the descriptor of a file, which is always ready.
type rawFile uintptr

// Control implements [syscall.RawConn].
func (f rawFile) Control(call func(fd uintptr)) error { call(uintptr(f)); return nil }

// Read implements [syscall.RawConn].
func (f rawFile) Read(call func(fd uintptr) bool) error { call(uintptr(f)); return nil }

// Write implements [syscall.RawConn].
func (f rawFile) Write(call func(fd uintptr) bool) error { call(uintptr(f)); return nil }

// Close implements [fs.File]. After it, Stat, Read, ReadAt and Seek fail until the next call
// of open.
func (f *systemFile) Close() error {
	fd := f.fd
	f.fd = -1
	return syscall.Close(fd)
}

// sendMore sends p, which the system may keep until more is sent: the start of a body
// leaves in one packet with the head. It returns how much of p it took, without waiting.
// As two packets, the head and a file of 1 MiB take twice the time. A unix socket, which has
// no packets, sends p at once.
func sendMore(conn net.Conn, p []byte) (n int) {
	if raw := rawConn(conn); raw != nil {
		raw.Write(func(fd uintptr) bool {
			n, _ = syscall.SendmsgN(int(fd), p, nil, nil, syscall.MSG_MORE|syscall.MSG_NOSIGNAL)
			return true
		})
	}
	return n
}

// limitUnsent limits how many unsent bytes the system accepts for a TCP connection that
// carries TLS. Without the limit, a write waits until a third of the system's buffer of up
// to 4 MiB is free, and the progress of a slow client is not seen. Trying the write again,
// as without TLS, does not help: a write that times out breaks a tls.Conn.
func limitUnsent(conn net.Conn) {
	const notSentLowWater, limit = 25, 32 << 10 // TCP_NOTSENT_LOWAT
	if raw := rawConn(conn); raw != nil {
		raw.Control(func(fd uintptr) {
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, notSentLowWater, limit)
		})
	}
}

// inodeOf returns the inode of a file.
func inodeOf(info fs.FileInfo) inode {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return inode{}
	}
	return inode{uint64(stat.Dev), stat.Ino, uint64(stat.Nlink), time.Unix(stat.Ctim.Unix())}
}

// mayBeGenerated reports whether the size of a file may be wrong. It is 0 for files of
// /proc, and that of a page of memory for files of /sys. They have no blocks.
func mayBeGenerated(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return info.Size() <= 0 || ok && stat.Blocks == 0 && info.Size() <= smallBody
}

// ignoreEINTR calls a function again while it returns EINTR: on some file systems,
// signals interrupt system calls.
func ignoreEINTR(call func() (int, error)) (n int, err error) {
	for {
		if n, err = call(); err != syscall.EINTR {
			return n, err
		}
	}
}
