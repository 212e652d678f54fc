package httpserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"
)

var storedBodyTests = []struct {
	size, limit, maxSize int64
	err                  error
}{
	{size: 0, limit: 9, maxSize: 9},
	{size: 5, limit: 9, maxSize: 5},
	{size: 5, limit: 5, maxSize: 5},
	{size: 5, limit: 9, maxSize: 4, err: errStoreFull},
	{size: 6, limit: 5, maxSize: 9, err: errBodyTooLarge},
	{size: 1 << 20, limit: 1 << 20, maxSize: 1 << 20},
}

// A body in a file is the same as it was, and is counted until it is closed.
func TestStoredBody(t *testing.T) {
	for _, c := range storedBodyTests {
		store := new(bodyStore)
		b := &storedBody{store: store, maxSize: c.maxSize}
		want := bytes.Repeat([]byte{'x'}, int(c.size))
		err := b.readFrom(iotest.HalfReader(bytes.NewReader(want)), c.limit)
		if err != c.err {
			t.Errorf("%+v: %v", c, err)
		}
		if err != nil {
			if n := store.size.Load(); n != 0 {
				t.Errorf("%+v: %d bytes are counted after an error", c, n)
			}
			continue
		}
		var got []byte
		if b.file != nil {
			got, err = io.ReadAll(b.file)
		}
		if err != nil || !bytes.Equal(got, want) || b.size != c.size || (b.file == nil) != (c.size == 0) {
			t.Errorf("%+v: %d bytes, size %d, file %v, %v", c, len(got), b.size, b.file, err)
		}
		counted := store.size.Load()
		b.close()
		if counted != c.size || store.size.Load() != 0 {
			t.Errorf("%+v: %d bytes are counted, then %d", c, counted, store.size.Load())
		}
	}
}

// An error of the reader is returned as it is.
func TestStoredBodyError(t *testing.T) {
	lost := errors.New("lost")
	for _, sent := range []string{"", "hello"} {
		b := &storedBody{store: new(bodyStore), maxSize: 100}
		r := io.MultiReader(strings.NewReader(sent), iotest.ErrReader(lost))
		if err := b.readFrom(r, 100); err != lost || b.store.size.Load() != 0 {
			t.Errorf("after %q: %v, %d bytes are counted", sent, err, b.store.size.Load())
		}
	}
}

// A body that comes byte by byte is not written byte by byte.
func TestStoredBodyWrites(t *testing.T) {
	const size = 100_000
	before := systemWrites(t)
	b := &storedBody{store: new(bodyStore), maxSize: size}
	if err := b.readFrom(iotest.OneByteReader(strings.NewReader(strings.Repeat("x", size))), size); err != nil {
		t.Fatal(err)
	}
	b.close()
	if n := systemWrites(t) - before; n > size/2 { // those of other tests among them
		t.Errorf("%d bytes take %d writes", size, n)
	}
}

// A child of the script that still has the file does not keep what is no longer counted.
func TestStoredBodyLeftOpen(t *testing.T) {
	b := &storedBody{store: new(bodyStore), maxSize: 100}
	if err := b.readFrom(strings.NewReader("hello"), 100); err != nil {
		t.Fatal(err)
	}
	child, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", b.file.Fd()))
	if err != nil {
		b.close()
		t.Skip("this system does not open files of processes: ", err)
	}
	defer child.Close()
	b.close()
	if left, err := io.ReadAll(child); len(left) > 0 || err != nil {
		t.Errorf("%q is left, %v", left, err)
	}
}

// systemWrites returns how many times this process has asked the system to write.
func systemWrites(t *testing.T) (n int) {
	t.Helper()
	counts, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip("this system does not count its calls: ", err)
	}
	_, after, _ := strings.Cut(string(counts), "syscw: ")
	if _, err := fmt.Sscan(after, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A process group that has ended is not looked at again, as its number may belong to another
// one by then.
func TestGroupLeft(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	s := &script{cmd: cmd, exited: make(chan struct{}), childrenLeft: true}
	if !s.groupLeft() {
		t.Error("there is no group while the script runs")
	}
	close(s.exited)
	if s.groupLeft() || s.childrenLeft {
		t.Error("a group is left that has ended")
	}
}
