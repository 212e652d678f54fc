package httpserver

import "syscall"

// look finds size and time of the file called name, which e is the entry of.
// Without an fs.FileInfo that takes half the memory.
func (e *listingEntry) look(name string) {
	var st syscall.Stat_t
	var err error
	if e.link {
		err = ignoreEINTR(func() error { return syscall.Stat(name, &st) })
	} else {
		err = ignoreEINTR(func() error { return syscall.Lstat(name, &st) })
	}
	if err != nil {
		return
	}
	e.dir = st.Mode&syscall.S_IFMT == syscall.S_IFDIR
	if st.Mode&syscall.S_IFMT == syscall.S_IFREG {
		e.size = st.Size
	}
	e.setTime(int64(st.Mtim.Sec))
}

// ignoreEINTR calls again what a signal has interrupted, as some file systems
// let it.
func ignoreEINTR(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR {
			return err
		}
	}
}
