package httpserver

import (
	"cmp"
	"io/fs"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// This file holds the listing of a directory: its order, and the page or the
// JSON that shows it. Names, links, marks and order are those of Python's page.

// A listingEntry is one line of a listing.
type listingEntry struct {
	name      string
	key       string // the name in lower case, which puts it in its place
	dir, link bool   // a link to a directory is both
	size      int64  // bytes of a regular file, or of one that a link leads to; else -1
	modified  int64  // seconds since 1970; noTime if that is not known
}

// noTime is before all times.
const noTime = math.MinInt64

// describe takes over what a file or directory says of itself.
func (e *listingEntry) describe(info fs.FileInfo) {
	e.dir = info.IsDir()
	if info.Mode().IsRegular() {
		e.size = max(info.Size(), 0)
	}
	if t := info.ModTime(); !t.IsZero() {
		e.setTime(t.Unix())
	}
}

// setTime takes a time over if it has a year of four digits, as RFC 3339 asks for.
func (e *listingEntry) setTime(unix int64) {
	const year0, year10000 = -62167219200, 253402300800
	if year0 <= unix && unix < year10000 {
		e.modified = unix
	}
}

// A listingOrder is what the query of a listing asks for. The zero value is
// Python's order, by name without regard to case; folders stand among the files.
type listingOrder struct {
	column     listingColumn
	descending bool
}

type listingColumn int

const (
	byName listingColumn = iota
	bySize               // what has no size, such as a folder, is less than an empty file
	byDate
)

// listingColumns are the columns as queries and as people call them, and whether
// their largest is what people want to see first.
var listingColumns = [...]struct {
	query, title string
	largestFirst bool
}{
	byName: {"name", "Name", false},
	bySize: {"size", "Size", true},
	byDate: {"date", "Modified (UTC)", true},
}

// parseListingOrder reads sort=name|size|date and order=asc|desc. Any other value
// stands for the default.
func parseListingOrder(query string) (order listingOrder) {
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		switch key {
		case "sort":
			order.column = byName
			for i := range listingColumns {
				if listingColumns[i].query == value {
					order.column = listingColumn(i)
				}
			}
		case "order":
			order.descending = value == "desc"
		}
	}
	return order
}

// compareNames is the default order.
func compareNames(a, b listingEntry) int {
	if c := strings.Compare(a.key, b.key); c != 0 {
		return c
	}
	return strings.Compare(a.name, b.name)
}

// apply gives entries, which are in the default order, in another one. What is
// equal stays in the default order, also where that is descending. The slice
// that it gets stays as it is.
func (order listingOrder) apply(entries []listingEntry) []listingEntry {
	if order == (listingOrder{}) {
		return entries
	}
	entries = slices.Clone(entries)
	if order.column == byName {
		slices.Reverse(entries)
		return entries
	}
	slices.SortStableFunc(entries, func(a, b listingEntry) int {
		x, y := a.size, b.size
		if order.column == byDate {
			x, y = a.modified, b.modified
		}
		if order.descending {
			x, y = y, x
		}
		return cmp.Compare(x, y)
	})
	return entries
}

// baseStyle is the look of all pages. It has no percent sign, which an error
// page would take for a directive.
const baseStyle = `
:root{color-scheme:light dark;--text:#1d2126;--soft:#5c6670;--line:#e2e6ea;--hover:#f2f5f8;--back:#fff;--link:#0b5cad}
@media(prefers-color-scheme:dark){:root{--text:#e4e7ea;--soft:#9aa4ae;--line:#2d3339;--hover:#1e2328;--back:#15181b;--link:#7ab7ff}}
body{margin:0 auto;max-width:60rem;padding:1.5rem 1rem 3rem;background:var(--back);color:var(--text);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
`

// listingStyle is the whole style of a listing, the one thing that
// listingPolicy allows. The heading is for Python's parsers and for screen readers,
// others see the path instead. On a phone, size and date stand below the name.
const listingStyle = baseStyle + `h1{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap;margin:0}
nav{font-size:1.5rem;line-height:1.4;font-weight:600}
nav:before{content:"Directory listing for";display:block;font-size:.875rem;font-weight:400;color:var(--soft)}
nav a{unicode-bidi:isolate;padding:.1em .15em}
nav a:first-of-type{margin-left:-.4em;padding:.1em .4em}
nav a[aria-current]{color:inherit}
p{margin:.25rem 0 1rem;color:var(--soft)}
nav,p{padding:0 .5rem}
table{width:100%;border-collapse:collapse}
th,td{padding:.4rem .5rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th{white-space:nowrap;font-size:.875rem;font-weight:400}
th:first-child{width:100%}
th a{color:var(--soft);padding:.4rem 0}
[aria-sort] a{color:var(--text);font-weight:600}
[aria-sort=ascending] a:after{content:" \2191"}
[aria-sort=descending] a:after{content:" \2193"}
tbody tr:hover{background:var(--hover)}
ul{list-style:none;margin:0;padding:0}
li a{display:block;text-align:left;unicode-bidi:plaintext;white-space:pre-wrap}
li a[href$="/"]{font-weight:600}
th+th,td+td{padding-left:1rem;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td+td{color:var(--soft);font-size:.875rem;line-height:1.5rem}
@media(max-width:36rem){
body{padding:.75rem .5rem 2rem}
nav{font-size:1.25rem}
tr{display:flex;flex-wrap:wrap;gap:0 1.25rem;padding:.4rem .5rem;border-bottom:1px solid var(--line)}
th,td,th+th,td+td{padding:0;border:0}
th:first-child{width:auto}
th a{display:block}
td:first-child{flex:0 0 100%}
td:empty{display:none}
li a{padding:.15rem 0}
}
`

// listingPolicy lets the page use its style, named by its SHA-256, and nothing
// else (Content Security Policy Level 3).
const listingPolicy = "default-src 'none'; style-src 'sha256-" + listingStyleHash + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// listingStyleHash is a constant, as crypto/sha256 makes a program 5 % larger. A
// test says what it should be.
const listingStyleHash = "kP78EPtrMfVv2/uBsW3WVjyn8uRZ0dLMacaUAP+pEfQ="

// appendListingPage appends the page for a directory, whose path is that of the
// request target.
func appendListingPage(dst []byte, path string, entries []listingEntry, order listingOrder) []byte {
	dst = slices.Grow(dst, 5000+200*len(entries)) // about what it takes
	title := "Directory listing for " + escapeHTML(unquote(path))
	dst = append(dst, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"+
		"<meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>"...)
	dst = append(dst, title...)
	dst = append(dst, "</title>\n<style>"+listingStyle+"</style>\n</head>\n<body>\n<h1>"...)
	dst = append(dst, title...)
	dst = append(dst, "</h1>\n"...)
	dst = appendListingPath(dst, path)
	dst = appendListingSummary(dst, entries)
	if len(entries) > 0 {
		dst = append(dst, "<table>\n<thead><tr>"...)
		for i := range listingColumns {
			dst = order.appendHead(dst, listingColumn(i))
		}
		dst = append(dst, "\n<tbody>\n"...)
		for i := range entries {
			dst = entries[i].appendRow(dst)
		}
		dst = append(dst, "</table>\n"...)
	}
	return append(dst, "</body>\n</html>\n"...)
}

// appendListingPath appends the path, each part a link. The links are relative,
// so that they work behind a proxy that serves the tree below a prefix; a part
// is what the client takes for one, before %2F is decoded.
func appendListingPath(dst []byte, path string) []byte {
	dst = append(dst, `<nav aria-label="Path">`...)
	for start, up := 0, strings.Count(path, "/")-1; up >= 0; up-- {
		part := path[start : start+strings.IndexByte(path[start:], '/')+1]
		start += len(part)
		dst = append(dst, `<a href="`...)
		if up == 0 {
			dst = append(dst, `./" aria-current="page`...)
		}
		for range up {
			dst = append(dst, "../"...)
		}
		dst = append(dst, `">`...)
		dst = appendHTML(dst, unquote(part))
		dst = append(dst, "</a>"...)
	}
	return append(dst, "</nav>\n"...)
}

// appendListingSummary says how much there is.
func appendListingSummary(dst []byte, entries []listingEntry) []byte {
	if len(entries) == 0 {
		return append(dst, "<p>This folder is empty.</p>\n"...)
	}
	var files, folders, others, size int64
	for i := range entries {
		switch {
		case entries[i].dir:
			folders++
		case entries[i].size >= 0:
			files++
			size += entries[i].size
		default:
			others++
		}
	}
	dst = append(dst, "<p>"...)
	begin := len(dst)
	dst = appendCount(dst, begin, files, "file")
	dst = appendCount(dst, begin, folders, "folder")
	dst = appendCount(dst, begin, others, "other")
	if files > 0 {
		dst = appendSize(append(dst, ", "...), size)
	}
	return append(dst, "</p>\n"...)
}

// appendCount appends an item, if there is any, to the list that begins at begin.
func appendCount(dst []byte, begin int, n int64, what string) []byte {
	if n == 0 {
		return dst
	}
	if len(dst) > begin {
		dst = append(dst, ", "...)
	}
	dst = append(strconv.AppendInt(dst, n, 10), ' ')
	dst = append(dst, what...)
	if n != 1 {
		dst = append(dst, 's')
	}
	return dst
}

// appendHead appends the head of a column, with the link that sorts by it or, if
// that is the order already, turns it round. Programs that follow all links are
// asked not to follow these.
func (order listingOrder) appendHead(dst []byte, column listingColumn) []byte {
	c := &listingColumns[column]
	descending := c.largestFirst
	dst = append(dst, `<th scope="col"`...)
	if column == order.column {
		descending = !order.descending
		if order.descending {
			dst = append(dst, ` aria-sort="descending"`...)
		} else {
			dst = append(dst, ` aria-sort="ascending"`...)
		}
	}
	dst = append(dst, `><a rel="nofollow" href="?sort=`...)
	dst = append(dst, c.query...)
	if descending {
		dst = append(dst, `&amp;order=desc">`...)
	} else {
		dst = append(dst, `&amp;order=asc">`...)
	}
	dst = append(dst, c.title...)
	return append(dst, "</a>"...)
}

// appendRow appends a row of the table. What is between the line ends is, to the
// byte, a line of Python's page; an item has to be in a list, so there is one in
// the cell, which screen readers pass over.
func (e *listingEntry) appendRow(dst []byte) []byte {
	dst = append(dst, "<tr><td><ul role=\"none\">\n<li><a href=\""...)
	dst = e.appendLink(dst)
	dst = append(dst, `">`...)
	dst = appendHTML(dst, e.name)
	switch {
	case e.link:
		dst = append(dst, '@')
	case e.dir:
		dst = append(dst, '/')
	}
	dst = append(dst, "</a></li>\n</ul>"...)
	dst = appendSizeCell(dst, e.size)
	if e.modified == noTime {
		return append(dst, "<td>\n"...)
	}
	dst = append(dst, `<td><time datetime="`...)
	dst = appendTime(dst, e.modified)
	at := len(dst) - len("2006-01-02T15:04:05Z")
	dst = append(dst, `">`...)
	dst = append(dst, dst[at:at+len("2006-01-02")]...)
	dst = append(dst, ' ')
	dst = append(dst, dst[at+len("2006-01-02T"):at+len("2006-01-02T15:04")]...)
	return append(dst, "</time>\n"...)
}

// appendSizeCell appends a size, and the exact one for who points at it.
func appendSizeCell(dst []byte, size int64) []byte {
	if size < 0 {
		return append(dst, "<td>"...)
	}
	if size < 1000 {
		dst = append(dst, "<td>"...)
	} else {
		dst = append(dst, `<td title="`...)
		dst = strconv.AppendInt(dst, size, 10)
		dst = append(dst, ` bytes">`...)
	}
	return appendSize(dst, size)
}

// appendLink appends the entry's link, relative to the directory.
func (e *listingEntry) appendLink(dst []byte) []byte {
	dst = appendPercentEncoded(dst, e.name, nameBytes)
	if e.dir {
		dst = append(dst, '/')
	}
	return dst
}

// appendSize appends a number of bytes for people: in units of 1000, as disks
// and networks are measured in, with one digit after the point below ten.
func appendSize(dst []byte, n int64) []byte {
	if n < 1000 {
		return append(strconv.AppendInt(dst, n, 10), " B"...)
	}
	const units = "kMGTPE"
	unit := 0
	for ; n >= 999_500; unit++ { // what would be rounded to 1000
		n /= 1000
	}
	if tenths := (n + 50) / 100; tenths < 100 {
		dst = append(dst, byte('0'+tenths/10), '.', byte('0'+tenths%10))
	} else {
		dst = strconv.AppendInt(dst, (n+500)/1000, 10)
	}
	return append(dst, ' ', units[unit], 'B')
}

// appendTime appends a time, in seconds since 1970, as RFC 3339 has it.
func appendTime(dst []byte, unix int64) []byte {
	return time.Unix(unix, 0).UTC().AppendFormat(dst, time.RFC3339)
}

// appendHTML appends s as HTML text.
func appendHTML(dst []byte, s string) []byte {
	done := 0
	for i := 0; i < len(s); i++ {
		var entity string
		switch s[i] {
		case '&':
			entity = "&amp;"
		case '<':
			entity = "&lt;"
		case '>':
			entity = "&gt;"
		default:
			continue
		}
		dst = append(append(dst, s[done:i]...), entity...)
		done = i + 1
	}
	return append(dst, s[done:]...)
}

// appendListingJSON appends a listing as an array of objects with:
//
//	name   as the page has it, without a mark; what is not UTF-8 is U+FFFD
//	type   "file", "directory" or "other"; a link is what it leads to, "other" if
//	       that is nothing that is served
//	size   bytes of a file, else null
//	mtime  RFC 3339, UTC; null if it is not known
//	href   the link of the page, which is exact for names that are not UTF-8 too
func appendListingJSON(dst []byte, entries []listingEntry) []byte {
	separator := "["
	for i := range entries {
		e := &entries[i]
		dst = append(dst, separator...)
		dst = append(dst, `{"name":`...)
		dst = appendJSONString(dst, e.name)
		switch {
		case e.dir:
			dst = append(dst, `,"type":"directory","size":null`...)
		case e.size >= 0:
			dst = append(dst, `,"type":"file","size":`...)
			dst = strconv.AppendInt(dst, e.size, 10)
		default:
			dst = append(dst, `,"type":"other","size":null`...)
		}
		if e.modified == noTime {
			dst = append(dst, `,"mtime":null,"href":"`...)
		} else {
			dst = append(dst, `,"mtime":"`...)
			dst = appendTime(dst, e.modified)
			dst = append(dst, `","href":"`...)
		}
		dst = e.appendLink(dst)
		dst = append(dst, `"}`...)
		separator = ",\n"
	}
	if len(entries) == 0 {
		dst = append(dst, '[')
	}
	return append(dst, "]\n"...)
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

// prefersJSON tells whether the Accept fields of a request prefer
// application/json to text/html (RFC 9110 section 12.5.1): by weight, else by
// being named where the other is not. No preference is one for HTML.
func prefersJSON(fields Header) bool {
	var json, html mediaPreference
	for i := range fields {
		if !fields[i].is("Accept") {
			continue
		}
		for item := range strings.SplitSeq(fields[i].Value, ",") {
			mediaRange, parameters, _ := strings.Cut(item, ";")
			mediaRange = trimSpace(mediaRange)
			weight, ok := parseWeight(parameters)
			if !ok {
				continue
			}
			json.consider(mediaRange, weight, "application/json")
			html.consider(mediaRange, weight, "text/html")
		}
	}
	return json.weight > html.weight || json.weight > 0 && json.weight == html.weight && json.precision == 3 && html.precision < 3
}

// A mediaPreference is what Accept says of a media type: the weight that the most
// precise of the ranges that it is in has, in thousandths.
type mediaPreference struct {
	weight, precision int // precision 1 is */*, 2 type/*, 3 type/subtype; 0 means that there is none
}

func (p *mediaPreference) consider(mediaRange string, weight int, mediaType string) {
	precision := 0
	kind, _, _ := strings.Cut(mediaType, "/")
	switch {
	case strings.EqualFold(mediaRange, mediaType):
		precision = 3
	case len(mediaRange) == len(kind)+2 && strings.HasSuffix(mediaRange, "/*") && strings.EqualFold(mediaRange[:len(kind)], kind):
		precision = 2
	case mediaRange == "*/*":
		precision = 1
	}
	if precision > p.precision {
		*p = mediaPreference{weight, precision}
	}
}

// parseWeight finds q among the parameters of a list's item, and gives it in
// thousandths; without q that is 1000 (RFC 9110 section 12.4.2).
func parseWeight(parameters string) (thousandths int, ok bool) {
	for parameter := range strings.SplitSeq(parameters, ";") {
		value, found := strings.CutPrefix(strings.ToLower(trimSpace(parameter)), "q=")
		if !found {
			continue
		}
		whole, fraction, _ := strings.Cut(value, ".")
		if whole != "0" && whole != "1" || len(fraction) > 3 || strings.Trim(fraction, "0123456789") != "" {
			return 0, false
		}
		thousandths, _ = strconv.Atoi(whole + (fraction + "000")[:3])
		return thousandths, thousandths <= 1000
	}
	return 1000, true
}

// A readings is the readings of directories, by name, that are about to begin or
// under way. A request that comes during one cannot use what that finds, as it
// may be older than the request. So all that come then wait for it to end, and
// share the next. The zero value is ready.
type readings struct {
	mu    sync.Mutex
	names map[string]*reading
}

// A reading is one of a directory. What it found is read only.
type reading struct {
	begun   bool          // no request may join it any more
	done    chan struct{} // closed when it has ended
	entries []listingEntry
	err     error
	next    *reading // what waits for it to end; nil if nothing does
}

// share gives what read finds, called here or for another request that came
// before read began.
func (r *readings) share(name string, read func() ([]listingEntry, error)) ([]listingEntry, error) {
	mine, first := r.join(name)
	if !first {
		<-mine.done
		return mine.entries, mine.err
	}
	runtime.Gosched() // requests that have arrived can join
	r.begin(mine)
	defer r.end(name, mine)
	mine.err = errUnlisted // what others get if read panics
	mine.entries, mine.err = read()
	return mine.entries, mine.err
}

// join gives a reading that has not begun. Who is first is to begin it, as it can
// when join returns.
func (r *readings) join(name string) (mine *reading, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	current := r.names[name]
	switch {
	case current == nil:
		if r.names == nil {
			r.names = make(map[string]*reading)
		}
		mine = &reading{done: make(chan struct{})}
		r.names[name] = mine
		return mine, true
	case !current.begun:
		return current, false
	case current.next != nil:
		return current.next, false
	}
	mine = &reading{done: make(chan struct{})}
	current.next = mine
	r.mu.Unlock()
	<-current.done
	r.mu.Lock()
	return mine, true
}

func (r *readings) begin(m *reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.begun = true
}

// end puts the next reading, if there is one, in the place of m.
func (r *readings) end(name string, m *reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.next != nil {
		r.names[name] = m.next
	} else {
		delete(r.names, name)
	}
	close(m.done)
}
