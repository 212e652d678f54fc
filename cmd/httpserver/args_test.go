package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"httpserver"
)

// Each command line is split at spaces. The wanted text lists the options that differ
// from their defaults, or is the error.
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
	{"-d www", "directory=www"},
	{"-d=a=b", "directory=a=b"},
	{"--directory=", "directory="},
	{"--directory=a=b", "directory=a=b"},
	{"-p HTTP/1.1", "protocol=HTTP/1.1"},
	{"--protocol=HTTP/1.1", "protocol=HTTP/1.1"},
	{"--protocol HTTP/1.0", ""},
	{"-q", "quiet"},
	{"--quiet", "quiet"},

	// Options and port in any order; the last one of equal options counts.
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
	{"--ti 5 --p HTTP/1.1", "protocol=HTTP/1.1 timeout=5s"},
	{"--directoryx 80", "error: unrecognized arguments: --directoryx"},
	{"--directoryx www", "error: argument port: invalid int value: 'www'"},
	{"--t 5", "error: ambiguous option: --t could match --tls-cert, --tls-key, --tls-password-file, --timeout"},
	{"--h", "error: ambiguous option: --h could match --help, --header, --host"},
	{"--x --y", "error: unrecognized arguments: --x --y"},
	{"--x -b", "error: argument -b/--bind: expected one argument"},
	{"--x -h", "help"},
	{"--bind=", "error: argument -b/--bind: no address; without the option, all interfaces are used"},
	{"-b []", "error: argument -b/--bind: invalid address: '[]'"},
	{"-b [::1", "error: argument -b/--bind: invalid address: '[::1'"},
	{"-b [::1]", "bind=::1"},
	{"-b 127.0.0.1:80", "error: argument -b/--bind: '127.0.0.1:80' has a port, which is an argument of its own"},
	{"-b [::1]:80", "error: argument -b/--bind: '[::1]:80' has a port, which is an argument of its own"},
	{"-b localhost:80", "error: argument -b/--bind: 'localhost:80' has a port, which is an argument of its own"},
	{"-b :80", "error: argument -b/--bind: ':80' has a port, which is an argument of its own"},
	{"-b fe80::1%eth0", "bind=fe80::1%eth0"},
	{"-qx", "error: argument -q/--quiet: ignored explicit argument 'x'"},
	{"-qxh", "error: argument -q/--quiet: ignored explicit argument 'xh'"},
	{"-q=1", "error: argument -q/--quiet: ignored explicit argument '1'"},
	{"-q-help", "error: argument -q/--quiet: ignored explicit argument '-help'"},
	{"-q=", "error: argument -q/--quiet: ignored explicit argument ''"},
	{"-b -inf", "error: argument -b/--bind: expected one argument"},
	{"--timeout 1e-10", "timeout=1ns"},
	{"99999999999999999999", "error: argument port: 99999999999999999999 is not in 0-65535"},

	// A single dash and negative numbers are values; any other argument with a dash is
	// an option.
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

	// Values that are missing, or not allowed.
	{"-b", "error: argument -b/--bind: expected one argument"},
	{"80 --directory", "error: argument -d/--directory: expected one argument"},
	{"--p", "error: argument -p/--protocol: expected one argument"},
	{"--timeout -q", "error: argument --timeout: expected one argument"},
	{"-qb", "error: argument -b/--bind: expected one argument"},
	{"--quiet=1", "error: argument -q/--quiet: ignored explicit argument '1'"},
	{"--quiet=", "error: argument -q/--quiet: ignored explicit argument ''"},
	{"--help=1", "error: argument -h/--help: ignored explicit argument '1'"},

	{"--no-hidden", "no-hidden"},
	{"--charset utf-8", "charset=utf-8"},
	{"--charset a;b", `error: argument --charset: invalid encoding: "a;b" (an example is utf-8)`},
	{"--charset=", `error: argument --charset: invalid encoding: "" (an example is utf-8)`},
	{"--host a.example --host=b.example.", "host=[a.example b.example]"},
	{"--host a.example:80", `error: argument --host: invalid host name: "a.example:80" (an example is files.example)`},
	{"--host=.", `error: argument --host: invalid host name: "." (an example is files.example)`},
	{"--host *", `error: argument --host: invalid host name: "*" (an example is files.example)`},
	{"--host *.example", `error: argument --host: invalid host name: "*.example" (an example is files.example)`},
	{"--host a,b", `error: argument --host: invalid host name: "a,b" (an example is files.example)`},
	{"--host my_host-2", "host=[my_host-2]"},
	{"--host 127.0.0.1", "host=[127.0.0.1]"},
	{"--cgi", "cgi"},
	{"--cors -H access-control-allow-origin x", "error: argument --cors: not allowed with argument -H access-control-allow-origin"},
	{"-H Access-Control-Expose-Headers X --cors", "error: argument --cors: not allowed with argument -H Access-Control-Expose-Headers"},
	{"--cors -H access-control-max-age 1", "error: argument --cors: not allowed with argument -H access-control-max-age"},
	{"--cors -H Access-Control-Allow-Credentials true", "header=[Access-Control-Allow-Credentials: true] cors"},
	{"--cgi 80 -q", "port=80 quiet cgi"},
	{"--cgi --cgi-env A --cgi-env=B", "cgi cgi-env=[A B]"},
	{"--cgi-env A=1 --cgi-env B= --cgi", "cgi cgi-env=[A=1 B=]"},
	{"--cgi-env A", "error: --cgi-env requires --cgi to be set"},
	{"--cgi-timeout 300", "error: --cgi-timeout requires --cgi to be set"},
	{"--cgi-m=64", "error: --cgi-max requires --cgi to be set"},
	{"--cgi-store 1 -q", "error: --cgi-store requires --cgi to be set"},
	{"--cgi-max 1 -h", "help"},
	{"--cgi-env =1", `error: argument --cgi-env: invalid variable: "=1"`},
	{"--cgi-env A=\x00", `error: argument --cgi-env: invalid variable: "A=\x00"`},
	{"--cgi --cgi-t 1.5", "cgi cgi-timeout=1.5s"},
	{"--cgi-timeout x", "error: argument --cgi-timeout: invalid number of seconds: 'x'"},
	{"--cgi --cgi-max 1", "cgi cgi-max=1"},
	{"--cgi --cgi-store 10", "cgi cgi-store=10"},
	{"--cgi-store 0", "error: argument --cgi-store: invalid number: '0'"},
	{"--cgi-max 0", "error: argument --cgi-max: invalid number: '0'"},

	{"-b unix:s", "bind=unix:s"},
	{"-b unix:", "error: argument -b/--bind: no path in 'unix:'"},
	{"-b unix:s 80", "error: argument port: not allowed with argument -b/--bind unix:PATH"},
	{"80 -b unix:s -b ::1", "bind=::1 port=80"},

	// Two arguments, which cannot be joined to the option.
	{"-H A B", "header=[A: B]"},
	{"80 -H A B", "port=80 header=[A: B]"},
	{"-H A B 80", "port=80 header=[A: B]"},
	{"--header A B -H a C", "header=[A: B a: C]"},
	{"--head A B", "header=[A: B]"},
	{"-qH A B", "quiet header=[A: B]"},
	{"-H A -1", "header=[A: -1]"},
	{"-H A -", "header=[A: -]"},
	{"-H A B C", "error: argument port: invalid int value: 'C'"},
	{"-H", "error: argument -H/--header: expected 2 arguments"},
	{"-H A", "error: argument -H/--header: expected 2 arguments"},
	{"-H A -q", "error: argument -H/--header: expected 2 arguments"},
	{"-H -q A", "error: argument -H/--header: expected 2 arguments"},
	{"-H A --", "error: argument -H/--header: expected 2 arguments"},
	{"-H -- A B", "error: argument -H/--header: expected 2 arguments"},
	{"-HA B", "error: argument -H/--header: expected 2 arguments"},
	{"-H=A B", "error: argument -H/--header: expected 2 arguments"},
	{"-qHA B", "error: argument -H/--header: expected 2 arguments"},
	{"--header=A B", "error: argument -H/--header: expected 2 arguments"},
	{"--header= A B", "error: argument -H/--header: expected 2 arguments"},
	{"-H A=1 B", `error: argument -H/--header: invalid name: "A=1"`},
	{"-H A: B", `error: argument -H/--header: invalid name: "A:"`},
	{"-H Ä B", `error: argument -H/--header: invalid name: "Ä"`},
	{"-H A \x01", `error: argument -H/--header: invalid value: "\x01" contains a control character`},
	{"-H A \x00", `error: argument -H/--header: invalid value: "\x00" contains a control character`},
	{"-H A \x7f", `error: argument -H/--header: invalid value: "\x7f" contains a control character`},
	{"-H A Ä", "header=[A: Ä]"},
	{"-H content-LENGTH 5", "error: argument -H/--header: content-LENGTH is set by the server"},
	{"-H Transfer-Encoding chunked", "error: argument -H/--header: Transfer-Encoding is set by the server"},
	{"-H Connection close", "error: argument -H/--header: Connection is set by the server"},

	{"--content-type text/plain", "content-type=text/plain"},
	{"--content-type=text/plain;charset=utf-8", "content-type=text/plain;charset=utf-8"},
	{"--content-type text", `error: argument --content-type: invalid content type: "text" (an example is text/plain)`},
	{"--content-type text/", `error: argument --content-type: invalid content type: "text/" (an example is text/plain)`},
	{"--content-type a/b/c", `error: argument --content-type: invalid content type: "a/b/c" (an example is text/plain)`},
	{"--content-type a/b;\x01", `error: argument --content-type: invalid content type: "a/b;\x01" (an example is text/plain)`},
	{"--content-type=", `error: argument --content-type: invalid content type: "" (an example is text/plain)`},

	{"--tls-cert c", "tls-cert=c"},
	{"--tls-cert c --tls-key k --tls-password-file p", "tls-cert=c tls-key=k tls-password-file=p"},
	{"--tls-key k", "error: --tls-key requires --tls-cert to be set"},
	{"--tls-password-file p", "error: --tls-password-file requires --tls-cert to be set"},
	{"--tls-key k -q", "error: --tls-key requires --tls-cert to be set"},
	{"--tls-key k --tls-cert= -q", "error: argument --tls-cert: a file name is missing"},
	{"-H etag x", "error: argument -H/--header: etag is set by the server"},
	{"--tls-key k x", "error: argument port: invalid int value: 'x'"},
	{"--tls-key k -h", "help"},

	{"--cors --confine", "confine cors"},
	{"--confine --cgi", "error: argument --confine: not allowed with argument --cgi"},

	// Unknown options.
	{"-x", "error: unrecognized arguments: -x"},
	{"-xq", "error: unrecognized arguments: -xq"},
	{"-Q", "error: unrecognized arguments: -Q"},
	{"--c", "error: ambiguous option: --c could match --cgi, --content-type, --confine, --cors, --charset, --cgi-env, --cgi-timeout, --cgi-max, --cgi-store"},
	{"--con", "error: ambiguous option: --con could match --content-type, --confine"},
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
	{"--hel", "help"},
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

// parsed returns the options or the error that arguments have.
func parsed(args []string) string {
	opts, err := parseArgs(args)
	if err != nil {
		return fmt.Sprintf("error: %v", err)
	}
	return describe(opts)
}

func TestParseArgs(t *testing.T) {
	t.Parallel()
	for _, tt := range parseArgsTests {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			if got := parsed(strings.Fields(tt.args)); got != tt.want {
				t.Errorf("%s\ngot  %s\nwant %s", tt.args, got, tt.want)
			}
		})
	}
}

// describe returns the options that differ from their defaults.
func describe(o *options) string {
	var differ []string
	add := func(isDefault bool, format string, args ...any) {
		if !isDefault {
			differ = append(differ, fmt.Sprintf(format, args...))
		}
	}
	if o.help {
		return "help" // makes the rest irrelevant
	}
	add(o.bind == "", "bind=%s", o.bind)
	add(o.directory == ".", "directory=%s", o.directory)
	add(o.protocol == "HTTP/1.0", "protocol=%s", o.protocol)
	add(o.port == 8000, "port=%d", o.port)
	add(o.timeout == time.Minute, "timeout=%v", o.timeout)
	add(!o.quiet, "quiet")
	add(!o.cgi, "cgi")
	cgiEnv := slices.Concat(o.cgiInherit, o.cgiSet)
	add(len(cgiEnv) == 0, "cgi-env=%v", cgiEnv)
	add(o.cgiTimeout == 5*time.Minute, "cgi-timeout=%v", o.cgiTimeout)
	add(len(o.headers) == 0, "header=%s", headerText(o.headers))
	add(o.contentType == "", "content-type=%s", o.contentType)
	add(o.tlsCert == "", "tls-cert=%s", o.tlsCert)
	add(o.tlsKey == "", "tls-key=%s", o.tlsKey)
	add(o.tlsPasswordFile == "", "tls-password-file=%s", o.tlsPasswordFile)
	add(!o.confine, "confine")
	add(!o.noHidden, "no-hidden")
	add(o.charset == "", "charset=%s", o.charset)
	add(len(o.hosts) == 0, "host=%s", o.hosts)
	add(!o.cors, "cors")
	add(o.cgiMax == 64, "cgi-max=%d", o.cgiMax)
	add(o.cgiStore == 4096, "cgi-store=%d", o.cgiStore)
	return strings.Join(differ, " ")
}

func headerText(fields []httpserver.Field) []string {
	var text []string
	for _, f := range fields {
		text = append(text, f.Name+": "+f.Value)
	}
	return text
}

// These arguments contain spaces, unlike those above.
func TestParseArgsSpaces(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, value, want string }{
		{"A", "b c", "header=[A: b c]"},
		{"A", "-x y", "header=[A: -x y]"}, // no option begins like that
		{"A", "-b y", "error: argument -H/--header: expected 2 arguments"},
		{"A", " b\t", "header=[A: b]"},
		{"A", "", "header=[A: ]"},
		{"", "b", `error: argument -H/--header: invalid name: ""`},
		{"A B", "b", `error: argument -H/--header: invalid name: "A B"`},
		{"A", "b\r\nC: d", `error: argument -H/--header: invalid value: "b\r\nC: d" contains a control character`},
	} {
		if got := parsed([]string{"-H", tt.name, tt.value}); got != tt.want {
			t.Errorf("-H %q %q\ngot  %s\nwant %s", tt.name, tt.value, got, tt.want)
		}
	}
}

// The help is one screen, in which Python's options come first.
func TestHelp(t *testing.T) {
	t.Parallel()
	at := strings.Index(help, "As in Python:")
	for _, opt := range known {
		spelled := strings.Join(opt.names, ", ") + " " + opt.argument
		if i := max(strings.Index(help, "\n  "+spelled), strings.Index(help, ", "+spelled)); i < at {
			t.Errorf("help lacks %s, or it comes too early", opt)
		} else {
			at = i
		}
	}
	if own := strings.Index(help, "\nOther options:\n"); own < strings.Index(help, "--content-type") || own > strings.Index(help, "--confine") {
		t.Error("the options that Python has are not told from the others")
	}
	if lines := strings.Count(help, "\n"); lines > 23 {
		t.Errorf("%d lines and the next prompt do not fit a screen of 24", lines)
	}
	for line := range strings.Lines(help) {
		if len(line) > 80 { // with its line end
			t.Errorf("line of %d bytes: %s", len(line), line)
		}
	}
}
