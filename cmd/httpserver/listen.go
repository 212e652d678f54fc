package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"httpserver"
)

// This file contains the listeners of the command: a TCP port, a unix socket, or a
// socket from systemd, each with or without TLS.

// unixPrefix begins a --bind address that is the path of a unix socket.
const unixPrefix = "unix:"

// newServer returns a server that is listening and writes log lines to log. Its error
// is one line.
func (o *options) newServer(log io.Writer) (*httpserver.ThreadingHTTPServer, error) {
	config, err := o.tlsConfig(log)
	if err != nil {
		return nil, err
	}
	newHandler, err := o.newHandler()
	if err != nil {
		return nil, err
	}
	server, err := o.listen(newHandler)
	if err != nil {
		return nil, err
	}
	if config != nil {
		server.Listener = tls.NewListener(server.Listener, config)
	}
	server.Hosts, server.MaxConnections, server.Stderr = o.hosts, o.maxConnections, log
	return server, nil
}

// listen returns a server that is listening without TLS. A socket from systemd has
// precedence over --bind and the port, because clients connect to that.
func (o *options) listen(newHandler func() httpserver.Handler) (*httpserver.ThreadingHTTPServer, error) {
	listener, err := systemdListener()
	path, isUnix := strings.CutPrefix(o.bind, unixPrefix)
	switch {
	case err != nil:
		return nil, err
	case listener != nil:
		o.bind = "" // the banner says where it is listening
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
		server.ServerName = "localhost" // CGI scripts must have a SERVER_NAME
	}
	return server, nil
}

// systemdListener returns the listener that systemd passed to the process, or nil
// if there is none. Like sd_listen_fds(3) it reads variables of the environment; it
// removes them, so that scripts do not see them.
func systemdListener() (net.Listener, error) {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(name)
	}
	if pid != strconv.Itoa(os.Getpid()) || count == "" || count == "0" {
		return nil, nil // there is none, or it is for another process
	}
	if count != "1" {
		return nil, fmt.Errorf("httpserver: LISTEN_FDS is %q, which is not one socket; "+
			"let the .socket unit have one Listen line", count)
	}
	f := os.NewFile(3, "LISTEN_FDS") // SD_LISTEN_FDS_START
	defer f.Close()
	l, err := net.FileListener(f) // duplicates f
	if err != nil {
		return nil, fmt.Errorf("httpserver: LISTEN_FDS is 1, but file descriptor 3 "+
			"is not a listening socket: %w", cause(err))
	}
	return l, nil
}

// listenUnix listens on a unix socket, which is removed when the listener is
// closed. It replaces a socket on which no program is listening any more, but no
// other file.
func listenUnix(path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, errors.New("this is a file or directory, not a socket; choose another path")
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
	case errors.Is(err, syscall.EADDRINUSE): // of an abstract socket, which has no file
		return nil, errors.New("another program listens there; choose another path")
	case err != nil:
		return nil, cause(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	info, _ = os.Lstat(path)
	return &unixListener{l, path, info}, nil
}

// A unixListener is a listener on a unix socket.
type unixListener struct {
	net.Listener
	path string
	info fs.FileInfo // identifies the socket
}

// Close closes the listener and removes its socket, unless another one has the path
// now.
func (l *unixListener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.info) {
		os.Remove(l.path)
	}
	return l.Listener.Close()
}

// cause returns the error of the system in a *net.OpError, whose address would
// repeat the path in the message.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
