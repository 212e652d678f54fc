package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"httpserver"
)

// This file contains the parser of the command line, which accepts what Python's
// argparse does: options and port in any order, -bADDRESS, --bind=ADDRESS,
// abbreviations that are unambiguous, and --.

// options are the values from the command line.
type options struct {
	bind      string
	directory string
	protocol  string
	port      int
	cgi       bool
	help      bool

	tlsCert, tlsKey, tlsPasswordFile string
	tlsPassword                      string // the content of tlsPasswordFile

	headers     []httpserver.Field
	contentType string

	confine        bool
	noHidden       bool
	charset        string
	hosts          []string
	cors           bool
	timeout        time.Duration
	maxConnections int
	quiet          bool
	cgiInherit     []string // names of variables
	cgiSet         []string // variables with values
	cgiTimeout     time.Duration
	cgiMax         int
	cgiStore       int     // MiB
	needsCGI       *option // one that was set and has no effect without --cgi, or nil
}

const usage = "usage: httpserver [-h] [options] [port]\n"

// help is the output of -h. It fits a screen of 24 lines.
var help = usage + "Serve the files of a directory over HTTP or HTTPS. As in Python:\n" +
	helpText(pythonHelp) + "Other options:\n" + helpText(otherHelp)

// The lines of the help about arguments.
var (
	pythonHelp = append([]helpLine{{"port", "bind to this port, 0 for a free one (default: 8000)"}},
		helpLines(pythonOptions)...)
	otherHelp = helpLines(otherOptions)
)

// A helpLine is a line of the help about one argument, or about several.
type helpLine struct{ arguments, text string }

// helpLines returns the lines of the help about options.
func helpLines(options []*option) (lines []helpLine) {
	var labels []string
	for _, opt := range options {
		labels = append(labels, strings.TrimSpace(strings.Join(opt.names, ", ")+" "+opt.argument))
		if opt.text != "" {
			lines = append(lines, helpLine{strings.Join(labels, ", "), opt.text})
			labels = nil
		}
	}
	return lines
}

// helpText returns lines of the help in columns.
func helpText(lines []helpLine) string {
	text := ""
	for _, line := range lines {
		text += fmt.Sprintf("  %-24s  %s\n", line.arguments, line.text)
	}
	return text
}

// An option describes an option of the command. Exactly one of its functions is not
// nil, depending on how many values the option takes.
type option struct {
	names    []string // the short name if there is one, then the long one
	argument string   // the values in the help; "" for a flag
	text     string   // the text in the help; "" if the next option is in the same line
	set      func(o *options, value string) error
	setPair  func(o *options, first, second string) error
	setFlag  func(o *options)
}

// String returns the names in the form that Python's messages have, such as
// "-b/--bind".
func (o *option) String() string { return strings.Join(o.names, "/") }

// known contains all options, in the order of the help.
var known = slices.Concat(pythonOptions, otherOptions)

// pythonOptions are the options of Python's command.
var pythonOptions = []*option{
	{names: []string{"-h", "--help"}, text: "show this help message and exit",
		setFlag: func(o *options) { o.help = true }},
	{names: []string{"--cgi"}, text: "run what is in /cgi-bin and /htbin as CGI scripts",
		setFlag: func(o *options) { o.cgi = true }},
	{names: []string{"-b", "--bind"}, argument: "ADDRESS",
		text: "bind to this or unix:PATH (default: all interfaces)",
		set:  (*options).setBind},
	{names: []string{"-d", "--directory"}, argument: "DIR",
		text: "serve this directory (default: current directory)",
		set:  func(o *options, v string) error { o.directory = v; return nil }},
	{names: []string{"-p", "--protocol"}, argument: "VERSION",
		text: "HTTP/1.0, or HTTP/1.1 to keep connections open",
		set:  (*options).setProtocol},
	{names: []string{"--tls-cert"}, argument: "PATH", text: "serve HTTPS with this certificate chain, PEM",
		set: func(o *options, v string) error { return setFile(&o.tlsCert, v) }},
	{names: []string{"--tls-key"}, argument: "PATH",
		set: func(o *options, v string) error { return setFile(&o.tlsKey, v) }},
	{names: []string{"--tls-password-file"}, argument: "PATH", text: "the certificate's key, its password",
		set: func(o *options, v string) error { return setFile(&o.tlsPasswordFile, v) }},
	{names: []string{"-H", "--header"}, argument: "NAME VALUE",
		text:    "add this field to successful responses; repeatable",
		setPair: (*options).addHeader},
	{names: []string{"--content-type"}, argument: "TYPE", text: "type of files with an unknown suffix",
		set: (*options).setContentType},
}

// otherOptions are the options that Python's command does not have.
var otherOptions = []*option{
	{names: []string{"--confine"}, text: "follow no link out of the directory; not with --cgi",
		setFlag: func(o *options) { o.confine = true }},
	{names: []string{"--no-hidden"}, text: "serve and list no names that begin with a dot",
		setFlag: func(o *options) { o.noHidden = true }},
	{names: []string{"--cors"}, text: "let pages of other sites read what is served",
		setFlag: func(o *options) { o.cors = true }},
	{names: []string{"--host"}, argument: "NAME", text: "answer only to this host name; repeatable",
		set: (*options).addHost},
	{names: []string{"--charset"}, argument: "NAME",
		text: "encoding of text and JavaScript files, like utf-8",
		set:  (*options).setCharset},
	{names: []string{"--timeout"}, argument: "SECONDS",
		set: func(o *options, v string) error { return setSeconds(&o.timeout, v) }},
	{names: []string{"--max-connections"}, argument: "N", text: "0 for no limit (default: 60, 1000)",
		set: func(o *options, v string) error { return setNumber(&o.maxConnections, v, 0) }},
	{names: []string{"-q", "--quiet"}, text: "do not log requests, nor errors of clients (4xx)",
		setFlag: func(o *options) { o.quiet = true }},
	{names: []string{"--cgi-env"}, argument: "NAME[=VALUE]",
		text: "pass on, or set, a variable for scripts; repeatable",
		set:  (*options).addCGIEnv},
	{names: []string{"--cgi-timeout"}, argument: "SECONDS",
		set: func(o *options, v string) error { return setSeconds(&o.cgiTimeout, v) }},
	{names: []string{"--cgi-max"}, argument: "N", text: "limits of scripts (default: 300, 64)",
		set: func(o *options, v string) error { return setNumber(&o.cgiMax, v, 1) }},
	{names: []string{"--cgi-store"}, argument: "MIB", text: "limit of stored request bodies (default: 4096)",
		set: func(o *options, v string) error { return setNumber(&o.cgiStore, v, 1) }},
}

// setBind sets the address, which is a host, an IPv6 address in brackets, or
// "unix:" with the path of a socket.
func (o *options) setBind(v string) error {
	o.bind = v
	switch v {
	case unixPrefix:
		return fmt.Errorf("no path in '%s'", v)
	case "": // of a shell variable that is not set
		return errors.New("no address; without the option, all interfaces are used")
	}
	if _, _, err := net.SplitHostPort(v); err == nil && !strings.HasPrefix(v, unixPrefix) {
		return fmt.Errorf("'%s' has a port, which is an argument of its own", v)
	}
	if inner, ok := strings.CutPrefix(v, "["); ok {
		o.bind, ok = strings.CutSuffix(inner, "]")
		if !ok || o.bind == "" {
			return fmt.Errorf("invalid address: '%s'", v)
		}
	}
	return nil
}

// setFile sets the name of a file. An empty name is an error: if it comes from a
// shell variable that is not set, the command must not serve without TLS.
func setFile(name *string, v string) error {
	if *name = v; v == "" {
		return errors.New("a file name is missing")
	}
	return nil
}

// setProtocol sets the protocol version of responses.
func (o *options) setProtocol(v string) error {
	if v != "HTTP/1.0" && v != "HTTP/1.1" {
		return fmt.Errorf("invalid choice: '%s' (choose from HTTP/1.0, HTTP/1.1)", v)
	}
	o.protocol = v
	return nil
}

// reservedFields are the fields that -H does not accept: those that determine where
// a message or a connection ends, and those that the server sets for each response.
var reservedFields = []string{
	"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "TE", "Trailer",
	"Transfer-Encoding", "Upgrade",
	"Accept-Ranges", "Content-Range", "Content-Type", "Date", "ETag", "Last-Modified", "Server",
}

// containsFold reports whether name is one of names, in whatever case.
func containsFold(names []string, name string) bool {
	return slices.ContainsFunc(names, func(s string) bool { return strings.EqualFold(s, name) })
}

// addHeader adds a field to successful responses.
func (o *options) addHeader(name, value string) error {
	switch {
	case !isToken(name):
		return fmt.Errorf("invalid name: %q", name)
	case strings.ContainsFunc(value, isControl):
		return fmt.Errorf("invalid value: %q contains a control character", value)
	case containsFold(reservedFields, name):
		return fmt.Errorf("%s is set by the server", name)
	}
	o.headers = append(o.headers, httpserver.Field{Name: name, Value: strings.Trim(value, " \t")})
	return nil
}

// setContentType sets the default content type, which is a media type with or
// without parameters (RFC 9110 section 8.3.1).
func (o *options) setContentType(v string) error {
	mediaType, _, _ := strings.Cut(v, ";")
	kind, subtype, _ := strings.Cut(strings.TrimSpace(mediaType), "/")
	if !isToken(kind) || !isToken(subtype) || strings.ContainsFunc(v, isControl) {
		return fmt.Errorf("invalid content type: %q (an example is text/plain)", v)
	}
	o.contentType = v
	return nil
}

// setCharset sets the charset of text files, whose name is a token (RFC 9110 section
// 8.3.2).
func (o *options) setCharset(v string) error {
	if !isToken(v) {
		return fmt.Errorf("invalid encoding: %q (an example is utf-8)", v)
	}
	o.charset = v
	return nil
}

// addHost adds a host name that requests may contain. A port or a pattern would never
// match.
func (o *options) addHost(v string) error {
	valid := func(r rune) bool {
		return 'a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("-._", r)
	}
	if strings.Trim(v, ".") == "" || strings.TrimFunc(v, valid) != "" {
		return fmt.Errorf("invalid host name: %q (an example is files.example)", v)
	}
	o.hosts = append(o.hosts, strings.TrimSuffix(v, "."))
	return nil
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// isControl reports whether r is a control character that a field value must not
// contain.
func isControl(r rune) bool { return r != '\t' && unicode.IsControl(r) }

// setSeconds sets a duration from a number of seconds. It rounds up, so that a
// small number does not become 0, which means no limit.
func setSeconds(d *time.Duration, v string) error {
	seconds, err := strconv.ParseFloat(v, 64)
	if err != nil || !(seconds >= 0 && seconds < math.MaxInt64/float64(time.Second)) {
		return fmt.Errorf("invalid number of seconds: '%s'", v)
	}
	*d = time.Duration(math.Ceil(seconds * float64(time.Second)))
	return nil
}

// addCGIEnv adds a variable that CGI scripts inherit or, if it has a value, one that
// is set for them.
func (o *options) addCGIEnv(v string) error {
	name, _, hasValue := strings.Cut(v, "=")
	switch {
	case name == "" || strings.Contains(v, "\x00"):
		return fmt.Errorf("invalid variable: %q", v)
	case hasValue:
		o.cgiSet = append(o.cgiSet, v)
	default:
		o.cgiInherit = append(o.cgiInherit, v)
	}
	return nil
}

// setNumber sets a number that is not less than least.
func setNumber(n *int, v string, least int) (err error) {
	*n, err = strconv.Atoi(v)
	if err != nil || *n < least {
		return fmt.Errorf("invalid number: '%s'", v)
	}
	return nil
}

// setPort sets the port.
func (o *options) setPort(v string) (err error) {
	o.port, err = strconv.Atoi(v)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("argument port: invalid int value: '%s'", v)
	}
	if o.port < 0 || o.port > 65535 {
		return fmt.Errorf("argument port: %s is not in 0-65535", v)
	}
	return nil
}

// defaultConnections is how many connections are served at once by default. Each of
// them takes a file descriptor, and one more while it sends a file. Most systems let a
// process have 4096 of them or more: Go raises its limit to the highest allowed one.
const defaultConnections = 1000

// parseArgs parses the arguments of the command. It ignores what follows -h.
func parseArgs(args []string) (*options, error) {
	o := &options{
		directory: ".", port: 8000, protocol: "HTTP/1.0",
		timeout: time.Minute, maxConnections: defaultConnections,
		cgiTimeout: 5 * time.Minute, cgiMax: 64, cgiStore: 4096,
	}
	var positional, unknown []string
	for len(args) > 0 && !o.help {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			positional, args = append(positional, args...), nil
		case !isOption(arg):
			positional = append(positional, arg)
		default:
			var err error
			if args, err = o.parseOption(arg, args); err == errUnknown {
				unknown = append(unknown, arg)
			} else if err != nil {
				return nil, err
			}
		}
	}
	if o.help {
		return o, nil
	}
	if len(positional) > 0 {
		if err := o.setPort(positional[0]); err != nil {
			return nil, err
		}
		unknown = append(unknown, positional[1:]...)
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("unrecognized arguments: %s", strings.Join(unknown, " "))
	}
	return o, o.check(len(positional) > 0)
}

// check returns an error if options exclude each other, or if one requires another
// that is not set.
func (o *options) check(hasPort bool) error {
	cors := slices.IndexFunc(o.headers, func(f httpserver.Field) bool { return containsFold(corsFields, f.Name) })
	switch {
	case o.tlsCert == "" && o.tlsKey != "":
		return errors.New("--tls-key requires --tls-cert to be set")
	case o.tlsCert == "" && o.tlsPasswordFile != "":
		return errors.New("--tls-password-file requires --tls-cert to be set")
	case !o.cgi && o.needsCGI != nil:
		return fmt.Errorf("%v requires --cgi to be set", o.needsCGI)
	case o.confine && o.cgi: // a directory does not confine scripts
		return errors.New("argument --confine: not allowed with argument --cgi")
	case o.cors && cors >= 0:
		return errors.New("argument --cors: not allowed with argument -H " + o.headers[cors].Name)
	case hasPort && strings.HasPrefix(o.bind, unixPrefix):
		return errors.New("argument port: not allowed with argument -b/--bind unix:PATH")
	}
	return nil
}

// isOption reports whether an argument is an option, rather than the port or the
// value of an option. As in argparse, a negative number is not one, and neither is
// an argument with a space unless it begins with a known option.
func isOption(arg string) bool {
	if len(arg) < 2 || arg[0] != '-' {
		return false
	}
	if strings.Contains(arg, " ") {
		_, _, _, err := findOption(arg)
		return err != errUnknown
	}
	whole, fraction, dot := strings.Cut(arg[1:], ".")
	return strings.Trim(whole+fraction, "0123456789") != "" || whole+fraction == "" || dot && fraction == ""
}

// errUnknown is returned by findOption and parseOption for an unknown option.
var errUnknown = errors.New("no such option")

// parseOption sets the option in arg, or several short ones in it. args are the
// arguments after arg; parseOption returns those of them that are not its values.
func (o *options) parseOption(arg string, args []string) ([]string, error) {
	opt, value, hasValue, err := findOption(arg)
	if err != nil {
		return args, err
	}
	if strings.HasPrefix(opt.String(), "--cgi-") {
		o.needsCGI = opt
	}
	switch {
	case opt.setFlag != nil:
		opt.setFlag(o)
		if !hasValue {
			return args, nil
		}
		if strings.HasPrefix(arg, "--") || value == "" || !isShort(value[0]) {
			return nil, fmt.Errorf("argument %v: ignored explicit argument '%s'", opt, value)
		}
		return o.parseOption("-"+value, args) // such as -qb127.0.0.1
	case opt.setPair != nil:
		if hasValue || len(args) < 2 || isOption(args[0]) || isOption(args[1]) {
			return nil, fmt.Errorf("argument %v: expected 2 arguments", opt)
		}
		err = opt.setPair(o, args[0], args[1])
		args = args[2:]
	default:
		if !hasValue {
			if len(args) == 0 || isOption(args[0]) {
				return nil, fmt.Errorf("argument %v: expected one argument", opt)
			}
			value, args = args[0], args[1:]
		}
		err = opt.set(o, value)
	}
	if err != nil {
		return nil, fmt.Errorf("argument %v: %w", opt, err)
	}
	return args, nil
}

// isShort reports whether -c is an option.
func isShort(c byte) bool {
	name := "-" + string(rune(c))
	return slices.ContainsFunc(known, func(o *option) bool { return slices.Contains(o.names, name) })
}

// findOption returns the option in an argument and the value that the argument
// contains, if it has one.
func findOption(arg string) (opt *option, value string, hasValue bool, err error) {
	name := arg
	if strings.HasPrefix(arg, "--") {
		name, value, hasValue = strings.Cut(arg, "=")
	} else if len(arg) > 2 {
		name, value, hasValue = arg[:2], strings.TrimPrefix(arg[2:], "="), true
	}
	var matches []*option
	var names []string
	for _, o := range known {
		long := o.names[len(o.names)-1]
		if slices.Contains(o.names, name) {
			return o, value, hasValue, nil
		}
		if len(name) > 2 && strings.HasPrefix(long, name) {
			matches, names = append(matches, o), append(names, long)
		}
	}
	switch len(matches) {
	case 0:
		return nil, "", false, errUnknown
	case 1:
		return matches[0], value, hasValue, nil
	}
	return nil, "", false, fmt.Errorf("ambiguous option: %s could match %s", name, strings.Join(names, ", "))
}
