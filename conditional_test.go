package httpserver_test

import (
	"bufio"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"httpserver"
)

// taggedTime is when a file was changed whose tag is fileTag if it has 10 bytes.
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
		{10, time.Unix(0, 0), longAfter, `"0-0-a"`},
		{10, time.Unix(-1, 0), longAfter, `"-1-0-a"`},
		{10, time.Time{}.Add(1), longAfter, `"-e7791f700-1-a"`},
		{10, time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(3001, 1, 1, 0, 0, 0, 0, time.UTC), `"7915ecc00-0-a"`},
		{10, taggedTime, taggedTime.Add(2 * time.Second), fileTag},
		{10, taggedTime, taggedTime.Add(2*time.Second - 1), weakTag},
		{10, taggedTime, taggedTime, weakTag},
		{10, taggedTime, taggedTime.Add(-time.Hour), weakTag},
		{10, taggedTime.AddDate(1e6, 0, 0), longAfter, `W/"1cb3cd2a70bf-2faf0800-a"`},
		{10, time.Time{}, longAfter, ""},
	} {
		tag, date, strong := httpserver.NewValidators(c.size, c.modified, c.now)
		if tag != c.tag || strong != strings.HasPrefix(tag, `"`) {
			t.Errorf("%d bytes of %v at %v: %s, strong: %v, want %s", c.size, c.modified, c.now, tag, strong, c.tag)
		}
		if date.After(c.now) || !c.modified.After(c.now) && !date.Equal(c.modified) {
			t.Errorf("%v at %v: date %v", c.modified, c.now, date)
		}
	}
}

// parseHeader reads fields that are separated by "|".
func parseHeader(t testing.TB, fields string) httpserver.Header {
	t.Helper()
	if fields == "" {
		return nil
	}
	header, code := httpserver.ParseFields(strings.ReplaceAll(fields, "|", "\r\n") + "\r\n\r\n")
	if code != 0 {
		t.Fatalf("%q: %d", fields, code)
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
			old := httpserver.CheckPreconditions(fields, method, 10, taggedTime, longAfter)
			young := httpserver.CheckPreconditions(fields, method, 10, taggedTime, taggedTime.Add(time.Second))
			none := httpserver.CheckPreconditions(fields, method, 10, time.Time{}, longAfter)
			if old != c.old || young != c.young || none != c.none {
				t.Errorf("%s %s: %d, %d, %d, want %d, %d, %d", method, c.fields, old, young, none, c.old, c.young, c.none)
			}
		}
		other := httpserver.CheckPreconditions(fields, "PUT", 10, taggedTime, longAfter)
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

func TestSelectRanges(t *testing.T) {
	t.Parallel()
	seventeen := "0-0" + strings.Repeat(",0-0", 16)
	var sixteen strings.Builder
	for i := range 16 {
		fmt.Fprintf(&sixteen, "%d-%d,", i*10, i*10+5)
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
		{"bytes=" + sixteen.String(), 1000, "206 0+6 10+6 20+6 30+6 40+6 50+6 60+6 70+6 80+6 90+6 100+6 110+6 120+6 130+6 140+6 150+6"},

		{"bytes=10-", 10, "416"},
		{"bytes=10-20", 10, "416"},
		{"bytes=99999999999999999999-", 10, "416"},
		{"bytes=99999999999999999999-99999999999999999998", 10, "416"},
		{"bytes=-0", 10, "416"},
		{"bytes=10-,-0", 10, "416"},

		{"bytes=0-1,1-2", 10, "200"},
		{"bytes=0-1,0-1", 10, "200"},
		{"bytes=0-,-1", 10, "200"},
		{"bytes=" + seventeen, 10, "200"},
		{"bytes=" + sixteen.String() + "999-", 1000, "200"},
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
		code, ranges := httpserver.SelectRanges(fields, "GET", c.size, taggedTime, longAfter)
		got := fmt.Sprint(code)
		for _, r := range ranges {
			got += fmt.Sprintf(" %d+%d", r[0], r[1])
		}
		if got != c.want {
			t.Errorf("%q of %d: %s, want %s", c.value, c.size, got, c.want)
		}
		if code, _ := httpserver.SelectRanges(fields, "HEAD", c.size, taggedTime, longAfter); code != 200 {
			t.Errorf("%q of %d: HEAD is %d", c.value, c.size, code)
		}
		if code, _ := httpserver.SelectRanges(slices.Concat(fields, fields), "GET", c.size, taggedTime, longAfter); code != 200 {
			t.Errorf("%q of %d, twice: %d", c.value, c.size, code)
		}
	}
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
		old, _ := httpserver.SelectRanges(fields, "GET", 10, taggedTime, longAfter)
		young, _ := httpserver.SelectRanges(fields, "GET", 10, taggedTime, taggedTime.Add(time.Second))
		none, _ := httpserver.SelectRanges(fields, "GET", 10, time.Time{}, longAfter)
		if old != c.old || young != c.young || none != c.none {
			t.Errorf("%s: %d, %d, %d, want %d, %d, %d", c.fields, old, young, none, c.old, c.young, c.none)
		}
	}
}

func TestMultipart(t *testing.T) {
	t.Parallel()
	two := [][2]int64{{0, 1}, {99, 1}}
	length, _, _, ok := httpserver.Multipart(two, "text/plain", "b", 1000)
	if !ok || length != 143 {
		t.Errorf("two ranges of 1000 bytes: %d, %v", length, ok)
	}
	var tiny, larger [][2]int64
	for i := range int64(5) {
		tiny = append(tiny, [2]int64{i * 100, 10})
		larger = append(larger, [2]int64{i * 100, 90})
	}
	for _, c := range []struct {
		name   string
		ranges [][2]int64
		size   int64
		want   bool
	}{
		{"as long as the file", two, length - 2, true}, // Content-Range is two digits shorter
		{"longer than the file", two, length - 3, false},
		{"four tiny ones", tiny[:4], 1 << 20, true},
		{"five tiny ones", tiny, 1 << 20, false},
		{"five larger ones", larger, 1 << 20, true},
	} {
		got, _, _, ok := httpserver.Multipart(c.ranges, "text/plain", "b", c.size)
		if ok != c.want || ok && got > c.size {
			t.Errorf("%s: %v with %d bytes of %d", c.name, ok, got, c.size)
		}
	}
	if a, b := httpserver.NewBoundary(), httpserver.NewBoundary(); a == b || len(a) != 32 || len(b) != 32 {
		t.Errorf("boundaries %s, %s", a, b)
	}
}

// FuzzRange chooses ranges. What is chosen lies in the file, no byte of it twice,
// and a body of several is no longer than the file.
func FuzzRange(f *testing.F) {
	seeds(f, func(request string) {
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
		code, ranges := httpserver.SelectRanges(httpserver.Header{{Name: "Range", Value: value}}, "GET", size, taggedTime, longAfter)
		if (code == 206) != (len(ranges) > 0) || code != 206 && code != 200 && code != 416 || len(ranges) > 16 {
			t.Fatalf("%q of %d: %d with %v", value, size, code, ranges)
		}
		left := size
		for _, r := range ranges {
			if r[0] < 0 || r[1] <= 0 || r[0] > size-r[1] || r[1] > left {
				t.Fatalf("%q of %d: %v", value, size, ranges)
			}
			left -= r[1]
		}
		slices.SortFunc(ranges, func(a, b [2]int64) int { return int(min(max(a[0]-b[0], -1), 1)) })
		for i := 1; i < len(ranges); i++ {
			if ranges[i-1][0]+ranges[i-1][1] > ranges[i][0] {
				t.Fatalf("%q of %d: %v overlap", value, size, ranges)
			}
		}
		length, heads, end, worthwhile := httpserver.Multipart(ranges, "text/plain", "boundary", size)
		body := size - left + int64(len(end)+len(strings.Join(heads, "")))
		if worthwhile && (length != body || length > size) {
			t.Errorf("%q of %d: %d bytes of parts in a body of %d", value, size, body, length)
		}
	})
}

// FuzzEntityTags reads lists of entity tags. What is read reads the same after it
// was written, and a tag is found in the list that has it, and in no other.
func FuzzEntityTags(f *testing.F) {
	seeds(f, func(request string) {
		for scanner := bufio.NewScanner(strings.NewReader(request)); scanner.Scan(); {
			if name, value, ok := strings.Cut(scanner.Text(), ": "); ok && strings.HasSuffix(name, "-Match") {
				f.Add(value)
			}
		}
	})
	f.Add(`W/"a",	"b,c" ,, "` + "\xe4" + `"`)
	f.Fuzz(func(t *testing.T, list string) {
		tags, ok := httpserver.EntityTags(list)
		for _, tag := range tags {
			if opaque := strings.TrimPrefix(tag, "W/"); len(opaque) < 2 || strings.Trim(opaque, `"`) != opaque[1:len(opaque)-1] || !strings.Contains(list, tag) {
				t.Errorf("%q has tag %q", list, tag)
			}
		}
		again, sound := httpserver.EntityTags(strings.Join(tags, ", "))
		if !sound || !slices.Equal(again, tags) {
			t.Errorf("%q reads as %q", tags, again)
		}
		if list == "*" {
			return
		}
		code := func(list string) int {
			fields := httpserver.Header{{Name: "If-None-Match", Value: list}}
			return httpserver.CheckPreconditions(fields, "GET", 10, taggedTime, longAfter)
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
