package httpserver

import (
	"strconv"
	"strings"
)

// This file holds the head of a request: the ordered Header, and the parsers
// of the request line and the header fields (RFC 9112 sections 3 and 5).

// Limits of a request head.
const (
	maxLine   = 64 << 10 // bytes of the request line or of a header line, with its end
	maxFields = 100      // header fields
	maxHead   = 1 << 20  // bytes of all header lines
)

// A Header holds header fields in the order and spelling received. It answers
// to BaseHTTPRequestHandler.headers. The zero value has no fields.
type Header []Field

// A Field is one header field. Its value has no white space around it.
type Field struct{ Name, Value string }

// is tells whether the field is called name, in any case.
func (f *Field) is(name string) bool {
	return len(f.Name) == len(name) && strings.EqualFold(f.Name, name) // most differ in length
}

// Get gives the value of the first field called name, in any case, or "".
func (h Header) Get(name string) string {
	value, _ := h.Lookup(name)
	return value
}

// Lookup is Get that also tells whether there is such a field.
func (h Header) Lookup(name string) (value string, ok bool) {
	for i := range h {
		if h[i].is(name) {
			return h[i].Value, true
		}
	}
	return "", false
}

// Values gives the values of all fields called name, in any case, in order.
func (h Header) Values(name string) []string {
	var values []string
	for i := range h {
		if h[i].is(name) {
			values = append(values, h[i].Value)
		}
	}
	return values
}

// hasToken tells whether a comma-separated list has the token, in any case
// (RFC 9110 section 5.6.1).
func hasToken(list, token string) bool {
	for list != "" {
		var item string
		item, list, _ = strings.Cut(list, ",")
		if strings.EqualFold(trimSpace(item), token) {
			return true
		}
	}
	return false
}

// A requestLine is a parsed request line. A line of two words is a simple
// request of HTTP/0.9.
type requestLine struct {
	command, target string
	version         string // as it was sent; "" until it is known to be sound
	major, minor    int64
}

// simple tells whether this is a request of HTTP/0.9, which has no header.
func (r *requestLine) simple() bool { return r.version == "" }

// parseRequestLine reads a request line without its end. Also with an error,
// version is what the answer should be sent in, "" if that is not known yet.
func parseRequestLine(line string) (r requestLine, err *statusError) {
	words, n := splitWords(line)
	if n >= 3 {
		if err := r.parseVersion(words[3]); err != nil {
			return r, err
		}
	}
	if n != 2 && n != 3 || hasControl(line) {
		return r, badRequest("Bad request syntax", line)
	}
	if n == 2 && words[0] != "GET" {
		return r, badRequest("Bad HTTP/0.9 request type", words[0])
	}
	r.command, r.target = words[0], words[1]
	if !validTarget(r.command, r.target) {
		return r, badRequest("Bad request target", r.target)
	}
	return r, nil
}

// splitWords gives the first three words of a line, its last one, and how many
// there are. Words are parted by spaces and tabs.
func splitWords(line string) (words [4]string, n int) {
	for i := 0; ; n++ {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) {
			return words, n
		}
		begin := i
		for i < len(line) && !isSpace(line[i]) {
			i++
		}
		words[3] = line[begin:i]
		if n < 3 {
			words[n] = words[3]
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// hasControl tells whether s has a control in it other than a tab. It passes over
// eight bytes at once where none of them can be one.
func hasControl(s string) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for len(s) >= 8 {
		x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		del := x ^ 0x7f*ones
		if ((x-' '*ones)&^x|(del-ones)&^del)&highs != 0 { // a byte below ' ', or 0x7f
			break
		}
		s = s[8:]
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

// parseVersion reads "HTTP/major.minor" the way Python does: the numbers are
// integers of at most ten digits, leading zeros are ignored, 2.0 is too much.
func (r *requestLine) parseVersion(version string) *statusError {
	number, ok := strings.CutPrefix(version, "HTTP/")
	major, minor, dot := strings.Cut(number, ".")
	var ok1, ok2 bool
	r.major, ok1 = parseDigits(major)
	r.minor, ok2 = parseDigits(minor)
	if !ok || !dot || !ok1 || !ok2 || max(len(major), len(minor)) > 10 {
		return badRequest("Bad request version", version)
	}
	if r.major >= 2 {
		return &statusError{code: 505, message: "Invalid HTTP version (" + number + ")"}
	}
	r.version = version
	return nil
}

// parseDigits parses 1*DIGIT and reports whether s is that. A number that does
// not fit an int64 is returned as math.MaxInt64.
func parseDigits(s string) (n int64, ok bool) {
	if s == "" || !digitBytes.hold(s) {
		return 0, false
	}
	n, _ = strconv.ParseInt(s, 10, 64) // its result is MaxInt64 if it fails
	return n, true
}

// validTarget tells whether a request target has the form that its method
// asks for (RFC 9112 section 3.2).
func validTarget(command, target string) bool {
	switch {
	case command == "CONNECT":
		host, port, ok := cutPort(target)
		return ok && host != "" && port != "" && validHost(target)
	case target == "*":
		return command == "OPTIONS"
	case target[0] == '/':
		return true
	}
	authority, _, ok := splitAbsolute(target)
	return ok && authority != "" && validHost(authority)
}

// splitAbsolute cuts a target in absolute form into its authority and the rest,
// path and query.
func splitAbsolute(target string) (authority, rest string, ok bool) {
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || scheme == "" || !schemeBytes.hold(scheme) {
		return "", "", false
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	return rest[:end], rest[end:], true
}

// cutPort cuts host:port at its last colon outside brackets.
func cutPort(authority string) (host, port string, ok bool) {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || i < strings.LastIndexByte(authority, ']') {
		return authority, "", false
	}
	return authority[:i], authority[i+1:], true
}

// validHost tells whether s is host[:port], as a Host field must be (RFC 9110
// section 7.2). An empty host is allowed there.
func validHost(s string) bool {
	host, port, _ := cutPort(s)
	if !digitBytes.hold(port) {
		return false
	}
	if !strings.HasPrefix(host, "[") {
		return hostBytes.hold(host)
	}
	return strings.HasSuffix(host, "]") && len(host) >= 4 && addressBytes.hold(host[1:len(host)-1])
}

// What a registered name and an address in brackets may hold, RFC 3986 section 3.2.2.
var (
	hostBytes    = newByteSet(alnum + hostMarks)
	addressBytes = newByteSet(alnum + hostMarks + ":")
)

const hostMarks = "-._~%!$&'()*+,;="

// parseFields reads header lines up to the empty one that ends block, and
// appends them to fields. A line ends in LF or CRLF.
func parseFields(fields Header, block string) (Header, *statusError) {
	for block != "" {
		var line string
		line, block, _ = strings.Cut(block, "\n")
		if len(line) >= maxLine {
			return nil, errHeaderLine
		}
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			break
		}
		if len(fields) == maxFields {
			return nil, errHeaderCount
		}
		field, ok := parseField(line)
		if !ok {
			return nil, badRequest("Bad header line", line[:min(len(line), 256)])
		}
		fields = append(fields, field)
	}
	return fields, nil
}

var (
	errHeaderLine  = &statusError{431, "Line too long", "A header line is longer than 65536 bytes"}
	errHeaderCount = &statusError{431, "Too many headers", "The request has more than 100 header fields"}
	errHeaderSize  = &statusError{431, "Header too large", "The header is larger than 1048576 bytes"}
)

// parseField reads "name: value". A name is a token and the colon follows it at
// once; a value has no control but tabs. So a folded line is no field either.
func parseField(line string) (Field, bool) {
	colon := strings.IndexByte(line, ':')
	if colon < 0 || !isToken(line[:colon]) {
		return Field{}, false
	}
	value := trimSpace(line[colon+1:])
	return Field{line[:colon], value}, !hasControl(value)
}

// trimSpace cuts optional white space (RFC 9110 section 5.6.3) at both ends.
func trimSpace(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// isToken tells whether s is a token, RFC 9110 section 5.6.2.
func isToken(s string) bool { return s != "" && tokenBytes.hold(s) }

// A byteSet is a set of bytes.
type byteSet [256]bool

var (
	digitBytes  = newByteSet("0123456789")
	hexBytes    = newByteSet("0123456789abcdefABCDEF")
	schemeBytes = newByteSet(alnum + "+-.")
	tokenBytes  = newByteSet(alnum + "!#$%&'*+-.^_`|~")
)

const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// newByteSet is the set of the bytes of s.
func newByteSet(s string) *byteSet {
	var set byteSet
	for i := range len(s) {
		set[s[i]] = true
	}
	return &set
}

// hold tells whether every byte of s is in the set.
func (set *byteSet) hold(s string) bool {
	for i := 0; i < len(s); i++ {
		if !set[s[i]] {
			return false
		}
	}
	return true
}

// checkHost applies RFC 9112 section 3.2: a request of HTTP/1.1 has exactly one
// Host, of the form host[:port], and no request has two.
func checkHost(fields Header, r *requestLine) *statusError {
	hosts := 0
	for i := range fields {
		if !fields[i].is("Host") {
			continue
		}
		if hosts++; hosts > 1 {
			return badRequest("Host twice", fields[i].Value)
		}
		if !validHost(fields[i].Value) {
			return badRequest("Bad Host", fields[i].Value)
		}
	}
	if hosts == 0 && r.atLeast(1, 1) {
		return &statusError{code: 400, message: "Host is missing"}
	}
	return nil
}

func (r *requestLine) atLeast(major, minor int64) bool {
	return r.major > major || r.major == major && r.minor >= minor
}
