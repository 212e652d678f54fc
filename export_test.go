package httpserver

import (
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// What tests see of the inside.

var (
	Quote             = quote
	HasControl        = hasControl
	BaseStyle         = baseStyle
	CleanPath         = cleanPath
	LocalPath         = localPath
	WindowsName       = windowsName
	QuoteName         = quoteName
	QuoteTarget       = quoteTarget
	ValidHost         = validHost
	ParseHTTPDate     = parseHTTPDate
	StatusTableLength = len(statuses)
)

// Portable tells whether this is the code for systems that have none of their own.
const Portable = copyLimit == smallBody

// SimpleOf gives the SimpleHandler that h embeds.
func SimpleOf(h FileHandler) *SimpleHandler { return h.simple() }

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

// A ListingEntry is an entry of a listing. A Size below 0 is not known.
type ListingEntry struct {
	Name      string
	Dir, Link bool
	Size      int64
	Modified  int64
}

// NoTime is a ListingEntry's Modified that is not known.
const NoTime = noTime

// ListingPage gives the page for a request target.
func ListingPage(target string, list ...ListingEntry) string {
	entries, order := sortListing(target, list)
	return string(appendListingPage(nil, targetPath(target), entries, order))
}

// ListingJSON gives the JSON for a request target.
func ListingJSON(target string, list ...ListingEntry) []byte {
	entries, _ := sortListing(target, list)
	return appendListingJSON(nil, entries)
}

func sortListing(target string, list []ListingEntry) ([]listingEntry, listingOrder) {
	var entries []listingEntry
	for _, e := range list {
		entries = append(entries, listingEntry{e.Name, strings.ToLower(e.Name), e.Dir, e.Link, e.Size, e.Modified})
	}
	order := parseListingOrder(targetQuery(target))
	slices.SortFunc(entries, compareNames)
	return order.apply(entries), order
}

func FormatSize(n int64) string { return string(appendSize(nil, n)) }

func PrefersJSON(h Header) bool { return prefersJSON(h) }

// ShareReadings returns a function that shares readings of directories, each of which
// finds one name, and one that counts those that have not ended.
func ShareReadings() (share func(name string, read func() (string, error)) (string, error), left func() int) {
	r := new(readings)
	share = func(name string, read func() (string, error)) (string, error) {
		entries, err := r.share(name, func() ([]listingEntry, error) {
			found, err := read()
			return []listingEntry{{name: found}}, err
		})
		if err != nil {
			return "", err
		}
		return entries[0].name, nil
	}
	return share, func() int { return len(r.names) }
}
