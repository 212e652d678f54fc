// Command httpserver serves the files of a directory over HTTP or HTTPS. Its
// options, its first line of output and its exit codes are those of
// python -m http.server; httpserver -h lists the options.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode"

	"httpserver"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// How long the command waits.
const (
	shutdownTime = 5 * time.Second        // for requests in progress, after SIGTERM
	scriptTime   = 500 * time.Millisecond // for CGI scripts that were told to end, until they are killed
	answerTime   = 100 * time.Millisecond // for the sending of 503 to requests whose scripts have not started
	printTime    = 100 * time.Millisecond // for somebody to read what it prints
)

// run runs the command with the given arguments and returns its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	opts, err := parseArgs(args)
	if err == nil && !opts.help {
		err = opts.readPassword()
	}
	if err != nil {
		fmt.Fprintf(stderr, "%shttpserver: error: %s\n", usage, strings.Map(replaceControl, err.Error()))
		return 2
	}
	if opts.help {
		fmt.Fprint(stdout, help)
		return 0
	}
	if err = opts.findDirectory(); err == nil {
		err = opts.listenAndServe(stdout, logWriter(stderr))
	}
	if err != nil {
		fmt.Fprintln(stderr, strings.Map(replaceControl, err.Error()))
		return 1
	}
	return 0
}

// listenAndServe runs the server until it fails or a signal ends it. Its error is one
// line. It stops handling signals before it returns: if run cannot print the error because
// nobody reads it, a signal still ends the process.
func (o *options) listenAndServe(stdout, log io.Writer) error {
	// The server continues if the program that reads its log ends.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	server, err := o.newServer(log)
	if err != nil {
		return err
	}
	// Until here, a signal ends the process: newServer may wait for a file or a name server.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup ignores it
		signal.Notify(signals, syscall.SIGHUP)
	}
	defer signal.Stop(signals)
	if o.servesKey() {
		printSoon(log, fmt.Sprintf("httpserver: the private key in %q is served to everybody who can connect; "+
			"move it out of the directory\n", o.keyFile()))
	}
	printSoon(stdout, o.banner(server.Addr(), isTerminal(stdout)))
	return serve(server, signals, stdout)
}

// printSoon writes text to w. It does not wait long for a pipe that nobody reads: the
// server must serve, and signals must end it, nevertheless.
func printSoon(w io.Writer, text string) {
	written := make(chan struct{})
	go func() {
		io.WriteString(w, text)
		close(written)
	}()
	select {
	case <-written:
	case <-time.After(printTime):
	}
}

// replaceControl returns '?' for a control character, which could begin another
// line or control a terminal.
func replaceControl(r rune) rune {
	if unicode.IsControl(r) {
		return '?'
	}
	return r
}

// findDirectory makes the name of the directory absolute, or returns an error if the
// directory cannot be served. It does not resolve links: if one is changed later, the
// new directory is served.
func (o *options) findDirectory() error {
	info, err := os.Stat(o.directory)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("httpserver: there is no directory %q; -d names the one to serve", o.directory)
	case err != nil:
		return fmt.Errorf("httpserver: %w; -d takes the directory to serve", err)
	case !info.IsDir():
		return fmt.Errorf("httpserver: %q is a file; -d takes the directory to serve", o.directory)
	case filepath.IsAbs(o.directory):
		return nil
	}
	absolute, err := filepath.Abs(o.directory)
	if err != nil {
		return fmt.Errorf("httpserver: %w; -d takes the absolute name of the directory to serve", err)
	}
	if cleaned, err := os.Stat(absolute); err != nil || !os.SameFile(cleaned, info) {
		current, _ := os.Getwd()               // as Abs found it
		absolute = current + "/" + o.directory // Abs shortens link/..
	}
	o.directory = absolute
	return nil
}

// serve runs the server until it fails or a signal arrives. SIGINT closes the server;
// other signals shut it down, and a second one during that time closes it.
func serve(server *httpserver.ThreadingHTTPServer, signals <-chan os.Signal, stdout io.Writer) error {
	failed := make(chan error, 1)
	go func() { failed <- server.ServeForever() }()
	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("httpserver: %w", err)
	case sig := <-signals:
		if sig == os.Interrupt {
			printSoon(stdout, "\nKeyboard interrupt received, exiting.\n")
		} else {
			shutDown(server, signals)
		}
	}
	timer := time.AfterFunc(scriptTime, func() { server.Close() }) // a second Close kills the scripts
	defer timer.Stop()
	server.Close()
	return err
}

// shutDown waits for the requests in progress, until shutdownTime has passed or another
// signal arrives.
func shutDown(server *httpserver.ThreadingHTTPServer, signals <-chan os.Signal) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	if server.Shutdown(ctx) != nil {
		time.Sleep(answerTime)
	}
}

// banner returns what is printed about a server that listens on addr: its URL and a
// warning about symbolic links. The first line is Python's, which programs parse, apart
// from the zone of an address: Python's URL has none and leads nowhere. All lines are
// written at once, so that a program may stop reading after the first one.
func (o *options) banner(addr net.Addr, terminal bool) string {
	scheme := "http"
	if o.tlsCert != "" {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(addr.String())
	host, _, _ = strings.Cut(host, "%") // the zone, which Python does not print
	text := "Serving " + strings.ToUpper(scheme)
	if addr.Network() == "unix" {
		text += fmt.Sprintf(" on unix:%s ...\n", strings.Map(replaceControl, addr.String()))
	} else {
		authority := net.JoinHostPort(host+o.urlZone(), port)
		text += fmt.Sprintf(" on %s port %s (%s://%s/) ...\n", host, port, scheme, authority)
	}
	if !o.confine {
		text += "Symbolic links are followed, even out of the directory; --confine prevents that.\n"
	}
	if terminal {
		text += o.openLine(scheme, host, port)
	}
	return text
}

// urlZone returns the zone of the --bind address as a URL has it (RFC 6874), or "".
// The address of a listener does not contain it on every system.
func (o *options) urlZone() string {
	addr, _ := netip.ParseAddr(o.bind)
	if addr.Zone() == "" {
		return ""
	}
	return url.PathEscape("%" + addr.Zone())
}

// openLine returns a line for a person who wants to open the server in a browser. It
// is empty if the URL in the first line is good for that.
func (o *options) openLine(scheme, host, port string) string {
	ip := net.ParseIP(host)
	_, err := netip.ParseAddr(o.bind)
	switch {
	case o.urlZone() != "":
		return "Browsers cannot open an address with a zone; curl can.\n"
	case ip != nil && ip.IsUnspecified():
		addrs, err := net.InterfaceAddrs()
		if err != nil {
			return ""
		}
		return "Open " + strings.Join(reachableURLs(addrs, scheme, port, ip.To4() != nil), " or ") + "\n"
	case ip != nil && o.bind != "" && err != nil: // a host name, which the certificate may be for
		return "Open " + scheme + "://" + net.JoinHostPort(o.bind, port) + "/\n"
	}
	return ""
}

// reachableURLs returns the URLs of a server that listens on all interfaces: one
// for this machine, then those that other machines can use. IPv4 addresses come
// first because they are shorter.
func reachableURLs(addrs []net.Addr, scheme, port string, v4only bool) []string {
	urls := []string{scheme + "://localhost:" + port + "/"}
	var v6 []string
	for _, addr := range addrs {
		network, ok := addr.(*net.IPNet)
		if !ok || !network.IP.IsGlobalUnicast() {
			continue
		}
		u := scheme + "://" + net.JoinHostPort(network.IP.String(), port) + "/"
		if network.IP.To4() != nil {
			urls = append(urls, u)
		} else if !v4only {
			v6 = append(v6, u)
		}
	}
	return append(urls, v6...)
}
