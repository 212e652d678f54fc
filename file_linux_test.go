//go:build !portable

package httpserver

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A file that is kept is given as long as it is the same in every respect.
func TestFileCache(t *testing.T) {
	t.Parallel()
	// write writes until that can be seen, as clocks of file systems tick.
	write := func(t *testing.T, name, text string) {
		var before, after syscall.Stat_t
		syscall.Stat(name, &before)
		for after = before; after.Ctim == before.Ctim; syscall.Stat(name, &after) {
			if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	old := time.Date(2020, 2, 29, 12, 34, 56, 0, time.UTC)
	for change, c := range map[string]struct {
		change func(t *testing.T, name string)
		same   bool
	}{
		"none":        {func(t *testing.T, name string) {}, true},
		"overwritten": {func(t *testing.T, name string) { write(t, name, "12345") }, false},
		"overwritten, its time set back": {func(t *testing.T, name string) {
			write(t, name, "12345")
			os.Chtimes(name, old, old)
		}, false},
		"cut":     {func(t *testing.T, name string) { os.Truncate(name, 4) }, false},
		"removed": {func(t *testing.T, name string) { os.Remove(name) }, false},
		"replaced": {func(t *testing.T, name string) {
			write(t, name+"2", "12345")
			os.Chtimes(name+"2", old, old)
			os.Rename(name+"2", name)
		}, false},
		"another in its place": {func(t *testing.T, name string) {
			os.Rename(filepath.Dir(name), filepath.Dir(name)+"2")
			os.Mkdir(filepath.Dir(name), 0o777)
			os.WriteFile(name, []byte("12345"), 0o666)
		}, false},
		"hidden": {func(t *testing.T, name string) { os.Rename(filepath.Dir(name), filepath.Dir(name)+"2") }, false},
	} {
		t.Run(change, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "dir", "f")
			os.Mkdir(filepath.Dir(name), 0o777)
			write(t, name, "abcde")
			os.Chtimes(name, old, old)
			var cache fileCache
			var opened systemFile
			f, err := opened.open(name, &cache)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			f.Stat()
			cache.add(&cachedFile{opened.systemInfo, []byte("abcde")})
			c.change(t, name)
			kept := cache.open(name)
			if (kept != nil) != c.same {
				t.Errorf("kept: %v", kept != nil)
			}
			if !c.same && (len(cache.files) > 0 || cache.size != 0) {
				t.Error("it is still kept")
			}
		})
	}
}

// No more is kept than is allowed.
func TestFileCacheBound(t *testing.T) {
	t.Parallel()
	var cache fileCache
	for i := range 3 * maxCache / smallBody {
		cache.add(&cachedFile{systemInfo{name: string(rune(i))}, make([]byte, smallBody)})
	}
	sum := 0
	for _, f := range cache.files {
		sum += len(f.content)
	}
	if sum != cache.size || sum > maxCache || sum < maxCache/2 {
		t.Errorf("%d bytes are kept, %d counted", sum, cache.size)
	}
}

// A file that changes again and again, or has just changed, is not kept; one
// that has been the same for long is, if its file system tells of changes.
func TestFileCacheKeeps(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable() // just built
	if err != nil {
		t.Fatal(err)
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("no go command here: ", err)
	}
	for name, settledFile := range map[string]bool{exe: false, filepath.Join(strings.TrimSpace(string(root)), "VERSION"): true} {
		var cache fileCache
		var opened systemFile
		f, err := opened.open(name, &cache)
		if err != nil {
			t.Skip("no file to try it with: ", err)
		}
		defer f.Close()
		f.Stat()
		changed := time.Unix(int64(max(opened.stat.Mtim.Sec, opened.stat.Ctim.Sec)), 0)
		if settledFile != (time.Since(changed) > stableFor) || settledFile && !opened.tellsChanges() {
			t.Logf("%s is of no use for this test", name)
			continue
		}
		opened.keep([]byte("content"))
		kept := cache.open(name)
		if (kept != nil) != settledFile {
			t.Errorf("%s is kept: %v", name, kept != nil)
		}
		if kept != nil && !bytes.Equal(kept.content, []byte("content")) {
			t.Errorf("%q is kept", kept.content)
		}
	}
}
