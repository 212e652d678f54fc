package httpserver_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// This file tests scripts on Windows, where the extension tells what can be run.

func TestCGIOnWindows(t *testing.T) {
	t.Parallel()
	site := makeSite(t)
	dir := filepath.Join(site, "cgi-bin")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copyFile(t, filepath.Join(dir, "args.exe"), program)
	copyFile(t, filepath.Join(dir, "echo.exe"), program)
	batch := "@echo off\r\necho Content-Type: text/plain\r\necho.\r\necho method %REQUEST_METHOD%, arguments %*\r\n"
	for name, text := range map[string]string{"batch.bat": batch, "batch.cmd": batch, "plain": batch, "plain.txt": batch} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := startCGISite(t, site, false)
	for request, want := range map[string]string{
		"GET /cgi-bin/args.exe?a+b%22c HTTP/1.0\r\n\r\n":                    `200 OK|Content-Type: text/plain: ["a" "b\"c"]`,
		"GET /CGI-BIN/ARGS.EXE?a HTTP/1.0\r\n\r\n":                          `200 OK|Content-Type: text/plain: ["a"]`,
		"POST /cgi-bin/echo.exe HTTP/1.0\r\nContent-Length: 5\r\n\r\nbytes": "200 OK|Content-Type: text/plain: POST bytes",
		"GET /cgi-bin/batch.bat HTTP/1.0\r\n\r\n":                           "200 OK|Content-Type: text/plain: method GET, arguments \r\n",
		"GET /cgi-bin/batch.cmd?a HTTP/1.0\r\n\r\n":                         "200 OK|Content-Type: text/plain: method GET, arguments \r\n",
		"GET /cgi-bin/batch.bat?x%26echo+more HTTP/1.0\r\n\r\n":             "200 OK|Content-Type: text/plain: method GET, arguments \r\n", // & separates commands
		"GET /cgi-bin/plain HTTP/1.0\r\n\r\n":                               "403 CGI script is not executable",
		"GET /cgi-bin/plain.txt HTTP/1.0\r\n\r\n":                           "403 CGI script is not executable",
		"GET /cgi-bin/nothing.exe HTTP/1.0\r\n\r\n":                         "404 No such CGI script",
		"GET /cgi-bin/nothing.py HTTP/1.0\r\n\r\n":                          "404 No such CGI script",
	} {
		head, body := fields(exchange(t, s.Addr(), request))
		if got := head + ": " + body; !strings.HasPrefix(got, "HTTP/1.0 "+want) {
			t.Errorf("%q: got %.200q, want %q", request, got, want)
		}
	}
}

func copyFile(t *testing.T, name, from string) {
	t.Helper()
	src, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.Create(name)
	if err == nil {
		_, err = io.Copy(dst, src)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
}
