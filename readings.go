package httpserver

import "sync"

// This file holds what lets requests for the listing of one directory share the
// reading of it, which costs a system call for each file.

// A readings is the readings of directories that are under way, by name. A
// request that comes during one cannot use what that finds, as it may be older
// than the request. So all that come then wait for it to end, and share the next.
// The zero value is ready.
type readings struct {
	mu    sync.Mutex
	names map[string]*reading
}

// A reading is one of a directory. What it found is read only.
type reading struct {
	done    chan struct{} // closed when it has ended
	entries []listingEntry
	err     error
	next    *reading // what waits for it to end; nil if nothing does
}

// share gives what read finds, called here or for another request that came
// before read began.
func (r *readings) share(name string, read func() ([]listingEntry, error)) ([]listingEntry, error) {
	r.mu.Lock()
	current := r.names[name]
	if current != nil && current.next != nil {
		mine := current.next
		r.mu.Unlock()
		<-mine.done
		return mine.entries, mine.err
	}
	mine := &reading{done: make(chan struct{})}
	if current != nil {
		current.next = mine
		r.mu.Unlock()
		<-current.done
	} else {
		r.begin(name, mine)
		r.mu.Unlock()
	}
	defer r.end(name, mine)
	mine.err = errUnlisted // what others get if read panics
	mine.entries, mine.err = read()
	return mine.entries, mine.err
}

// begin makes m the reading under way. It is called with r locked.
func (r *readings) begin(name string, m *reading) {
	if r.names == nil {
		r.names = make(map[string]*reading)
	}
	r.names[name] = m
}

// end lets the next reading begin, if there is one. From then on no request
// joins that.
func (r *readings) end(name string, m *reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.next != nil {
		r.begin(name, m.next)
	} else {
		delete(r.names, name)
	}
	close(m.done)
}
