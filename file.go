package httpserver

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"time"
)

// This file contains the body of a response that consists of a file or of ranges
// of it. The last bytes of each piece, its tail, are read last and are not sent if
// the file may have changed since the response began: the client then sees by the
// length that the body is incomplete, and never takes a mixture for the file.

var errFileChanged = errors.New("httpserver: the file changed while it was sent")

const (
	// tailSize is the length of the tail of a large piece. A small piece, which one write
	// sends, is all tail. With 2 KiB, a file of 1 MiB took 10 % longer on loopback.
	tailSize = 4 << 10

	// recent is the age below which a file is likely to change while it is sent,
	// such as a log that grows.
	recent = 10 * time.Minute

	// maxGenerated is the largest size, in bytes, of content that the system generates when
	// it is read, as in /proc.
	maxGenerated = 1 << 20
)

// A fileBody is a piece of a file: its bytes from start to end.
type fileBody struct {
	system   systemFile  // what file points to, unless it is of an FS: both are one allocation
	file     fs.File     // nil if the content is from a cache, or generated
	at       io.ReaderAt // reads file or the content; nil if file cannot seek
	size     int64       // of the whole file
	modified time.Time   // modification time of the file
	inode    inode       // of the file
	opened   time.Time   // a time just before size, modified and inode were read
	combined bool        // the client combines the piece with others, of this response or an earlier one

	handler *SimpleHandler // the handler that opened the file
	name    string         // the name by which the handler opened the file

	start, tailStart, next, end int64 // offsets in the file, set by setRange; Read continues at next

	// tail is generated content, all of it, or the tail if Read has read it, which may return it
	// in several calls.
	tail []byte
	hash maphash.Hash // of the bytes before the tail, if the file is recent
}

// An inode identifies a file of the system and its state. It is zero for a file of an FS, and
// on systems other than Linux.
type inode struct {
	device, number, links uint64
	changed               time.Time // change time (ctime): of links, permissions or content
}

// Close closes the file. Closing a closed body does nothing.
func (b *fileBody) Close() error {
	f := b.file
	b.file, b.at, b.next, b.end = nil, nil, 0, 0
	if f == nil {
		return nil
	}
	return f.Close()
}

// age returns how long ago the file had been modified when it was opened.
func (b *fileBody) age() time.Duration { return b.opened.Sub(b.modified) }

// isRecent reports whether the file is likely to change, so that its bytes are hashed.
func (b *fileBody) isRecent() bool { return b.age() < recent }

// readerAt returns an io.ReaderAt for f, or nil if f can only be read from start to
// end.
func readerAt(f fs.File) io.ReaderAt {
	switch f := f.(type) {
	case io.ReaderAt:
		return f
	case io.ReadSeeker:
		if _, err := f.Seek(0, io.SeekCurrent); err == nil {
			return seekingReader{f}
		}
	}
	return nil
}

// A seekingReader is an io.ReaderAt for one goroutine.
type seekingReader struct{ io.ReadSeeker }

// ReadAt implements [io.ReaderAt].
func (r seekingReader) ReadAt(p []byte, off int64) (int, error) {
	if _, err := r.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	return io.ReadFull(r, p)
}

// setRange makes b the piece of the file that r describes. A small piece is all tail.
func (b *fileBody) setRange(r byteRange) {
	b.start, b.tailStart, b.next, b.end = r.start, r.start, r.start, r.start+r.size
	if r.size > smallBody && b.tail == nil {
		b.tailStart = b.end - tailSize
	}
}

// pieces returns the body of a multipart response. Each text precedes a range, and the last
// one follows them.
func (b *fileBody) pieces(ranges []byteRange, texts []string) io.ReadCloser {
	var readers []io.Reader
	for i, r := range ranges {
		piece := *b
		piece.combined = true
		piece.setRange(r)
		readers = append(readers, strings.NewReader(texts[i]), &piece)
	}
	readers = append(readers, strings.NewReader(texts[len(ranges)]))
	return multipartBody{io.MultiReader(readers...), b}
}

// A multipartBody reads several pieces of a file, and closes the file.
type multipartBody struct {
	io.Reader
	io.Closer
}

// WriteTo implements [io.WriterTo], so that the WriteTo of each piece is used.
func (b multipartBody) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, b.Reader) }

// newBoundary returns a boundary that cannot be predicted, so that no file contains
// it. It always has the same length, and so has the response.
func newBoundary() string { return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) }

// Read implements [io.Reader]. It fails before the tail if the file changed.
func (b *fileBody) Read(p []byte) (n int, err error) {
	switch {
	case b.next == b.end:
		return 0, io.EOF
	case b.next < b.tailStart:
		n, err = b.readFull(p[:min(int64(len(p)), b.tailStart-b.next)])
		if b.isRecent() {
			b.hash.Write(p[:n])
		}
	default:
		if b.tail == nil {
			tail := make([]byte, b.end-b.next)
			if _, err := b.readTail(tail); err != nil {
				return 0, err
			}
			b.tail = tail
		}
		n = copy(p, b.tail[len(b.tail)-int(b.end-b.next):])
	}
	b.next += int64(n)
	return n, err
}

// WriteTo implements [io.WriterTo] for io.Copy. It sends a small piece in one write
// with the head of the response. A larger one is copied by the system up to the tail, or
// else by Read.
func (b *fileBody) WriteTo(w io.Writer) (n int64, err error) {
	out, ok := w.(*responseWriter)
	if !ok || b.next > b.start { // an override has wrapped WFile, or has read the beginning
		return io.Copy(w, struct{ io.Reader }{b}) // without WriteTo
	}
	if b.next == b.end || out.noBody || out.failure() != nil {
		return 0, out.failure()
	}
	if n, err = b.copyBySystem(out); err != nil {
		return n, err
	}
	if b.next < b.tailStart {
		return io.Copy(w, struct{ io.Reader }{b})
	}
	m, err := out.fill(int(b.end-b.next), b.readTail)
	b.next += m
	return n + m, err
}

// copyBySystem lets the system copy the bytes before the tail to a TCP connection. It does
// nothing if the piece is small, as it would not be faster, if the system cannot copy the
// file, or if the file is recent, as its bytes must then be hashed.
func (b *fileBody) copyBySystem(out *responseWriter) (n int64, err error) {
	src, ok := b.file.(interface {
		io.ReadSeeker
		syscall.Conn
	})
	_, isTCP := out.conn.(*net.TCPConn)
	if b.start == b.tailStart || !ok || !isTCP || b.isRecent() {
		return 0, nil
	}
	n, err = out.copyFrom(src, b.start, b.tailStart-b.start)
	b.next += n
	if err == nil && b.next < b.tailStart {
		err = errFileChanged // the file has become shorter
	}
	return n, err
}

// readFull fills p with the bytes that follow next, or returns an error. If the file ends
// too early, the error is errFileChanged.
func (b *fileBody) readFull(p []byte) (n int, err error) {
	switch {
	case b.tail != nil: // generated content
		return copy(p, b.tail[len(b.tail)-int(b.end-b.next):]), nil
	case b.at != nil:
		n, err = b.at.ReadAt(p, b.next)
	default:
		n, err = io.ReadFull(b.file, p)
	}
	switch {
	case n == len(p):
		return n, nil
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		return n, errFileChanged
	}
	return n, cmp.Or(err, io.ErrUnexpectedEOF) // a short read without an error violates io.ReaderAt
}

// readTail fills p with the tail. If the file may have changed since it was opened, readTail
// returns 0 and an error. If the file has become shorter, readTail returns the number of bytes
// that it read, which are sent, as no client takes them for the whole file. A file that cannot
// seek is read once more, as its end may be an error, such as a wrong checksum.
func (b *fileBody) readTail(p []byte) (n int, err error) {
	if n, err = b.readFull(p); err != nil || b.file == nil { // content in memory does not change
		return n, err
	}
	if b.at == nil {
		if _, err = b.file.Read(make([]byte, 1)); err != nil && err != io.EOF {
			return 0, err
		}
	}
	if err = b.check(p); err != nil {
		return 0, err
	}
	b.handler.fileState().cache.add(b.file, p)
	return n, nil
}

// check returns an error if the file may have changed before the piece, which ends with tail,
// was read. Size and times do not decide that in two cases, in which check reads the piece
// again and compares hashes. In the first, the file was so young that a change may leave its
// time the same. In the second, it is recent and has grown, as a log does, and the client does
// not combine the piece with others, which may have changed. A file that cannot be read again
// is believed to be unchanged if size and times are.
func (b *fileBody) check(tail []byte) error {
	info, err := b.file.Stat()
	if err != nil {
		return err
	}
	unchanged := info.Size() == b.size && info.ModTime().Equal(b.modified) &&
		!b.mayBeOverwritten(inodeOf(info))
	hashed := b.at != nil && b.isRecent()
	switch {
	case unchanged && (b.age() >= clockGrain || b.at == nil):
		return nil
	case hashed && (unchanged || info.Size() > b.size && !b.combined):
		return b.compare(tail)
	}
	return errFileChanged
}

// mayBeOverwritten reports whether the file may have other content although its size and
// modification time are the same. A program can set the modification time back, but not the
// change time of the inode. after is the inode after the piece was read. If the file was
// removed or renamed, or has another number of links, that explains the new change time, and
// mayBeOverwritten returns false. New permissions do not explain it, as they may come with
// new content.
func (b *fileBody) mayBeOverwritten(after inode) bool {
	if after.changed.Equal(b.inode.changed) || after.links != b.inode.links {
		return false // no change, or only another number of links
	}
	info, err := b.handler.stat(b.name)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	named := inodeOf(info) // of another file if this one was renamed or replaced
	return named.device == after.device && named.number == after.number
}

// compare reads the piece again and returns errFileChanged if its hash is not the same.
func (b *fileBody) compare(tail []byte) error {
	b.hash.Write(tail)
	var again maphash.Hash
	again.SetSeed(b.hash.Seed())
	_, err := io.Copy(&again, io.NewSectionReader(b.at, b.start, b.end-b.start))
	if err == nil && again.Sum64() != b.hash.Sum64() { // also if the file is shorter now
		err = errFileChanged
	}
	return err
}
