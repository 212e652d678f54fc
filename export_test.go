package httpserver

import (
	"bytes"
	"io"
	"net"
	"time"
)

// What tests see of the inside.

var (
	Quote             = quote
	HasControl        = hasControl
	CleanPath         = cleanPath
	LocalPath         = localPath
	WindowsName       = windowsName
	QuoteName         = quoteName
	QuoteTarget       = quoteTarget
	ValidHost         = validHost
	ParseHTTPDate     = parseHTTPDate
	StatusTableLength = len(statuses)
)

func AppendEscaped(dst []byte, s string) []byte { return appendEscaped(dst, s) }

// ParseRequestLine gives the words of a request line, or the code of its error.
func ParseRequestLine(line string) (command, target, version string, code int) {
	r, err := parseRequestLine(line)
	if err != nil {
		code = err.code
	}
	return r.command, r.target, r.version, code
}

// ParseFields gives header fields, or the code of the error.
func ParseFields(block string) (Header, int) {
	fields, err := parseFields(nil, block)
	if err != nil {
		return nil, err.code
	}
	return fields, 0
}

// ReadChunked decodes a chunked body and gives what comes after it.
func ReadChunked(wire []byte) (body, rest []byte, err error) {
	var none time.Duration
	in := connReader{conn: memoryConn{r: bytes.NewReader(wire)}, timeout: &none}
	var b bodyReader
	b.reset(&in, chunked)
	if body, err = io.ReadAll(&b); err != nil {
		return nil, nil, err
	}
	rest, err = io.ReadAll(io.MultiReader(bytes.NewReader(in.buffered()), in.conn))
	return body, rest, err
}

// A memoryConn is a connection of which only Read works.
type memoryConn struct {
	net.Conn
	r io.Reader
}

func (c memoryConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// ParseScriptHeader reads the header of a script's output.
func ParseScriptHeader(output string) (code int, location string, fields Header, err error) {
	sh, err := parseScriptHeader(output)
	return sh.code, sh.location, sh.fields, err
}

// NewValidators gives the validators of a file.
func NewValidators(size int64, modified, now time.Time) (tag string, date time.Time, strong bool) {
	v := newValidators(size, modified, now)
	return v.tag, v.modified, v.strong
}

// CheckPreconditions evaluates the preconditions for a file.
func CheckPreconditions(fields Header, method string, size int64, modified, now time.Time) int {
	return checkPreconditions(fields, method, newValidators(size, modified, now), now)
}

// SelectRanges gives start and size of what is sent of a file.
func SelectRanges(fields Header, method string, size int64, modified, now time.Time) (code int, pairs [][2]int64) {
	code, ranges := selectRanges(fields, method, newValidators(size, modified, now), size, now)
	for _, r := range ranges {
		pairs = append(pairs, [2]int64{r.start, r.size})
	}
	return code, pairs
}

// Multipart gives the length of a body of these ranges, what surrounds them in
// it, and whether it is worth to be sent.
func Multipart(pairs [][2]int64, contentType, boundary string, size int64) (length int64, heads []string, end string, worthwhile bool) {
	var ranges []byteRange
	for _, p := range pairs {
		ranges = append(ranges, byteRange{p[0], p[1]})
	}
	m := newMultipart(ranges, contentType, boundary, size)
	return m.length, m.heads, m.end, m.worthwhile(ranges, size)
}

// EntityTags gives the tags of a list, and whether it is sound.
func EntityTags(list string) (tags []string, ok bool) {
	for {
		var tag string
		if tag, list, ok = nextTag(list); tag == "" {
			return tags, ok
		}
		tags = append(tags, tag)
	}
}

var NewBoundary = newBoundary
