package httpserver

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// This file contains the format of the transcripts in testdata. External tests replay
// them; fuzz targets start from their requests.

// A Transcript is what a client sends, what it gets, and what is logged meanwhile.
// In a file it looks like this:
//
//	=== its name
//	protocol HTTP/1.1
//	-- request --
//	GET / HTTP/1.1\r\n
//	\r\n
//	-- response --
//	HTTP/1.1 200 OK\r\n
//	-- log --
//	client - - [date] "GET / HTTP/1.1" 200 -
//
// Line ends of the file mean nothing in a request or a response; bytes are escaped as
// in Go, and \{a*100} is a hundred times a. The client sends the request at once, then
// ends its side of the connection.
type Transcript struct {
	Name, Protocol         string
	Request, Response, Log string // escaped
}

const (
	requestMark  = "-- request --\n"
	responseMark = "-- response --\n"
	logMark      = "-- log --\n"
)

// ReadTranscripts returns the transcripts of a file, and the text before them.
func ReadTranscripts(t testing.TB, file string) (head string, cases []Transcript) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(data), "=== ")
	for _, part := range parts[1:] {
		c := Transcript{Protocol: "HTTP/1.0"}
		options, rest, _ := strings.Cut(part, requestMark)
		c.Request, rest, _ = strings.Cut(rest, responseMark)
		c.Response, c.Log, _ = strings.Cut(rest, logMark)
		c.Log = strings.TrimRight(c.Log, "\n")
		c.Name, options, _ = strings.Cut(options, "\n")
		if _, version, ok := strings.Cut(options, "protocol "); ok {
			c.Protocol = strings.TrimSpace(version)
		}
		cases = append(cases, c)
	}
	return parts[0], cases
}

// WriteTranscripts writes a file that ReadTranscripts can read.
func WriteTranscripts(t testing.TB, file, head string, cases []Transcript) {
	t.Helper()
	b := bytes.NewBufferString(head)
	for _, c := range cases {
		fmt.Fprintf(b, "=== %s\n", c.Name)
		if c.Protocol != "HTTP/1.0" {
			fmt.Fprintf(b, "protocol %s\n", c.Protocol)
		}
		fmt.Fprintf(b, "%s%s%s%s%s%s\n\n", requestMark, c.Request, responseMark, c.Response, logMark, c.Log)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

var repeated = regexp.MustCompile(`\\\{(.+?)\*(\d+)\}`)

// Unescape returns the bytes of a request or a response.
func Unescape(t testing.TB, s string) string {
	t.Helper()
	s = repeated.ReplaceAllStringFunc(s, func(m string) string {
		sub := repeated.FindStringSubmatch(m)
		n, _ := strconv.Atoi(sub[2])
		return strings.Repeat(sub[1], n)
	})
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\n", ""), `"`, `\"`)
	raw, err := strconv.Unquote(`"` + s + `"`)
	if err != nil {
		t.Fatalf("bad escape in %.80q: %v", s, err)
	}
	return raw
}

// Escape writes bytes as Unescape reads them.
func Escape(s string) string {
	quoted := strconv.Quote(s)
	quoted = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	quoted = strings.ReplaceAll(quoted, `\n`, "\\n\n")
	if quoted != "" && !strings.HasSuffix(quoted, "\n") {
		quoted += "\n"
	}
	return Collapse(quoted)
}

// Collapse writes long runs of one character as Unescape reads them.
func Collapse(s string) string {
	var b strings.Builder
	for s != "" {
		n := 1
		for n < len(s) && s[n] == s[0] {
			n++
		}
		if n >= 100 {
			fmt.Fprintf(&b, `\{%s*%d}`, s[:1], n)
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// AddRequests calls add with the requests of all transcripts that are not large.
func AddRequests(f *testing.F, add func(request string)) {
	f.Helper()
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) == 0 {
		f.Fatal("no transcripts")
	}
	for _, file := range files {
		_, cases := ReadTranscripts(f, file)
		for _, c := range cases {
			if request := Unescape(f, c.Request); len(request) < 1<<12 {
				add(request)
			}
		}
	}
}
