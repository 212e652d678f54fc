package httpserver

import (
	"bytes"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
	"time"
)

func TestParseFraming(t *testing.T) {
	t.Parallel()
	http10, http11 := requestLine{major: 1, minor: 0}, requestLine{major: 1, minor: 1}
	length := func(values ...string) (fields Header) {
		for _, value := range values {
			fields = append(fields, Field{"content-LENGTH", value})
		}
		return fields
	}
	coding := func(values ...string) (fields Header) {
		for _, value := range values {
			fields = append(fields, Field{"transfer-ENCODING", value})
		}
		return fields
	}
	for _, tt := range []struct {
		line   requestLine
		fields Header
		want   int64
		code   int // of the error; 0 means none
	}{
		{http11, nil, 0, 0},
		{http11, length("0"), 0, 0},
		{http10, length("5"), 5, 0},
		{http11, length("007"), 7, 0},
		{http11, length("5", "5"), 5, 0},
		{http11, length("9223372036854775806"), 1<<63 - 2, 0},
		{http11, coding("chunked"), chunked, 0},
		{http11, coding("Chunked"), chunked, 0},

		{http11, length(""), 0, 400},
		{http11, length("+5"), 0, 400},
		{http11, length("-5"), 0, 400},
		{http11, length("5 "), 0, 400},
		{http11, length("5,5"), 0, 400},
		{http11, length("0x5"), 0, 400},
		{http11, length("٥"), 0, 400},
		{http11, length("9223372036854775807"), 0, 400},
		{http11, length("99999999999999999999"), 0, 400},
		{http11, length("5", "6"), 0, 400},
		{http11, length("5", "05"), 0, 400},
		{http11, append(length("5"), coding("chunked")...), 0, 400},
		{http10, coding("chunked"), 0, 400},
		{http11, coding("chunked", "chunked"), 0, 400},
		{http11, coding("chunked, gzip"), chunked, 400},
		{http11, coding("chunked, chunked"), chunked, 400},
		{http11, coding(""), chunked, 400},
		{http11, coding(",chunked"), chunked, 400},
		{http11, coding("gzip;q=1"), chunked, 400},
		{http11, coding("gzip"), chunked, 501},
		{http11, coding("gzip, chunked"), chunked, 501},
		{http11, coding("identity"), chunked, 501},
	} {
		got, err := parseFraming(tt.fields, &tt.line)
		code := 0
		if err != nil {
			code = err.code
		}
		if code != tt.code || code == 0 && got != tt.want {
			t.Errorf("%q on HTTP/1.%d: %d, code %d, want %d, code %d", tt.fields, tt.line.minor, got, code, tt.want, tt.code)
		}
	}
}

func TestParseChunkSize(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		line      string
		size      int64
		extension int
		ok        bool
	}{
		{"0\r\n", 0, 0, true},
		{"aF\r\n", 0xaf, 0, true},
		{"0000000000000010\r\n", 16, 0, true},
		{"7fffffffffffffff\r\n", 1<<63 - 1, 0, true},
		{"5;\r\n", 5, 1, true},
		{"5;a=b\r\n", 5, 4, true},
		{"5 \t; a = \"b c\"\r\n", 5, 13, true},
		{line: "5\n"},
		{line: "5"},
		{line: "\r\n"},
		{line: ";a\r\n"},
		{line: " 5\r\n"},
		{line: "5 \r\n"},
		{line: "5 5\r\n"},
		{line: "0x5\r\n"},
		{line: "-5\r\n"},
		{line: "5_0\r\n"},
		{line: "5;\x00\r\n"},
		{line: "5;a\rb\r\n"},
		{line: "8000000000000000\r\n"},
		{line: "00000000000000001\r\n"},
	} {
		size, extension, ok := parseChunkSize(tt.line)
		if ok != tt.ok || ok && (size != tt.size || extension != tt.extension) {
			t.Errorf("%q: %d, %d, %v", tt.line, size, extension, ok)
		}
	}
}

// readChunked decodes a chunked body, and returns what comes after it, too.
func readChunked(wire []byte) (body, rest []byte, err error) {
	in := connReader{conn: readerConn{r: bytes.NewReader(wire)}, timeout: new(time.Duration)}
	var b bodyReader
	b.reset(&in, chunked)
	if body, err = io.ReadAll(&b); err != nil {
		return nil, nil, err
	}
	rest, err = io.ReadAll(io.MultiReader(bytes.NewReader(in.buffered()), in.conn))
	return body, rest, err
}

// FuzzChunked decodes chunked bodies. What the standard library's writer makes of the
// data comes back; raw input is never read beyond its end.
func FuzzChunked(f *testing.F) {
	AddRequests(f, func(request string) {
		if _, body, ok := strings.Cut(request, "\r\n\r\n"); ok {
			f.Add([]byte(body), 5)
		}
	})
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		var wire bytes.Buffer
		w := httputil.NewChunkedWriter(&wire)
		for rest := data; len(rest) > 0; {
			n := min(max(size, 1), len(rest))
			w.Write(rest[:n])
			rest = rest[n:]
		}
		w.Close()
		wire.WriteString("\r\nnext")
		got, left, err := readChunked(wire.Bytes())
		if err != nil || !bytes.Equal(got, data) || string(left) != "next" {
			t.Errorf("%q reads as %q, %q, %v", data, got, left, err)
		}
		got, left, err = readChunked(data)
		if err == nil && len(got)+len(left) > len(data) {
			t.Errorf("%q reads as %q, %q", data, got, left)
		}
		if err != nil {
			return
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(data)))
		if err != nil || !bytes.Equal(got, theirs) {
			t.Errorf("%q reads as %q, by httputil as %q, %v", data, got, theirs, err)
		}
	})
}
