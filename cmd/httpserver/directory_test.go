package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// A site is a directory that is replaced while it is served.
type site struct {
	base string
	name string // of the directory
}

// newSite makes a directory site below base, with the file a.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{base: t.TempDir()}
	s.name = filepath.Join(s.base, "site")
	write(t, s.name, "a", []byte("1"))
	return s
}

// do reports an error of one of the steps that replace a directory.
func do(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// Each way puts another directory, in which a is "2", in the place of the first one.
var replacements = []struct {
	name    string
	prepare func(t *testing.T, s *site)
	replace func(t *testing.T, s *site)
}{
	{"removed and made again", func(*testing.T, *site) {}, func(t *testing.T, s *site) {
		do(t, os.RemoveAll(s.name))
		write(t, s.name, "a", []byte("2"))
	}},
	{"renamed", func(*testing.T, *site) {}, func(t *testing.T, s *site) {
		write(t, s.base, "new/a", []byte("2"))
		do(t, os.Rename(s.name, filepath.Join(s.base, "old")), os.Rename(filepath.Join(s.base, "new"), s.name))
	}},
	{"link switched", func(t *testing.T, s *site) {
		do(t, os.Rename(s.name, filepath.Join(s.base, "v1")), os.Symlink("v1", s.name))
	}, func(t *testing.T, s *site) {
		write(t, s.base, "v2/a", []byte("2"))
		next := filepath.Join(s.base, "next")
		do(t, os.Symlink("v2", next), os.Rename(next, s.name))
	}},
}

// A directory that takes the place of the served one is served.
func TestDirectoryReplaced(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows keeps the current directory of a process, and lets only some users make symbolic links")
	}
	t.Parallel()
	for _, tt := range replacements {
		for _, args := range []string{"", "-d site", "-d ./site/.", "-d BASE/site"} {
			for _, confine := range []string{"", " --confine"} {
				t.Run(tt.name+" "+args+confine, func(t *testing.T) {
					t.Parallel()
					s := newSite(t)
					tt.prepare(t, s)
					p := prepare(t, append(strings.Fields(strings.ReplaceAll(args, "BASE", s.base)+confine), "-q", "-b", "127.0.0.1", "0")...)
					if p.Dir = s.base; args == "" {
						p.Dir = s.name
					}
					p.Env = append(p.Env, "PWD="+p.Dir)
					p.begin(t)
					p.readBanner(t)
					p.wantBody(t, "/a", "1")
					tt.replace(t, s)
					p.wantBody(t, "/a", "2")
					if page := p.get(t, "/"); !strings.Contains(page, `<a href="a"`) {
						t.Errorf("the listing is %q", page)
					}
				})
			}
		}
	}
}

// wantBody wants a response of 200 with the body.
func (p *process) wantBody(t *testing.T, target, body string) {
	t.Helper()
	if got := p.get(t, target); !strings.HasPrefix(got, "HTTP/1.0 200 ") || !strings.HasSuffix(got, "\r\n\r\n"+body) {
		t.Errorf("%s: got %q, want %q", target, got, body)
	}
}

// While there is no directory, files are not found.
func TestDirectoryMissing(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows removes no directory that is in use")
	}
	t.Parallel()
	for _, confine := range []string{"--confine", "-q"} {
		s := newSite(t)
		p := startServer(t, "-q", confine, "-d", s.name)
		p.wantBody(t, "/a", "1")
		do(t, os.RemoveAll(s.name))
		if got := p.get(t, "/a"); !strings.HasPrefix(got, "HTTP/1.0 404 ") {
			t.Errorf("%s: got %q", confine, got)
		}
		write(t, s.name, "a", []byte("2"))
		p.wantBody(t, "/a", "2")
	}
}

// A current directory without a name cannot be followed.
func TestDirectoryWithoutName(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows removes no directory that is in use")
	}
	t.Parallel()
	p := prepare(t, "-q", "0")
	p.Args = append([]string{"sh", "-c", `mkdir gone && cd gone && rmdir ../gone && exec "$0" "$@"`}, p.Args...)
	p.Path = "/bin/sh"
	p.begin(t)
	code, stdout, stderr := p.wait(t)
	if code != 1 || stdout != "" || !strings.HasSuffix(stderr, "; -d takes the absolute name of the directory to serve\n") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// A name with link/.. means what it means to the system: beside what the link leads
// to, and not beside the link.
func TestDirectoryBesideLink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows lets only some users make symbolic links")
	}
	t.Parallel()
	s := newSite(t)
	write(t, s.base, "deep/beside/a", []byte("right"))
	write(t, s.base, "beside/a", []byte("wrong"))
	do(t, os.Mkdir(filepath.Join(s.base, "deep", "target"), 0o755), os.Symlink("deep/target", filepath.Join(s.base, "link")))
	for _, tt := range []struct{ current, directory string }{{"", "link/../beside"}, {"link", "../beside"}} {
		p := prepare(t, "-q", "-b", "127.0.0.1", "-d", tt.directory, "0")
		p.Dir = filepath.Join(s.base, tt.current)
		p.Env = append(p.Env, "PWD="+p.Dir)
		p.begin(t)
		p.readBanner(t)
		p.wantBody(t, "/a", "right")
	}
}

// Requests that run while a directory is replaced find the old one or the new one,
// and old roots are closed.
func TestConfinedDirectoryReplaced(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows lets only some users make symbolic links")
	}
	t.Parallel()
	s := newSite(t)
	write(t, s.base, "v2/a", []byte("2"))
	do(t, os.Rename(s.name, filepath.Join(s.base, "v1")), os.Symlink("v1", s.name))
	d := &confinedDirectory{name: s.name}
	first, err := d.current()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { d.root.Close() }()

	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 500 {
				if text, err := fs.ReadFile(d, "a"); string(text) != "1" && string(text) != "2" {
					t.Errorf("got %q, %v", text, err)
				}
				if info, err := d.Stat("a"); err != nil || info.Size() != 1 {
					t.Errorf("got %v, %v", info, err)
				}
				if entries, err := fs.ReadDir(d, "."); err != nil || len(entries) != 1 {
					t.Errorf("got %v, %v", entries, err)
				}
			}
		})
	}
	for i := range 200 {
		next := filepath.Join(s.base, "next")
		do(t, os.Symlink([]string{"v2", "v1"}[i%2], next), os.Rename(next, s.name))
		if _, err := d.current(); err != nil {
			t.Error(err)
		}
	}
	readers.Wait()
	if _, err := first.Stat("."); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("the first root is still open: %v", err)
	}
}

// A file that is being read stays open when its directory is replaced.
func TestConfinedDirectoryOpenFile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := &confinedDirectory{name: s.name}
	f, err := d.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write(t, s.base, "new/a", []byte("2"))
	if err := os.Rename(s.name, filepath.Join(s.base, "old")); err != nil {
		t.Skip("the system does not rename a directory in use: ", err)
	}
	do(t, os.Rename(filepath.Join(s.base, "new"), s.name))
	if text, err := fs.ReadFile(d, "a"); string(text) != "2" {
		t.Errorf("got %q, %v", text, err)
	}
	defer d.root.Close()
	if text, err := io.ReadAll(f); string(text) != "1" {
		t.Errorf("got %q, %v", text, err)
	}
}
