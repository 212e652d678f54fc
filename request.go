package httpserver

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// This file is the reading side of a connection: the buffer, the reader of a request
// head, the parts of ParseRequest, and the waits for a client.

var readBuffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// A connReader reads a connection through a buffer, which grows to hold the head of
// a request. While the connection is idle it has no buffer.
type connReader struct {
	conn    net.Conn
	state   *connState
	timeout *time.Duration // the handler's Timeout
	buf     []byte         // unread bytes are buf[r:w]
	r, w    int
	full    bool // the last read filled its buffer, so there may be more to read
	waiter  waiter
	fixture *fixtureConn // records what is read; nil without a Fixture
}

func (c *connReader) buffered() []byte { return c.buf[c.r:c.w] }
func (c *connReader) consume(n int)    { c.r += n }

// release returns the buffer to the pool if nothing in it is unread. A buffer that has
// grown is replaced if a small one is enough.
func (c *connReader) release() {
	unread := c.buffered()
	switch small := len(c.buf) == bufferSize; {
	case len(unread) > bufferSize, len(unread) > 0 && small:
		return
	case small:
		readBuffers.Put((*[bufferSize]byte)(c.buf))
	}
	c.buf, c.r, c.w = nil, 0, 0
	if len(unread) > 0 {
		c.grow()
		c.w = copy(c.buf, unread)
	}
}

// beginWait begins a wait for the client, until endWait. There is one deadline for all of it.
// While the server shuts down, the wait lasts for grace at most.
func (c *connReader) beginWait(grace time.Duration) {
	c.state.mu.Lock()
	c.state.grace = grace
	c.state.mu.Unlock()
	c.state.limitWait()
	c.beginDeadline()
}

// beginDeadline sets the deadline for reads: the end of the handler's Timeout or, during a
// wait, of its grace. A read of TLS may have to write, as for the handshake, within Timeout.
func (c *connReader) beginDeadline() {
	timeout := *c.timeout
	if timeout <= 0 {
		return
	}
	now := time.Now()
	if _, ok := c.conn.(upperConn); ok {
		c.conn.SetWriteDeadline(now.Add(timeout))
	}
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	if c.state.grace > 0 && c.state.closing() {
		timeout = min(timeout, c.state.grace)
	}
	c.conn.SetReadDeadline(now.Add(timeout))
}

// fill reads more from the connection. It returns either an error or some bytes.
func (c *connReader) fill() (err error) {
	n := 0
	if c.buf == nil && c.waiter.wait(c) {
		n, err = c.waiter.n, c.waiter.err
	} else {
		c.r, c.w = 0, copy(c.buf, c.buffered())
		if c.w == len(c.buf) {
			c.grow()
		}
		n, err = c.conn.Read(c.buf[c.w:])
	}
	n, err = c.received(c.buf[c.w:], n, err)
	c.w += n
	return err
}

// grow provides a buffer, or one that is a quarter larger: a client cannot make it
// much larger than what it has sent.
func (c *connReader) grow() {
	if c.buf == nil {
		c.buf = readBuffers.Get().(*[bufferSize]byte)[:]
		return
	}
	larger := make([]byte, len(c.buf)+max(len(c.buf)/4, bufferSize))
	copy(larger, c.buf)
	c.buf = larger
}

// received records the result of a read into p. It returns either an error or some
// bytes.
func (c *connReader) received(p []byte, n int, err error) (int, error) {
	c.full = n > 0 && n == len(p)
	c.fixture.receive(p[:n])
	if n > 0 {
		return n, nil
	}
	return 0, cmp.Or(err, io.ErrNoProgress)
}

// line returns the line that begins at the offset from in the unread bytes, with its
// LF. The line is not consumed, and is valid until the next read. If it is longer than
// limit, the error is tooLong.
func (c *connReader) line(from, limit int, tooLong error) ([]byte, error) {
	for scanned := from; ; {
		unread := c.buffered()
		end := scanned + bytes.IndexByte(unread[scanned:], '\n') + 1 // scanned without an LF
		switch {
		case end > scanned && end-from <= limit:
			return unread[from:end], nil
		case len(unread)-from >= limit:
			return nil, tooLong
		}
		scanned = len(unread)
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// header returns the end of the header that begins at the offset from in the unread bytes,
// which is the offset after the empty line. It consumes nothing. If the header has more
// than maxFields lines, a longer one than maxLine, or more than limit bytes, the error is a
// statusError.
func (c *connReader) header(from, limit int) (end int, err error) {
	end = from
	for fields := 0; ; fields++ {
		line, err := c.line(end, maxLine, errHeaderLine)
		end += len(line)
		switch {
		case err != nil:
			return 0, err
		case len(trimEnd(line)) == 0:
			return end, nil
		case fields == maxFields:
			return 0, errHeaderCount
		case end-from > limit:
			return 0, errHeaderSize
		}
	}
}

// trimEnd cuts off the LF or CRLF that ends a line.
func trimEnd(line []byte) []byte {
	return bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'})
}

// read reads bytes of a body into p, first those in the buffer.
func (c *connReader) read(p []byte) (int, error) {
	if c.r == c.w {
		c.beginDeadline()
		if len(p) >= bufferSize {
			n, err := c.conn.Read(p)
			return c.received(p, n, err)
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.buffered())
	c.r += n
	return n, nil
}

// awaitRequest waits for the first byte of a request. It skips empty lines before the
// request (RFC 9112 section 2.2), which do not extend the deadline.
func (h *BaseRequestHandler) awaitRequest() bool {
	waits := false
	defer h.state.endWait()
	for blank := 0; ; {
		unread := h.in.buffered()
		rest, isBlank := bytes.CutPrefix(bytes.TrimPrefix(unread, []byte("\r")), []byte("\n"))
		if isBlank && blank < maxFields {
			h.in.consume(len(unread) - len(rest))
			blank++
			continue
		}
		if len(unread) > 0 && string(unread) != "\r" { // the LF of an empty line may follow a CR
			return true
		}
		h.in.release()
		if !waits {
			waits = true
			h.in.beginWait(idleTime)
		}
		if err := h.in.fill(); err != nil {
			h.noRequest(err)
			return false
		}
	}
}

// forgetRequest drops the last request, so that an idle connection does not keep its
// head in memory.
func (h *BaseRequestHandler) forgetRequest() {
	const usualFields = 32 // most requests have fewer
	h.RequestLine, h.Command, h.Path, h.RequestVersion = "", "", "", ""
	h.line, h.rawHeader = requestLine{}, ""
	if cap(h.Headers) > usualFields {
		h.Headers = nil
	}
	clear(h.Headers[:cap(h.Headers)])
	h.Headers = h.Headers[:0]
}

// noRequest logs why there is no request, unless the connection has ended as usual.
func (h *BaseRequestHandler) noRequest(err error) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		h.state.linger = idleTime                  // a request may be on its way
		if h.requests == 0 && !h.state.closing() { // else a persistent connection was idle
			h.Self().LogError("Request timed out")
		}
	case !isGone(err):
		text := err.Error() // of package tls, it may contain what the client has sent
		h.Self().LogError("Connection failed: %s", text[:min(len(text), maxQuoted)])
	}
}

// readRequestLine reads the request line, and the header if that has arrived, too: then
// one copy of the buffer is enough for both.
func (h *BaseRequestHandler) readRequestLine() bool {
	unread := h.in.buffered()
	whole := bytes.Contains(unread, []byte("\n\r\n")) || bytes.Contains(unread, []byte("\n\n"))
	if !whole {
		h.in.beginWait(readingTime)
	}
	line, err := h.in.line(0, maxLine, errRequestLine)
	if err != nil {
		if err != errRequestLine {
			h.RequestLine = string(h.in.buffered())
		}
		return h.refuse(err)
	}
	end := 0
	if whole {
		end, _ = h.in.header(len(line), maxHead-len(line)) // parseHeader gets the error again
	}
	head := string(h.in.buffered()[:max(end, len(line))])
	h.in.consume(len(head))
	h.RequestLine, h.rawHeader = head[:len(trimEnd(line))], head[len(line):]
	return true
}

// refuse ends a request after which nothing can be read: its head is malformed, too large,
// or did not arrive as a whole. It responds unless the connection has failed. It returns
// false.
func (h *BaseRequestHandler) refuse(err error) bool {
	if err == io.EOF {
		err = &statusError{code: 400, message: "Incomplete request"}
	}
	h.broken, h.CloseConnection = true, true
	h.state.endWait()
	h.in.fixture.refuse(err)
	if e, ok := err.(*statusError); ok {
		h.Self().SendError(e.code, e.message, e.explain)
	} else {
		h.logFailure("Request", err)
	}
	return false
}

// parseHeader reads the header, unless it came with the request line, and parses it.
func (h *BaseRequestHandler) parseHeader() bool {
	if h.rawHeader == "" {
		end, err := h.in.header(0, maxHead-len(h.RequestLine))
		if err != nil {
			return h.refuse(err)
		}
		h.rawHeader = string(h.in.buffered()[:end])
		h.in.consume(end)
	}
	h.in.release() // a large head was copied, and no longer needs its large buffer
	h.state.endWait()
	fields, err := parseFields(h.Headers, h.rawHeader)
	framing, framingErr := parseFraming(fields, &h.line)
	if err = cmp.Or(err, checkHost(fields, &h.line), framingErr); err != nil {
		return h.refuse(err)
	}
	h.Headers = fields
	h.body.reset(&h.in, framing)
	h.CloseConnection = !h.mayPersist()
	return true
}

// replaceHost sets Host to the authority of an absolute target, which takes
// precedence (RFC 9112 section 3.2.2).
func (h *BaseRequestHandler) replaceHost() {
	authority, _, ok := splitAbsolute(h.Path)
	if !ok {
		return
	}
	i := h.Headers.index("Host")
	if i < 0 {
		i, h.Headers = len(h.Headers), append(h.Headers, Field{Name: "Host"})
	}
	h.Headers[i].Value = authority
}

// mayPersist reports whether the client's version and Connection fields (RFC 9112 section
// 9.3), ProtocolVersion and the server allow another request on the connection.
func (h *BaseRequestHandler) mayPersist() bool {
	asks := func(option string) bool { return h.Headers.hasToken("Connection", option) }
	return h.sendsHTTP11() && !h.state.closing() && h.line.atLeast(1, 0) &&
		!asks("close") && (h.line.atLeast(1, 1) || asks("keep-alive"))
}

// sendsHTTP11 reports whether responses are of HTTP/1.1.
func (h *BaseRequestHandler) sendsHTTP11() bool { return h.ProtocolVersion >= "HTTP/1.1" }

// wantsContinue reports whether the client waits for 100 Continue (RFC 9110 section
// 10.1.1).
func (h *BaseRequestHandler) wantsContinue() bool {
	return h.line.atLeast(1, 1) && equalFold(h.Headers.Get("Expect"), "100-continue")
}

// skipBody reports whether all of the request's body has been read, after reading
// what the handler has left unread. A client that still waits for 100 Continue may never
// send it, and a server that is shutting down does not ask for it.
func (h *BaseRequestHandler) skipBody() bool {
	if h.body.err == nil && h.body.skippable() && !h.expects && !h.state.closing() {
		h.in.beginWait(readingTime)
		timeout := h.Timeout
		h.Timeout = 0 // the deadline is for all of it
		io.CopyN(io.Discard, &h.body, maxDrain+1)
		h.Timeout = timeout
		h.state.endWait()
	}
	return h.body.err == io.EOF
}

// How long a connection waits for its client while the server shuts down.
const (
	idleTime    = 250 * time.Millisecond // for a request; most take less time to arrive
	readingTime = time.Second            // for the rest of a request
)

// endWait ends the wait that beginWait began.
func (c *connState) endWait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.grace = 0
	if c.closing() {
		c.conn.SetReadDeadline(time.Time{}) // the deadline of limitWait is not for the body
	}
}

// limitWait sets a deadline for the wait if the server is shutting down. It is called when
// the wait begins and by Shutdown; only the later of the two calls has an effect.
func (c *connState) limitWait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.grace > 0 && c.closing() && c.conn.SetReadDeadline(time.Now().Add(c.grace)) != nil {
		c.conn.Close()
	}
}

// isGone reports whether err means that the client has ended the connection.
func isGone(err error) bool {
	return isAny(err, errClientGone, io.EOF, io.ErrClosedPipe, net.ErrClosed,
		syscall.ECONNRESET, syscall.EPIPE, wsaECONNRESET, wsaECONNABORTED)
}

// cause returns the error of the system, without the operation and the addresses around
// it.
func cause(err error) error {
	var op *net.OpError
	var sys *os.SyscallError
	if errors.As(err, &op) {
		err = op.Err
	}
	if errors.As(err, &sys) {
		err = sys.Err
	}
	return err
}

// halfCloseTime is how long a client that has ended its own side of the connection
// is expected to wait for the response.
const halfCloseTime = 5 * time.Second

// watch reads ahead in a goroutine, so that the server notices when the client leaves
// although a handler neither reads nor writes. If the connection breaks, watch calls left
// with errClientGone at once; if the client only ends its own side, watch does so after
// halfCloseTime. The bytes that it reads stay in the buffer; when the buffer holds 64 KiB,
// watch stops reading. The caller must not use c until it has called stop, which waits for
// the goroutine.
func (c *connReader) watch(left context.CancelCauseFunc) (stop func()) {
	stopping, stopped := make(chan struct{}), make(chan struct{})
	c.conn.SetReadDeadline(time.Time{})
	go func() {
		defer close(stopped)
		var err error
		for err == nil && len(c.buffered()) < maxLine {
			err = c.fill()
		}
		if err == io.EOF {
			pause(halfCloseTime, stopping)
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !isClosed(stopping) {
			left(errClientGone)
		}
	}()
	return func() {
		close(stopping)
		if c.conn.SetReadDeadline(time.Unix(1, 0)) != nil {
			c.conn.Close() // nothing else ends a read
		}
		<-stopped
		c.conn.SetReadDeadline(time.Time{})
	}
}
