package httpserver

import (
	"bufio"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// A file of 10 bytes that was changed at taggedTime has the tag fileTag.
var (
	taggedTime = time.Date(2021, 3, 4, 5, 6, 7, 800_000_000, time.UTC)
	longAfter  = taggedTime.AddDate(1, 0, 0)
)

const (
	fileTag = `"60406abf-2faf0800-a"`
	weakTag = `W/` + fileTag
)

func TestValidators(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		size          int64
		modified, now time.Time
		tag           string
	}{
		{10, taggedTime, longAfter, fileTag},
		{0, taggedTime, longAfter, `"60406abf-2faf0800-0"`},
		{math.MaxInt64, taggedTime, longAfter, `"60406abf-2faf0800-7fffffffffffffff"`},
		{10, taggedTime.Add(1), longAfter, `"60406abf-2faf0801-a"`},
		{10, taggedTime.In(time.FixedZone("x", 3600)), longAfter, fileTag},

		// Placeholders, which stay the same when the content changes.
		{10, time.Unix(0, 0), longAfter, ""},
		{10, time.Unix(-1, 0), longAfter, ""},
		{10, time.Unix(1, 999), longAfter, ""},
		{10, time.Time{}.Add(1), longAfter, ""},
		{10, time.Date(1979, 11, 30, 0, 0, 0, 0, time.UTC), longAfter, ""},
		{10, time.Date(1979, 11, 30, 0, 0, 0, 0, time.FixedZone("east", 14*3600)), longAfter, ""},
		{10, time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC), longAfter, ""},
		{10, time.Date(1980, 1, 1, 23, 59, 59, 0, time.FixedZone("west", -12*3600)), longAfter, ""},
		{10, time.Date(1980, 1, 1, 0, 0, 0, 0, time.FixedZone("east", 14*3600)), longAfter, ""},
		{10, time.Unix(2, 0), longAfter, `"2-0-a"`},
		{10, time.Date(1979, 11, 29, 0, 0, 0, 0, time.UTC), longAfter, `"12a32480-0-a"`},
		{10, time.Date(1980, 1, 3, 0, 0, 0, 0, time.UTC), longAfter, `"12d14900-0-a"`},

		{10, time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(3001, 1, 1, 0, 0, 0, 0, time.UTC), `"7915ecc00-0-a"`},
		{10, taggedTime, taggedTime.Add(2 * time.Second), fileTag},
		{10, taggedTime, taggedTime.Add(2*time.Second - 1), weakTag},
		{10, taggedTime, taggedTime, weakTag},
		{10, taggedTime, taggedTime.Add(-time.Hour), weakTag},
		{10, taggedTime.AddDate(1e6, 0, 0), longAfter, `W/"1cb3cd2a70bf-2faf0800-a"`},
		{10, time.Time{}, longAfter, ""},
	} {
		v := newValidators(c.size, c.modified, time.Time{}, c.now)
		if v.tag != c.tag {
			t.Errorf("%d bytes of %v at %v: %s, want %s", c.size, c.modified, c.now, v.tag, c.tag)
		}
		if c.tag == "" {
			if !v.modified.IsZero() {
				t.Errorf("%v at %v: date %v", c.modified, c.now, v.modified)
			}
			continue
		}
		if v.modified.After(c.now) || !c.modified.After(c.now) && !v.modified.Equal(c.modified) {
			t.Errorf("%v at %v: date %v", c.modified, c.now, v.modified)
		}
	}
}

// The tag of a file whose modification time is yet to come is strong if the file has not
// changed for long. Its date is when it changed. There is no date that HTTP cannot say.
func TestValidatorsOfTimesToCome(t *testing.T) {
	t.Parallel()
	now := time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)
	soon, ever := now.Add(time.Hour), time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		modified, changed, now time.Time
		strong                 bool
		date                   time.Time
	}{
		{soon, time.Time{}, now, false, now},
		{soon, now.Add(-clockGrain + 1), now, false, now.Add(-clockGrain + 1)},
		{soon, now.Add(-clockGrain), now, true, now.Add(-clockGrain)},
		{soon, soon, now, false, now},
		{ever, now.AddDate(-1, 0, 0), now, true, now.AddDate(-1, 0, 0)},
		{ever, now, ever.AddDate(1, 0, 0), true, time.Time{}},
		{now, now.AddDate(-1, 0, 0), now, false, now}, // the clock was set back
		{now, soon, now.Add(clockGrain), true, now},   // its mode changed
	} {
		v := newValidators(10, c.modified, c.changed, c.now)
		if v.strong() != c.strong || v.tag == "" || strings.HasPrefix(v.tag, "W/") == c.strong || !v.modified.Equal(c.date) {
			t.Errorf("%v, changed %v, at %v: got %+v", c.modified, c.changed, c.now, v)
		}
	}
}

// The validators of a file whose time is yet to come are not those of the same file with the
// time that they have as a date.
func TestLastValidators(t *testing.T) {
	t.Parallel()
	now := time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)
	changed := now.Add(-time.Hour)
	h := new(SimpleHandler)
	h.validators(&fileBody{size: 10, modified: now.Add(time.Hour), inode: inode{changed: changed}, opened: now})
	want := newValidators(10, changed, now, now)
	if got := h.validators(&fileBody{size: 10, modified: changed, inode: inode{changed: now}, opened: now}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// parseHeader parses fields that are separated by "|".
func parseHeader(t testing.TB, fields string) Header {
	t.Helper()
	if fields == "" {
		return nil
	}
	header, err := parseFields(nil, strings.ReplaceAll(fields, "|", "\r\n")+"\r\n\r\n")
	if err != nil {
		t.Fatalf("%q: %v", fields, err)
	}
	return header
}

const (
	dateBefore = "Thu, 04 Mar 2021 05:06:06 GMT"
	dateEqual  = "Thu, 04 Mar 2021 05:06:07 GMT"
	dateAfter  = "Thu, 04 Mar 2021 05:06:08 GMT"
)

func TestPreconditions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fields string
		old    int // code for a file that was changed long ago
		young  int // for one that was changed just now
		none   int // for one without a modification time
	}{
		{"", 200, 200, 200},
		{"If-Match: " + fileTag, 200, 412, 412},
		{"if-match: " + fileTag, 200, 412, 412},
		{"If-Match: " + weakTag, 412, 412, 412},
		{`If-Match: "a", ` + fileTag, 200, 412, 412},
		{`If-Match: "a"|If-Match: ` + fileTag, 200, 412, 412},
		{`If-Match: "a"`, 412, 412, 412},
		{"If-Match: *", 200, 200, 200},
		{`If-Match: "*"`, 412, 412, 412},
		{"If-Match:", 412, 412, 412},
		{"If-Match: x", 412, 412, 412},
		{"If-Match: *|If-Match: *", 412, 412, 412},
		{"If-Match: " + fileTag + "|If-Unmodified-Since: " + dateBefore, 200, 412, 412},

		{"If-Unmodified-Since: " + dateBefore, 412, 412, 200},
		{"If-Unmodified-Since: " + dateEqual, 200, 200, 200},
		{"If-Unmodified-Since: " + dateAfter, 200, 200, 200},
		{"If-Unmodified-Since: x", 200, 200, 200},
		{"If-Unmodified-Since: " + dateBefore + "|If-Unmodified-Since: " + dateBefore, 200, 200, 200},

		{"If-None-Match: " + fileTag, 304, 304, 200},
		{"If-None-Match: " + weakTag, 304, 304, 200},
		{"If-None-Match: w/" + fileTag, 200, 200, 200},
		{`If-None-Match: "a"`, 200, 200, 200},
		{`If-None-Match: "", "a,b", W/"c" ,, ` + weakTag, 304, 304, 200},
		{`If-None-Match: "a"|If-None-Match: ` + fileTag, 304, 304, 200},
		{"If-None-Match: *", 304, 304, 304},
		{"If-None-Match: *, " + fileTag, 200, 200, 200},
		{"If-None-Match: " + fileTag + "x", 200, 200, 200},
		{"If-None-Match: " + fileTag + fileTag, 200, 200, 200},
		{"If-None-Match: " + fileTag + `, "a`, 200, 200, 200},
		{"If-None-Match: " + fileTag + `, a"`, 200, 200, 200},
		{"If-None-Match: " + fileTag + "|If-None-Match: x", 200, 200, 200},
		{`If-None-Match: "a"|If-Modified-Since: ` + dateEqual, 200, 200, 200},
		{`If-None-Match: x|If-Modified-Since: ` + dateEqual, 200, 200, 200},
		{"If-None-Match: " + fileTag + "|If-Modified-Since: " + dateBefore, 304, 304, 200},
		{"If-Match: *|If-None-Match: *", 304, 304, 304},
		{`If-Match: "a"|If-None-Match: *`, 412, 412, 412},

		{"If-Modified-Since: " + dateBefore, 200, 200, 200},
		{"If-Modified-Since: " + dateEqual, 304, 304, 200},
		{"If-Modified-Since: " + dateAfter, 304, 304, 200},
		{"If-Modified-Since: x", 200, 200, 200},
		{"If-Modified-Since: " + dateEqual + "|If-Modified-Since: " + dateEqual, 200, 200, 200},
	} {
		fields := parseHeader(t, c.fields)
		for _, method := range []string{"GET", "HEAD"} {
			old := precondition(fields, method, taggedTime, longAfter)
			young := precondition(fields, method, taggedTime, taggedTime.Add(time.Second))
			none := precondition(fields, method, time.Time{}, longAfter)
			if old != c.old || young != c.young || none != c.none {
				t.Errorf("%s %s: %d, %d, %d, want %d, %d, %d", method, c.fields, old, young, none, c.old, c.young, c.none)
			}
		}
		other := precondition(fields, "PUT", taggedTime, longAfter)
		want := c.old
		if want == 304 {
			want = 412
			if !strings.Contains(c.fields, "If-None-Match") {
				want = 200
			}
		}
		if other != want {
			t.Errorf("PUT %s: %d, want %d", c.fields, other, want)
		}
	}
}

// precondition checks the preconditions for a file of 10 bytes.
func precondition(fields Header, method string, modified, now time.Time) (code int) {
	return checkPreconditions(fields, method, newValidators(10, modified, time.Time{}, now), now)
}

func TestSelectRanges(t *testing.T) {
	t.Parallel()
	tooMany := "0-0" + strings.Repeat(",0-0", maxRanges)
	var most, mostSelected strings.Builder
	for i := range maxRanges {
		fmt.Fprintf(&most, "%d-%d,", i*10, i*10+5)
		fmt.Fprintf(&mostSelected, " %d+6", i*10)
	}
	for _, c := range []struct {
		value string
		size  int64
		want  string // code and start+size of each range
	}{
		{"bytes=0-0", 10, "206 0+1"},
		{"bytes=0-9", 10, "206 0+10"},
		{"bytes=9-9", 10, "206 9+1"},
		{"bytes=9-10", 10, "206 9+1"},
		{"bytes=2-", 10, "206 2+8"},
		{"bytes=-3", 10, "206 7+3"},
		{"bytes=-10", 10, "206 0+10"},
		{"bytes=-11", 10, "206 0+10"},
		{"bytes=-99999999999999999999", 10, "206 0+10"},
		{"bytes=1-99999999999999999999", 10, "206 1+9"},
		{"bytes=00-01", 10, "206 0+2"},
		{"Bytes=0-1", 10, "206 0+2"},
		{"bytes=0-1,", 10, "206 0+2"},
		{"bytes= ,\t0-1 , ", 10, "206 0+2"},
		{"bytes=0-1,4-5", 10, "206 0+2 4+2"},
		{"bytes=4-5,0-1", 10, "206 4+2 0+2"},
		{"bytes=0-1,2-3", 10, "206 0+2 2+2"},
		{"bytes=0-1,-1", 10, "206 0+2 9+1"},
		{"bytes=0-1,10-", 10, "206 0+2"},
		{"bytes=10-,0-1,-0", 10, "206 0+2"},
		{"bytes=0-9223372036854775807", math.MaxInt64, "206 0+9223372036854775807"},
		{"bytes=9223372036854775806-", math.MaxInt64, "206 9223372036854775806+1"},
		{"bytes=9223372036854775807-", math.MaxInt64, "416"},
		{"bytes=" + most.String(), 10000, "206" + mostSelected.String()},

		{"bytes=10-", 10, "416"},
		{"bytes=10-20", 10, "416"},
		{"bytes=99999999999999999999-", 10, "416"},
		{"bytes=99999999999999999999-99999999999999999998", 10, "416"},
		{"bytes=-0", 10, "416"},
		{"bytes=10-,-0", 10, "416"},

		{"bytes=0-1,1-2", 10, "200"},
		{"bytes=0-1,0-1", 10, "200"},
		{"bytes=0-,-1", 10, "200"},
		{"bytes=" + tooMany, 10, "200"},
		{"bytes=" + most.String() + "9999-", 10000, "200"},
		{"bytes=0-", 0, "200"},
		{"bytes=5-", 0, "200"},
		{"bytes=-5", 0, "200"},
		{"", 10, "200"},
		{"bytes", 10, "200"},
		{"bytes=", 10, "200"},
		{"bytes=,", 10, "200"},
		{"bytes=-", 10, "200"},
		{"bytes=1", 10, "200"},
		{"bytes=2-1", 10, "200"},
		{"bytes=12-11", 10, "200"},
		{"bytes=0-1,x", 10, "200"},
		{"bytes=10-,x", 10, "200"},
		{"bytes=0-1;2-3", 10, "200"},
		{"bytes=0 - 1", 10, "200"},
		{"bytes=+0-1", 10, "200"},
		{"bytes=0--1", 10, "200"},
		{"bytes=0-1-2", 10, "200"},
		{"bytes=0x0-0x1", 10, "200"},
		{"bytes=1_0-", 100, "200"},
		{"bytes =0-1", 10, "200"},
		{"bytes:0-1", 10, "200"},
		{"lines=0-1", 10, "200"},
		{"=0-1", 10, "200"},
		{"0-1", 10, "200"},
	} {
		fields := parseHeader(t, "Range: "+c.value)
		code, ranges := selectOf(fields, "GET", c.size, taggedTime, longAfter)
		got := fmt.Sprint(code)
		for _, r := range ranges {
			got += fmt.Sprintf(" %d+%d", r.start, r.size)
		}
		if got != c.want {
			t.Errorf("%q of %d: %s, want %s", c.value, c.size, got, c.want)
		}
		if code, _ := selectOf(fields, "HEAD", c.size, taggedTime, longAfter); code != 200 {
			t.Errorf("%q of %d: HEAD is %d", c.value, c.size, code)
		}
		if code, _ := selectOf(slices.Concat(fields, fields), "GET", c.size, taggedTime, longAfter); code != 200 {
			t.Errorf("%q of %d, twice: %d", c.value, c.size, code)
		}
	}
}

// Between several ranges, a file that was just modified may change unnoticed.
func TestRangesOfYoungFile(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int{"bytes=0-1": 206, "bytes=0-1,4-5": 200, "bytes=0-1,20-30": 206} {
		fields := Header{{"Range", value}}
		young, _ := selectOf(fields, "GET", 10, taggedTime, taggedTime.Add(time.Second))
		old, _ := selectOf(fields, "GET", 10, taggedTime, longAfter)
		if young != want || old != 206 {
			t.Errorf("%s: %d, later %d", value, young, old)
		}
	}
}

// selectOf selects ranges of a file that was changed at a time.
func selectOf(fields Header, method string, size int64, modified, now time.Time) (code int, ranges []byteRange) {
	return selectRanges(fields, method, newValidators(size, modified, time.Time{}, now), size, now)
}

func TestIfRange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fields           string
		old, young, none int
	}{
		{"If-Range: " + fileTag, 206, 200, 200},
		{"If-Range: " + weakTag, 200, 200, 200},
		{`If-Range: "a"`, 200, 200, 200},
		{`If-Range: ""`, 200, 200, 200},
		{"If-Range:", 200, 200, 200},
		{"If-Range: *", 200, 200, 200},
		{"If-Range: " + fileTag + ", " + fileTag, 200, 200, 200},
		{"If-Range: " + fileTag + "|If-Range: " + fileTag, 200, 200, 200},
		{"If-Range: " + dateEqual, 206, 200, 200},
		{"If-Range: Thursday, 04-Mar-21 05:06:07 GMT", 206, 200, 200},
		{"If-Range: " + dateBefore, 200, 200, 200},
		{"If-Range: " + dateAfter, 200, 200, 200},
		{"If-Range: Mon, 01 Jan 0001 00:00:00 GMT", 200, 200, 200},
		{"X: y", 206, 206, 206},
	} {
		fields := parseHeader(t, "Range: bytes=0-1|"+c.fields)
		old, _ := selectOf(fields, "GET", 10, taggedTime, longAfter)
		young, _ := selectOf(fields, "GET", 10, taggedTime, taggedTime.Add(time.Second))
		none, _ := selectOf(fields, "GET", 10, time.Time{}, longAfter)
		if old != c.old || young != c.young || none != c.none {
			t.Errorf("%s: %d, %d, %d, want %d, %d, %d", c.fields, old, young, none, c.old, c.young, c.none)
		}
	}
}

func TestMultipart(t *testing.T) {
	t.Parallel()
	two := []byteRange{{0, 1}, {99, 1}}
	_, whole, ok := multipart(two, "text/plain", "b", 1000)
	if !ok || whole != 143 {
		t.Errorf("two ranges of 1000 bytes: %d", whole)
	}
	var tiny, larger []byteRange
	for i := range int64(5) {
		tiny = append(tiny, byteRange{i * 100, 10})
		larger = append(larger, byteRange{i * 100, 90})
	}
	for _, c := range []struct {
		name   string
		ranges []byteRange
		size   int64
		want   bool
	}{
		{"as long as the file", two, whole - 2, true}, // Content-Range is two digits shorter
		{"longer than the file", two, whole - 3, false},
		{"four tiny ones", tiny[:4], 1 << 20, true},
		{"five tiny ones", tiny, 1 << 20, false},
		{"five larger ones", larger, 1 << 20, true},
	} {
		_, length, ok := multipart(c.ranges, "text/plain", "b", c.size)
		if ok != c.want || ok && length > c.size {
			t.Errorf("%s: %v with %d bytes of %d", c.name, ok, length, c.size)
		}
	}
}

// FuzzRange selects ranges. They lie within the file and do not overlap, and a body of
// several is not longer than the file.
func FuzzRange(f *testing.F) {
	AddRequests(f, func(request string) {
		for line := range strings.SplitSeq(request, "\r\n") {
			if value, ok := strings.CutPrefix(line, "Range: "); ok {
				f.Add(value, int64(13))
				f.Add(value, int64(2000))
			}
		}
	})
	f.Add("bytes=0-9,-10", int64(math.MaxInt64))
	f.Add("bytes=9223372036854775806-9223372036854775808", int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, value string, size int64) {
		if size < 0 {
			return
		}
		code, ranges := selectOf(Header{{Name: "Range", Value: value}}, "GET", size, taggedTime, longAfter)
		if (code == 206) != (len(ranges) > 0) || code != 206 && code != 200 && code != 416 || len(ranges) > maxRanges {
			t.Fatalf("%q of %d: %d with %v", value, size, code, ranges)
		}
		left := size
		for _, r := range ranges {
			if r.start < 0 || r.size <= 0 || r.start > size-r.size || r.size > left {
				t.Fatalf("%q of %d: %v", value, size, ranges)
			}
			left -= r.size
		}
		slices.SortFunc(ranges, func(a, b byteRange) int { return cmp.Compare(a.start, b.start) })
		for i := 1; i < len(ranges); i++ {
			if ranges[i-1].start+ranges[i-1].size > ranges[i].start {
				t.Fatalf("%q of %d: %v overlap", value, size, ranges)
			}
		}
		texts, length, ok := multipart(ranges, "text/plain", "boundary", size)
		body := size - left + int64(len(strings.Join(texts, "")))
		if ok && (length != body || length > size) {
			t.Errorf("%q of %d: %d bytes of parts in a body of %d", value, size, body, length)
		}
	})
}

// entityTags returns the tags of a list, and whether all of it is well-formed.
func entityTags(list string) (tags []string, ok bool) {
	for {
		var tag string
		if tag, list, ok = nextTag(list); tag == "" {
			return tags, ok
		}
		tags = append(tags, tag)
	}
}

// FuzzEntityTags parses lists of entity tags. The tags of a list are the same after
// they were written and parsed again, and a tag matches the lists that contain it and
// no others.
func FuzzEntityTags(f *testing.F) {
	AddRequests(f, func(request string) {
		for scanner := bufio.NewScanner(strings.NewReader(request)); scanner.Scan(); {
			if name, value, ok := strings.Cut(scanner.Text(), ": "); ok && strings.HasSuffix(name, "-Match") {
				f.Add(value)
			}
		}
	})
	f.Add(`W/"a",	"b,c" ,, "` + "\xe4" + `"`)
	f.Fuzz(func(t *testing.T, list string) {
		tags, ok := entityTags(list)
		for _, tag := range tags {
			if opaque := strings.TrimPrefix(tag, "W/"); len(opaque) < 2 || strings.Trim(opaque, `"`) != opaque[1:len(opaque)-1] || !strings.Contains(list, tag) {
				t.Errorf("%q has tag %q", list, tag)
			}
		}
		again, sound := entityTags(strings.Join(tags, ", "))
		if !sound || !slices.Equal(again, tags) {
			t.Errorf("%q reads as %q", tags, again)
		}
		if list == "*" {
			return
		}
		code := func(list string) int {
			fields := Header{{Name: "If-None-Match", Value: list}}
			return precondition(fields, "GET", taggedTime, longAfter)
		}
		want := 200
		if ok && (slices.Contains(tags, fileTag) || slices.Contains(tags, weakTag)) {
			want = 304
		}
		if got := code(list); got != want {
			t.Errorf("%q: %d, want %d", list, got, want)
		}
		if ok && code(list+", "+fileTag) != 304 {
			t.Errorf("%q with the tag at its end does not have it", list)
		}
	})
}
