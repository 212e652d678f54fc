package httpserver

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// This file contains conditional requests and range requests (RFC 9110 sections 13
// and 14): the validators of a file, the evaluation of preconditions, and the
// ranges of a file. All functions are pure.

// clockGrain is the longest time for which a file can change without getting
// another modification time: writes within one tick of the file system's clock
// leave the same time. FAT has the coarsest clock, which ticks every two seconds.
const clockGrain = 2 * time.Second

// validators are the validators of a file (RFC 9110 section 8.8).
type validators struct {
	tag      string    // value of ETag; "" if there is none
	modified time.Time // value of Last-Modified; the zero time if there is none
}

// strong reports whether the validators change whenever the content does (section 8.8.1).
func (v *validators) strong() bool { return strings.HasPrefix(v.tag, `"`) }

// weak reports whether the file was just modified, so that it may change unnoticed.
func (v *validators) weak() bool { return strings.HasPrefix(v.tag, "W/") }

// newValidators returns the validators of a file. They depend only on its size and
// modification time, so that servers with copies of the same files agree. A file
// without a modification time has none. The tag is weak while the last modification is
// less than clockGrain ago. If the modification time is in the future, changed counts
// instead, which is when the system recorded the last change, or the zero time if that
// is unknown. Last-Modified is never later than Date (section 8.8.2.1).
func newValidators(size int64, modified, changed, now time.Time) validators {
	if isPlaceholder(modified) {
		return validators{}
	}
	last := modified
	if modified.After(now) {
		last = cmp.Or(changed, modified)
	}
	v := validators{fmt.Sprintf(`"%x-%x-%x"`, modified.Unix(), modified.Nanosecond(), size), last}
	if now.Sub(last) < clockGrain {
		v.tag = "W/" + v.tag
	}
	if last.After(now) {
		v.modified = now
	}
	if v.modified.UTC().Year() > 9999 {
		v.modified = time.Time{} // an HTTP-date has four digits for the year
	}
	return v
}

// isPlaceholder reports whether a modification time is one that tools set for the sake
// of reproducible builds: such a time stays when the content changes. These are times
// up to a second after the Unix epoch, and the days, in any time zone, from 30 November
// 1979, which stands for no date in a zip archive, to 1 January 1980, with which the dates
// of zip archives begin. The zero time means that io/fs knows no time.
func isPlaceholder(t time.Time) bool {
	const zone = 14 * 60 * 60 // the largest offset from UTC, in seconds
	const zipNone, zipEpoch, day = 312768000, 315532800, 24 * 60 * 60
	unix := t.Unix()
	return unix <= 1 || zipNone-zone <= unix && unix < zipEpoch+day+zone
}

// A byteRange is a part of a file, in bytes. It is not empty.
type byteRange struct{ start, size int64 }

// contentRange returns the value of Content-Range for the range of a file with the
// given size.
func (r byteRange) contentRange(size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", r.start, r.start+r.size-1, size)
}

// overlaps reports whether two ranges have a byte in common.
func (r byteRange) overlaps(other byteRange) bool {
	return r.start < other.start+other.size && other.start < r.start+r.size
}

// checkPreconditions evaluates the preconditions of a request in the order of RFC
// 9110 section 13.2.2, steps 1 to 4. It returns the status code of the response:
// 304, 412, or 200 if all preconditions are true.
func checkPreconditions(fields Header, method string, v validators, now time.Time) (code int) {
	same, ok := matchTags(fields, "If-Match", v, true)
	if !ok {
		same, ok = unmodified(fields, "If-Unmodified-Since", v, now)
	}
	if ok && !same {
		return 412
	}
	isRead := method == "GET" || method == "HEAD"
	same, ok = matchTags(fields, "If-None-Match", v, false)
	if !ok && isRead {
		same, ok = unmodified(fields, "If-Modified-Since", v, now)
	}
	switch {
	case !ok || !same:
		return 200
	case isRead:
		return 304
	}
	return 412
}

// selectRanges evaluates If-Range and Range for a request whose preconditions are
// true. It returns the status code of the response, and the ranges if that is 206.
// An empty file is always sent as a whole with 200: Content-Range cannot describe a
// part of it, and a client that resumes a download would take 416 to mean that it
// has the whole file. A file that was just modified is sent as a whole instead of in
// several ranges, between which it may change unnoticed.
func selectRanges(fields Header, method string, v validators, size int64, now time.Time) (
	code int, ranges []byteRange) {
	value, ok := onlyValue(fields, "Range")
	if !ok || method != "GET" || size <= 0 || !rangeApplies(fields, v, now) {
		return 200, nil
	}
	ranges, ok = parseRange(value, size)
	switch {
	case !ok || len(ranges) > 1 && v.weak():
		return 200, nil
	case len(ranges) == 0:
		return 416, nil
	}
	return 206, ranges
}

// rangeApplies evaluates If-Range (RFC 9110 section 13.1.5) and reports whether
// Range is to be used, because the client has a part of the file as it is now. The
// comparison is strong. For a date, section 8.8.2.2 requires that the file was at
// least a second old when it was sent, which strong validators imply.
func rangeApplies(fields Header, v validators, now time.Time) bool {
	values := fields.Values("If-Range")
	if len(values) != 1 || !v.strong() {
		return len(values) == 0 // without If-Range, every Range applies
	}
	date, ok := parseHTTPDate(values[0], now)
	return values[0] == v.tag || ok && date.Equal(v.modified.Truncate(time.Second))
}

// combines reports whether a client that asks for a range combines it with parts of the
// file that it has: it requires that the file is still the same.
func combines(fields Header) bool {
	return slices.ContainsFunc(fields, func(f Field) bool {
		return f.is("If-Range") || f.is("If-Match") || f.is("If-Unmodified-Since")
	})
}

// onlyValue returns the value of a field and reports whether exactly one field has
// that name. It is used for fields that are ignored if they occur twice.
func onlyValue(fields Header, name string) (value string, ok bool) {
	values := fields.Values(name)
	if len(values) != 1 {
		return "", false
	}
	return values[0], true
}

// unmodified evaluates If-Modified-Since or If-Unmodified-Since (RFC 9110 sections 13.1.3
// and 13.1.4). It reports whether the file is unmodified since the date in it, ignoring
// fractions of a second, which an HTTP-date does not have. ok is false if the field must be
// ignored: it does not contain exactly one date, or the file has no modification time.
func unmodified(fields Header, name string, v validators, now time.Time) (same, ok bool) {
	value, ok := onlyValue(fields, name)
	if !ok || v.modified.IsZero() {
		return false, false
	}
	date, ok := parseHTTPDate(value, now)
	return !v.modified.Truncate(time.Second).After(date), ok
}

// matchTags evaluates If-Match or If-None-Match (RFC 9110 sections 13.1.1 and
// 13.1.2). It reports whether the field contains the entity tag of the file, and
// whether the request has the field. "*" matches every file, and a malformed list
// matches none.
func matchTags(fields Header, name string, v validators, strong bool) (match, ok bool) {
	values := fields.Values(name)
	list := strings.Join(values, ", ")
	if list == "*" {
		return true, true
	}
	for {
		tag, rest, valid := nextTag(list)
		if tag == "" {
			return match && valid, len(values) > 0
		}
		match = match || v.matches(tag, strong)
		list = rest
	}
}

// matches compares the file's entity tag with another one. In a strong comparison
// a weak tag does not match anything (RFC 9110 section 8.8.3.2).
func (v *validators) matches(tag string, strong bool) bool {
	if strong {
		return v.strong() && tag == v.tag
	}
	return strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(v.tag, "W/")
}

// nextTag returns the first entity tag of a list (RFC 9110 section 8.8.3) and the
// rest of the list. tag is "" at the end of the list or, with ok false, if the list
// is malformed.
func nextTag(list string) (tag, rest string, ok bool) {
	list = strings.TrimLeft(list, " \t,")
	if list == "" {
		return "", "", true
	}
	quoted, isQuoted := strings.CutPrefix(strings.TrimPrefix(list, "W/"), `"`)
	opaque, rest, isClosed := strings.Cut(quoted, `"`)
	tag = list[:len(list)-len(rest)]
	rest = strings.TrimLeft(rest, " \t")
	if !isQuoted || !isClosed || strings.ContainsAny(opaque, " \t") || rest != "" && rest[0] != ',' {
		return "", "", false
	}
	return tag, rest, true
}

// maxRanges is how many ranges a request may ask for. If there are more, Range is
// ignored.
const maxRanges = 256

// parseRange parses the value of Range (RFC 9110 section 14.1.2) for a file that is
// not empty. It returns the ranges that the file has. ok is false if the field must
// be ignored: it is malformed, uses another unit, or asks for too many ranges or for the
// same byte twice.
func parseRange(value string, size int64) (ranges []byteRange, ok bool) {
	unit, set, _ := strings.Cut(value, "=")
	if !equalFold(unit, "bytes") {
		return nil, false
	}
	n := 0
	for spec := range strings.SplitSeq(set, ",") {
		if spec = trimSpace(spec); spec == "" {
			continue
		}
		r, ok := parseRangeSpec(spec, size)
		if n++; !ok || n > maxRanges || slices.ContainsFunc(ranges, r.overlaps) {
			return nil, false
		}
		if r.size > 0 {
			ranges = append(ranges, r)
		}
	}
	return ranges, n > 0
}

// parseRangeSpec parses first-last, first- or -length. The size of the range is 0 or less
// if the file has no byte of it.
func parseRangeSpec(spec string, size int64) (r byteRange, ok bool) {
	first, last, dash := strings.Cut(spec, "-")
	if first == "" {
		length, ok := parseDigits(last)
		length = min(length, size)
		return byteRange{size - length, length}, ok
	}
	start, startOK := parseDigits(first)
	end, endOK := int64(math.MaxInt64), true
	if last != "" {
		end, endOK = parseDigits(last)
	}
	return byteRange{start, min(end, size-1) - start + 1}, dash && startOK && endOK && start <= end
}

// fewRanges is the number of ranges that are sent however small they are: some
// clients read the start, the end and an index of a file at once.
const fewRanges = 4

// multipart returns the texts around the ranges in a body of type multipart/byteranges
// (RFC 9110 section 14.6), the last of which ends it, and the length of the body. ok is
// false if the whole file should be sent instead (section 14.2): the body would be larger
// or, with more than fewRanges ranges, less than half of it would be content.
func multipart(ranges []byteRange, contentType, boundary string, size int64) (
	texts []string, length int64, ok bool) {
	separator, content := "", int64(0)
	for _, r := range ranges {
		texts = append(texts, separator+"--"+boundary+"\r\n"+
			"Content-type: "+contentType+"\r\n"+
			"Content-Range: "+r.contentRange(size)+"\r\n\r\n")
		separator = "\r\n"
		content += r.size
	}
	texts = append(texts, "\r\n--"+boundary+"--\r\n")
	around := int64(len(strings.Join(texts, "")))
	length = content + around
	return texts, length, content <= size-around && (len(ranges) <= fewRanges || around <= content)
}
