package httpserver

import (
	"cmp"
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

// This file is the writing side of a connection. It holds the head of a response until the
// body follows, and checks that head and body agree.

// smallBody is the size, in bytes, up to which a body is copied behind its head,
// so that one write sends both.
const smallBody = 64 << 10

// holdTime is how long a complete head waits for the body.
const holdTime = time.Millisecond

// bufferSize is the initial size of the buffers of a connection, in bytes. It is enough for
// most heads.
const bufferSize = 4 << 10

// maxRecord is the size of a TLS record, in bytes, which crypto/tls sends in one write.
const maxRecord = 16 << 10

var writeBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, bufferSize)
	return &b
}}

// takeBuffer returns an empty buffer.
func takeBuffer() *[]byte {
	b := writeBuffers.Get().(*[]byte)
	*b = (*b)[:0]
	return b
}

// freeBuffer makes a buffer available again, unless it has become too large.
func freeBuffer(b *[]byte) {
	if cap(*b) <= 2*smallBody {
		writeBuffers.Put(b)
	}
}

// A responseWriter is the WFile of a handler. A Write is sent at once, together with a head
// that was held. After a failed write all others fail.
type responseWriter struct {
	conn    net.Conn
	timeout *time.Duration // the handler's Timeout

	// The timer calls sendHeld in a goroutine of its own, which uses head, err, headEnded, held
	// and sent, and reads conn and timeout. Until headEnded is set, it does not use head, so the
	// handler's goroutine adds to head without mu. All other fields belong to that goroutine.
	mu    sync.Mutex  // held while anything is sent, and while headEnded or err change
	timer *time.Timer // calls sendHeld; nil before the first head was held
	head  *[]byte     // unsent part of the head, followed by any unsent body; nil if there is none
	err   error       // returned by all writes after a failed write or a call of fail

	badFraming bool // set for a second response, head or length, and a body before the end of the head
	response
}

// A response is the state of one response, interim ones included.
type response struct {
	code       int    // status code; 0 before SendResponse
	length     int64  // Content-Length; -1 without one
	written    int64  // bytes of the body so far
	connection string // "close" or "keep-alive" if a Connection field said so
	chunked    bool   // it has a Transfer-Encoding
	bare       bool   // it is for HTTP/0.9 and has no head
	noBody     bool   // it must not have a body; what is written is dropped
	headEnded  bool   // the head is complete
	held       bool   // the complete head is or was held; a head is held once
	sent       bool   // a part of the response may have been sent
}

// begin makes w ready for a response, and drops a head that was not sent. It sets badFraming
// if a final response, or a part of a head, was sent before. When the first response to a
// request begins, the caller then clears badFraming. If the client would take what follows for
// a part of the response before, all writes fail.
func (w *responseWriter) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sent && (!w.headEnded || w.code >= 200) {
		w.badFraming = true
		if w.err == nil && w.headEnded && (w.bare || w.unframed() || w.hasWrongLength()) {
			w.err = errWithin
		}
	}
	w.freeHead()
	w.response = response{length: -1}
}

// add adds to the head, or to a body that is held behind it. A response without a head has
// nothing to add to.
func (w *responseWriter) add(s ...string) {
	if w.bare && !w.headEnded {
		return
	}
	if w.head == nil {
		w.head = takeBuffer()
	}
	for _, part := range s {
		*w.head = append(*w.head, part...)
	}
}

// addBody adds to a body of unknown length, which a later call sends.
func (w *responseWriter) addBody(s ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil && !w.noBody {
		w.add(s...)
	}
}

// statusLine adds the status line to the head. Controls in message become spaces.
func (w *responseWriter) statusLine(version, message string) {
	w.add(version, " ")
	line := append(strconv.AppendInt(*w.head, int64(w.code), 10), ' ')
	for _, c := range []byte(message) {
		if isControl(c) {
			c = ' '
		}
		line = append(line, c)
	}
	*w.head = append(line, "\r\n"...)
}

// hasField reports whether head, which consists of whole lines, has a field.
func hasField(head, name string) bool {
	for line := range strings.SplitSeq(head, "\r\n") {
		if field, _, ok := strings.Cut(line, ":"); ok && equalFold(field, name) {
			return true
		}
	}
	return false
}

// endHead completes the head.
func (w *responseWriter) endHead() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.headEnded = true
}

// flushOrHold sends the head, complete or not, except that the first call after endHead, which
// EndHeaders makes, holds a head that a body will follow.
func (w *responseWriter) flushOrHold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	bodyFollows := w.code >= 200 && w.length != 0 && !w.noBody
	if !w.unsent() || w.held || !bodyFollows {
		w.sendHead()
		return
	}
	w.held = true
	if w.timer == nil {
		w.timer = time.AfterFunc(holdTime, w.sendHeld)
	} else {
		w.timer.Reset(holdTime)
	}
}

// sendHeld sends a complete head that was not sent. The timer also calls it, perhaps so late
// that it sends the head of the next response, early but complete.
func (w *responseWriter) sendHeld() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unsent() {
		w.sendHead()
	}
}

// unsent reports whether a complete head, or body behind it, was not sent yet. The caller
// holds w.mu.
func (w *responseWriter) unsent() bool { return w.headEnded && w.head != nil }

// flush sends the head, complete or not, and does not hold it.
func (w *responseWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sendHead()
}

// unframed reports whether only the end of the connection can end the body.
func (w *responseWriter) unframed() bool {
	return w.length < 0 && !w.chunked && !w.noBody
}

// complete reports whether the response is what its head says, so that another
// one can follow it.
func (w *responseWriter) complete() bool {
	return w.err == nil && w.headEnded && !w.badFraming && !w.unframed() && !w.hasWrongLength()
}

// hasWrongLength reports whether the body is shorter or longer than the head says.
func (w *responseWriter) hasWrongLength() bool {
	return w.headEnded && w.length >= 0 && !w.noBody && !w.chunked && w.written != w.length
}

// sendHead sends the head. The caller holds w.mu.
func (w *responseWriter) sendHead() {
	if w.head != nil {
		w.send(*w.head)
		w.freeHead()
	}
}

// sendHeadFirst sends a complete head, if possible in one packet with the beginning of a
// large body, which the caller sends next. The caller holds w.mu.
func (w *responseWriter) sendHeadFirst() {
	if w.unsent() && w.err == nil {
		n := sendMore(w.conn, *w.head)
		*w.head = slices.Delete(*w.head, 0, n)
		w.sent = true // send does not set it if nothing is left
		w.sendHead()
	}
}

// freeHead frees the buffer of the head, which was sent or is not to be sent. The caller
// holds w.mu.
func (w *responseWriter) freeHead() {
	if w.head == nil {
		return
	}
	if w.held {
		w.timer.Stop()
	}
	freeBuffer(w.head)
	w.head = nil
}

// drop drops a head that was not sent, so that another response can take its place. It
// returns false if a part of the response was sent, or if nothing can be sent any more.
func (w *responseWriter) drop() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sent || w.err != nil {
		return false
	}
	w.freeHead()
	return true
}

// failure returns the error with which all writes fail, or nil.
func (w *responseWriter) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// fail makes all further writes return err.
func (w *responseWriter) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

// Write sends p, together with a head that was held. For a response that must not
// have a body (HEAD, 204, 304) it does nothing and succeeds.
func (w *responseWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	if w.noBody {
		return len(p), nil
	}
	w.written += int64(len(p))
	if w.unsent() && len(p) <= smallBody {
		*w.head = append(*w.head, p...)
		if w.sendHead(); w.err != nil {
			return 0, w.err
		}
		return len(p), nil
	}
	w.sendHeadFirst()
	return w.send(p)
}

// WriteString is like Write. It saves io.WriteString an allocation.
func (w *responseWriter) WriteString(s string) (int, error) {
	b := takeBuffer()
	defer freeBuffer(b)
	*b = append(*b, s...)
	return w.Write(*b)
}

// fill sends the head and size bytes of the body, which it gets from read, in one write. It
// calls read once. If read fails, the bytes that it has read are sent. read must not use w.
func (w *responseWriter) fill(size int, read func(p []byte) (int, error)) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.head == nil {
		w.head = takeBuffer()
	}
	from := len(*w.head)
	*w.head = slices.Grow(*w.head, size)
	n, err := read((*w.head)[from : from+size])
	*w.head = (*w.head)[:from+n]
	w.written += int64(n)
	w.sendHead()
	return int64(n), cmp.Or(w.err, err)
}

// copyFrom sends size bytes of src, from offset on. It uses the ReadFrom of the connection,
// which lets the system copy a file. If src ends early, n is less than size. After an error of
// src, w is still usable.
func (w *responseWriter) copyFrom(src io.ReadSeeker, offset, size int64) (n int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sendHeadFirst()
	conn := w.conn.(io.ReaderFrom)
	for w.err == nil && n < size {
		var seekErr error
		m, err := w.try(func() (int64, error) {
			if _, seekErr = src.Seek(offset+n, io.SeekStart); seekErr != nil {
				return 0, seekErr
			}
			return conn.ReadFrom(&io.LimitedReader{R: src, N: min(size-n, sendStep)})
		})
		n += m
		w.written += m
		w.sent = w.sent || m > 0
		switch {
		case err != nil && (seekErr != nil || errors.As(err, new(*fs.PathError))): // of src
			return n, err
		case err != nil:
			w.err = err
		case m == 0:
			return n, nil
		}
	}
	return n, w.err
}

// send writes p to the connection, in steps that each have the handler's timeout. On Unix, a TCP
// connection says how much it has written when the time is over, so that one step is enough;
// for other connections, the steps are small. Without a timeout, there is one step. The caller
// holds w.mu.
func (w *responseWriter) send(p []byte) (n int, err error) {
	step := len(p)
	if *w.timeout > 0 {
		switch w.conn.(type) {
		case *net.TCPConn:
		case upperConn:
			step = maxRecord
		default:
			step = smallBody
		}
	}
	w.sent = w.sent || len(p) > 0
	for w.err == nil && n < len(p) {
		m, err := w.try(func() (int64, error) {
			m, err := w.conn.Write(p[n:min(n+step, len(p))])
			return int64(m), err
		})
		n += int(m)
		w.err = err
	}
	return n, w.err
}

// try calls write until a call makes progress or fails, or the handler's timeout has passed.
// A call whose time ends has not failed if it made progress. The calls share the timeout in
// equal parts. A last call, of a millisecond, finds out whether the client has read something at
// the very end. If a write can be tried only once, the call has the whole timeout.
func (w *responseWriter) try(write func() (int64, error)) (n int64, err error) {
	tries := writeTries
	if _, ok := w.conn.(upperConn); ok {
		tries = 1 // a write that times out breaks a tls.Conn for good
	}
	for wait := *w.timeout / time.Duration(max(1, tries-1)); tries > 0; tries-- {
		if *w.timeout > 0 {
			w.conn.SetWriteDeadline(time.Now().Add(wait))
		}
		n, err = write()
		switch {
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return n, err
		case n > 0:
			return n, nil
		case tries == 2:
			wait = time.Millisecond
		}
	}
	return 0, err
}
