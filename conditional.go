package httpserver

import (
	"strconv"
	"strings"
	"time"
)

// This file holds conditional and range requests (RFC 9110 sections 13 and 14):
// what tells one state of a file from another, whether a request wants the state
// that there is, and which part of it. All functions are pure.

// clockGrain is how long after its last change a file may change again without
// a trace: writes within one tick of the file system's clock leave the same
// modification time. The coarsest clock in use, that of FAT, ticks every two
// seconds.
const clockGrain = 2 * time.Second

// validators describe a state of a file.
type validators struct {
	tag      string    // the entity tag as ETag has it; "" if there is none
	modified time.Time // Last-Modified; zero if there is none
	strong   bool      // no two states have these (RFC 9110 section 8.8.1)
}

// newValidators makes the validators of a file from its size and modification
// time alone, so that servers with copies of the same tree agree. Without a
// modification time there are none. They are weak for a file that was changed
// just now or, its clock being another, in the future; Last-Modified is never
// later than Date (RFC 9110 section 8.8.2.1).
func newValidators(size int64, modified, now time.Time) validators {
	if modified.IsZero() {
		return validators{}
	}
	v := validators{modified: modified, strong: now.Sub(modified) >= clockGrain}
	var buf [64]byte
	tag := buf[:0]
	if !v.strong {
		tag = append(tag, "W/"...)
	}
	tag = append(tag, '"')
	tag = strconv.AppendInt(tag, modified.Unix(), 16)
	tag = append(tag, '-')
	tag = strconv.AppendInt(tag, int64(modified.Nanosecond()), 16)
	tag = append(tag, '-')
	tag = strconv.AppendInt(tag, size, 16)
	tag = append(tag, '"')
	v.tag = string(tag)
	if modified.After(now) {
		v.modified = now
	}
	return v
}

// A byteRange is a part of a file, never an empty one.
type byteRange struct{ start, size int64 }

// contentRange is the value of Content-Range for a file of the given size.
func (r byteRange) contentRange(size int64) string {
	return "bytes " + strconv.FormatInt(r.start, 10) + "-" + strconv.FormatInt(r.start+r.size-1, 10) + "/" + strconv.FormatInt(size, 10)
}

// checkPreconditions evaluates the preconditions in the order of RFC 9110
// section 13.2.2, steps 1 to 4. It gives 304 or 412 if that is the answer, else
// 200.
func checkPreconditions(fields Header, method string, v validators, now time.Time) (code int) {
	isRead := method == "GET" || method == "HEAD"
	if match, ok := matchTags(fields, "If-Match", v, true); ok {
		if !match {
			return 412
		}
	} else if since, ok := parseSince(fields, "If-Unmodified-Since", v, now); ok && v.modifiedSince(since) {
		return 412
	}
	if match, ok := matchTags(fields, "If-None-Match", v, false); ok {
		switch {
		case match && isRead:
			return 304
		case match:
			return 412
		}
	} else if since, ok := parseSince(fields, "If-Modified-Since", v, now); ok && isRead && !v.modifiedSince(since) {
		return 304
	}
	return 200
}

// selectRanges decides, after that, what of a file is sent: 206 with one range
// or several, 416, or 200 for the whole. An empty file is always sent whole: no
// Content-Range describes a part of it, and a client that resumes would take 416
// for the word that it has everything.
func selectRanges(fields Header, method string, v validators, size int64, now time.Time) (code int, ranges []byteRange) {
	value, ok := onlyValue(fields, "Range")
	if !ok || method != "GET" || size <= 0 || !rangeHolds(fields, v, now) {
		return 200, nil
	}
	ranges, ok = parseRange(value, size)
	switch {
	case !ok || overlap(ranges):
		return 200, nil
	case len(ranges) == 0:
		return 416, nil
	}
	return 206, ranges
}

// rangeHolds evaluates If-Range (RFC 9110 section 13.1.5): Range counts for the
// state alone that the client has a part of. The comparison is strong. A date is
// strong by section 8.8.2.2 if the client got it a second later or more; here
// that is so once the file is older than clockGrain.
func rangeHolds(fields Header, v validators, now time.Time) bool {
	if _, ok := fields.Lookup("If-Range"); !ok {
		return true
	}
	value, ok := onlyValue(fields, "If-Range")
	if !ok || !v.strong {
		return false
	}
	if strings.HasPrefix(value, `"`) {
		return value == v.tag
	}
	date, ok := parseHTTPDate(value, now)
	return ok && date.Equal(v.modified.Truncate(time.Second))
}

// onlyValue gives the value of a field that has one member: lists of it count as if
// it were not there.
func onlyValue(fields Header, name string) (value string, ok bool) {
	for i := range fields {
		if fields[i].is(name) {
			if ok {
				return "", false
			}
			value, ok = fields[i].Value, true
		}
	}
	return value, ok
}

// parseSince reads a field with a date to which that of the file is compared. It
// is ignored if it is no date, or more than one, or the file has none (RFC 9110
// sections 13.1.3 and 13.1.4).
func parseSince(fields Header, name string, v validators, now time.Time) (since time.Time, ok bool) {
	value, ok := onlyValue(fields, name)
	if !ok || v.modified.IsZero() {
		return time.Time{}, false
	}
	return parseHTTPDate(value, now)
}

// modifiedSince compares in seconds, which is all that a date can say.
func (v *validators) modifiedSince(t time.Time) bool {
	return v.modified.Truncate(time.Second).After(t)
}

// matchTags tells whether a field that lists entity tags is there, and whether
// it names the file's (RFC 9110 sections 13.1.1 and 13.1.2). A strong comparison
// asks that neither tag is weak (section 8.8.3.2). "*" names any file's. A list
// that is malformed names none.
func matchTags(fields Header, name string, v validators, strong bool) (match, ok bool) {
	if value, ok := onlyValue(fields, name); ok && value == "*" {
		return true, true
	}
	sound := true
	for i := range fields {
		if !fields[i].is(name) {
			continue
		}
		ok = true
		tag, rest := "", fields[i].Value
		for sound {
			if tag, rest, sound = nextTag(rest); tag == "" {
				break
			}
			match = match || v.matches(tag, strong)
		}
	}
	return match && sound, ok
}

func (v *validators) matches(tag string, strong bool) bool {
	if strong {
		return v.strong && tag == v.tag
	}
	return v.tag != "" && strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(v.tag, "W/")
}

// nextTag reads the first entity tag of a list (RFC 9110 section 8.8.3). It is
// "" at the end of the list, and where the list is not sound.
func nextTag(list string) (tag, rest string, ok bool) {
	list = strings.TrimLeft(list, " \t,")
	if list == "" {
		return "", "", true
	}
	quoted, _ := strings.CutPrefix(list, "W/")
	prefix := len(list) - len(quoted)
	if quoted == "" || quoted[0] != '"' {
		return "", "", false
	}
	end := strings.IndexByte(quoted[1:], '"')
	if end < 0 || strings.ContainsAny(quoted[1:1+end], " \t") {
		return "", "", false
	}
	size := prefix + end + 2
	tag, rest = list[:size], strings.TrimLeft(list[size:], " \t")
	if rest != "" && rest[0] != ',' {
		return "", "", false
	}
	return tag, rest, true
}

// maxRanges is how many ranges a request may ask for and get no more than them.
const maxRanges = 16

// parseRange reads the value of Range for a file that is not empty (RFC 9110
// section 14.1.2), and gives those ranges that there are. It is not ok if it is
// to be ignored: it is malformed, in another unit, or asks for too many.
func parseRange(value string, size int64) (ranges []byteRange, ok bool) {
	unit, set, _ := strings.Cut(value, "=")
	if !strings.EqualFold(unit, "bytes") {
		return nil, false
	}
	n := 0
	for spec := range strings.SplitSeq(set, ",") {
		if spec = trimSpace(spec); spec == "" {
			continue
		}
		r, ok := parseRangeSpec(spec, size)
		if n++; !ok || n > maxRanges {
			return nil, false
		}
		if r.size > 0 {
			ranges = append(ranges, r)
		}
	}
	return ranges, n > 0
}

// parseRangeSpec reads first-last, first- or -length. A range that the file does
// not have comes with a size of 0.
func parseRangeSpec(spec string, size int64) (r byteRange, ok bool) {
	first, last, dash := strings.Cut(spec, "-")
	if !dash {
		return byteRange{}, false
	}
	if first == "" {
		length, ok := parseDigits(last)
		length = min(length, size)
		return byteRange{size - length, length}, ok
	}
	start, ok := parseDigits(first)
	end := size - 1
	if ok && last != "" {
		end, ok = parseDigits(last)
		ok = ok && start <= end
		end = min(end, size-1)
	}
	if !ok || start >= size {
		return byteRange{}, ok
	}
	return byteRange{start, end - start + 1}, true
}

// overlap tells whether a byte is in two ranges.
func overlap(ranges []byteRange) bool {
	for i, r := range ranges {
		for _, other := range ranges[:i] {
			if r.start < other.start+other.size && other.start < r.start+r.size {
				return true
			}
		}
	}
	return false
}

// A multipart is what surrounds the ranges in a body of multipart/byteranges
// (RFC 9110 section 14.6).
type multipart struct {
	contentType string
	heads       []string // what comes before each range
	end         string   // what comes after the last
	length      int64    // of the body
}

func newMultipart(ranges []byteRange, contentType, boundary string, size int64) *multipart {
	m := &multipart{
		contentType: "multipart/byteranges; boundary=" + boundary,
		end:         "\r\n--" + boundary + "--\r\n",
	}
	m.length = int64(len(m.end))
	for i, r := range ranges {
		head := "--" + boundary + "\r\nContent-type: " + contentType + "\r\nContent-Range: " + r.contentRange(size) + "\r\n\r\n"
		if i > 0 {
			head = "\r\n" + head
		}
		m.heads = append(m.heads, head)
		m.length += int64(len(head)) + r.size
	}
	return m
}

// fewRanges are sent however small they are: a client looks at the start, the end
// and an index.
const fewRanges = 4

// worthwhile tells whether the parts are less than the whole file and, if they
// are many, not mostly what surrounds them (RFC 9110 section 14.2).
func (m *multipart) worthwhile(ranges []byteRange, size int64) bool {
	content := int64(0)
	for _, r := range ranges {
		content += r.size
	}
	return 0 <= m.length && m.length <= size && (len(ranges) <= fewRanges || m.length-content <= content)
}
