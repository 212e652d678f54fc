package httpserver_test

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"httpserver"
)

// The policy names the style that the page has, byte for byte.
func TestListingPolicy(t *testing.T) {
	t.Parallel()
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.Directory = t.TempDir() })
	head, page := get(t, s, "/")
	_, style, _ := strings.Cut(page, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	hash := sha256.Sum256([]byte(style))
	if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "';"; !strings.Contains(head, want) || style == "" {
		t.Errorf("no %s in %s", want, head)
	}
	if strings.Contains(httpserver.BaseStyle, "%") {
		t.Error("a percent sign in the style of the error page")
	}
}
