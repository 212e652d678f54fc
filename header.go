package httpserver

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// This file contains the type Header and the parsers of a request head, which is
// the request line and the header fields (RFC 9112 sections 3 and 5).

// Limits of a request head.
const (
	maxLine   = 64 << 10  // bytes of the request line or of a header line, with its line end
	maxFields = 100       // header fields
	maxHead   = 256 << 10 // bytes of the request line and all header lines
)

// A Header is a list of header fields in the order and spelling in which they
// were received. Python: BaseHTTPRequestHandler.headers.
type Header []Field

// A Field is a header field. The value of a received field has no white space
// at its ends.
type Field struct{ Name, Value string }

// is reports whether the field's name is name, ignoring case.
func (f *Field) is(name string) bool {
	return equalFold(f.Name, name)
}

// Get returns the value of the first field with the given name, ignoring case.
// It returns "" if there is none.
func (h Header) Get(name string) string {
	value, _ := h.Lookup(name)
	return value
}

// Lookup is like [Header.Get] but also reports whether there is such a field.
func (h Header) Lookup(name string) (value string, ok bool) {
	if i := h.index(name); i >= 0 {
		return h[i].Value, true
	}
	return "", false
}

// index returns the index of the first field with the given name, or -1.
func (h Header) index(name string) int {
	return slices.IndexFunc(h, func(f Field) bool { return f.is(name) })
}

// Values returns the values of all fields with the given name, ignoring case, in
// the order of the fields.
func (h Header) Values(name string) []string {
	var values []string
	for i := range h {
		if h[i].is(name) {
			values = append(values, h[i].Value)
		}
	}
	return values
}

// hasToken reports whether a field with the given name, whose value is a list,
// contains the token.
func (h Header) hasToken(name, token string) bool {
	return slices.ContainsFunc(h, func(f Field) bool { return f.is(name) && hasToken(f.Value, token) })
}

// hasToken reports whether a comma-separated list (RFC 9110 section 5.6.1)
// contains the token, ignoring case.
func hasToken(list, token string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if equalFold(trimSpace(item), token) {
			return true
		}
	}
	return false
}

// equalFold reports whether two strings are equal if the case of letters is ignored. At
// least one of them is ASCII, like all elements of the protocol. Other letters that are
// equal to one of ASCII in Unicode, such as the Kelvin sign, take more than one byte.
func equalFold(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// A requestLine is a parsed request line.
type requestLine struct {
	command, target string
	version         string // such as "HTTP/1.1"; "" if the line has no valid version
	major, minor    int64
}

// simple reports whether this is a simple request (RFC 1945 section 4.1): one
// of HTTP/0.9, which has neither a version nor header fields.
func (r *requestLine) simple() bool { return r.version == "" }

// parseRequestLine parses a request line without its line end. If it returns an
// error, r.version is still set if the line has a valid version.
func parseRequestLine(line string) (r requestLine, err *statusError) {
	words := trimSpace(line)
	begin, end := strings.IndexAny(words, " \t"), strings.LastIndexAny(words, " \t")+1
	if begin < 0 {
		return r, badRequest("Bad request syntax", line)
	}
	command, target, last := words[:begin], trimSpace(words[begin:end]), words[end:]
	if target == "" { // there are two words
		target = last
	} else if err := r.parseVersion(last); err != nil {
		return r, err
	}
	if strings.ContainsAny(target, " \t") || hasControl(line) {
		return r, badRequest("Bad request syntax", line)
	}
	if r.simple() && command != "GET" {
		return r, badRequest("Bad HTTP/0.9 request type", command)
	}
	r.command, r.target = command, target
	if !validTarget(r.command, r.target) {
		return r, badRequest("Bad request target", r.target)
	}
	return r, nil
}

// isControl reports whether c is an ASCII control character other than a tab.
func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

// hasControl reports whether s contains such a control character.
func hasControl(s string) bool { return slices.ContainsFunc([]byte(s), isControl) }

// parseVersion parses "HTTP/major.minor" as Python does: the numbers have at
// most ten digits, and leading zeros are ignored. It refuses versions from 2.0 on
// with 505.
func (r *requestLine) parseVersion(version string) *statusError {
	number, ok := strings.CutPrefix(version, "HTTP/")
	major, minor, _ := strings.Cut(number, ".")
	var ok1, ok2 bool
	r.major, ok1 = parseDigits(major)
	r.minor, ok2 = parseDigits(minor)
	if !ok || !ok1 || !ok2 || max(len(major), len(minor)) > 10 {
		return badRequest("Bad request version", version)
	}
	if r.major >= 2 {
		return &statusError{code: 505, message: "Invalid HTTP version (" + number + ")"}
	}
	r.version = version
	return nil
}

// parseDigits parses a decimal number (1*DIGIT) and reports whether s is one. It
// returns math.MaxInt64 for a number that does not fit an int64.
func parseDigits(s string) (n int64, ok bool) {
	u, err := strconv.ParseUint(s, 10, 63)
	return int64(u), err == nil || errors.Is(err, strconv.ErrRange)
}

// validTarget reports whether a request target has a form that is allowed for the
// method (RFC 9112 section 3.2).
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
	host, _, _ := cutPort(authority)
	return ok && host != "" && validHost(authority)
}

// splitAbsolute splits a request target in absolute form into its authority and
// the rest, which is the path and the query. ok is false for any other form. A scheme
// begins with a letter.
func splitAbsolute(target string) (authority, rest string, ok bool) {
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || scheme == "" || scheme[0] < 'A' || !schemeBytes.containsAll(scheme) {
		return "", "", false
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	return rest[:end], rest[end:], true
}

// cutPort cuts host:port at the colon before the port, and reports whether there
// is one. A colon inside brackets belongs to the host.
func cutPort(authority string) (host, port string, ok bool) {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || i < strings.LastIndexByte(authority, ']') {
		return authority, "", false
	}
	return authority[:i], authority[i+1:], true
}

// validHost reports whether s is host[:port], as the value of a Host field must
// be (RFC 9110 section 7.2). The host may be empty.
func validHost(s string) bool {
	host, port, _ := cutPort(s)
	if !digitBytes.containsAll(port) {
		return false
	}
	if !strings.HasPrefix(host, "[") {
		_, err := url.PathUnescape(host)
		return err == nil && hostBytes.containsAll(host)
	}
	address, closed := strings.CutSuffix(host[1:], "]")
	if strings.HasPrefix(address, "v") { // of a version of IP to come
		return closed && futureBytes.containsAll(address)
	}
	ip, err := netip.ParseAddr(strings.Replace(address, "%25", "%", 1)) // RFC 6874
	return closed && err == nil && ip.Is6() && hostBytes.containsAll(ip.Zone())
}

// The bytes allowed in a registered name, and in IPvFuture (RFC 3986 section 3.2.2).
var (
	hostBytes   = newByteSet(alnum + hostMarks)
	futureBytes = newByteSet(alnum + hostMarks + ":")
)

const hostMarks = "-._~%!$&'()*+,;="

// parseFields parses the header lines of block, up to an empty line or the end,
// and appends the fields to fields. A line ends in LF or CRLF. The caller checks the limits
// of a header.
func parseFields(fields Header, block string) (Header, *statusError) {
	for line := range strings.SplitSeq(block, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			break
		}
		field, ok := parseField(line)
		if !ok {
			return nil, badRequest("Bad header line", line)
		}
		fields = append(fields, field)
	}
	return fields, nil
}

var (
	errRequestLine = &statusError{code: 414}
	errHeaderLine  = &statusError{431, "Line too long", "A header line is longer than 65536 bytes"}
	errHeaderCount = &statusError{431, "Too many headers", "The request has more than 100 header fields"}
	errHeaderSize  = &statusError{431, "Header too large",
		"The request line and the header are larger than 262144 bytes"}
)

// parseField parses "name: value". The name must be a token that the colon follows
// immediately, and the value must not contain control characters other than tabs.
// A line that begins with white space (obs-fold) is therefore not a field.
func parseField(line string) (Field, bool) {
	colon := strings.IndexByte(line, ':')
	if colon < 0 || !isToken(line[:colon]) {
		return Field{}, false
	}
	value := trimSpace(line[colon+1:])
	return Field{line[:colon], value}, !hasControl(value)
}

// trimSpace removes optional white space (RFC 9110 section 5.6.3) from both ends
// of s.
func trimSpace(s string) string { return strings.Trim(s, " \t") }

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool { return s != "" && tokenBytes.containsAll(s) }

// A byteSet is a set of bytes.
type byteSet [256]bool

var (
	digitBytes  = newByteSet("0123456789")
	hexBytes    = newByteSet("0123456789abcdefABCDEF")
	schemeBytes = newByteSet(alnum + "+-.")
	tokenBytes  = newByteSet(alnum + "!#$%&'*+-.^_`|~")
)

const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// newByteSet returns the set of the bytes in s.
func newByteSet(s string) *byteSet {
	var set byteSet
	for i := range len(s) {
		set[s[i]] = true
	}
	return &set
}

// containsAll reports whether every byte of s is in the set.
func (set *byteSet) containsAll(s string) bool {
	return !slices.ContainsFunc([]byte(s), func(c byte) bool { return !set[c] })
}

// checkHost checks the Host field (RFC 9112 section 3.2): it must be valid, must
// not occur twice, and must not be missing in HTTP/1.1.
func checkHost(fields Header, r *requestLine) *statusError {
	i := fields.index("Host")
	switch {
	case i < 0 && r.atLeast(1, 1):
		return &statusError{code: 400, message: "Host is missing"}
	case i >= 0 && !validHost(fields[i].Value):
		return badRequest("Bad Host", fields[i].Value)
	}
	if second, found := fields[i+1:].Lookup("Host"); found {
		return badRequest("Host twice", second)
	}
	return nil
}

// atLeast reports whether the request's version is major.minor or later.
func (r *requestLine) atLeast(major, minor int64) bool {
	return r.major > major || r.major == major && r.minor >= minor
}

// allowsHost reports whether Hosts allows a request for an authority, host[:port].
func (s *HTTPServer) allowsHost(authority string) bool {
	if s.Hosts == nil {
		return true
	}
	host, _, _ := cutPort(authority)
	host = strings.TrimSuffix(host, ".")
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	isIP := err == nil
	isHost := func(name string) bool { return equalFold(name, host) }
	return host == "" || isIP || isHost("localhost") || slices.ContainsFunc(s.Hosts, isHost)
}
