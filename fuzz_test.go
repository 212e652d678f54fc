package httpserver_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"path/filepath"
	"strings"
	"testing"

	"httpserver"
)

// seeds adds the requests of all transcripts.
func seeds(f *testing.F, add func(request string)) {
	f.Helper()
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) == 0 {
		f.Fatal("no transcripts")
	}
	for _, file := range files {
		var t testing.T
		_, cases := readTranscripts(&t, file)
		for _, c := range cases {
			if request := unescape(&t, c.request); len(request) < 1<<12 {
				add(request)
			}
		}
	}
}

// FuzzHead parses heads. What is accepted reads the same after it was written,
// and where net/http accepts it too, both read the same fields.
func FuzzHead(f *testing.F) {
	seeds(f, func(request string) { f.Add(request) })
	f.Fuzz(func(t *testing.T, head string) {
		line, block, _ := strings.Cut(head, "\n")
		line = strings.TrimSuffix(line, "\r")
		command, target, version, code := httpserver.ParseRequestLine(line)
		if code != 0 {
			return
		}
		again := command + " " + target
		if version != "" {
			again += " " + version
		}
		c, ta, v, code := httpserver.ParseRequestLine(again)
		if c != command || ta != target || v != version || code != 0 {
			t.Errorf("%q reads as %q %q %q, code %d", again, c, ta, v, code)
		}
		fields, code := httpserver.ParseFields(block)
		if code != 0 {
			return
		}
		var b strings.Builder
		for _, field := range fields {
			if strings.ContainsAny(field.Name+field.Value, "\r\n\x00") {
				t.Errorf("field %q", field)
			}
			b.WriteString(field.Name + ": " + field.Value + "\r\n")
		}
		written, code := httpserver.ParseFields(b.String() + "\r\n")
		if code != 0 || len(written) != len(fields) {
			t.Fatalf("%q reads as %q, code %d", b.String(), written, code)
		}
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.0\r\n" + b.String() + "\r\n")))
		if err != nil {
			return
		}
		for _, field := range fields {
			if theirs := request.Header.Values(field.Name); len(theirs) > 0 && theirs[0] != fields.Get(field.Name) {
				t.Errorf("%q: %q, net/http reads %q", field.Name, fields.Get(field.Name), theirs)
			}
		}
	})
}

// FuzzChunked decodes chunked bodies. What the standard library's writer makes
// of the data comes back; raw input never reads past what is there.
func FuzzChunked(f *testing.F) {
	seeds(f, func(request string) {
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
		got, left, err := httpserver.ReadChunked(wire.Bytes())
		if err != nil || !bytes.Equal(got, data) || string(left) != "next" {
			t.Errorf("%q reads as %q, %q, %v", data, got, left, err)
		}
		got, left, err = httpserver.ReadChunked(data)
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

// FuzzScriptHeader reads the header of a script's output. What is passed on has
// no line end in it, and a code that a response may have.
func FuzzScriptHeader(f *testing.F) {
	for _, output := range []string{"Content-Type: text/plain\n\n", "Status: 404 Lost\r\nX: y\r\n\r\n", "Location: /x?y\n\n", "Location: http://x/\n\n",
		"Content-Length: 5\nContent-Length: 6\n\n", "Status: 200\nLocation: /x\n\n", "nonsense\n\n", "A: b\rc\n\n", "\n"} {
		f.Add(output)
	}
	f.Fuzz(func(t *testing.T, output string) {
		code, location, fields, err := httpserver.ParseScriptHeader(output)
		if err != nil {
			return
		}
		if code < 200 || code > 599 {
			t.Errorf("%q gives code %d", output, code)
		}
		if location != "" && location[0] != '/' {
			t.Errorf("%q gives local location %q", output, location)
		}
		for _, field := range fields {
			if strings.ContainsAny(field.Name+field.Value, "\r\n\x00") || field.Name == "" {
				t.Errorf("%q gives field %q", output, field)
			}
		}
	})
}

// FuzzPath cleans request targets. Nothing leaves the root, on any system.
func FuzzPath(f *testing.F) {
	seeds(f, func(request string) {
		if words := strings.Fields(request); len(words) > 1 {
			f.Add(words[1])
		}
	})
	f.Fuzz(func(t *testing.T, target string) {
		clean, ok := httpserver.CleanPath(target)
		if !ok {
			return
		}
		if clean[0] != '/' || strings.Contains(clean, "\x00") || strings.Contains(clean+"/", "/../") || strings.Contains(clean, "//") {
			t.Errorf("%q gives %q", target, clean)
		}
		for _, windows := range []bool{false, true} {
			name, ok := httpserver.LocalPath("root", clean, windows)
			if ok && !strings.HasPrefix(name, "root/") {
				t.Errorf("%q gives %q", target, name)
			}
			if ok && windows && strings.ContainsAny(name, `\:`) {
				t.Errorf("%q gives %q on Windows", target, name)
			}
		}
		location := httpserver.QuoteTarget(target)
		for i := range len(location) {
			if c := location[i]; c <= ' ' || c >= 0x7f || c == '\\' {
				t.Errorf("%q gives location %q", target, location)
			}
		}
	})
}
