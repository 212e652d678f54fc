package httpserver

import (
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// This file contains the framing of a request body (RFC 9112 section 6): how its
// length follows from the head, and a reader that returns exactly the body.

// Limits of a request body, in bytes.
const (
	maxExtensions = 16 << 10  // all chunk extensions
	maxTrailers   = 64 << 10  // the trailer section
	maxDrain      = 256 << 10 // what is read of a body that the handler left unread
)

// chunked is the framing of a body in the chunked coding. Any other framing is
// the length of the body in bytes.
const chunked = -1

// parseFraming returns the framing of a request body, which is 0 if there is no
// body. It refuses a request for which another implementation could find another
// framing (RFC 9112 section 11).
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

// checkCoding checks the value of Transfer-Encoding. The only supported one is
// "chunked". It refuses others with 501, or with 400 if they are malformed or apply
// a coding after chunked.
func checkCoding(coding string) *statusError {
	if equalFold(coding, "chunked") {
		return nil
	}
	items := strings.Split(coding, ",")
	for i, item := range items {
		item = trimSpace(item)
		if !isToken(item) || equalFold(item, "chunked") && i < len(items)-1 {
			return badRequest("Bad Transfer-Encoding", coding)
		}
	}
	return &statusError{code: 501, message: "Unsupported Transfer-Encoding (" + quote(coding) + ")"}
}

// parseLength parses a Content-Length (RFC 9110 section 8.6). It reports whether
// s is a number that is less than math.MaxInt64.
func parseLength(s string) (n int64, ok bool) {
	n, ok = parseDigits(s)
	return n, ok && n < math.MaxInt64
}

// A bodyReader reads the body of one request from the connection.
type bodyReader struct {
	conn       *connReader
	remaining  int64 // unread bytes of the body, or of the current chunk
	chunked    bool
	inChunk    bool  // the CRLF that ends the current chunk has not been read
	handedOver bool  // after the body, the client sends what only Hijack returns
	extra      int   // bytes of chunk extensions so far
	err        error // returned by all further reads; io.EOF at the end of the body
}

// reset prepares b for reading a body with the given framing.
func (b *bodyReader) reset(conn *connReader, framing int64) {
	*b = bodyReader{conn: conn, remaining: framing}
	switch framing {
	case chunked:
		b.chunked, b.remaining = true, 0
	case 0:
		b.err = io.EOF
	}
}

// Read reads the decoded body. It returns io.ErrUnexpectedEOF if the client closes
// the connection before the end of the body, and errHandedOver where a handler that
// was moved from Python expects what the client sends after the request.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.handedOver && b.err == io.EOF {
		b.err = errHandedOver
	}
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
		b.err = unexpectedEOF(err)
	case b.remaining == 0 && !b.chunked:
		b.err = io.EOF
	}
	if n > 0 {
		return n, nil
	}
	return n, b.err
}

// nextChunk reads up to the data of the next chunk. After the last chunk it reads
// the trailer section and returns io.EOF. The lines must end in CRLF: an LF alone
// is not accepted here (RFC 9112 section 7.1).
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

// skipTrailers reads the trailer section and returns io.EOF at its end. The fields
// are checked but not kept.
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

// parseChunkSize parses the line before a chunk, which includes its CRLF. It
// returns the size of the chunk and the number of bytes in chunk extensions.
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
	if len(digits) > 16 || !hexBytes.containsAll(digits) {
		return 0, 0, false
	}
	size, err := strconv.ParseInt(digits, 16, 64)
	return size, len(line) - len(digits), err == nil
}

// chunkError returns the error of [bodyReader.Read] for a line of the chunked
// coding. A nil err means that the line was read but is malformed.
func chunkError(err error) error {
	if err == nil || errors.Is(err, errLineLimit) {
		return errBadChunk
	}
	return unexpectedEOF(err)
}

// unexpectedEOF returns err, or io.ErrUnexpectedEOF if err is io.EOF.
func unexpectedEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// skippable reports whether what is left of the body can be read and dropped.
func (b *bodyReader) skippable() bool {
	return b.err == io.EOF || b.err == nil && b.remaining <= maxDrain
}

// drain reads the rest of the body, up to maxDrain bytes, so that the next request
// can be read. The caller sets the deadline for all of it. drain reports whether it
// reached the end of the body.
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
