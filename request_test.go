package httpserver

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A readerConn is a connection of which only Read works.
type readerConn struct {
	net.Conn
	r io.Reader
}

func (c readerConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// What a client that never ends its head makes the server hold is at most a quarter
// more than what it has sent, apart from a few KiB.
func TestUnfinishedHead(t *testing.T) {
	line := "a: " + strings.Repeat("b", 65000) + "\r\n"
	for lines := range 5 {
		sent := strings.Repeat(line, lines) + "c: d"
		in := connReader{conn: readerConn{r: strings.NewReader(sent)}, timeout: new(time.Duration)}
		if _, err := in.header(0, maxHead); lines < 5 && err != io.EOF && err != errHeaderSize {
			t.Errorf("%d lines: %v", lines, err)
		}
		if limit := len(sent)*5/4 + 2*bufferSize; cap(in.buf) > limit {
			t.Errorf("%d bytes are held for %d that were sent", cap(in.buf), len(sent))
		}
	}
}

// A header may have lines of maxLine bytes, and maxFields of them.
func TestHeaderLimits(t *testing.T) {
	long := "A: " + strings.Repeat("x", maxLine)
	for _, tt := range []struct {
		block string
		err   error
	}{
		{long[:maxLine-2] + "\r\n\r\n", nil},
		{long + "\r\n\r\n", errHeaderLine},
		{strings.Repeat("A: b\r\n", maxFields) + "\r\n", nil},
		{strings.Repeat("A: b\r\n", maxFields+1) + "\r\n", errHeaderCount},
	} {
		in := connReader{conn: readerConn{r: strings.NewReader(tt.block)}, timeout: new(time.Duration)}
		if end, err := in.header(0, maxHead); err != tt.err || err == nil && end != len(tt.block) {
			t.Errorf("%.40q: %d, %v, want %v", tt.block, end, err, tt.err)
		}
	}
}

// A buffer that has grown is not kept for a few bytes that follow a head.
func TestReleaseGrownBuffer(t *testing.T) {
	head := strings.Repeat("x", 200<<10) + "\n"
	for _, next := range []string{"", "G", strings.Repeat("y", bufferSize)} {
		in := connReader{conn: readerConn{r: strings.NewReader(head + next)}, timeout: new(time.Duration)}
		for len(in.buffered()) < len(head+next) {
			if err := in.fill(); err != nil {
				t.Fatal(err)
			}
		}
		in.consume(len(head))
		in.release()
		if got := string(in.buffered()); got != next || len(in.buf) > bufferSize {
			t.Errorf("%d bytes are unread in a buffer of %d, want %d", len(got), len(in.buf), len(next))
		}
	}
}

// A line is found wherever the bytes that arrive at once end, and with any limit.
func TestLine(t *testing.T) {
	const text = "one\r\ntwo\nthree"
	for size := 1; size <= len(text); size++ {
		in := connReader{conn: readerConn{r: io.MultiReader(strings.NewReader(text[:size]), strings.NewReader(text[size:]))}, timeout: new(time.Duration)}
		for _, tt := range []struct {
			from, limit int
			want        string
			err         error
		}{
			{0, 5, "one\r\n", nil}, {0, 4, "", errRequestLine}, {0, 0, "", errRequestLine}, {0, -1, "", errRequestLine},
			{5, 4, "two\n", nil}, {5, 3, "", errRequestLine}, {9, 5, "", errRequestLine}, {9, 6, "", io.EOF},
		} {
			if line, err := in.line(tt.from, tt.limit, errRequestLine); string(line) != tt.want || err != tt.err {
				t.Errorf("line(%d, %d) is %q, %v", tt.from, tt.limit, line, err)
			}
		}
	}
}

// Letters that only Unicode folds to those of ASCII are not those of the protocol.
func TestProtocolIsASCII(t *testing.T) {
	for _, list := range []string{"clo\u017fe", "CLO\u017fE", "cl\u00d6se", "close\u200b"} {
		if hasToken(list, "close") {
			t.Errorf("%q is close", list)
		}
	}
	if hasToken("\u212aeep-alive", "keep-alive") || !hasToken("KEEP-alive", "keep-alive") {
		t.Error("keep-alive")
	}
	http11 := requestLine{major: 1, minor: 1}
	for _, coding := range []string{"chun\u212aed", "CHUN\u212aED", "chunked\u0131"} {
		if framing, err := parseFraming(Header{{"Transfer-Encoding", coding}}, &http11); err == nil {
			t.Errorf("%q is framing %d", coding, framing)
		}
	}
	if ranges, ok := parseRange("byte\u017f=0-0", 10); ok {
		t.Errorf("ranges %v", ranges)
	}
}
