// Command httpserver serves a directory over HTTP or HTTPS. Its options, its first line
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
	if err == nil {
		err = opts.readPassword()
	}
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
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	defer signal.Stop(signals)
	// Who reads the log may go away without taking the server along.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	server, err := opts.newServer()
	if err != nil {
		fmt.Fprintln(stderr, strings.Map(printable, err.Error()))
		return 1
	}
	server.Stderr = stderr
	opts.announce(stdout, server.Addr())
	return serve(server, signals, stdout, stderr)
}

// printable replaces what could steer a terminal or begin another line.
func printable(r rune) rune {
	if unicode.IsControl(r) {
		return '?'
	}
	return r
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

// announce prints where the server can be reached and, as everybody should know,
// that links lead out of the directory. The first line is Python's and for
// programs to read; all are one write, so one that stops there gets them all.
func (o *options) announce(stdout io.Writer, addr net.Addr) {
	scheme := "http"
	if o.tlsCert != "" {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(addr.String())
	text := fmt.Sprintf("Serving %s on %s port %s (%s://%s/) ...\n", strings.ToUpper(scheme), host, port, scheme, net.JoinHostPort(host, port))
	if addr.Network() == "unix" {
		text = fmt.Sprintf("Serving %s on unix:%s ...\n", strings.ToUpper(scheme), strings.Map(printable, addr.String()))
	}
	if !o.confine {
		text += "Symbolic links are followed, also out of the directory; --confine keeps inside.\n"
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() && isTerminal(stdout) {
		if addrs, err := net.InterfaceAddrs(); err == nil {
			text += "Open " + strings.Join(reachableURLs(addrs, scheme, port, ip.To4() != nil), " or ") + "\n"
		}
	}
	io.WriteString(stdout, text)
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
func reachableURLs(addrs []net.Addr, scheme, port string, v4only bool) []string {
	urls := []string{scheme + "://localhost:" + port + "/"}
	var v6 []string
	for _, addr := range addrs {
		network, ok := addr.(*net.IPNet)
		if !ok || !network.IP.IsGlobalUnicast() {
			continue
		}
		url := scheme + "://" + net.JoinHostPort(network.IP.String(), port) + "/"
		if network.IP.To4() != nil {
			urls = append(urls, url)
		} else if !v4only {
			v6 = append(v6, url)
		}
	}
	return append(urls, v6...)
}
