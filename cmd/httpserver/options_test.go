package main

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// The table of options in the README says what the help says.
func TestReadmeOptions(t *testing.T) {
	t.Parallel()
	table := "| option | |\n|---|---|\n"
	for _, line := range slices.Concat(pythonHelp, otherHelp) {
		table += "| `" + line.arguments + "` | " + line.text + " |\n"
	}
	if !strings.Contains(string(readFile(t, "../../README.md")), "\n\n"+table+"\n") {
		t.Errorf("the README has another table than this:\n%s", table)
	}
}

// Each option has the function for as many values as the help names.
func TestOptionValues(t *testing.T) {
	t.Parallel()
	for _, opt := range known {
		var got []int
		if opt.setFlag != nil {
			got = append(got, 0)
		}
		if opt.set != nil {
			got = append(got, 1)
		}
		if opt.setPair != nil {
			got = append(got, 2)
		}
		if want := len(strings.Fields(opt.argument)); !slices.Equal(got, []int{want}) {
			t.Errorf("%v: functions for %d values, want one for %d", opt, got, want)
		}
	}
}

func TestMaxConnectionsOption(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		want int
		err  string
	}{
		{"", 1000, ""},
		{"--max-connections 5", 5, ""},
		{"--max=0", 0, ""},
		{"--max-connections -1", 0, "argument --max-connections: invalid number: '-1'"},
		{"--max-connections 1e3", 0, "argument --max-connections: invalid number: '1e3'"},
	} {
		opts, err := parseArgs(strings.Fields(tt.args))
		switch {
		case tt.err != "":
			if err == nil || err.Error() != tt.err {
				t.Errorf("%s: %v, want %s", tt.args, err, tt.err)
			}
		case err != nil:
			t.Errorf("%s: %v", tt.args, err)
		case opts.maxConnections != tt.want:
			t.Errorf("%s: %d, want %d", tt.args, opts.maxConnections, tt.want)
		}
	}
}

// A client that comes when all places are taken is served when one is free.
func TestMaxConnections(t *testing.T) {
	t.Parallel()
	p := startServer(t, "-q", "-p", "HTTP/1.1", "--max-connections", "2")
	first := p.idle(t)
	p.idle(t)
	third := p.dial(t, getHello)
	third.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := third.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes, %v before a place was free", n, err)
	}
	first.Close()
	third.SetReadDeadline(time.Now().Add(testLimit))
	if body, err := io.ReadAll(readHead(t, third).Body); string(body) != hello {
		t.Errorf("got %q, %v", body, err)
	}
}

// A variable without a value is passed on to scripts, one with a value is set.
func TestCGIEnvOption(t *testing.T) {
	needSignals(t)
	t.Parallel()
	args := []string{"-q", "-b", "127.0.0.1", "--cgi"}
	for _, variable := range []string{"INHERITED", "MISSING", "SET=a b=c", "EMPTY=", "OVER=1", "OVER=2", "HIDDEN=seen", "PATH=/bin:/usr/bin:/set"} {
		args = append(args, "--cgi-env", variable)
	}
	p := prepare(t, append(args, "0")...)
	p.Env = append(p.Env, "INHERITED=1", "HIDDEN=no", "SET=no", "OTHER=no")
	p.addScript(t, "env", `echo "[$INHERITED][${MISSING-none}][$SET][${EMPTY-none}][$OVER][$HIDDEN][$OTHER][$PATH]"`)
	p.begin(t)
	p.readBanner(t)
	p.wantBody(t, "/cgi-bin/env", "[1][none][a b=c][][2][seen][][/bin:/usr/bin:/set]\n")
}
