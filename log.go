package httpserver

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"
)

// This file contains the writing and escaping of log lines, the quoting of text in
// messages, and the formats of dates in log lines and header fields.

const (
	httpTimeFormat = "Mon, 02 Jan 2006 15:04:05 GMT" // IMF-fixdate, RFC 9110 section 5.6.7
	logTimeFormat  = "02/Jan/2006 15:04:05"
)

// A logWriter writes the log lines of a server, one at a time. A request does not wait
// for long for the reader of a pipe or for a terminal that was stopped: a line that
// cannot be written within logPatience is dropped. When lines are written again, the
// number of those that were dropped is logged.
type logWriter struct {
	once    sync.Once
	direct  bool          // w is neither a pipe nor a terminal nor the like
	turn    chan struct{} // holds a token while a line is written
	dropped atomic.Int64  // lines that were not written
}

const logPatience = 100 * time.Millisecond

// write writes a line to w, which must be the same in all calls.
func (l *logWriter) write(w io.Writer, line []byte) {
	l.once.Do(func() {
		l.turn, l.direct = make(chan struct{}, 1), true
		if f, ok := w.(interface{ Stat() (fs.FileInfo, error) }); ok {
			info, err := f.Stat()
			l.direct = err != nil || info.Mode().IsRegular()
		}
	})
	if l.direct {
		l.turn <- struct{}{}
		defer func() { <-l.turn }() // also if w panics, as the log of a test that is over does
		w.Write(line)
		return
	}
	l.writeOrDrop(w, line)
}

// writeOrDrop writes a line, for which it waits no longer than logPatience. It drops the
// line if the Write of another one does not return within that time.
func (l *logWriter) writeOrDrop(w io.Writer, line []byte) {
	patience := time.NewTimer(logPatience)
	select {
	case l.turn <- struct{}{}:
	default:
		if l.dropped.Load() > 0 {
			patience.Reset(0) // a line was dropped after waiting for the Write in progress
		}
		select {
		case l.turn <- struct{}{}:
		case <-patience.C:
			l.dropped.Add(1)
			return
		}
	}
	line = bytes.Clone(line)
	written := make(chan struct{})
	go func() {
		defer close(written)
		w.Write(line)
		if n := l.dropped.Swap(0); n > 0 {
			fmt.Fprintf(w, "httpserver: %d log lines were dropped because writing them would have taken too long\n", n)
		}
		<-l.turn
	}()
	select {
	case <-written:
	case <-patience.C:
	}
}

const hexDigits = "0123456789abcdef"

// appendEscaped appends s in a form that can neither begin another log line nor
// control a terminal or the direction of text: control characters and, outside of
// Latin-1, whatever is not printable become escape sequences, and backslashes are
// doubled. A byte that is not valid UTF-8 is decoded as Latin-1.
func appendEscaped(dst []byte, s string) []byte { return appendRepr(dst, s, 0) }

// appendRepr appends s as Python's repr writes it between two quotation marks or, if mark
// is 0, as Python writes it to the log.
func appendRepr(dst []byte, s string, mark rune) []byte {
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd") {
			r = rune(s[i])
		}
		latin1, quoted := r < 0x100, mark != 0
		switch {
		case r == '\\', quoted && r == mark:
			dst = append(dst, '\\', byte(r))
		case ' ' <= r && r < 0x7f, unicode.IsPrint(r), latin1 && r >= 0xa0 && !quoted:
			dst = utf8.AppendRune(dst, r)
		case latin1 && !(quoted && strings.ContainsRune("\t\n\r", r)):
			dst = append(dst, '\\', 'x', hexDigits[r>>4], hexDigits[r&15])
		default:
			sequence := strconv.QuoteRuneToASCII(r)
			dst = append(dst, strings.Trim(sequence, "'")...)
		}
	}
	return dst
}

// maxQuoted is how much of a text is quoted, in bytes.
const maxQuoted = 1 << 10

// quote returns s, or the start of it if it is long, as Python's repr does. Messages quote
// what a client sent in this form.
func quote(s string) string {
	s = s[:min(len(s), maxQuoted)]
	mark := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		mark = '"'
	}
	dst := append(make([]byte, 0, len(s)+2), byte(mark))
	return string(append(appendRepr(dst, s, mark), byte(mark)))
}

// dateStrings are the dates of a second.
type dateStrings struct {
	second int64  // seconds since 1970
	http   string // for header fields
	log    string // for log lines, in local time
}

// now returns the dates of the current second. The server may be nil.
func (s *HTTPServer) now() *dateStrings {
	if s == nil {
		s = new(HTTPServer)
	}
	t := time.Now()
	if d := s.dates.Load(); d != nil && d.second == t.Unix() {
		return d
	}
	d := &dateStrings{t.Unix(), t.UTC().Format(httpTimeFormat), t.Format(logTimeFormat)}
	s.dates.Store(d)
	return d
}

// afterSpace returns what follows the first space of s, such as a date without the name of
// its day, which may be wrong.
func afterSpace(s string) string {
	_, rest, _ := strings.Cut(s, " ")
	return rest
}

// parseHTTPDate parses an HTTP-date in any of its three formats (RFC 9110 section
// 5.6.7), and reports whether s is one. A year of two digits means the latest one
// that is at most fifty years after now.
func parseHTTPDate(s string, now time.Time) (t time.Time, ok bool) {
	const rfc850 = "Monday, 02-Jan-06 15:04:05 GMT"
	for _, layout := range [...]string{httpTimeFormat, rfc850, time.ANSIC} {
		t, err := time.Parse(layout, s)
		if err == nil && afterSpace(t.Format(layout)) == afterSpace(s) { // Parse accepts fractions of a second
			if layout == rfc850 { // a format without a century
				t = t.AddDate((now.Year()+150-t.Year())/100*100-100, 0, 0)
			}
			return t, true
		}
	}
	return time.Time{}, false
}
