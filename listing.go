package httpserver

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"
)

// This file contains the listing of a directory: reading it, sharing that with other
// requests, the order of the entries, and the page in HTML or JSON. Names, links,
// marks and the default order are those of Python.

// ListDirectory sends the head of a listing and returns its body, which the caller
// closes. A query of sort=name, sort=size or sort=date, and order=asc or order=desc, sets
// the order of the entries. The body is an HTML page or, if the Accept field prefers
// application/json, an array of objects with the members name, type, size (in bytes), mtime
// (in the format of RFC 3339) and href. The type is "file", "directory" or "other"; a link
// has the type of what it leads to. The size and mtime may be null. If the directory cannot
// be read, ListDirectory sends a 404, or a 503 if the system is out of resources or too many
// large pages are being sent. Python: list_directory.
func (h *SimpleHandler) ListDirectory(name string) (body io.ReadCloser, ok bool) {
	self := h.files()
	entries, err := h.listDirectory(name)
	release := reserve(&h.fileState().sending, entries)
	switch {
	case release == nil, outOfResources(err):
		self.SendError(503, "", "")
		return nil, false
	case err != nil:
		self.SendError(404, "No permission to list directory", "")
		return nil, false
	}
	if h.NoHidden {
		entries = slices.DeleteFunc(slices.Clone(entries), func(e listingEntry) bool { return isHidden(e.name) })
	}
	order := parseListingOrder(targetQuery(h.Path))
	entries = order.apply(entries)
	json := prefersJSON(h.Headers)
	l, contentType := newListingJSON(entries), "application/json"
	if !json {
		l, contentType = newListingPage(shownPath(h.Path), entries, order), "text/html; charset=utf-8"
	}
	l.release, h.opened = release, l
	length := l.begin()
	self.SendResponse(200, "")
	self.SendHeader("Content-type", contentType)
	self.SendHeader("Content-Length", strconv.FormatInt(length, 10))
	if !json {
		self.SendHeader("Content-Security-Policy", listingPolicy)
	}
	self.SendHeader("X-Content-Type-Options", "nosniff")
	self.SendHeader("Vary", "Accept")
	self.EndHeaders()
	return l, true
}

const (
	// wholeListing is the length of a page, in bytes, up to which it is generated
	// only once. A larger one is generated a second time while it is sent, as its
	// readers may be slow.
	wholeListing = 256 << 10

	// listingPiece is about how much of a larger page is in memory at a time.
	listingPiece = 32 << 10

	// maxListings limits the memory, in bytes, of the entries of large directories whose
	// pages are being sent, for all handlers of a server together.
	maxListings = 256 << 20
)

// reserve adds the size of a large number of entries to the counter sending, until release
// is called. If the sum would exceed maxListings, reserve returns nil.
func reserve(sending *atomic.Int64, entries []listingEntry) (release func()) {
	const entrySize = 64
	size := int64(0)
	for i := range entries {
		size += entrySize + 2*int64(len(entries[i].name)) // with the key
	}
	if size <= wholeListing {
		return func() {}
	}
	if sending.Add(size) > maxListings {
		sending.Add(-size)
		return nil
	}
	return sync.OnceFunc(func() { sending.Add(-size) })
}

// A listing is the page for a directory, which is generated in pieces while it is read. Its
// buffer returns to the pool on Close.
type listing struct {
	start       string
	appendEntry func(e *listingEntry, dst []byte) []byte
	separator   string // between entries
	end         string

	entries []listingEntry
	next    int           // index of the next entry to generate; len(entries)+1 after the end of the page
	unread  *bytes.Buffer // generated, but not read yet
	release func()        // called by Close, perhaps twice
}

// pages holds the memory of pages that were sent.
var pages = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// begin makes the page ready to be read, and returns its length.
func (l *listing) begin() (length int64) {
	l.unread = pages.Get().(*bytes.Buffer)
	l.fill(wholeListing)
	if length = int64(l.unread.Len()); length < wholeListing {
		return length
	}
	length, _ = l.WriteTo(io.Discard)
	l.free()
	l.next = 0
	return length
}

// free gives back the memory of what was not read.
func (l *listing) free() {
	if l.unread.Cap() <= 2*wholeListing {
		pages.Put(l.unread)
	}
	l.unread = new(bytes.Buffer)
}

// fill generates the next piece of the page, of about the given length.
func (l *listing) fill(length int) {
	l.unread.Reset()
	if l.next == 0 {
		l.unread.WriteString(l.start)
	}
	for ; l.next < len(l.entries) && l.unread.Len() < length; l.next++ {
		row := l.unread.AvailableBuffer()
		if l.next > 0 {
			row = append(row, l.separator...)
		}
		l.unread.Write(l.appendEntry(&l.entries[l.next], row))
	}
	if l.next == len(l.entries) {
		l.unread.WriteString(l.end)
		l.next++
	}
}

// more reports whether the page has not been read to its end. If so, a part of it is in
// unread.
func (l *listing) more() bool {
	if l.unread.Len() == 0 {
		l.fill(listingPiece)
	}
	return l.unread.Len() > 0
}

// Read implements [io.Reader].
func (l *listing) Read(p []byte) (n int, err error) {
	l.more()
	return l.unread.Read(p)
}

// WriteTo implements [io.WriterTo], so that a piece is written at once.
func (l *listing) WriteTo(w io.Writer) (written int64, err error) {
	for err == nil && l.more() {
		var n int64
		n, err = l.unread.WriteTo(w)
		written += n
	}
	return written, err
}

// Close implements [io.Closer]. Closing a closed page does nothing.
func (l *listing) Close() error {
	l.free()
	l.next = len(l.entries) + 1
	l.release()
	return nil
}

// A listingEntry is one line of a listing.
type listingEntry struct {
	name     string
	key      string      // the name in lower case, by which entries are sorted
	mode     fs.FileMode // type bits; ModeSymlink and ModeDir are both set for a link to a directory
	size     int64       // bytes of a regular file, or of the one a link leads to; else -1
	modified int64       // seconds since 1970; noTime if unknown
}

// noTime is earlier than all times.
const noTime = math.MinInt64

// listDirectory returns the entries of a directory in the default order. They may be
// shared with other requests unless they are from an FS, since each handler may have an
// FS of its own.
func (h *SimpleHandler) listDirectory(name string) ([]listingEntry, error) {
	var key any = name
	if h.FS != nil {
		key = h
	}
	return h.fileState().listings.share(key, func() ([]listingEntry, error) { return h.readDirectory(name) })
}

// maxReadings is how many directories are read at once, for all handlers of a server
// together: what is read takes memory before reserve can count it.
const maxReadings = 4

// A sharedReader reads directories, each of them once for all requests that ask for it at the
// same time. The zero value is ready to use.
type sharedReader struct {
	mu       sync.Mutex
	readings map[any]*reading // the last reading with each key, until it ends
	slots    chan struct{}    // holds a value for each reading in progress
}

// A reading is one pass over a directory, whose result several requests share.
type reading struct {
	begun   atomic.Bool    // no other request can share the result
	done    chan struct{}  // closed when the result is there
	entries []listingEntry // the result
	err     error
}

// share returns the result of read, or of the read of another request with the same key if
// that has not begun yet, so that no result is older than the request. There is one reading
// with a key at a time: requests that arrive meanwhile share the next one.
func (r *sharedReader) share(key any, read func() ([]listingEntry, error)) ([]listingEntry, error) {
	r.mu.Lock()
	last := r.readings[key]
	if last != nil && !last.begun.Load() {
		r.mu.Unlock()
		<-last.done
		return last.entries, last.err
	}
	mine := &reading{done: make(chan struct{}), err: errUnlisted} // err if read panics
	if r.readings == nil {
		r.readings, r.slots = make(map[any]*reading), make(chan struct{}, maxReadings)
	}
	r.readings[key] = mine
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.readings[key] == mine {
			delete(r.readings, key)
		}
		close(mine.done)
	}()
	if last != nil {
		<-last.done
	}
	r.slots <- struct{}{}
	defer func() { <-r.slots }()
	runtime.Gosched() // requests that have arrived join
	mine.begun.Store(true)
	mine.entries, mine.err = read()
	return mine.entries, mine.err
}

// readDirectory reads a directory. Entries that cannot be examined, such as links that
// lead nowhere, have neither size nor time.
func (h *SimpleHandler) readDirectory(name string) ([]listingEntry, error) {
	read, err := h.readNames(name)
	if err != nil {
		return nil, err
	}
	if h.FS == nil {
		if resolved, err := filepath.EvalSymlinks(name); err == nil {
			name = resolved // so that its links are followed once, not for each entry that is a link
		}
	}
	name = strings.TrimSuffix(name, "/") + "/"
	entries := make([]listingEntry, len(read))
	for i, d := range read {
		e := &entries[i]
		*e = listingEntry{name: d.Name(), key: strings.ToLower(d.Name()), mode: d.Type(), size: -1, modified: noTime}
		info, err := d.Info()
		if e.isLink() {
			info, err = h.stat(name + e.name)
		}
		if err == nil {
			e.describe(info)
		}
	}
	slices.SortFunc(entries, compareNames)
	return entries, nil
}

// readNames returns the entries of a directory in any order. It fails for the name "".
func (h *SimpleHandler) readNames(name string) ([]fs.DirEntry, error) {
	if h.FS != nil && name != "" {
		return fs.ReadDir(h.FS, fsName(name))
	}
	d, err := os.OpenFile(name, os.O_RDONLY|openNonblock, 0) // it may be a FIFO by now
	if err != nil {
		return nil, err
	}
	defer d.Close()
	infos, err := d.Readdir(-1) // faster than to call Info for each entry
	if err != nil {             // such as for a directory whose files must not be examined
		d.Seek(0, io.SeekStart)
		return d.ReadDir(-1)
	}
	entries := make([]fs.DirEntry, len(infos))
	for i, info := range infos {
		entries[i] = fs.FileInfoToDirEntry(info)
	}
	return entries, nil
}

func (e *listingEntry) isLink() bool { return e.mode&fs.ModeSymlink != 0 }

// kind returns what the entry is or, if it is a link, what it leads to.
func (e *listingEntry) kind() string {
	switch {
	case e.mode.IsDir():
		return "directory"
	case e.size >= 0:
		return "file"
	}
	return "other"
}

// describe copies what info says about a file or directory. It leaves out a time that
// RFC 3339 cannot express, which requires a year of four digits.
func (e *listingEntry) describe(info fs.FileInfo) {
	e.mode = e.mode&fs.ModeSymlink | info.Mode()&fs.ModeDir
	if info.Mode().IsRegular() {
		e.size = max(info.Size(), 0)
	}
	if t := info.ModTime().UTC(); !t.IsZero() && 0 <= t.Year() && t.Year() <= 9999 {
		e.modified = t.Unix()
	}
}

// A listingColumn is a column of a listing.
type listingColumn struct {
	query, title string // its names in queries and on the page
	compare      func(a, b listingEntry) int
}

var listingColumns = []listingColumn{
	{"name", "Name", compareNames},
	{"size", "Size", func(a, b listingEntry) int { return cmp.Compare(a.size, b.size) }},
	{"date", "Modified (UTC)", func(a, b listingEntry) int { return cmp.Compare(a.modified, b.modified) }},
}

// compareNames compares entries in the default order.
func compareNames(a, b listingEntry) int {
	return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.name, b.name))
}

// A listingOrder is the order of a listing. The zero value is Python's order: by name,
// ignoring case, with directories among the files.
type listingOrder struct {
	column     int // index in listingColumns
	descending bool
}

// parseListingOrder parses the query of a listing, sort=name|size|date and
// order=asc|desc. Any other value means the default.
func parseListingOrder(query string) (order listingOrder) {
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		switch key {
		case "sort":
			isColumn := func(c listingColumn) bool { return c.query == value }
			order.column = max(0, slices.IndexFunc(listingColumns, isColumn))
		case "order":
			order.descending = value == "desc"
		}
	}
	return order
}

// apply returns entries, which must be in the default order, in the given order. Equal
// entries stay in the default order, even if the given one is descending. apply does not
// change the slice.
func (order listingOrder) apply(entries []listingEntry) []listingEntry {
	if order == (listingOrder{}) {
		return entries
	}
	entries = slices.Clone(entries)
	compare := listingColumns[order.column].compare
	slices.SortFunc(entries, func(a, b listingEntry) int {
		c := compare(a, b)
		if order.descending {
			c = -c
		}
		if c == 0 {
			c = compareNames(a, b)
		}
		return c
	})
	return entries
}

// baseStyle is the style of all pages. It does not contain a percent sign, which is
// special in an error page.
const baseStyle = `
:root{color-scheme:light dark;--text:#1d2126;--soft:#5c6670;--line:#e2e6ea;--hover:#f2f5f8;--back:#fff;--link:#0b5cad}
@media screen and (prefers-color-scheme:dark){:root{--text:#e4e7ea;--soft:#9aa4ae;--line:#2d3339;--hover:#1e2328;--back:#15181b;--link:#7ab7ff}}
body{margin:0 auto;max-width:60rem;padding:1.5rem 1rem 3rem;background:var(--back);color:var(--text);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
`

// listingStyle is the style of a listing. The heading is for screen readers and for
// programs that parse Python's pages; others see the path instead. On a phone, size
// and date are below the name. A row is not laid out before it is scrolled to, so that
// a page of 100,000 entries opens in a third of the time; this requires columns of a
// fixed width. An empty cell is not hidden, as a screen reader would then read the next
// cell as if it were in the same column.
const listingStyle = baseStyle + `h1{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap;margin:0}
nav{font-size:1.5rem;line-height:1.4;font-weight:600}
nav:before{content:"Directory listing for";display:block;font-size:.875rem;font-weight:400;color:var(--soft)}
nav a{unicode-bidi:isolate;padding:.1em .15em}
nav a:first-of-type{margin-left:-.4em;padding:.1em .4em}
nav a[aria-current]{color:inherit}
p{margin:.25rem 0 1rem;color:var(--soft)}
nav,p{padding:0 .5rem}
table,thead,tbody{display:block}
tr{display:flex;gap:0 1rem;padding:.4rem .5rem;border-bottom:1px solid var(--line);break-inside:avoid}
tbody tr{content-visibility:auto;contain-intrinsic-size:auto 2.4rem}
tbody tr:hover{background:var(--hover)}
th,td{padding:0;text-align:left}
th:first-child,td:first-child{flex:1;min-width:0}
th+th,td+td{flex:0 0 5rem;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
th+th+th,td+td+td{flex-basis:9rem}
th{white-space:nowrap;font-size:.875rem;font-weight:400}
th a{color:var(--soft);padding:.4rem 0}
[aria-sort] a{color:var(--text);font-weight:600}
[aria-sort=ascending] a:after{content:" \2191"}
[aria-sort=descending] a:after{content:" \2193"}
td+td{color:var(--soft);font-size:.875rem;line-height:1.5rem}
ul{list-style:none;margin:0;padding:0}
li a{display:block;text-align:left;unicode-bidi:plaintext;white-space:pre-wrap}
li a[href$="/"]{font-weight:600}
.blank a{font-size:0}
.blank a:before{content:attr(href);font-size:1rem}
@media(max-width:36rem){
body{padding:.75rem .5rem 2rem}
nav{font-size:1.25rem}
tr{flex-wrap:wrap;gap:0 1.25rem}
tbody tr{contain-intrinsic-size:auto 4.2rem}
th:first-child,th+th,td+td,th+th+th,td+td+td{flex:none}
td:first-child{flex:0 0 100%}
td:empty{margin-right:-1.25rem}
th a{display:block}
li a{padding:.15rem 0}
}
`

// listingPolicy allows the page to use its style, which it names by SHA-256, and
// nothing else (Content Security Policy Level 3).
const listingPolicy = "default-src 'none'; style-src 'sha256-" + listingStyleHash + "'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// listingStyleHash is a constant because crypto/sha256 makes a program 5 % larger. A
// test computes it.
const listingStyleHash = "T78dCdXyvyA2yUgb+Xt/bstYovouO8EVU9HJvGXxqPY="

// newListingPage returns the page for a directory. path is the path of the request
// target.
func newListingPage(path string, entries []listingEntry, order listingOrder) *listing {
	title := escapeHTML("Directory listing for " + unquote(path))
	start := "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" +
		"<meta name=\"viewport\" content=\"width=device-width\">\n" +
		"<meta name=\"color-scheme\" content=\"light dark\">\n" +
		"<title>" + title + "</title>\n<style>" + listingStyle + "</style>\n</head>\n<body>\n" +
		"<h1>" + title + "</h1>\n" +
		listingPath(path) + "<p>" + listingSummary(entries) + "</p>\n"
	end := "</body>\n</html>\n"
	if len(entries) > 0 {
		start += "<table>\n<thead><tr>" + order.heads() + "\n<tbody>\n"
		end = "</table>\n" + end
	}
	return &listing{start: start, entries: entries, appendEntry: (*listingEntry).appendRow, end: end}
}

// maxShown is the length of a path, in bytes, up to which a page shows it as it was sent.
const maxShown = 4 << 10

// shownPath returns the path of a request target as a page shows it. One that is so long
// because of dot segments is shown without them.
func shownPath(target string) string {
	path := targetPath(target)
	if len(path) > maxShown {
		clean, _ := cleanPath(target)
		path = quoteName(clean)
	}
	return path
}

// maxPathLinks is the largest number of links in the path on a page. The length of the
// links grows with the square of their number.
const maxPathLinks = 100

// listingPath returns the path with a link for each of its last parts. The links are
// relative, so that they work behind a proxy that adds a prefix to the path. The path
// is split before it is decoded, as the client does it.
func listingPath(path string) string {
	parts := strings.SplitAfter(path, "/")
	parts = parts[max(0, len(parts)-1-maxPathLinks) : len(parts)-1] // the very last has no slash
	links := ""
	for i, part := range parts {
		href := strings.Repeat("../", len(parts)-1-i)
		if href == "" {
			href = `./" aria-current="page`
		}
		links += `<a href="` + href + `">` + escapeHTML(unquote(part)) + "</a>"
	}
	return `<nav aria-label="Path">` + links + "</nav>\n"
}

// listingSummary returns the number and total size of the entries.
func listingSummary(entries []listingEntry) string {
	var files, folders, others, size int64
	for i := range entries {
		switch entries[i].kind() {
		case "directory":
			folders++
		case "file":
			files++
			size += min(entries[i].size, math.MaxInt64-size)
		default:
			others++
		}
	}
	var items []string
	count := func(n int64, what string) {
		if n > 1 {
			what += "s"
		}
		if n > 0 {
			items = append(items, fmt.Sprint(n, " ", what))
		}
	}
	count(files, "file")
	count(folders, "folder")
	count(others, "other")
	if files > 0 {
		items = append(items, string(appendSize(nil, size)))
	}
	return cmp.Or(strings.Join(items, ", "), "This folder is empty.")
}

// heads returns the headings of the columns. Each is a link that sorts by its column: names
// in ascending order, sizes and dates in descending order. The heading of the column by
// which the page is sorted reverses the order. rel=nofollow keeps crawlers from following
// the links.
func (order listingOrder) heads() (heads string) {
	direction := map[bool]string{false: "asc", true: "desc"}
	for i, c := range listingColumns {
		sorted, descending := "", i > 0
		if i == order.column {
			sorted, descending = ` aria-sort="`+direction[order.descending]+`ending"`, !order.descending
		}
		query := "?sort=" + c.query + "&amp;order=" + direction[descending]
		heads += `<th scope="col"` + sorted + `><a rel="nofollow" href="` + query + `">` + c.title + "</a>"
	}
	return heads
}

// appendRow appends a row of the table. One of its lines is exactly a line of Python's
// page. HTML requires that the li element in it is in a list, which screen readers
// ignore. The exact number of bytes is shown as a tooltip. If no character of the name is
// visible, the style shows the link instead.
func (e *listingEntry) appendRow(dst []byte) []byte {
	dst = append(dst, `<tr><td><ul role="none"`...)
	if strings.IndexFunc(e.name, isVisible) < 0 {
		dst = append(dst, ` class="blank"`...)
	}
	dst = append(dst, ">\n<li><a href=\""...)
	dst = e.appendLink(dst)
	dst = append(dst, `">`...)
	dst = append(dst, escapeHTML(e.name)...)
	switch {
	case e.isLink():
		dst = append(dst, '@')
	case e.mode.IsDir():
		dst = append(dst, '/')
	}
	dst = append(dst, "</a></li>\n</ul><td"...)
	if e.size >= 1000 {
		dst = append(dst, ` title="`...)
		dst = strconv.AppendInt(dst, e.size, 10)
		dst = append(dst, ` bytes"`...)
	}
	dst = append(dst, '>')
	if e.size >= 0 {
		dst = appendSize(dst, e.size)
	}
	dst = append(dst, "<td>"...)
	if e.modified != noTime {
		dst = append(dst, `<time datetime="`...)
		date := len(dst)
		dst = appendTime(dst, e.modified)
		dst = append(dst, `">`...)
		dst = append(dst, dst[date:date+len("2006-01-02T15:04")]...)
		dst[len(dst)-len("T15:04")] = ' '
		dst = append(dst, "</time>"...)
	}
	return append(dst, '\n')
}

// isVisible reports whether a character leaves a mark on the page.
func isVisible(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) }

// appendLink appends the link to the entry, relative to the directory.
func (e *listingEntry) appendLink(dst []byte) []byte {
	dst = appendPercentEncoded(dst, e.name, nameBytes)
	if e.mode.IsDir() {
		dst = append(dst, '/')
	}
	return dst
}

// appendSize appends a number of bytes in a unit that is a power of 1000, with one
// decimal if the number of units is below ten.
func appendSize(dst []byte, n int64) []byte {
	if n < 1000 {
		return append(strconv.AppendInt(dst, n, 10), " B"...)
	}
	const units = "kMGTPE"
	unit := 0
	for ; n >= 999_500; unit++ { // which would be rounded to 1000
		n /= 1000
	}
	if tenths := (n + 50) / 100; tenths < 100 {
		dst = append(dst, byte('0'+tenths/10), '.', byte('0'+tenths%10))
	} else {
		dst = strconv.AppendInt(dst, (n+500)/1000, 10)
	}
	return append(dst, ' ', units[unit], 'B')
}

// appendTime appends a time, given in seconds since 1970, in the format of RFC 3339.
func appendTime(dst []byte, unix int64) []byte {
	return time.Unix(unix, 0).UTC().AppendFormat(dst, time.RFC3339)
}

// htmlEscaper escapes the text of an HTML element.
var htmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// newListingJSON returns a listing as an array of objects.
func newListingJSON(entries []listingEntry) *listing {
	return &listing{
		start: "[", entries: entries, appendEntry: (*listingEntry).appendJSON, separator: ",\n", end: "]\n",
	}
}

// appendJSON appends an object with:
//
//	name   the name, in which bytes that are not UTF-8 are replaced by U+FFFD
//	type   "file", "directory" or "other"; a link is what it leads to, or "other"
//	       if that is not served
//	size   bytes of a file, else null
//	mtime  modification time in the format of RFC 3339, in UTC; null if unknown
//	href   link as on the page, which is exact for all names
func (e *listingEntry) appendJSON(dst []byte) []byte {
	kind := e.kind()
	dst = append(dst, `{"name":`...)
	dst = appendJSONString(dst, e.name)
	dst = append(dst, `,"type":"`...)
	dst = append(dst, kind...)
	dst = append(dst, `","size":`...)
	if kind == "file" {
		dst = strconv.AppendInt(dst, e.size, 10)
	} else {
		dst = append(dst, "null"...)
	}
	if e.modified != noTime {
		dst = append(dst, `,"mtime":"`...)
		dst = appendTime(dst, e.modified)
		dst = append(dst, '"')
	} else {
		dst = append(dst, `,"mtime":null`...)
	}
	dst = append(dst, `,"href":"`...)
	dst = e.appendLink(dst)
	return append(dst, `"}`...)
}

// appendJSONString appends s as a JSON string (RFC 8259 section 7).
func appendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

// prefersJSON reports whether the Accept fields of a request prefer application/json to
// text/html (RFC 9110 section 12.5.1): it has the larger weight or, if the weights are
// equal, is the only one that is named.
func prefersJSON(fields Header) bool {
	accept := strings.Join(fields.Values("Accept"), ",")
	json, jsonNamed := acceptWeight(accept, "application", "json")
	html, htmlNamed := acceptWeight(accept, "text", "html")
	return json > html || json == html && json > 0 && jsonNamed && !htmlNamed
}

// acceptWeight returns the weight of a media type, which is that of the most precise media
// range, and reports whether the type itself is named.
func acceptWeight(accept, mainType, subtype string) (weight int64, named bool) {
	for _, mediaRange := range []string{mainType + "/" + subtype, mainType + "/*", "*/*"} {
		for item := range strings.SplitSeq(accept, ",") {
			found, parameters, _ := strings.Cut(item, ";")
			if !equalFold(trimSpace(found), mediaRange) {
				continue
			}
			if weight, ok := parseWeight(parameters); ok {
				return weight, !strings.HasSuffix(mediaRange, "*")
			}
		}
	}
	return 0, false
}

// parseWeight returns the parameter q of a media range in thousandths, 1000 if there is
// none (RFC 9110 section 12.4.2). ok is false if it is malformed.
func parseWeight(parameters string) (thousandths int64, ok bool) {
	for parameter := range strings.SplitSeq(parameters, ";") {
		value, found := strings.CutPrefix(strings.ToLower(trimSpace(parameter)), "q=")
		if !found {
			continue
		}
		whole, fraction, _ := strings.Cut(value, ".")
		if len(whole) != 1 || len(fraction) > 3 {
			return 0, false
		}
		thousandths, ok = parseDigits(whole + (fraction + "000")[:3])
		return thousandths, ok && thousandths <= 1000
	}
	return 1000, true
}
