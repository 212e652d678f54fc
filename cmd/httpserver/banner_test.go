package main

import (
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
)

// The banner has a URL that curl opens and, on a terminal, one that a browser opens.
func TestBannerURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, addr, first, last string }{
		{"-b 127.0.0.1", "127.0.0.1:80", "Serving HTTP on 127.0.0.1 port 80 (http://127.0.0.1:80/) ...", ""},
		{"-b ::1", "[::1]:80", "Serving HTTP on ::1 port 80 (http://[::1]:80/) ...", ""},
		{"-b localhost", "127.0.0.1:80", "Serving HTTP on 127.0.0.1 port 80 (http://127.0.0.1:80/) ...", "Open http://localhost:80/"},
		{"-b files.test --tls-cert c", "192.0.2.1:80", "Serving HTTPS on 192.0.2.1 port 80 (https://192.0.2.1:80/) ...", "Open https://files.test:80/"},
		{"-b fe80::1%eth0", "[fe80::1%eth0]:80", "Serving HTTP on fe80::1 port 80 (http://[fe80::1%25eth0]:80/) ...", "Browsers cannot open an address with a zone; curl can."},
		{"-b [FE80::1%eth0]", "[fe80::1]:80", "Serving HTTP on fe80::1 port 80 (http://[fe80::1%25eth0]:80/) ...", "Browsers cannot open an address with a zone; curl can."},
		{"-b fe80::1%Ethernet_2/x", "[fe80::1]:80", "Serving HTTP on fe80::1 port 80 (http://[fe80::1%25Ethernet_2%2Fx]:80/) ...", "Browsers cannot open an address with a zone; curl can."},
	} {
		opts, err := parseArgs(strings.Fields(tt.args))
		if err != nil {
			t.Fatal(err)
		}
		addr := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(tt.addr))
		want := tt.first + "\n" + linksLine
		if got := opts.banner(addr, false); got != want {
			t.Errorf("%s\ngot  %swant %s", tt.args, got, want)
		}
		if tt.last != "" {
			want += tt.last + "\n"
		}
		if got := opts.banner(addr, true); got != want {
			t.Errorf("%s, on a terminal\ngot  %swant %s", tt.args, got, want)
		}
	}
}

// curl takes the URL of a server on a host name from its banner.
func TestBannerCurl(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl here: ", err)
	}
	p := start(t, "-b", "localhost", "-q", "0")
	p.readBanner(t)
	u := bannerLine.FindStringSubmatch(p.banner)[3]
	if got := sh(t, "curl", "-sS", "--noproxy", "*", u+"hello.txt"); got != hello {
		t.Errorf("%s: got %q", u, got)
	}
}
