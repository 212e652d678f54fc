package httpserver

import (
	"strings"
	"testing"
)

func TestCleanPath(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/": "/", "": "/", "*": "/*", "/a": "/a", "/a/": "/a/", "/a//b": "/a/b", "/a/./b/": "/a/b/", "/a/../b": "/b",
		"/../..": "/", "/../../": "/", "/a?b/": "/a", "/a/?b": "/a/", "/a#b": "/a", "/a#?": "/a", "/%2e%2e/a": "/a", "/a%2fb": "/a/b", "/a%2f": "/a/",
		"/a/..": "/", "/a/.": "/a", "/%61%zz%4": "/a%zz%4", "/%2561": "/%61", "/a%00b": "<none>", "/\xff%FF": "/\xff\xff",
		"http://x/a/": "/a/", "http://x": "/", "http://x?y": "/", "http://x//a": "/a", "/a%3Fb%23": "/a?b#", `/..\..\a`: `/..\..\a`,
	} {
		got, ok := cleanPath(target)
		if !ok {
			got = "<none>"
		}
		if got != want {
			t.Errorf("cleanPath(%q) = %q, want %q", target, got, want)
		}
	}
}

func TestLocalPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		directory, clean string
		windows          bool
		want             string
	}{
		{"", "/", false, "./"}, {"", "/a/", false, "./a/"}, {"/", "/", false, "/"}, {"/", "/a", false, "/a"}, {"/d/", "/a", false, "/d/a"}, {"d", "/a/b", false, "d/a/b"},
		{"/d", `/..\a`, false, `/d/..\a`}, {"/d", "/CON", false, "/d/CON"}, {"/d", "/a:b", false, "/d/a:b"},
		{`C:\d`, "/a/b", true, `C:\d/a/b`}, {`C:\d`, "/", true, `C:\d/`}, {`C:\d`, `/..\a`, true, ""}, {`C:\d`, "/C:/x", true, ""}, {`C:\d`, "/a/NUL.txt/b", true, ""},
	} {
		if got := localPath(c.directory, c.clean, c.windows); got != c.want {
			t.Errorf("localPath(%q, %q, %v) = %q", c.directory, c.clean, c.windows, got)
		}
	}
}

func TestWindowsNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"C:", "c:x", "x:", `a\b`, `\\host`, "file.txt:stream", "file::$DATA", "CON", "con", "Con.txt", "CON .txt", "nul", "NUL.tar.gz", "PRN", "AUX", "COM1", "com9.log", "LPT0", "COM¹", "lpt³.x",
		"CONIN$", "conout$", "CLOCK$", "trailing.", "trailing ", "a. .", "...", "a*", "a?", `a"`, "<a", "a>", "a|b", "a\x01", "tab\t", "del\x7f"} {
		if !isSpecialOnWindows(name) {
			t.Errorf("%q is taken for a plain name", name)
		}
	}
	for _, name := range []string{"", "a", "a.txt", ".hidden", "CONSOLE", "COM", "COM10", "COMX", "LPT", "nul_", "x.CON", "é", "a b", "~1", "COM1x"} {
		if isSpecialOnWindows(name) {
			t.Errorf("%q is refused", name)
		}
	}
}

func TestQuoting(t *testing.T) {
	t.Parallel()
	if got := quoteName("a/B9_.-~ %\"<é\xff:"); got != "a/B9_.-~%20%25%22%3C%C3%A9%FF%3A" {
		t.Error(got)
	}
	for in, want := range map[string]string{`/\evil`: "/%5Cevil", "/\x01": "/%01", "/a%20?x=[y]": "/a%20?x=[y]", "/é\xff\"<>^`{|}": "/%C3%A9%FF%22%3C%3E%5E%60%7B%7C%7D"} {
		if got := quoteTarget(in); got != want {
			t.Errorf("quoteTarget(%q) = %q", in, got)
		}
	}
}

// FuzzPath cleans request targets. No path leaves the root, on any system.
func FuzzPath(f *testing.F) {
	AddRequests(f, func(request string) {
		if words := strings.Fields(request); len(words) > 1 {
			f.Add(words[1])
		}
	})
	f.Fuzz(func(t *testing.T, target string) {
		clean, ok := cleanPath(target)
		if !ok {
			return
		}
		if clean[0] != '/' || strings.Contains(clean, "\x00") || strings.Contains(clean+"/", "/../") || strings.Contains(clean, "//") {
			t.Errorf("%q gives %q", target, clean)
		}
		for _, windows := range []bool{false, true} {
			name := localPath("root", clean, windows)
			if name != "" && !strings.HasPrefix(name, "root/") || name == "" && !windows {
				t.Errorf("%q gives %q", target, name)
			}
			if windows && strings.ContainsAny(name, `\:`) {
				t.Errorf("%q gives %q on Windows", target, name)
			}
		}
		location := quoteTarget(target)
		for i := range len(location) {
			if c := location[i]; c <= ' ' || c >= 0x7f || c == '\\' {
				t.Errorf("%q gives location %q", target, location)
			}
		}
	})
}
