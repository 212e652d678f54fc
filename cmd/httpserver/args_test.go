package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Each command line is split at spaces; what is wanted are the options that
// differ from their defaults, or the error.
var parseArgsTests = []struct {
	args, want string
}{
	{"", ""},
	{"80", "port=80"},
	{"0", "port=0"},
	{"65535", "port=65535"},
	{"-b ::1", "bind=::1"},
	{"-b::1", "bind=::1"},
	{"-b=::1", "bind=::1"},
	{"--bind ::1", "bind=::1"},
	{"--bind=::1", "bind=::1"},
	{"--bind=", ""},
	{"-d www", "directory=www"},
	{"-d=a=b", "directory=a=b"},
	{"--directory=", "directory="},
	{"--directory=a=b", "directory=a=b"},
	{"-p HTTP/1.1", "protocol=HTTP/1.1"},
	{"--protocol=HTTP/1.1", "protocol=HTTP/1.1"},
	{"--protocol HTTP/1.0", ""},
	{"-q", "quiet"},
	{"--quiet", "quiet"},

	// Options and port in any order; the last of equal options counts.
	{"-q -b ::1 80", "bind=::1 port=80 quiet"},
	{"80 -b ::1 -q", "bind=::1 port=80 quiet"},
	{"-q 80 -b ::1", "bind=::1 port=80 quiet"},
	{"-d a -d b", "directory=b"},
	{"-q -q", "quiet"},

	// Short options in one argument.
	{"-qb 127.0.0.1", "bind=127.0.0.1 quiet"},
	{"-qb127.0.0.1", "bind=127.0.0.1 quiet"},
	{"-qb=127.0.0.1", "bind=127.0.0.1 quiet"},
	{"-qq 80", "port=80 quiet"},
	{"-bq", "bind=q"},
	{"-bind=x", "bind=ind=x"},

	// Abbreviations.
	{"--dir www", "directory=www"},
	{"--dire=www", "directory=www"},
	{"--b ::1 --d=www --q", "bind=::1 directory=www quiet"},
	{"--t 5 --p HTTP/1.1", "protocol=HTTP/1.1 timeout=5s"},
	{"--directoryx 80", "error: unrecognized arguments: --directoryx"},
	{"--directoryx www", "error: argument port: invalid int value: 'www'"},
	{"--x --y", "error: unrecognized arguments: --x --y"},
	{"--x -b", "error: argument -b/--bind: expected one argument"},
	{"--x -h", "help"},
	{"-b []", "error: argument -b/--bind: invalid address: '[]'"},
	{"-b [::1", "error: argument -b/--bind: invalid address: '[::1'"},
	{"-b [::1]", "bind=::1"},
	{"-qx", "error: argument -q/--quiet: ignored explicit argument 'x'"},
	{"-qxh", "error: argument -q/--quiet: ignored explicit argument 'xh'"},
	{"-q=1", "error: argument -q/--quiet: ignored explicit argument '1'"},
	{"-q-help", "error: argument -q/--quiet: ignored explicit argument '-help'"},
	{"-q=", "error: argument -q/--quiet: ignored explicit argument ''"},
	{"-b -inf", "error: argument -b/--bind: expected one argument"},
	{"--timeout 1e-10", "timeout=1ns"},
	{"99999999999999999999", "error: argument port: 99999999999999999999 is not in 0-65535"},

	// A lone dash and negative numbers are values, other dashes are options.
	{"-d -", "directory=-"},
	{"-d -1", "directory=-1"},
	{"-d -.5 80", "directory=-.5 port=80"},
	{"-", "error: argument port: invalid int value: '-'"},
	{"-b -q", "error: argument -b/--bind: expected one argument"},
	{"-d --", "error: argument -d/--directory: expected one argument"},
	{"-d -- www", "error: argument -d/--directory: expected one argument"},
	{"-d=-q", "directory=-q"},
	{"-d-q", "directory=-q"},
	{"--directory=--", "directory=--"},

	// After -- there are no options.
	{"--", ""},
	{"-- 80", "port=80"},
	{"-q -- 80", "port=80 quiet"},
	{"-- -q", "error: argument port: invalid int value: '-q'"},
	{"-- -h", "error: argument port: invalid int value: '-h'"},
	{"80 -- -q", "error: unrecognized arguments: -q"},

	// Values that are missing, or that have no place.
	{"-b", "error: argument -b/--bind: expected one argument"},
	{"80 --directory", "error: argument -d/--directory: expected one argument"},
	{"--p", "error: argument -p/--protocol: expected one argument"},
	{"--timeout -q", "error: argument --timeout: expected one argument"},
	{"-qb", "error: argument -b/--bind: expected one argument"},
	{"--quiet=1", "error: argument -q/--quiet: ignored explicit argument '1'"},
	{"--quiet=", "error: argument -q/--quiet: ignored explicit argument ''"},
	{"--help=1", "error: argument -h/--help: ignored explicit argument '1'"},

	{"--cgi", "cgi"},
	{"--cgi 80 -q", "port=80 quiet cgi"},
	{"--cgi-env A --cgi-env=B", "cgi-env=[A B]"},
	{"--cgi-env A=1", "error: argument --cgi-env: invalid name: 'A=1'"},
	{"--cgi-t 1.5", "cgi-timeout=1.5s"},
	{"--cgi-timeout x", "error: argument --cgi-timeout: invalid number of seconds: 'x'"},
	{"--cgi-max 1", "cgi-max=1"},
	{"--cgi-max 0", "error: argument --cgi-max: invalid number: '0'"},

	// Options that are not known.
	{"-x", "error: unrecognized arguments: -x"},
	{"-xq", "error: unrecognized arguments: -xq"},
	{"-Q", "error: unrecognized arguments: -Q"},
	{"--c", "error: ambiguous option: --c could match --cgi, --cgi-env, --cgi-timeout, --cgi-max"},
	{"--port=80", "error: unrecognized arguments: --port=80"},
	{"80 ---", "error: unrecognized arguments: ---"},

	{"abc", "error: argument port: invalid int value: 'abc'"},
	{"80a", "error: argument port: invalid int value: '80a'"},
	{"8e1", "error: argument port: invalid int value: '8e1'"},
	{"1.5", "error: argument port: invalid int value: '1.5'"},
	{"-1", "error: argument port: -1 is not in 0-65535"},
	{"65536", "error: argument port: 65536 is not in 0-65535"},
	{"99999999999", "error: argument port: 99999999999 is not in 0-65535"},
	{"8000 8001", "error: unrecognized arguments: 8001"},
	{"1 -q 2 3", "error: unrecognized arguments: 2 3"},

	{"-p HTTP/2", "error: argument -p/--protocol: invalid choice: 'HTTP/2' (choose from HTTP/1.0, HTTP/1.1)"},
	{"-p http/1.1", "error: argument -p/--protocol: invalid choice: 'http/1.1' (choose from HTTP/1.0, HTTP/1.1)"},
	{"--protocol=", "error: argument -p/--protocol: invalid choice: '' (choose from HTTP/1.0, HTTP/1.1)"},

	{"--timeout 0", "timeout=0s"},
	{"--timeout 1.5", "timeout=1.5s"},
	{"--timeout=.5", "timeout=500ms"},
	{"--timeout=1e3", "timeout=16m40s"},
	{"--timeout -1", "error: argument --timeout: invalid number of seconds: '-1'"},
	{"--timeout nan", "error: argument --timeout: invalid number of seconds: 'nan'"},
	{"--timeout inf", "error: argument --timeout: invalid number of seconds: 'inf'"},
	{"--timeout 1e300", "error: argument --timeout: invalid number of seconds: '1e300'"},
	{"--timeout 9223372037", "error: argument --timeout: invalid number of seconds: '9223372037'"},
	{"--timeout 1s", "error: argument --timeout: invalid number of seconds: '1s'"},
	{"--timeout=", "error: argument --timeout: invalid number of seconds: ''"},

	// After the argument with -h nothing matters.
	{"-h", "help"},
	{"--help", "help"},
	{"--h", "help"},
	{"-qh", "help"},
	{"-q 80 -h", "help"},
	{"-h -x", "help"},
	{"-h --quiet=1", "help"},
	{"-h abc", "help"},
	{"-h 1 2", "help"},
	{"-hq", "help"},
	{"abc -h", "help"},
	{"1 2 -h", "help"},
	{"-hb", "error: argument -b/--bind: expected one argument"},
	{"-b -h", "error: argument -b/--bind: expected one argument"},
	{"-p HTTP/2 -h", "error: argument -p/--protocol: invalid choice: 'HTTP/2' (choose from HTTP/1.0, HTTP/1.1)"},
}

func TestParseArgs(t *testing.T) {
	t.Parallel()
	for _, tt := range parseArgsTests {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			got := ""
			if opts, err := parseArgs(strings.Fields(tt.args)); err != nil {
				got = fmt.Sprintf("error: %v", err)
			} else {
				got = describe(opts)
			}
			if got != tt.want {
				t.Errorf("%s\ngot  %s\nwant %s", tt.args, got, tt.want)
			}
		})
	}
}

// describe gives the options that differ from their defaults.
func describe(o *options) string {
	var differ []string
	add := func(isDefault bool, format string, args ...any) {
		if !isDefault {
			differ = append(differ, fmt.Sprintf(format, args...))
		}
	}
	if o.help {
		return "help" // with which the rest does not count
	}
	add(o.bind == "", "bind=%s", o.bind)
	add(o.directory == ".", "directory=%s", o.directory)
	add(o.protocol == "HTTP/1.0", "protocol=%s", o.protocol)
	add(o.port == 8000, "port=%d", o.port)
	add(o.timeout == time.Minute, "timeout=%v", o.timeout)
	add(!o.quiet, "quiet")
	add(!o.cgi, "cgi")
	add(len(o.cgiEnv) == 0, "cgi-env=%v", o.cgiEnv)
	add(o.cgiTimeout == 5*time.Minute, "cgi-timeout=%v", o.cgiTimeout)
	add(o.cgiMax == 64, "cgi-max=%d", o.cgiMax)
	return strings.Join(differ, " ")
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, opt := range known {
		for _, name := range opt.names {
			if !strings.Contains(help, "  "+name) && !strings.Contains(help, ", "+name) {
				t.Errorf("help lacks %s", name)
			}
		}
		if short := opt.names[len(opt.names)-1]; !strings.Contains(usage, "["+short) {
			t.Errorf("usage lacks %s", short)
		}
	}
	for line := range strings.Lines(help) {
		if len(line) > 80 {
			t.Errorf("line of %d bytes: %s", len(line), line)
		}
	}
}
