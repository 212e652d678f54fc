package httpserver

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
)

// shareReadings returns a function that shares readings of directories, each of which
// finds one name, and one that counts the readings that have not ended.
func shareReadings() (share func(name string, read func() (string, error)) (string, error), left func() int) {
	r := new(readings)
	share = func(name string, read func() (string, error)) (string, error) {
		entries, err := r.share(name, func() ([]listingEntry, error) {
			found, err := read()
			return []listingEntry{{name: found}}, err
		})
		return entries[0].name, err
	}
	return share, func() int { return len(r.names) }
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
		request := func(who, name string) {
			go func() {
				found, err := read(name, func() (string, error) {
					begun++
					found := fmt.Sprint(name, begun)
					return found, <-ended
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
		end(nil, "e=x4")
		if n := left(); n != 0 {
			t.Errorf("%d readings are left", n)
		}
	})
}
