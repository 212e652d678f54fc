package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"httpserver"
)

// This file holds where connections come from: a TCP port, a unix socket, or a
// socket that systemd hands over; with TLS around it.

// unixPrefix begins a --bind that names a unix socket.
const unixPrefix = "unix:"

// newServer makes the server and listens. The error is one line.
func (o *options) newServer() (*httpserver.ThreadingHTTPServer, error) {
	config, err := o.tlsConfig()
	if err != nil {
		return nil, err
	}
	newHandler, err := o.newHandler()
	if err != nil {
		return nil, err
	}
	server, err := o.listen(newHandler)
	if err == nil && config != nil {
		server.Listener = tls.NewListener(server.Listener, config)
	}
	return server, err
}

// listen prefers the socket of systemd, as that is where clients come.
func (o *options) listen(newHandler func() httpserver.Handler) (*httpserver.ThreadingHTTPServer, error) {
	listener, err := inherited()
	path, isUnix := strings.CutPrefix(o.bind, unixPrefix)
	switch {
	case err != nil:
		return nil, err
	case listener != nil:
	case isUnix:
		if listener, err = listenUnix(path); err != nil {
			return nil, fmt.Errorf("httpserver: listen on %s: %w", o.bind, err)
		}
	default:
		return httpserver.NewThreadingHTTPServer(net.JoinHostPort(o.bind, strconv.Itoa(o.port)), newHandler)
	}
	server := new(httpserver.ThreadingHTTPServer)
	server.Listener, server.NewHandler = listener, newHandler
	if listener.Addr().Network() == "unix" {
		server.ServerName = "localhost" // CGI scripts are to get a name, whatever that is worth
	}
	return server, nil
}

// inherited gives the socket that systemd has handed over, nil without one, and
// removes what says so from the environment. It answers to sd_listen_fds(3).
func inherited() (net.Listener, error) {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(name)
	}
	if pid != strconv.Itoa(os.Getpid()) || count == "" || count == "0" {
		return nil, nil // or it is meant for another process
	}
	if count != "1" {
		return nil, fmt.Errorf("httpserver: LISTEN_FDS is %q, which is not one socket; let the .socket unit have one Listen line", count)
	}
	const first = 3 // SD_LISTEN_FDS_START
	f := os.NewFile(first, "LISTEN_FDS")
	defer f.Close()
	l, err := net.FileListener(f) // of a copy
	if err != nil {
		return nil, fmt.Errorf("httpserver: file descriptor 3, which LISTEN_FDS speaks of, is no socket to listen on: %w", cause(err))
	}
	return l, nil
}

// listenUnix listens on a unix socket, which goes with the listener. One that a
// program left behind is replaced; nothing else is.
func listenUnix(path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, errors.New("this is a file or directory, and no socket; choose another path")
	default:
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
			return nil, errors.New("another program listens there; choose another path")
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("another program may listen there: %w", cause(err))
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	switch {
	case errors.Is(err, syscall.EINVAL) && len(path) > 100:
		return nil, errors.New("the path is too long; systems take about 100 bytes for a socket")
	case err != nil:
		return nil, cause(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	info, _ = os.Lstat(path)
	return &unixListener{l, path, info}, nil
}

// A unixListener removes its socket when it closes, unless another one has taken
// its place.
type unixListener struct {
	net.Listener
	path string
	info fs.FileInfo
}

func (l *unixListener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.info) {
		os.Remove(l.path)
	}
	return l.Listener.Close()
}

// cause gives what the system said, without the path that is told anyway.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
