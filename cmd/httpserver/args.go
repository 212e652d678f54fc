package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file reads the command line the way Python's argparse does: options and
// port in any order, -bADDRESS, --bind=ADDRESS, unambiguous abbreviations, --.

// options are what the command line says.
type options struct {
	bind      string
	directory string
	protocol  string
	port      int
	timeout   time.Duration
	quiet     bool

	cgi        bool
	cgiEnv     []string
	cgiTimeout time.Duration
	cgiMax     int
	help       bool
}

const usage = `usage: httpserver [-h] [--cgi] [-b ADDRESS] [-d DIRECTORY] [-p VERSION]
                  [--timeout SECONDS] [-q] [--cgi-env NAME]
                  [--cgi-timeout SECONDS] [--cgi-max N] [port]
`

const help = usage + `
Serve the files of a directory over HTTP.

positional arguments:
  port                  bind to this port, 0 for a free one (default: 8000)

options:
  -h, --help            show this help message and exit
  --cgi                 run what is below /cgi-bin and /htbin as CGI scripts
  -b, --bind ADDRESS    bind to this address (default: all interfaces)
  -d, --directory DIRECTORY
                        serve this directory (default: current directory)
  -p, --protocol VERSION
                        conform to this HTTP version: HTTP/1.0, or HTTP/1.1
                        with persistent connections (default: HTTP/1.0)
  --timeout SECONDS     close connections that are silent for so long, 0 for
                        never (default: 60)
  -q, --quiet           do not log requests
  --cgi-env NAME        pass this environment variable on to scripts, too
                        (may be repeated)
  --cgi-timeout SECONDS
                        end scripts that run for so long, 0 for never
                        (default: 300)
  --cgi-max N           run at most so many scripts at once (default: 64)
`

// An option is one that the command line may have.
type option struct {
	names []string // long, short
	set   func(o *options, value string) error
	flag  bool // it takes no value
}

func (o *option) String() string {
	names := slices.Clone(o.names)
	slices.Reverse(names)
	return strings.Join(names, "/")
}

var known = []option{
	{names: []string{"--help", "-h"}, flag: true, set: func(o *options, _ string) error { o.help = true; return nil }},
	{names: []string{"--bind", "-b"}, set: (*options).setBind},
	{names: []string{"--directory", "-d"}, set: func(o *options, v string) error { o.directory = v; return nil }},
	{names: []string{"--protocol", "-p"}, set: (*options).setProtocol},
	{names: []string{"--timeout"}, set: func(o *options, v string) error { return setSeconds(&o.timeout, v) }},
	{names: []string{"--quiet", "-q"}, flag: true, set: func(o *options, _ string) error { o.quiet = true; return nil }},
	{names: []string{"--cgi"}, flag: true, set: func(o *options, _ string) error { o.cgi = true; return nil }},
	{names: []string{"--cgi-env"}, set: (*options).addCGIEnv},
	{names: []string{"--cgi-timeout"}, set: func(o *options, v string) error { return setSeconds(&o.cgiTimeout, v) }},
	{names: []string{"--cgi-max"}, set: (*options).setCGIMax},
}

// setBind takes an address, IPv6 also in brackets.
func (o *options) setBind(v string) error {
	o.bind = v
	if inner, ok := strings.CutPrefix(v, "["); ok {
		o.bind, ok = strings.CutSuffix(inner, "]")
		if !ok || o.bind == "" {
			return fmt.Errorf("invalid address: '%s'", v)
		}
	}
	return nil
}

func (o *options) setProtocol(v string) error {
	if v != "HTTP/1.0" && v != "HTTP/1.1" {
		return fmt.Errorf("invalid choice: '%s' (choose from HTTP/1.0, HTTP/1.1)", v)
	}
	o.protocol = v
	return nil
}

func setSeconds(d *time.Duration, v string) error {
	seconds, err := strconv.ParseFloat(v, 64)
	if err != nil || !(seconds >= 0 && seconds < math.MaxInt64/float64(time.Second)) {
		return fmt.Errorf("invalid number of seconds: '%s'", v)
	}
	*d = time.Duration(math.Ceil(seconds * float64(time.Second)))
	return nil
}

func (o *options) addCGIEnv(v string) error {
	if v == "" || strings.ContainsAny(v, "=\x00") {
		return fmt.Errorf("invalid name: '%s'", v)
	}
	o.cgiEnv = append(o.cgiEnv, v)
	return nil
}

func (o *options) setCGIMax(v string) (err error) {
	o.cgiMax, err = strconv.Atoi(v)
	if err != nil || o.cgiMax < 1 {
		return fmt.Errorf("invalid number: '%s'", v)
	}
	return nil
}

func (o *options) setPort(v string) error {
	port, err := strconv.ParseInt(v, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("argument port: invalid int value: '%s'", v)
	}
	if port < 0 || port > 65535 {
		return fmt.Errorf("argument port: %s is not in 0-65535", v)
	}
	o.port = int(port)
	return nil
}

// parseArgs reads the arguments. After -h, what follows does not matter.
func parseArgs(args []string) (*options, error) {
	o := &options{directory: ".", port: 8000, protocol: "HTTP/1.0", timeout: time.Minute, cgiTimeout: 5 * time.Minute, cgiMax: 64}
	var positional, unknown []string
	for len(args) > 0 && !o.help {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			positional = append(positional, args...)
			break
		}
		if !isOption(arg) {
			positional = append(positional, arg)
			continue
		}
		rest, err := o.parseOption(arg, args)
		switch {
		case err == errUnknown:
			unknown = append(unknown, arg)
		case err != nil:
			return nil, err
		default:
			args = rest
		}
	}
	if o.help {
		return o, nil
	}
	if len(positional) > 0 {
		if err := o.setPort(positional[0]); err != nil {
			return nil, err
		}
	}
	if len(positional) > 1 {
		unknown = append(unknown, positional[1:]...)
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("unrecognized arguments: %s", strings.Join(unknown, " "))
	}
	return o, nil
}

// isOption tells an option from a positional argument or a value; a negative
// number is none.
func isOption(arg string) bool {
	if len(arg) < 2 || arg[0] != '-' {
		return false
	}
	whole, fraction, dot := strings.Cut(arg[1:], ".")
	return strings.Trim(whole+fraction, "0123456789") != "" || whole+fraction == "" || dot && fraction == ""
}

var errUnknown = errors.New("no such option")

// parseOption reads one option, or several short ones in one argument, and
// gives the arguments after it and its value.
func (o *options) parseOption(arg string, args []string) ([]string, error) {
	opt, value, hasValue, err := findOption(arg)
	if err != nil {
		return nil, err
	}
	if opt.flag {
		if err := opt.set(o, ""); err != nil || !hasValue {
			return args, err
		}
		if strings.HasPrefix(arg, "--") || value == "" || !isShort(value[0]) {
			return nil, fmt.Errorf("argument %v: ignored explicit argument '%s'", opt, value)
		}
		return o.parseOption("-"+value, args) // -qb127.0.0.1
	}
	if !hasValue {
		if len(args) == 0 || isOption(args[0]) {
			return nil, fmt.Errorf("argument %v: expected one argument", opt)
		}
		value, args = args[0], args[1:]
	}
	if err := opt.set(o, value); err != nil {
		return nil, fmt.Errorf("argument %v: %w", opt, err)
	}
	return args, nil
}

// isShort tells whether -c is an option.
func isShort(c byte) bool {
	return slices.ContainsFunc(known, func(o option) bool { return slices.Contains(o.names, "-"+string(rune(c))) })
}

// findOption finds the option that an argument names, and the value in it.
func findOption(arg string) (opt *option, value string, hasValue bool, err error) {
	name := arg
	if strings.HasPrefix(arg, "--") {
		name, value, hasValue = strings.Cut(arg, "=")
	} else if len(arg) > 2 {
		name, value, hasValue = arg[:2], strings.TrimPrefix(arg[2:], "="), true
	}
	var matches []*option
	var spelled []string
	for i := range known {
		long := known[i].names[0]
		if slices.Contains(known[i].names, name) {
			return &known[i], value, hasValue, nil
		}
		if len(name) > 2 && strings.HasPrefix(long, name) {
			matches, spelled = append(matches, &known[i]), append(spelled, long)
		}
	}
	switch len(matches) {
	case 0:
		return nil, "", false, errUnknown
	case 1:
		return matches[0], value, hasValue, nil
	}
	return nil, "", false, fmt.Errorf("ambiguous option: %s could match %s", name, strings.Join(spelled, ", "))
}
