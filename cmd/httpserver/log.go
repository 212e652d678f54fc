package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// This file contains the coloring of the log, which is that of Python 3.15.

// Escape sequences that select a color.
const (
	red        = "\x1b[31m"
	green      = "\x1b[32m"
	yellow     = "\x1b[33m"
	cyan       = "\x1b[36m"
	gray       = "\x1b[90m"
	brightCyan = "\x1b[96m"
	reset      = "\x1b[0m"
)

// statusColors are the colors of status codes by their first digit.
var statusColors = map[string]string{"2": green, "3": brightCyan, "4": yellow, "5": red}

// logWriter returns the writer for log lines: w itself, or a writer that colors them
// if w is a terminal. As in Python, the environment can ask for the one or the other.
func logWriter(w io.Writer) io.Writer {
	if wantsColor(w, os.Getenv) {
		return colorWriter{w}
	}
	return w
}

// wantsColor reports whether lines for w are to be colored. See https://no-color.org
// and https://force-color.org.
func wantsColor(w io.Writer, getenv func(string) string) bool {
	switch {
	case getenv("NO_COLOR") != "":
		return false
	case getenv("FORCE_COLOR") != "":
		return true
	case getenv("TERM") == "dumb":
		return false
	case runtime.GOOS == "windows" && getenv("WT_SESSION") == "":
		return false // consoles older than Windows Terminal print the sequences
	}
	return isTerminal(w)
}

// isTerminal reports whether w is a terminal or another character device.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// A colorWriter colors log lines and writes them to another writer.
type colorWriter struct{ io.Writer }

// Stat describes the file that is written to. If that is a terminal or a pipe, the server
// does not wait for it for long.
func (c colorWriter) Stat() (fs.FileInfo, error) {
	if f, ok := c.Writer.(*os.File); ok {
		return f.Stat()
	}
	return nil, errors.ErrUnsupported
}

// Write implements [io.Writer]. The text consists of whole lines.
func (c colorWriter) Write(text []byte) (int, error) {
	colored := ""
	for line := range strings.Lines(string(text)) {
		colored += colorLine(line)
	}
	if _, err := io.WriteString(c.Writer, colored); err != nil {
		return 0, err
	}
	return len(text), nil
}

// colorLine returns a log line with colors. Lines of a stack have none.
func colorLine(line string) string {
	text := strings.TrimSuffix(line, "\n")
	host, rest, _ := strings.Cut(text, " - - [")
	date, message, ok := strings.Cut(rest, "] ")
	switch end := strings.LastIndex(message, `" `); {
	case !ok && strings.HasPrefix(text, "httpserver: "):
		return yellow + text + reset + "\n"
	case !ok:
		return line
	case end > 0 && message[0] == '"':
		message = colorRequest(message[:end+1], message[end+2:])
	default:
		message = yellow + message + reset
	}
	return host + " - - " + gray + "[" + date + "]" + reset + " " + message + "\n"
}

// colorRequest returns a quoted request line and the result of the request, which is
// a status code and a size, with colors.
func colorRequest(request, result string) string {
	if words := strings.Split(request, " "); len(words) == 3 {
		request = words[0] + " " + cyan + words[1] + reset + " " + words[2]
	}
	code, size, _ := strings.Cut(result, " ")
	if color := statusColors[code[:min(len(code), 1)]]; color != "" {
		code = color + code + reset
	}
	return request + " " + code + " " + gray + size + reset
}
