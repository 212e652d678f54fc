package httpserver

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// This file holds the writing side of a connection: the response head that is
// being built, the body that follows it, and what they say about each other.

// smallBody is up to how many bytes a body is copied behind its head and leaves
// with it; of a file that the system can copy, up to copyLimit.
const smallBody = 64 << 10

var writeBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, bufferSize)
	return &b
}}

// freeBuffer gives a buffer back, unless it has become too large to be kept.
func freeBuffer(b *[]byte) {
	if cap(*b) <= 2*smallBody {
		writeBuffers.Put(b)
	}
}

// A responseWriter is the WFile of a handler. It writes what it is given at
// once, behind a head that was held back for it. After a failed write all
// others fail.
type responseWriter struct {
	conn    net.Conn
	socket  *socket        // of conn
	timeout *time.Duration // the handler's Timeout
	head    *[]byte        // of the head: what has not left
	hold    bool           // FlushHeaders keeps the head for the body
	err     error

	// of the response under way
	code      int   // of its status line; 0 before that
	length    int64 // its Content-Length; -1 if it has none
	written   int64 // bytes of its body so far
	chunked   bool  // it has a Transfer-Encoding
	saidClose bool  // it has Connection: close
	saidAlive bool  // it has Connection: keep-alive
	ended     bool  // its head is complete
	noBody    bool  // it must not have a body; what is written is dropped
	sent      bool  // some of it has left

	badFraming bool // there was more than one response to the request, or than one length
}

// begin forgets the last response, and a head that has not left.
func (w *responseWriter) begin() {
	w.freeHead()
	badFraming := w.badFraming || w.ended && w.sent && w.code >= 200
	*w = responseWriter{conn: w.conn, socket: w.socket, timeout: w.timeout, err: w.err, length: -1, badFraming: badFraming}
}

func (w *responseWriter) appendHead(s ...string) {
	if w.head == nil {
		w.head = writeBuffers.Get().(*[]byte)
		*w.head = (*w.head)[:0]
	}
	for _, s := range s {
		*w.head = append(*w.head, s...)
	}
}

// statusLine begins a response. The message is one line whatever it was made of.
func (w *responseWriter) statusLine(version string, code int, message string) {
	w.begin()
	w.code = code
	if hasControl(message) {
		message = strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' || r == 0x7f {
				return ' '
			}
			return r
		}, message)
	}
	var digits [4]byte
	w.appendHead(version, " ", string(strconv.AppendInt(digits[:0], int64(code), 10)), " ", message, "\r\n")
}

// field adds a header field and takes note of those that frame the message.
func (w *responseWriter) field(name, value string) {
	w.appendHead(name, ": ", value, "\r\n")
	switch len(name) {
	case len("Connection"):
		if strings.EqualFold(name, "Connection") {
			w.saidClose = w.saidClose || hasToken(value, "close")
			w.saidAlive = w.saidAlive || hasToken(value, "keep-alive")
		}
	case len("Content-Length"):
		if strings.EqualFold(name, "Content-Length") {
			n, ok := parseLength(value)
			w.badFraming = w.badFraming || !ok || w.length >= 0 && n != w.length
			w.length = n
		}
	case len("Transfer-Encoding"):
		if strings.EqualFold(name, "Transfer-Encoding") {
			w.chunked = true
		}
	}
}

// unframed tells whether only the end of the connection can end the body.
func (w *responseWriter) unframed() bool {
	return w.length < 0 && !w.chunked && !w.noBody
}

// complete tells whether the response is what its head says: a next one can
// follow it.
func (w *responseWriter) complete() bool {
	return w.err == nil && w.ended && !w.badFraming && !w.unframed() && !w.cutShort()
}

// cutShort tells whether the body has another length than the head says.
func (w *responseWriter) cutShort() bool {
	return w.ended && w.length >= 0 && !w.noBody && !w.chunked && w.written != w.length
}

// flushHead sends what there is of the head.
func (w *responseWriter) flushHead() error {
	if w.head != nil {
		w.send(*w.head)
		w.freeHead()
	}
	return w.err
}

// flushBefore sends what there is of the head in such a way that it can leave
// together with what is sent next.
func (w *responseWriter) flushBefore() error {
	if w.head != nil && w.err == nil {
		*w.head = slices.Delete(*w.head, 0, w.socket.sendMore(*w.head))
	}
	return w.flushHead()
}

func (w *responseWriter) freeHead() {
	if w.head != nil {
		freeBuffer(w.head)
	}
	w.head = nil
}

// awaitsBody tells whether the head, which is complete, has a body to leave with.
func (w *responseWriter) awaitsBody() bool {
	return w.held() && w.code >= 200 && w.length != 0 && !w.noBody
}

// held tells whether a complete head waits for the body.
func (w *responseWriter) held() bool { return w.ended && w.head != nil }

// Write sends p. When it returns, p has left; a response that has no body
// (HEAD, 204, 304) drops it.
func (w *responseWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.noBody {
		return len(p), nil
	}
	w.written += int64(len(p))
	if w.held() && len(p) <= smallBody {
		*w.head = append(*w.head, p...)
		if w.flushHead() != nil {
			return 0, w.err
		}
		return len(p), nil
	}
	if w.held() && w.flushBefore() != nil {
		return 0, w.err
	}
	return w.send(p)
}

// WriteString is Write without a copy made for it.
func (w *responseWriter) WriteString(s string) (int, error) {
	buf := writeBuffers.Get().(*[]byte)
	*buf = append((*buf)[:0], s...)
	n, err := w.Write(*buf)
	freeBuffer(buf)
	return n, err
}

// send writes p to the connection. A write that got stuck half-way is tried
// again as long as each of the handler's timeouts brings some progress.
func (w *responseWriter) send(p []byte) (n int, err error) {
	step := len(p)
	if _, ok := w.conn.(*net.TCPConn); !ok {
		step = smallBody // a tls.Conn does not survive a deadline
	}
	w.sent = true
	for w.err == nil && n < len(p) {
		w.beginDeadline()
		var m int
		m, w.err = w.conn.Write(p[n:min(n+step, len(p))])
		n += m
		if m > 0 && errors.Is(w.err, os.ErrDeadlineExceeded) {
			w.err = nil
		}
	}
	if n > 0 {
		w.socket.nothingKept()
	}
	return n, w.err
}

func (w *responseWriter) beginDeadline() {
	if *w.timeout > 0 {
		w.conn.SetWriteDeadline(time.Now().Add(*w.timeout))
	}
}

// A systemCopier is a file that the system can copy to a connection.
type systemCopier interface {
	// copyTo sends size bytes from offset on. Where the file ends before, n is
	// less. errNoSendfile says that the system cannot do it after all.
	copyTo(w *responseWriter, offset, size int64) (n int64, err error)
}

// A plainFile is copied the way that package net knows.
type plainFile struct{ *os.File }

func (f plainFile) copyTo(w *responseWriter, offset, size int64) (int64, error) {
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	return w.conn.(*net.TCPConn).ReadFrom(&io.LimitedReader{R: f, N: size})
}

// sendLarge lets the system copy size bytes of a file to the connection, in
// steps. As with send, a step that got stuck half-way is gone on with. Where the
// file ends before, n is less.
func (w *responseWriter) sendLarge(f systemCopier, start, size int64) (n int64, err error) {
	if w.held() && w.flushBefore() != nil {
		return 0, w.err
	}
	for err == nil && n < size {
		w.beginDeadline()
		var m int64
		m, err = f.copyTo(w, start+n, min(size-n, sendStep))
		n += m
		if err == nil && m == 0 {
			break // the file has become shorter
		}
		if m > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
		}
	}
	if n > 0 {
		w.socket.nothingKept()
	}
	w.written += n
	var failed *fs.PathError
	if err != errNoSendfile && !errors.As(err, &failed) { // else it was the file's fault
		w.err = err
	}
	return n, err
}

// hasField tells whether head, which is being built, has a field.
func hasField(head []byte, name string) bool {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > len(name) && line[len(name)] == ':' && strings.EqualFold(string(line[:len(name)]), name) {
			return true
		}
	}
	return false
}

// sendSmall lets read fill size bytes behind the head, and sends both. After an
// error of read it sends what was read.
func (w *responseWriter) sendSmall(size int, read func(p []byte) (int, error)) (int64, error) {
	buf := w.head
	if !w.held() {
		buf = writeBuffers.Get().(*[]byte)
		*buf = (*buf)[:0]
		defer writeBuffers.Put(buf)
	}
	head := len(*buf)
	if cap(*buf)-head < size {
		*buf = append(make([]byte, 0, head+size), *buf...)
	}
	n, err := read((*buf)[head : head+size])
	*buf = (*buf)[:head+n]
	w.written += int64(n)
	w.send(*buf)
	if buf == w.head {
		w.freeHead()
	}
	if w.err != nil {
		err = w.err
	}
	return int64(n), err
}
