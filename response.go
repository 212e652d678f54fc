package httpserver

import (
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// This file holds the writing side of a connection: the response head that is
// being built, the body that follows it, and what they say about each other.

// Sizes of writes, in bytes.
const (
	smallBody = 64 << 10 // up to this, a body is copied behind its head and leaves with it
	sendStep  = 8 << 20  // of a large file at most this goes out under one write deadline
)

var writeBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, bufferSize)
	return &b
}}

// A responseWriter is the WFile of a handler. It writes what it is given at
// once, behind a head that was held back for it. After a failed write all
// others fail.
type responseWriter struct {
	conn    net.Conn
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
}

// begin forgets the last response, and a head that has not left.
func (w *responseWriter) begin() {
	w.freeHead()
	*w = responseWriter{conn: w.conn, timeout: w.timeout, err: w.err, length: -1}
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
	if strings.ContainsFunc(message, isControl) {
		message = strings.Map(func(r rune) rune {
			if isControl(r) {
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
			w.length, _ = parseLength(value)
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
	return w.err == nil && w.ended && !w.unframed() &&
		(w.noBody || w.chunked || w.written == w.length)
}

// flushHead sends what there is of the head.
func (w *responseWriter) flushHead() error {
	if w.head == nil {
		return w.err
	}
	w.send(*w.head)
	w.freeHead()
	return w.err
}

func (w *responseWriter) freeHead() {
	if w.head != nil && cap(*w.head) <= 2*smallBody {
		writeBuffers.Put(w.head)
	}
	w.head = nil
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
	if w.held() && w.flushHead() != nil {
		return 0, w.err
	}
	return w.send(p)
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
	return n, w.err
}

func (w *responseWriter) beginDeadline() {
	if *w.timeout > 0 {
		w.conn.SetWriteDeadline(time.Now().Add(*w.timeout))
	}
}

// sendFile writes the next size bytes of f, or fewer where f ends before. A
// small file leaves in one write with the head, a large one by the system's own
// copying where the connection has that.
func (w *responseWriter) sendFile(f io.Reader, size int64) (n int64, err error) {
	if w.err != nil || w.noBody {
		return 0, w.err
	}
	if size <= smallBody {
		return w.sendSmall(f, int(size))
	}
	if w.held() && w.flushHead() != nil {
		return 0, w.err
	}
	to, ok := w.conn.(*net.TCPConn)
	if !ok {
		return io.Copy(struct{ io.Writer }{w}, io.LimitReader(f, size))
	}
	for n < size && w.err == nil {
		w.beginDeadline()
		var m int64
		m, w.err = to.ReadFrom(&io.LimitedReader{R: f, N: min(size-n, sendStep)})
		n += m
		w.written += m
		if m == 0 {
			break
		}
		if errors.Is(w.err, os.ErrDeadlineExceeded) {
			w.err = nil
		}
	}
	return n, w.err
}

// sendSmall reads size bytes of f behind the head and sends both.
func (w *responseWriter) sendSmall(f io.Reader, size int) (int64, error) {
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
	n, err := io.ReadFull(f, (*buf)[head:head+size])
	*buf = (*buf)[:head+n]
	w.written += int64(n)
	w.send(*buf)
	if buf == w.head {
		w.freeHead()
	}
	if w.err == nil && err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return int64(n), err
	}
	return int64(n), w.err
}
