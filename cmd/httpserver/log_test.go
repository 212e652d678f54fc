package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// Colors are written as letters in braces: {r} is red, {} the reset.
var colorLetters = strings.NewReplacer(red, "{r}", green, "{g}", yellow, "{y}", cyan, "{c}", gray, "{a}", brightCyan, "{b}", reset, "{}")

func TestColorWriter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"::1 - - [d] \"GET /a HTTP/1.1\" 200 -\n", "::1 - - {a}[d]{} \"GET {c}/a{} HTTP/1.1\" {g}200{} {a}-{}\n"},
		{"- - - [d] \"GET /a HTTP/1.1\" 101 5\n", "- - - {a}[d]{} \"GET {c}/a{} HTTP/1.1\" 101 {a}5{}\n"},
		{"::1 - - [d] \"GET /a HTTP/1.1\" 301 -\n", "::1 - - {a}[d]{} \"GET {c}/a{} HTTP/1.1\" {b}301{} {a}-{}\n"},
		{"::1 - - [d] \"GET /a HTTP/1.1\" 404 -\n", "::1 - - {a}[d]{} \"GET {c}/a{} HTTP/1.1\" {y}404{} {a}-{}\n"},
		{"::1 - - [d] \"GET /a HTTP/1.1\" 503 -\n", "::1 - - {a}[d]{} \"GET {c}/a{} HTTP/1.1\" {r}503{} {a}-{}\n"},
		{"::1 - - [d] \"GET /a HTTP/1.1\" - -\n", "::1 - - {a}[d]{} \"GET {c}/a{} HTTP/1.1\" - {a}-{}\n"},
		{"::1 - - [d] \"GET /\"] 200 - HTTP/1.0\" 404 -\n", "::1 - - {a}[d]{} \"GET /\"] 200 - HTTP/1.0\" {y}404{} {a}-{}\n"},
		{"::1 - - [d] \"GET /a\" 200 -\n", "::1 - - {a}[d]{} \"GET /a\" {g}200{} {a}-{}\n"},
		{"::1 - - [d] \"\" 400 -\n", "::1 - - {a}[d]{} \"\" {y}400{} {a}-{}\n"},
		{"::1 - - [d] code 404, message \"x\" y\n", "::1 - - {a}[d]{} {y}code 404, message \"x\" y{}\n"},
		{"::1 - - [d] \"\" \n", "::1 - - {a}[d]{} \"\"  {a}{}\n"},
		{"::1 - - [d] \n", "::1 - - {a}[d]{} {y}{}\n"},
		{"httpserver: x\n", "{y}httpserver: x{}\n"},
		{"goroutine 1 [running]:\n\tx - - y\n\n", "goroutine 1 [running]:\n\tx - - y\n\n"},
		{"httpserver: x\nstack\n::1 - - [d] e\n", "{y}httpserver: x{}\nstack\n::1 - - {a}[d]{} {y}e{}\n"},
		{"", ""},
	} {
		var got bytes.Buffer
		n, err := colorWriter{&got}.Write([]byte(tt.text))
		if text := colorLetters.Replace(got.String()); text != tt.want || n != len(tt.text) || err != nil {
			t.Errorf("%q\ngot  %q, %d, %v\nwant %q", tt.text, text, n, err, tt.want)
		}
	}
	_, w := io.Pipe()
	w.CloseWithError(io.ErrClosedPipe)
	if n, err := (colorWriter{w}).Write([]byte("line\n")); n != 0 || err != io.ErrClosedPipe {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestWantsColor(t *testing.T) {
	t.Parallel()
	terminal, err := os.Open(os.DevNull) // a character device, too
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	for _, tt := range []struct {
		environment     string
		terminal, other bool
	}{
		{"TERM=xterm", true, false},
		{"TERM=dumb", false, false},
		{"", true, false},
		{"NO_COLOR=1", false, false},
		{"NO_COLOR=", true, false},
		{"FORCE_COLOR=1", true, true},
		{"FORCE_COLOR=", true, false},
		{"FORCE_COLOR=1 TERM=dumb", true, true},
		{"FORCE_COLOR=1 NO_COLOR=1", false, false},
	} {
		variables := map[string]string{"WT_SESSION": "x"}
		for _, variable := range strings.Fields(tt.environment) {
			name, value, _ := strings.Cut(variable, "=")
			variables[name] = value
		}
		getenv := func(name string) string { return variables[name] }
		if got := wantsColor(terminal, getenv); got != tt.terminal {
			t.Errorf("%s: %v on a terminal", tt.environment, got)
		}
		if got := wantsColor(new(bytes.Buffer), getenv); got != tt.other {
			t.Errorf("%s: %v elsewhere", tt.environment, got)
		}
	}
}

// The log has colors on a terminal, which is what script(1) gives the command.
func TestColorsOnTerminal(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("script(1) has other options here")
	}
	path, err := exec.LookPath("script")
	if err != nil {
		t.Skip("no script here: ", err)
	}
	for _, tt := range []struct{ environment, want string }{
		{"TERM=xterm", "127.0.0.1 - - {a}[]{} {y}code 404, message File not found{}\r\n127.0.0.1 - - {a}[]{} \"GET {c}/missing{} HTTP/1.0\" {y}404{} {a}-{}\r\n"},
		{"TERM=dumb", "127.0.0.1 - - [] code 404, message File not found\r\n127.0.0.1 - - [] \"GET /missing HTTP/1.0\" 404 -\r\n"},
	} {
		p := prepare(t, "-b", "127.0.0.1", "0")
		p.Args = []string{"script", "-qec", shellQuote(p.Path) + " -b 127.0.0.1 0", os.DevNull}
		p.Path = path
		p.Env = append(p.Env, "NO_COLOR=", tt.environment)
		p.begin(t)
		banner, _ := p.stdout.ReadString('\n')
		m := regexp.MustCompile(`^Serving HTTP on 127\.0\.0\.1 port (\d+) `).FindStringSubmatch(banner)
		if m == nil {
			t.Fatalf("first line is %q", banner)
		}
		p.stdout.ReadString('\n')
		p.addr = "127.0.0.1:" + m[1]
		p.get(t, "/missing")
		got := ""
		for range 2 {
			line, _ := p.stdout.ReadString('\n')
			got += line
		}
		got = regexp.MustCompile(`\[\d\d/[^]]*\]`).ReplaceAllString(colorLetters.Replace(got), "[]")
		if got != tt.want {
			t.Errorf("%s\ngot  %q\nwant %q", tt.environment, got, tt.want)
		}
	}
}
