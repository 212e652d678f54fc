package httpserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

var storedBodyTests = []struct {
	size, memory, limit, maxSize int64
	inFile                       bool
	err                          error
}{
	{size: 0, memory: 0, limit: 9, maxSize: 9},
	{size: 5, memory: 5, limit: 9, maxSize: 0},
	{size: 5, memory: 4, limit: 9, maxSize: 5, inFile: true},
	{size: 5, memory: 0, limit: 5, maxSize: 5, inFile: true},
	{size: 5, memory: 4, limit: 9, maxSize: 4, err: errStoreFull},
	{size: 6, memory: 9, limit: 5, maxSize: 9, err: errBodyTooLarge},
	{size: 6, memory: 0, limit: 5, maxSize: 9, err: errBodyTooLarge},
	{size: 1 << 20, memory: 1 << 16, limit: 1 << 20, maxSize: 1 << 20, inFile: true},
}

// A body is where it should be, the same as it was, and counted as long as it is in a
// file.
func TestStoredBody(t *testing.T) {
	for _, c := range storedBodyTests {
		store := new(bodyStore)
		b := &storedBody{store: store, maxSize: c.maxSize}
		want := bytes.Repeat([]byte{'x'}, int(c.size))
		err := b.readFrom(iotest.HalfReader(bytes.NewReader(want)), c.memory, c.limit)
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
		if r := b.input; r != nil {
			got, err = io.ReadAll(r)
		}
		if err != nil || !bytes.Equal(got, want) || b.size != c.size || (b.file != nil) != c.inFile {
			t.Errorf("%+v: %d bytes, size %d, file %v, %v", c, len(got), b.size, b.file, err)
		}
		counted := store.size.Load()
		b.close()
		if c.inFile && counted != c.size || !c.inFile && counted != 0 || store.size.Load() != 0 {
			t.Errorf("%+v: %d bytes are counted, then %d", c, counted, store.size.Load())
		}
	}
}

// An error of the reader is returned as it is.
func TestStoredBodyError(t *testing.T) {
	lost := errors.New("lost")
	for _, memory := range []int64{0, 4, 100} {
		b := &storedBody{store: new(bodyStore), maxSize: 100}
		r := io.MultiReader(strings.NewReader("hello"), iotest.ErrReader(lost))
		if err := b.readFrom(r, memory, 100); err != lost || b.store.size.Load() != 0 {
			t.Errorf("%d bytes in memory: %v, %d bytes are counted", memory, err, b.store.size.Load())
		}
	}
}

// A body that comes byte by byte is not written byte by byte.
func TestStoredBodyWrites(t *testing.T) {
	const size = 100_000
	before := systemWrites(t)
	b := &storedBody{store: new(bodyStore), maxSize: size}
	if err := b.readFrom(iotest.OneByteReader(strings.NewReader(strings.Repeat("x", size))), 0, size); err != nil {
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
	if err := b.readFrom(strings.NewReader("hello"), 0, 100); err != nil {
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
