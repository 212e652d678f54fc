package httpserver

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// This file holds the framing of a request's body (RFC 9112 section 6): how
// long it is, from the head alone, and a reader that gives it and no more.

// Limits of what chunked coding adds to a body, in bytes a message, and of
// what is read of a body that the handler left unread.
const (
	maxExtensions = 16 << 10
	maxTrailers   = 64 << 10
	maxDrain      = 256 << 10
)

// chunked is the framing of a body that is sent in chunks; any other framing is
// the body's length in bytes.
const chunked = -1

// parseFraming says how the body of a request is framed. What two readers could
// take for different lengths is refused.
func parseFraming(fields Header, r *requestLine) (framing int64, err *statusError) {
	length, coding := "", ""
	hasLength, hasCoding := false, false
	for i := range fields {
		value := fields[i].Value
		switch {
		case fields[i].is("Content-Length"):
			if hasLength && value != length {
				return 0, badRequest("Content-Length differs", value)
			}
			length, hasLength = value, true
		case fields[i].is("Transfer-Encoding"):
			if hasCoding {
				return 0, badRequest("Transfer-Encoding twice", value)
			}
			coding, hasCoding = value, true
		}
	}
	switch {
	case hasCoding && hasLength:
		return 0, badRequest("Transfer-Encoding with Content-Length", length)
	case hasCoding && !r.atLeast(1, 1):
		return 0, badRequest("Transfer-Encoding on HTTP/1.0", coding)
	case hasCoding:
		return chunked, checkCoding(coding)
	case hasLength:
		n, ok := parseLength(length)
		if !ok {
			return 0, badRequest("Bad Content-Length", length)
		}
		return n, nil
	}
	return 0, nil
}

// checkCoding accepts "chunked" alone. Codings that are sound and unknown are
// 501; a list in which chunked is not the last, or no list, is 400.
func checkCoding(coding string) *statusError {
	if strings.EqualFold(coding, "chunked") {
		return nil
	}
	items := strings.Split(coding, ",")
	for i, item := range items {
		item = trimSpace(item)
		if !isToken(item) || strings.EqualFold(item, "chunked") && i < len(items)-1 {
			return badRequest("Bad Transfer-Encoding", coding)
		}
	}
	return &statusError{code: 501, message: "Unsupported Transfer-Encoding (" + quote(coding) + ")"}
}

// parseLength reads 1*DIGIT that fits an int64.
func parseLength(s string) (n int64, ok bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// A bodyReader reads one request's body from the connection, then gives io.EOF.
type bodyReader struct {
	conn      *connReader
	remaining int64 // bytes of the body, or of the chunk, still to come
	chunked   bool
	inChunk   bool  // a chunk was begun; its CRLF is still to come
	extra     int   // bytes of chunk extensions so far
	err       error // sticky: io.EOF after the body
}

// reset begins a body of the given framing.
func (b *bodyReader) reset(conn *connReader, framing int64) {
	*b = bodyReader{conn: conn, remaining: framing}
	switch framing {
	case chunked:
		b.chunked, b.remaining = true, 0
	case 0:
		b.err = io.EOF
	}
}

// Read reads the body, decoded. A body that the client cut short ends in
// io.ErrUnexpectedEOF.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n, err := b.read(p)
	b.conn.fixture.receiveBody(p[:n], b)
	return n, err
}

// read is Read before the end of the body.
func (b *bodyReader) read(p []byte) (int, error) {
	if b.chunked && b.remaining == 0 {
		if b.err = b.nextChunk(); b.err != nil {
			return 0, b.err
		}
	}
	n, err := b.conn.read(p[:min(int64(len(p)), b.remaining)])
	b.remaining -= int64(n)
	switch {
	case err != nil:
		b.err = unexpected(err)
	case b.remaining == 0 && !b.chunked:
		b.err = io.EOF
	}
	if n > 0 {
		return n, nil
	}
	return n, b.err
}

// nextChunk reads on to the data of the next chunk, or past the last chunk and
// the trailers, which gives io.EOF. Lines of the framing end in CRLF alone.
func (b *bodyReader) nextChunk() error {
	b.conn.beginDeadline()
	if b.inChunk {
		if line, err := b.conn.line(0, 2, true); err != nil || string(line) != "\r\n" {
			return chunkError(err)
		}
		b.conn.consume(2)
	}
	line, err := b.conn.line(0, maxExtensions-b.extra, true)
	if err != nil {
		return chunkError(err)
	}
	size, extension, ok := parseChunkSize(string(line))
	if !ok {
		return errBadChunk
	}
	b.extra += extension
	b.conn.consume(len(line))
	b.remaining, b.inChunk = size, true
	if size > 0 {
		return nil
	}
	return b.skipTrailers()
}

// skipTrailers reads the trailer section. Its fields are checked and dropped.
func (b *bodyReader) skipTrailers() error {
	for total := 0; ; {
		line, err := b.conn.line(0, maxTrailers-total, true)
		if err != nil {
			return chunkError(err)
		}
		text, ok := strings.CutSuffix(string(line), "\r\n")
		if ok && text != "" {
			_, ok = parseField(text)
		}
		if !ok {
			return errBadChunk
		}
		b.conn.consume(len(line))
		if text == "" {
			return io.EOF
		}
		total += len(line)
	}
}

// parseChunkSize reads the line before a chunk, with its CRLF, and tells how
// many of its bytes are extension.
func parseChunkSize(line string) (size int64, extension int, ok bool) {
	line, ok = strings.CutSuffix(line, "\r\n")
	if !ok {
		return 0, 0, false
	}
	digits := line
	if end := strings.IndexAny(line, "; \t"); end >= 0 {
		digits = line[:end]
		rest := trimSpace(line[end:])
		if rest == "" || rest[0] != ';' || hasControl(rest) {
			return 0, 0, false
		}
	}
	if len(digits) > 16 || strings.Trim(digits, "0123456789abcdefABCDEF") != "" {
		return 0, 0, false
	}
	size, err := strconv.ParseInt(digits, 16, 64)
	return size, len(line) - len(digits), err == nil
}

// chunkError turns what ended the reading of a framing line into the error the
// handler sees. No error means that the line was not what it should be.
func chunkError(err error) error {
	if err == nil || errors.Is(err, errLineLimit) {
		return errBadChunk
	}
	return unexpected(err)
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// skippable reports whether what is left of the body can be read and dropped.
func (b *bodyReader) skippable() bool {
	return b.err == io.EOF || b.err == nil && b.remaining <= maxDrain
}

// drain reads what the handler has left, so that the next request can be read. All
// of it must arrive before the deadline that is set. It reports whether the body
// ended within maxDrain bytes.
func (b *bodyReader) drain() bool {
	if b.err == nil && b.skippable() {
		timeout := b.conn.timeout
		b.conn.timeout = &noTimeout
		io.CopyN(io.Discard, b, maxDrain+1)
		b.conn.timeout = timeout
	}
	return b.err == io.EOF
}

var noTimeout time.Duration
