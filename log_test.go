package httpserver

import (
	"strings"
	"testing"
	"time"
)

func TestAppendEscaped(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain é 漢 \U0001f600":     "plain é 漢 \U0001f600",
		"\x00\t\n\r\x1b[31m\x7f":   `\x00\x09\x0a\x0d\x1b[31m\x7f`,
		`C:\n "q"`:                 `C:\\n "q"`,
		"\u0085\u009b":             `\x85\x9b`,
		"\x85\x9b\xe9\xff":         `\x85\x9béÿ`,
		"\xc3(":                    `Ã(`,
		"\ufffd\u00a0\u00ad":       "\ufffd\u00a0\u00ad",
		"\u2028\u202e\u2066\ufeff": `\u2028\u202e\u2066\ufeff`,
		"\U000e0001":               `\U000e0001`,
	} {
		if got := string(appendEscaped(nil, in)); got != want {
			t.Errorf("appendEscaped(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{ // as Python's repr prints them
		"":                 `''`,
		"a'b":              `"a'b"`,
		`a"b`:              `'a"b'`,
		`a'"b`:             `'a\'"b'`,
		"\\\t\n\r\x00\x7f": `'\\\t\n\r\x00\x7f'`,
		"é\xe9\xa0 \x85":   `'éé\xa0 \x85'`,
		"\u2028\U000e0001": `'\u2028\U000e0001'`,

		strings.Repeat("x", maxQuoted+1): "'" + strings.Repeat("x", maxQuoted) + "'",
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestParseHTTPDate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for in, want := range map[string]string{
		"Sun, 06 Nov 1994 08:49:37 GMT":    "1994-11-06T08:49:37Z",
		"Sunday, 06-Nov-94 08:49:37 GMT":   "1994-11-06T08:49:37Z",
		"Sun Nov  6 08:49:37 1994":         "1994-11-06T08:49:37Z",
		"Tuesday, 01-Jan-76 00:00:00 GMT":  "2076-01-01T00:00:00Z",
		"Saturday, 01-Jan-77 00:00:00 GMT": "1977-01-01T00:00:00Z",
		"Tuesday, 29-Feb-00 00:00:00 GMT":  "2000-02-29T00:00:00Z",
		"Sun, 06 Nov 1994 08:49:37 UTC":    "",
		"Sat, 06 Nov 1994 08:49:37 GMT":    "1994-11-06T08:49:37Z",
		"Sun, 06 Nov 1994 08:49:37.5 GMT":  "",
		"Sun, 06 Nov 1994 08:49:37,5 GMT":  "",
		"Sun, 06 Nov 1994 8:49:37 GMT":     "",
		"Sun,  06 Nov 1994 08:49:37 GMT":   "",
		"Sun, 06 nov 1994 08:49:37 GMT":    "",
		"Sun Nov 06 08:49:37 1994":         "",
		"06 Nov 1994 08:49:37 GMT":         "",
		"":                                 "",
	} {
		got := ""
		if d, ok := parseHTTPDate(in, now); ok {
			got = d.Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
