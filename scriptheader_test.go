package httpserver

import (
	"strings"
	"testing"
)

// What follows a Location decides whether the header is good, and there is no redirect if it is
// not.
func TestBadScriptHeader(t *testing.T) {
	for _, end := range []string{"Content-Length: y\n", "Location:\n", strings.Repeat("A: b\n", maxFields)} {
		if sh, err := parseScriptHeader("Location: /x\n" + end + "\n"); err == nil || sh.location != "" {
			t.Errorf("%.40q: location %q, %v", end, sh.location, err)
		}
	}
}

// FuzzScriptHeader parses headers of scripts. The fields contain no line ends, and the
// code is one that a response may have.
func FuzzScriptHeader(f *testing.F) {
	for _, output := range []string{"Content-Type: text/plain\n\n", "Status: 404 Lost\r\nX: y\r\n\r\n", "Location: /x?y\n\n", "Location: http://x/\n\n",
		"Content-Length: 5\nContent-Length: 6\n\n", "Status: 200\nLocation: /x\n\n", "nonsense\n\n", "A: b\rc\n\n", "\n"} {
		f.Add(output)
	}
	f.Fuzz(func(t *testing.T, output string) {
		sh, err := parseScriptHeader(output)
		if err != nil {
			return
		}
		if sh.code < 200 || sh.code > 599 {
			t.Errorf("%q gives code %d", output, sh.code)
		}
		if sh.location != "" && sh.location[0] != '/' {
			t.Errorf("%q gives local location %q", output, sh.location)
		}
		for _, field := range sh.fields {
			if strings.ContainsAny(field.Name+field.Value, "\r\n\x00") || field.Name == "" {
				t.Errorf("%q gives field %q", output, field)
			}
		}
	})
}
