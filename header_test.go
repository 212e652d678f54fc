package httpserver

import (
	"bufio"
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestHeader(t *testing.T) {
	t.Parallel()
	h := Header{{"A", "1"}, {"b", ""}, {"a", "2"}}
	if v, ok := h.Lookup("B"); v != "" || !ok {
		t.Error("b is there")
	}
	if _, ok := h.Lookup("c"); ok || h.Get("a") != "1" || h.Get("c") != "" || h.Values("c") != nil {
		t.Error("Lookup, Get, Values")
	}
	if v := h.Values("a"); !slices.Equal(v, []string{"1", "2"}) {
		t.Errorf("Values %q", v)
	}
}

func TestHasToken(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]bool{
		"close": true, "Close": true, "a, close": true, "close,a": true, " \tclose\t ,": true, ",,close": true,
		"": false, ",": false, "closed": false, "not close": false, "close;q=1": false, `"close"`: false,
	} {
		if got := hasToken(list, "close"); got != want {
			t.Errorf("%q: %v", list, got)
		}
	}
}

var requestLineTests = []struct {
	line                     string
	command, target, version string
	code                     int // of the error; 0 means none
}{
	{line: "GET / HTTP/1.1", command: "GET", target: "/", version: "HTTP/1.1"},
	{line: "GET /", command: "GET", target: "/"},
	{line: " \tget\t/a?b  HTTP/1.0 ", command: "get", target: "/a?b", version: "HTTP/1.0"},
	{line: "GET / HTTP/0000000001.9999999999", command: "GET", target: "/", version: "HTTP/0000000001.9999999999"},
	{line: "GET / HTTP/0.9", command: "GET", target: "/", version: "HTTP/0.9"},
	{line: "GET http://x:80/a HTTP/1.1", command: "GET", target: "http://x:80/a", version: "HTTP/1.1"},
	{line: "OPTIONS * HTTP/1.1", command: "OPTIONS", target: "*", version: "HTTP/1.1"},
	{line: "CONNECT [::1]:443 HTTP/1.1", command: "CONNECT", target: "[::1]:443", version: "HTTP/1.1"},

	{line: "", code: 400},
	{line: "GET", code: 400},
	{line: "POST /", code: 400},
	{line: "GET / x HTTP/1.1", version: "HTTP/1.1", code: 400},
	{line: "GET /\x00 HTTP/1.1", version: "HTTP/1.1", code: 400},
	{line: "GET / HTTP/1.1\r", code: 400},
	{line: "GET / HTTP/1", code: 400},
	{line: "GET / HTTP/1.", code: 400},
	{line: "GET / HTTP/.1", code: 400},
	{line: "GET / HTTP/1.1.1", code: 400},
	{line: "GET / HTTP/+1.1", code: 400},
	{line: "GET / HTTP/1.1a", code: 400},
	{line: "GET / http/1.1", code: 400},
	{line: "GET / HTTP/00000000001.1", code: 400}, // Python reads ten digits at most
	{line: "GET / HTTP/1.00000000000", code: 400},
	{line: "GET / HTTP/2.0", code: 505},
	{line: "GET / HTTP/9999999999.0", code: 505},
	{line: "GET * HTTP/1.1", command: "GET", target: "*", version: "HTTP/1.1", code: 400},
	{line: "GET a HTTP/1.1", command: "GET", target: "a", version: "HTTP/1.1", code: 400},
	{line: "GET http:///a HTTP/1.1", command: "GET", target: "http:///a", version: "HTTP/1.1", code: 400},
	{line: "GET http://a@b/ HTTP/1.1", command: "GET", target: "http://a@b/", version: "HTTP/1.1", code: 400},
	{line: "GET http://:80/ HTTP/1.1", command: "GET", target: "http://:80/", version: "HTTP/1.1", code: 400},
	{line: "GET http://%zz/ HTTP/1.1", command: "GET", target: "http://%zz/", version: "HTTP/1.1", code: 400},
	{line: "GET 1x://y/ HTTP/1.1", command: "GET", target: "1x://y/", version: "HTTP/1.1", code: 400},
	{line: "CONNECT x HTTP/1.1", command: "CONNECT", target: "x", version: "HTTP/1.1", code: 400},
	{line: "CONNECT x: HTTP/1.1", command: "CONNECT", target: "x:", version: "HTTP/1.1", code: 400},
	{line: "CONNECT :1 HTTP/1.1", command: "CONNECT", target: ":1", version: "HTTP/1.1", code: 400},
	{line: "CONNECT / HTTP/1.1", command: "CONNECT", target: "/", version: "HTTP/1.1", code: 400},
}

func TestParseRequestLine(t *testing.T) {
	t.Parallel()
	for _, tt := range requestLineTests {
		r, err := parseRequestLine(tt.line)
		code := 0
		if err != nil {
			code = err.code
		}
		if r.command != tt.command || r.target != tt.target || r.version != tt.version || code != tt.code {
			t.Errorf("%q: %q %q %q, code %d, want %q %q %q, code %d", tt.line, r.command, r.target, r.version, code, tt.command, tt.target, tt.version, tt.code)
		}
	}
}

func TestValidHost(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"", ":", ":80", "x", "x:", "x:80", "X.example.", "a_b", "%41", "a,b", "127.0.0.1:1", "[::1]", "[::1]:80", "[::ffff:1.2.3.4]", "[fe80::1%25eth0]", "[v1.a:b]"} {
		if !validHost(host) {
			t.Errorf("%q is refused", host)
		}
	}
	for _, host := range []string{"a b", "a/b", "a@b", "a:b", "a:80:80", "a:-1", "é", "a\x00", "\"a\"", "%", "a%4", "%zz", "::1", "[]", "[:]", "[::1", "::1]", "[::1]a", "a[::1]", "[a/b]", "[[::1]]", "[evil.example]", "[::1%25a/b]", "[1.2.3.4]", "[v1.a/b]"} {
		if validHost(host) {
			t.Errorf("%q is taken for a host", host)
		}
	}
}

func TestParseFields(t *testing.T) {
	t.Parallel()
	long := "A: " + strings.Repeat("x", maxLine)
	for _, tt := range []struct {
		block string
		want  Header
		code  int // of the error; 0 means none
	}{
		{"\r\n", nil, 0},
		{"\n", nil, 0},
		{"A: b\r\n\r\n", Header{{"A", "b"}}, 0},
		{"A:b\nA:  c\t\n\nD: e\n", Header{{"A", "b"}, {"A", "c"}}, 0},
		{"A:\r\n\r\n", Header{{"A", ""}}, 0},
		{"A: b:c\td\xff\r\n\r\n", Header{{"A", "b:c\td\xff"}}, 0},
		{"!#$%&'*+-.^_`|~09: x\r\n\r\n", Header{{"!#$%&'*+-.^_`|~09", "x"}}, 0},
		{long[:maxLine-2] + "\r\n\r\n", Header{{"A", long[3 : maxLine-2]}}, 0},
		{strings.Repeat("A: b\r\n", maxFields) + "\r\n", slices.Repeat(Header{{"A", "b"}}, maxFields), 0},

		{"A\r\n\r\n", nil, 400},
		{": b\r\n\r\n", nil, 400},
		{"A : b\r\n\r\n", nil, 400},
		{" A: b\r\n\r\n", nil, 400},
		{"A: b\r\n c\r\n\r\n", nil, 400}, // folded
		{"A: b\rc\r\n\r\n", nil, 400},
		{"A: b\x00\r\n\r\n", nil, 400},
		{"A: \x7f\r\n\r\n", nil, 400},
		{"é: b\r\n\r\n", nil, 400},
		{"A(: b\r\n\r\n", nil, 400},
	} {
		got, err := parseFields(nil, tt.block)
		code := 0
		if err != nil {
			code = err.code
		}
		if !slices.Equal(got, tt.want) || code != tt.code {
			t.Errorf("%.40q: %.40q, code %d, want %.40q, code %d", tt.block, got, code, tt.want, tt.code)
		}
	}
}

// Each byte is tried at each place of a text, beside bytes that could be taken for its
// neighbours.
func TestHasControl(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		want := c < ' ' && c != '\t' || c == 0x7f
		for _, around := range []byte{' ', '\t', '~', 0x80, 0xff} {
			for length := 1; length <= 17; length++ {
				for at := range length {
					text := bytes.Repeat([]byte{around}, length)
					text[at] = byte(c)
					if hasControl(string(text)) != want {
						t.Fatalf("%q: %v", text, !want)
					}
				}
			}
		}
	}
	if hasControl("") {
		t.Error("nothing has a control")
	}
}

// FuzzHead parses heads. What is accepted reads the same after it was written, and where
// net/http accepts it too, both read the same fields.
func FuzzHead(f *testing.F) {
	AddRequests(f, func(request string) { f.Add(request) })
	for _, tt := range requestLineTests {
		f.Add(tt.line + "\r\n\r\n")
	}
	f.Fuzz(func(t *testing.T, head string) {
		line, block, _ := strings.Cut(head, "\n")
		line = strings.TrimSuffix(line, "\r")
		r, err := parseRequestLine(line)
		if err != nil {
			return
		}
		again := r.command + " " + r.target
		if r.version != "" {
			again += " " + r.version
		}
		if r2, err := parseRequestLine(again); r2 != r || err != nil {
			t.Errorf("%q reads as %+v, %v", again, r2, err)
		}
		fields, err := parseFields(nil, block)
		if err != nil {
			return
		}
		var b strings.Builder
		for _, field := range fields {
			if strings.ContainsAny(field.Name+field.Value, "\r\n\x00") {
				t.Errorf("field %q", field)
			}
			b.WriteString(field.Name + ": " + field.Value + "\r\n")
		}
		written, err := parseFields(nil, b.String()+"\r\n")
		if err != nil || !slices.Equal(written, fields) {
			t.Fatalf("%q reads as %q, %v", b.String(), written, err)
		}
		request, theirs := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.0\r\n" + b.String() + "\r\n")))
		if theirs != nil {
			return
		}
		for _, field := range fields {
			if theirs := request.Header.Values(field.Name); len(theirs) > 0 && theirs[0] != fields.Get(field.Name) {
				t.Errorf("%q: %q, net/http reads %q", field.Name, fields.Get(field.Name), theirs)
			}
		}
	})
}
