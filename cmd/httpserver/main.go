// Command httpserver serves a directory over HTTP. Its options, its first line
// and its exit codes are those of python -m http.server.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"httpserver"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

const (
	shutdownTime = 5 * time.Second        // for requests under way after SIGTERM
	scriptTime   = 500 * time.Millisecond // for scripts to end when the server does
)

// run is the command: arguments in, exit code out.
func run(args []string, stdout, stderr io.Writer) int {
	opts, err := parseArgs(args)
	if err != nil {
		fmt.Fprintf(stderr, "%shttpserver: error: %v\n", usage, err)
		return 2
	}
	if opts.help {
		fmt.Fprint(stdout, help)
		return 0
	}
	if err := checkDirectory(opts.directory); err != nil {
		fmt.Fprintf(stderr, "httpserver: %v\n", err)
		return 1
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	// Who reads the log may go away without taking the server along.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	addr := net.JoinHostPort(opts.bind, strconv.Itoa(opts.port))
	server, err := httpserver.NewThreadingHTTPServer(addr, opts.newHandler())
	if err != nil {
		fmt.Fprintln(stderr, strings.Map(printable, err.Error()))
		return 1
	}
	server.Stderr = stderr
	announce(stdout, server.Addr())
	return serve(server, signals, stdout, stderr)
}

// printable replaces what could steer a terminal or begin another line.
func printable(r rune) rune {
	if unicode.IsControl(r) {
		return '?'
	}
	return r
}

// handler serves the files and, if asked to, logs no requests.
type handler struct {
	httpserver.SimpleHandler
	quiet bool
}

// newHandler gives what makes the handlers.
func (o *options) newHandler() func() httpserver.Handler {
	if o.cgi {
		slots := make(chan struct{}, o.cgiMax)
		return func() httpserver.Handler {
			h := &cgiHandler{quiet: o.quiet}
			o.setFields(&h.SimpleHandler)
			h.Slots = slots
			h.InheritEnv = o.cgiEnv
			h.ScriptTimeout = o.cgiTimeout
			return h
		}
	}
	return func() httpserver.Handler {
		h := &handler{quiet: o.quiet}
		o.setFields(&h.SimpleHandler)
		return h
	}
}

func (o *options) setFields(h *httpserver.SimpleHandler) {
	h.Directory = o.directory
	h.ProtocolVersion = o.protocol
	h.Timeout = o.timeout
}

func (h *handler) LogRequest(code int, size int64) {
	if !h.quiet {
		h.SimpleHandler.LogRequest(code, size)
	}
}

// cgiHandler is a handler that runs scripts.
type cgiHandler struct {
	httpserver.CGIHandler
	quiet bool
}

func (h *cgiHandler) LogRequest(code int, size int64) {
	if !h.quiet {
		h.CGIHandler.LogRequest(code, size)
	}
}

// checkDirectory says what is wrong with a directory before anyone asks for it.
func checkDirectory(name string) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("there is no directory %q; -d names the one to serve", name)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%q is a file; -d takes the directory to serve", name)
	}
	return nil
}

// serve runs the server until a signal ends it, and gives the exit code.
func serve(server *httpserver.ThreadingHTTPServer, signals <-chan os.Signal, stdout, stderr io.Writer) int {
	failed := make(chan error, 1)
	go func() { failed <- server.ServeForever() }()
	select {
	case err := <-failed:
		fmt.Fprintf(stderr, "httpserver: %v\n", err)
		return 1
	case sig := <-signals:
		if sig == os.Interrupt {
			fmt.Fprint(stdout, "\nKeyboard interrupt received, exiting.\n")
			closeSoon(server)
			return 0
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	go func() {
		select {
		case <-signals: // a second one ends it at once
			cancel()
		case <-ctx.Done():
		}
	}()
	server.Shutdown(ctx)
	closeSoon(server)
	return 0
}

// closeSoon closes the server. Scripts that do not end by themselves have less
// time than Close gives them, as who ends the command does not wait for them.
func closeSoon(server *httpserver.ThreadingHTTPServer) {
	impatience := time.AfterFunc(scriptTime, func() { server.Close() })
	defer impatience.Stop()
	server.Close()
}

// announce prints where the server can be reached.
func announce(stdout io.Writer, addr net.Addr) {
	host, port, _ := net.SplitHostPort(addr.String())
	fmt.Fprintf(stdout, "Serving HTTP on %s port %s (http://%s/) ...\n", host, port, net.JoinHostPort(host, port))
	ip := net.ParseIP(host)
	if ip == nil || !ip.IsUnspecified() || !isTerminal(stdout) {
		return
	}
	if addrs, err := net.InterfaceAddrs(); err == nil {
		urls := reachableURLs(addrs, port, ip.To4() != nil)
		fmt.Fprintf(stdout, "Open %s\n", strings.Join(urls, " or "))
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// reachableURLs gives the addresses to type: of this machine, then those that
// others can use, IPv4 first, or only, as they are shorter.
func reachableURLs(addrs []net.Addr, port string, v4only bool) []string {
	urls := []string{"http://localhost:" + port + "/"}
	var v6 []string
	for _, addr := range addrs {
		network, ok := addr.(*net.IPNet)
		if !ok || !network.IP.IsGlobalUnicast() {
			continue
		}
		url := "http://" + net.JoinHostPort(network.IP.String(), port) + "/"
		if network.IP.To4() != nil {
			urls = append(urls, url)
		} else if !v4only {
			v6 = append(v6, url)
		}
	}
	return append(urls, v6...)
}
