package httpserver

import (
	"bytes"
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

// This file holds the sending of a file or of pieces of it, and the watch for
// changes meanwhile: if the file changed, what has left may be of one state and
// what follows of another. Then the last bytes are kept back and the connection
// closes, so that the client sees by the length that the body is not whole.

var errFileChanged = errors.New("httpserver: the file changed while it was sent")

const (
	// keptBack is how many bytes of a piece that does not leave in one write are
	// kept back until it is known whether the file has changed. With 2 KiB a MiB
	// costs 10 % more on loopback, with 8 KiB 64 KiB do.
	keptBack = 4 << 10

	// recent is how long ago a file was changed last that is likely to change
	// while it is sent, such as a log that grows.
	recent = 10 * time.Minute
)

// A fileBody reads a piece of an open file: the bytes from start to end.
type fileBody struct {
	fs.File
	at       io.ReaderAt   // the same file; nil if it can only be read from start to end
	size     int64         // of the file when it was opened
	modified time.Time     // when it had last been changed then
	age      time.Duration // since then
	several  bool          // other pieces are sent with this one

	start, next, end int64         // next is what Read gives next
	kept             []byte        // the last bytes of the piece; nil before the first Read
	sum              *maphash.Hash // of those before that Read gave, if the file is recent
	checked          bool          // what is kept may go
	unchanged        bool          // check saw no change
}

// init makes the whole file the piece.
func (b *fileBody) init(f fs.File, info fs.FileInfo, now time.Time) {
	size, modified := max(info.Size(), 0), info.ModTime()
	*b = fileBody{File: f, at: readerAt(f), size: size, modified: modified, age: now.Sub(modified), end: size}
}

// Close ends the use of the body, once and for all.
func (b *fileBody) Close() error {
	f := b.File
	if f == nil {
		return nil
	}
	b.File, b.kept, b.next = nil, nil, b.end
	return f.Close()
}

// readerAt gives access to any part of a file, nil if there is none.
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

// ReadAt is that of io.ReaderAt.
func (r seekingReader) ReadAt(p []byte, off int64) (int, error) {
	if _, err := r.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	return io.ReadFull(r, p)
}

// cut makes a range of the file the piece.
func (b *fileBody) cut(r byteRange) {
	b.start, b.next, b.end = r.start, r.start, r.start+r.size
}

// A selection is what is sent of a file, and what the head says about it.
type selection struct {
	body         io.ReadCloser
	code         int // 200 or 206
	contentType  string
	contentRange string // "" without one
	length       int64
}

// selection gives what is sent for the ranges: the whole file for none, and for
// several that are not worth it.
func (b *fileBody) selection(ranges []byteRange, contentType string) selection {
	if len(ranges) == 1 {
		b.cut(ranges[0])
		return selection{b, 206, contentType, ranges[0].contentRange(b.size), ranges[0].size}
	}
	if len(ranges) > 1 {
		checkField("Content-type", contentType) // of the parts
		m := newMultipart(ranges, contentType, newBoundary(), b.size)
		if m.worthwhile(ranges, b.size) {
			return selection{b.pieces(ranges, m), 206, m.contentType, "", m.length}
		}
	}
	return selection{b, 200, contentType, "", b.size}
}

// pieces gives several ranges, with what surrounds them.
func (b *fileBody) pieces(ranges []byteRange, m *multipart) io.ReadCloser {
	b.several = true
	var readers []io.Reader
	for i, r := range ranges {
		piece := *b
		piece.cut(r)
		readers = append(readers, strings.NewReader(m.heads[i]), &piece)
	}
	return multipartBody{io.MultiReader(append(readers, strings.NewReader(m.end))...), b}
}

type multipartBody struct {
	io.Reader
	io.Closer
}

// WriteTo lets each piece find its fastest way.
func (b multipartBody) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, b.Reader) }

// newBoundary makes a boundary that nobody can foresee, and so put into a file.
// Its length is always the same.
func newBoundary() string { return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) }

// Read reads the piece. It fails before the end if the file changed.
func (b *fileBody) Read(p []byte) (n int, err error) {
	if b.next >= b.end {
		return 0, io.EOF
	}
	if err := b.keepBack(); err != nil {
		return 0, err
	}
	if bulk := b.bulk(); bulk > 0 {
		n, err = b.readSome(p[:min(int64(len(p)), bulk)])
		if b.sum != nil {
			b.sum.Write(p[:n])
		}
	} else if err = b.release(); err == nil {
		n = copy(p, b.kept)
		b.kept = b.kept[n:]
	}
	b.next += int64(n)
	return n, err
}

// WriteTo is what io.Copy calls. A small piece leaves in one write with the
// head, a large one of a file of the system by the system's own copying where
// the connection has that and the bytes need not be looked at.
func (b *fileBody) WriteTo(w io.Writer) (n int64, err error) {
	out, ok := w.(*responseWriter)
	if !ok || b.next > b.start || b.kept != nil {
		return io.Copy(w, struct{ io.Reader }{b})
	}
	size := b.end - b.start
	if size == 0 || out.noBody || out.failure() != nil {
		return 0, out.failure()
	}
	file := b.systemCopier(out)
	if size <= copyLimit || file == nil && size <= smallBody {
		return out.fill(int(size), b.readSmall)
	}
	if file == nil {
		return io.Copy(w, struct{ io.Reader }{b})
	}
	n, err = b.sendBySystem(out, file)
	return n, err
}

// sendBySystem lets the system copy the piece but for its end, which is read and
// goes if the file has not changed by then.
func (b *fileBody) sendBySystem(out *responseWriter, file io.ReadSeeker) (n int64, err error) {
	bulk := b.end - b.start - keptBack
	n, err = out.copyFrom(file, b.start, bulk)
	b.next += n
	if err == nil && n < bulk {
		err = errFileChanged // it has become shorter
	}
	if err != nil {
		return n, err
	}
	m, err := out.fill(keptBack, b.readEnd)
	b.next += m
	return n + m, err
}

// readEnd reads on into p, and gives nothing if the file has changed by then.
func (b *fileBody) readEnd(p []byte) (int, error) {
	if _, err := b.readFull(p, b.next); err != nil {
		return 0, err
	}
	same, err := b.same()
	if err == nil && !same {
		err = errFileChanged
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// systemCopier gives the file as the system can copy it to a connection, if it
// can, and if its bytes need not be looked at.
func (b *fileBody) systemCopier(out *responseWriter) io.ReadSeeker {
	if _, ok := out.conn.(*net.TCPConn); !ok || b.age < recent {
		return nil
	}
	file, _ := b.File.(interface {
		io.ReadSeeker
		syscall.Conn
	})
	if file == nil {
		return nil
	}
	return file
}

// bulk is how many bytes can be given before those that are kept back.
func (b *fileBody) bulk() int64 { return b.end - b.next - int64(len(b.kept)) }

// readSome reads on before what is kept back.
func (b *fileBody) readSome(p []byte) (n int, err error) {
	if b.at != nil {
		n, err = b.at.ReadAt(p, b.next)
	} else {
		n, err = b.File.Read(p)
	}
	switch {
	case n > 0:
		return n, nil
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		return 0, errFileChanged
	}
	return 0, err
}

// readFull fills p with what is at off, or with what comes next where the file
// can only be read on.
func (b *fileBody) readFull(p []byte, off int64) (n int, err error) {
	if b.at != nil {
		n, err = b.at.ReadAt(p, off)
	} else {
		n, err = io.ReadFull(b.File, p)
	}
	switch {
	case n == len(p):
		return n, nil
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		return n, errFileChanged
	}
	return n, err
}

// readSmall reads the whole of a small piece into p. Of a file that has become
// shorter it gives what is there, with an error.
func (b *fileBody) readSmall(p []byte) (n int, err error) {
	n, err = b.readFull(p, b.start)
	if err == nil {
		if err = b.check(p); err != nil {
			return 0, err
		}
		if f, ok := b.File.(interface{ keep(content []byte) }); ok && int64(n) == b.size && b.unchanged {
			f.keep(p)
		}
	}
	b.next += int64(n)
	return n, err
}

// keepBack reads the last bytes of the piece, before any other, if it can; of a
// small piece all.
func (b *fileBody) keepBack() (err error) {
	if b.kept != nil {
		return nil
	}
	size := b.end - b.start
	if size > smallBody {
		size = keptBack
	}
	kept := make([]byte, size)
	if b.at != nil {
		if _, err := b.readFull(kept, b.end-size); err != nil {
			return err
		}
	}
	b.kept = kept
	if b.at != nil && size < b.end-b.start && b.age < recent {
		b.sum = new(maphash.Hash)
	}
	return nil
}

// release tells whether what is kept back may go.
func (b *fileBody) release() (err error) {
	if b.checked {
		return nil
	}
	if b.at == nil {
		_, err = b.readFull(b.kept, b.end-int64(len(b.kept)))
	}
	if err == nil {
		err = b.check(b.kept)
	}
	b.checked = err == nil
	return err
}

// check fails if the piece, of which last was read before all else, may be mixed
// of two states of the file. That is so if size or time have changed, or may
// change without a trace; but for a piece that reads the same again, as that of a
// file that was touched or appended to. Of several pieces those before can no
// more be compared.
func (b *fileBody) check(last []byte) error {
	same, err := b.same()
	if err != nil {
		return err
	}
	if b.unchanged = same && b.age >= clockGrain; b.unchanged {
		return nil
	}
	whole := int64(len(last)) == b.end-b.start
	switch {
	case same && b.at == nil:
		return nil
	case b.at == nil, b.several && !same, !whole && b.sum == nil:
		return errFileChanged
	case whole:
		return b.compare(last)
	}
	return b.compareSum()
}

// same tells whether size and time of the file are what they were.
func (b *fileBody) same() (bool, error) {
	info, err := b.File.Stat()
	return err == nil && info.Size() == b.size && info.ModTime().Equal(b.modified), err
}

// compare fails if the end of the piece is not last any more.
func (b *fileBody) compare(last []byte) error {
	again := make([]byte, len(last))
	if _, err := b.readFull(again, b.end-int64(len(last))); err != nil {
		return err
	}
	if !bytes.Equal(last, again) {
		return errFileChanged
	}
	return nil
}

// compareSum fails if the piece is not what Read gave of it, and has yet to give.
func (b *fileBody) compareSum() error {
	var again maphash.Hash
	again.SetSeed(b.sum.Seed())
	n, err := io.Copy(&again, io.NewSectionReader(b.at, b.start, b.end-b.start-int64(len(b.kept))))
	switch {
	case err != nil:
		return err
	case n < b.end-b.start-int64(len(b.kept)) || again.Sum64() != b.sum.Sum64():
		return errFileChanged
	}
	return b.compare(b.kept)
}
