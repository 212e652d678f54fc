package httpserver

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// shareReadings returns a function that shares readings of directories, each of which
// finds one name, and one that counts the readings that have not ended.
func shareReadings() (share func(name string, read func() (string, error)) (string, error), left func() int) {
	r := new(sharedReader)
	share = func(name string, read func() (string, error)) (string, error) {
		entries, err := r.share(name, func() ([]listingEntry, error) {
			found, err := read()
			return []listingEntry{{name: found}}, err
		})
		if err != nil {
			return "", err
		}
		return entries[0].name, nil
	}
	return share, func() int { return len(r.readings) }
}

// Requests arrive before a reading, during it, and during the next one. None gets the
// result of a reading that had begun before it arrived.
func TestReadings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		read, left := shareReadings()
		begun := 0 // readings so far
		ended := make(chan error)
		got := make(chan string, 10)
		bug := errors.New("bug")
		request := func(who, name string) {
			go func() {
				defer func() {
					if v := recover(); v != nil {
						got <- fmt.Sprint(who, "=panic ", v)
					}
				}()
				found, err := read(name, func() (string, error) {
					begun++
					found := fmt.Sprint(name, begun)
					err := <-ended
					if err == bug {
						panic(err)
					}
					return found, err
				})
				if err != nil {
					found = err.Error()
				}
				got <- who + "=" + found
			}()
			synctest.Wait()
		}
		end := func(err error, want ...string) {
			t.Helper()
			ended <- err
			synctest.Wait()
			var all []string
			for len(got) > 0 {
				all = append(all, <-got)
			}
			slices.Sort(all)
			if !slices.Equal(all, want) {
				t.Errorf("%q, want %q", all, want)
			}
		}
		request("a", "x")
		request("b", "x") // waits for the second reading
		request("c", "x")
		end(nil, "a=x1")
		request("d", "x") // the second has begun, so this waits for the third
		end(nil, "b=x2", "c=x2")
		end(errors.New("gone"), "d=gone")
		request("e", "x")
		request("f", "x") // waits for a reading that panics
		request("g", "x")
		end(bug, "e=panic bug")
		request("h", "x")
		end(bug, "f=panic bug", "g=httpserver: the directory was not read")
		end(nil, "h=x6")
		request("i", "x")
		request("j", "y") // does not wait for x
		end(nil, "i=x7")
		end(nil, "j=y8")
		if n := left(); n != 0 {
			t.Errorf("%d readings are left", n)
		}
	})
}

// No request gets what was read before it came, however many there are.
func TestReadingsAge(t *testing.T) {
	t.Parallel()
	read, _ := shareReadings()
	var now atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				came := now.Add(1)
				found, err := read("x", func() (string, error) { return strconv.FormatInt(now.Load(), 10), nil })
				if at, _ := strconv.ParseInt(found, 10, 64); at < came || err != nil {
					t.Errorf("a request that came at %d got what was read at %s, %v", came, found, err)
				}
			}
		})
	}
	wg.Wait()
}

// At most maxReadings directories are read at once.
func TestReadingsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := new(sharedReader)
		var now, most int // readings
		ended := make(chan struct{})
		read := func() {
			now++
			most = max(most, now)
			<-ended
			now--
		}
		for i := range 2 * maxReadings {
			go r.share(strconv.Itoa(i), func() ([]listingEntry, error) { read(); return nil, nil })
			synctest.Wait()
		}
		go r.share(r, func() ([]listingEntry, error) { read(); return nil, nil }) // of an FS
		synctest.Wait()
		for range 2*maxReadings + 1 {
			ended <- struct{}{}
			synctest.Wait()
		}
		if now != 0 || most != maxReadings {
			t.Errorf("%d at once, then %d", most, now)
		}
	})
}

// A FIFO that has replaced a directory is not waited for.
func TestReadFIFO(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "fifo")
	if err := exec.Command("mkfifo", name).Run(); err != nil {
		t.Skip("no FIFO here: ", err)
	}
	if entries, err := new(SimpleHandler).readDirectory(name); err == nil {
		t.Errorf("a FIFO has the entries %v", entries)
	}
}
