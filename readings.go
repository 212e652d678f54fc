package httpserver

import (
	"runtime"
	"sync"
)

// This file holds what lets requests for the listing of one directory share the
// reading of it, which costs a system call for each file.

// A readings is the readings of directories, by name, that are about to begin or
// under way. A request that comes during one cannot use what that finds, as it
// may be older than the request. So all that come then wait for it to end, and
// share the next. The zero value is ready.
type readings struct {
	mu    sync.Mutex
	names map[string]*reading
}

// A reading is one of a directory. What it found is read only.
type reading struct {
	begun   bool          // no request may join it any more
	done    chan struct{} // closed when it has ended
	entries []listingEntry
	err     error
	next    *reading // what waits for it to end; nil if nothing does
}

// share gives what read finds, called here or for another request that came
// before read began.
func (r *readings) share(name string, read func() ([]listingEntry, error)) ([]listingEntry, error) {
	mine, first := r.join(name)
	if !first {
		<-mine.done
		return mine.entries, mine.err
	}
	runtime.Gosched() // requests that have arrived can join
	r.begin(mine)
	defer r.end(name, mine)
	mine.err = errUnlisted // what others get if read panics
	mine.entries, mine.err = read()
	return mine.entries, mine.err
}

// join gives a reading that has not begun. Who is first is to begin it, as it can
// when join returns.
func (r *readings) join(name string) (mine *reading, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	current := r.names[name]
	switch {
	case current == nil:
		if r.names == nil {
			r.names = make(map[string]*reading)
		}
		mine = &reading{done: make(chan struct{})}
		r.names[name] = mine
		return mine, true
	case !current.begun:
		return current, false
	case current.next != nil:
		return current.next, false
	}
	mine = &reading{done: make(chan struct{})}
	current.next = mine
	r.mu.Unlock()
	<-current.done
	r.mu.Lock()
	return mine, true
}

func (r *readings) begin(m *reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.begun = true
}

// end puts the next reading, if there is one, in the place of m.
func (r *readings) end(name string, m *reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.next != nil {
		r.names[name] = m.next
	} else {
		delete(r.names, name)
	}
	close(m.done)
}
