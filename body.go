package httpserver

import (
	"cmp"
	"io"
	"math"
	"strconv"
	"strings"
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
	lengths, codings := fields.Values("Content-Length"), fields.Values("Transfer-Encoding")
	for _, length := range lengths {
		if length != lengths[0] {
			return 0, badRequest("Content-Length differs", length)
		}
	}
	switch {
	case len(codings) > 1:
		return 0, badRequest("Transfer-Encoding twice", codings[1])
	case len(codings) == 1 && len(lengths) > 0:
		return 0, badRequest("Transfer-Encoding with Content-Length", lengths[0])
	case len(codings) == 1 && !r.atLeast(1, 1):
		return 0, badRequest("Transfer-Encoding on HTTP/1.0", codings[0])
	case len(codings) == 1:
		return chunked, checkCoding(codings[0])
	case len(lengths) > 0:
		n, ok := parseLength(lengths[0])
		if !ok {
			return 0, badRequest("Bad Content-Length", lengths[0])
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
	handedOver bool  // only the reader of Hijack returns what the client sends after the body
	extra      int   // bytes of chunk extensions so far
	err        error // returned by all further reads; io.EOF at the end of the body
}

// reset prepares b for reading a body with the given framing.
func (b *bodyReader) reset(conn *connReader, framing int64) {
	*b = bodyReader{conn: conn, remaining: max(framing, 0), chunked: framing == chunked}
	if framing == 0 {
		b.err = io.EOF
	}
}

// Read reads the decoded body. It returns io.ErrUnexpectedEOF if the client closes the
// connection before the end of the body. After 101, or 2xx for CONNECT, it returns
// errHandedOver at the end of the body instead of io.EOF: Python's rfile continues with what
// the client sends next, which only Hijack returns here.
func (b *bodyReader) Read(p []byte) (n int, err error) {
	if b.handedOver && b.err == io.EOF {
		b.err = errHandedOver
	}
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.chunked && b.remaining == 0 {
		b.err = b.nextChunk()
	}
	if b.err == nil {
		n, err = b.conn.read(p[:min(int64(len(p)), b.remaining)])
		b.remaining -= int64(n)
		if err != nil {
			b.err = bodyError(err)
		} else if b.remaining == 0 && !b.chunked {
			b.err = io.EOF
		}
	}
	b.conn.fixture.receiveBody(p[:n], b)
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

// nextChunk reads up to the data of the next chunk. After the last chunk it reads
// the trailer section and returns io.EOF.
func (b *bodyReader) nextChunk() error {
	b.conn.beginDeadline()
	if b.inChunk {
		if line, err := b.line(2); err != nil || line != "\r\n" {
			return cmp.Or(err, errBadChunk)
		}
	}
	line, err := b.line(maxExtensions - b.extra)
	if err != nil {
		return err
	}
	size, extension, ok := parseChunkSize(line)
	if !ok {
		return errBadChunk
	}
	b.extra += extension
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
		line, err := b.line(maxTrailers - total)
		if err != nil {
			return err
		}
		if line == "\r\n" {
			return io.EOF
		}
		text, ended := strings.CutSuffix(line, "\r\n")
		if _, ok := parseField(text); !ok || !ended {
			return errBadChunk
		}
		total += len(line)
	}
}

// line reads a line of the chunked coding. The caller checks that it ends in CRLF:
// an LF alone is not accepted here (RFC 9112 section 7.1).
func (b *bodyReader) line(limit int) (string, error) {
	line, err := b.conn.line(0, limit, errBadChunk)
	if err != nil {
		return "", bodyError(err)
	}
	b.conn.consume(len(line))
	return string(line), nil
}

// bodyError returns the error of [bodyReader.Read] for an error of reading from the
// connection.
func bodyError(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseChunkSize parses the line before a chunk, which includes its CRLF. It
// returns the size of the chunk and the number of bytes in chunk extensions.
func parseChunkSize(line string) (size int64, extension int, ok bool) {
	line, ok = strings.CutSuffix(line, "\r\n")
	digits, extensions, found := strings.Cut(line, ";")
	if found {
		digits = strings.TrimRight(digits, " \t")
	}
	n, err := strconv.ParseUint(digits, 16, 63)
	ok = ok && err == nil && len(digits) <= 16 && !hasControl(extensions)
	return int64(n), len(line) - len(digits), ok
}

// skippable reports whether what is left of the body can be read and dropped.
func (b *bodyReader) skippable() bool {
	return b.err == io.EOF || b.err == nil && b.remaining <= maxDrain
}
