//go:build !portable

package httpserver_test

import (
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"httpserver"
)

// changedAt returns what the Sys of a file has that changed at a time.
func changedAt(t time.Time) *syscall.Stat_t {
	return &syscall.Stat_t{Ctim: syscall.NsecToTimespec(t.UnixNano())}
}

// The download of a file whose time is yet to come resumes, unless the file has just
// changed.
func TestResumeFutureFile(t *testing.T) {
	t.Parallel()
	future := time.Now().Add(24 * time.Hour)
	s := serveFiles(t, func(h *httpserver.SimpleHandler) {
		h.FS = fstest.MapFS{
			"old": {Data: []byte("0123456789"), ModTime: future, Sys: changedAt(time.Now().Add(-time.Hour))},
			"new": {Data: []byte("0123456789"), ModTime: future, Sys: changedAt(time.Now())},
		}
	})
	for target, want := range map[string]string{"/old": "206 Partial Content", "/new": "200 OK"} {
		head, _ := get(t, s, target)
		_, tag, _ := strings.Cut(head, "\r\nETag: ")
		tag, _, _ = strings.Cut(tag, "\r\n")
		got := exchange(t, s.Addr(), "GET "+target+" HTTP/1.0\r\nRange: bytes=5-\r\nIf-Range: "+tag+"\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.0 "+want) {
			t.Errorf("%s with the tag %s: %s", target, tag, got)
		}
	}
}
