package httpserver

import (
	"strings"
	"testing"
)

func TestStatusText(t *testing.T) {
	t.Parallel()
	known := 0
	for code := -1; code <= len(statuses); code++ {
		phrase, explain, ok := StatusText(code)
		if ok != (phrase != "") || ok != (explain != "") {
			t.Errorf("%d: %q, %q, %v", code, phrase, explain, ok)
		}
		if ok {
			known++
		}
	}
	if phrase, _, _ := StatusText(418); known != 62 || phrase != "I'm a Teapot" {
		t.Errorf("%d codes, 418 is %q", known, phrase)
	}
}

var errorPageTests = []struct{ format, want string }{
	{"", ""},
	{"plain\n", "plain\n"},
	{"%(code)d %(code)s %(message)s %(explain)s", "404 404 &lt;m&gt; %% e &amp; f"},
	{"%(message)s%(message)s", "&lt;m&gt; %%&lt;m&gt; %%"},
	{"%", "%"},
	{"100%", "100%"},
	{"%%", "%"},
	{"%%%", "%%"},
	{"%%%%", "%%"},
	{"%%(code)d", "%(code)d"},
	{"%%%(code)d", "%404"},
	{"% (code)d", "% (code)d"},
	{"%(", "%("},
	{"%(code)", "%(code)"},
	{"%(code)x %(CODE)d %(nope)s", "%(code)x %(CODE)d %(nope)s"},
	{"%(code%(code)d", "%(code404"},
	{"%d %s", "%d %s"},
	{"é%(code)dé\x00\xff", "é404é\x00\xff"},
}

func TestAppendErrorPage(t *testing.T) {
	t.Parallel()
	for _, tt := range errorPageTests {
		got := string(appendErrorPage([]byte("head:"), tt.format, 404, "<m> %%", "e & f"))
		if want := "head:" + tt.want; got != want {
			t.Errorf("%q: got %q, want %q", tt.format, got, want)
		}
	}
}

// A percent sign in the style would begin a directive of the error page.
func TestErrorPageStyle(t *testing.T) {
	t.Parallel()
	if strings.Contains(baseStyle, "%") {
		t.Error("a percent sign in the style of the error page")
	}
}

func BenchmarkErrorPage(b *testing.B) {
	b.ReportAllocs()
	var page []byte
	for b.Loop() {
		page = appendErrorPage(page[:0], DefaultErrorMessage, 404, "File not found", "Nothing is known at this address")
	}
}
