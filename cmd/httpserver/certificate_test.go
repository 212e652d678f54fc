package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A certificate that Go cannot use is said to be the cause, and the command that the
// message contains makes one that it can use.
func TestTLSUnsupportedCertificate(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the command is for a shell")
	}
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("no openssl here: ", err)
	}
	for _, tt := range []struct{ name, key, extra, want string }{
		{"negative serial number", "-algorithm RSA", "-set_serial -5", "x509: negative serial number"},
		{"secp256k1", "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -pkeyopt ec_param_enc:named_curve", "", "x509: unsupported elliptic curve"},
		{"P-256 spelled out", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit", "", "x509: invalid ECDSA parameters"},
		{"P-224", "-algorithm EC -pkeyopt ec_paramgen_curve:P-224", "", "tls: unsupported certificate curve (P-224)"},
		{"Ed448", "-algorithm ED448", "", "its kind of key is none of RSA, ECDSA and Ed25519"},
		{"RSA-PSS", "-algorithm RSA-PSS", "", "its kind of key is none of RSA, ECDSA and Ed25519"},
		{"short RSA", "-algorithm RSA -pkeyopt rsa_keygen_bits:512", "", "tls: certificate RSA key size too small for supported signature algorithms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := prepare(t, "--tls-cert", "it's.crt", "--tls-key", "k.pem", "-b", "127.0.0.1", "0")
			run := func(name string, args ...string) {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), name, args...)
				cmd.Dir = p.Dir
				if output, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s %q: %v\n%s", name, args, err, output)
				}
			}
			run("openssl", append(strings.Fields("genpkey -out k.pem"), strings.Fields(tt.key)...)...)
			run("openssl", append(strings.Fields("req -x509 -new -key k.pem -days 30 -out it's.crt -subj /CN=localhost"), strings.Fields(tt.extra)...)...)
			p.begin(t)
			code, stdout, stderr := p.wait(t)
			what, command, _ := strings.Cut(stderr, "; pass a new one and its key to --tls-cert and --tls-key, such as those made by: ")
			if want := "httpserver: it's.crt holds a certificate that Go cannot use: " + tt.want; code != 1 || stdout != "" || what != want {
				t.Fatalf("exit code %d, stdout %q, stderr\n%s\nwant 1 and\n%s", code, stdout, stderr, want)
			}
			run("sh", "-c", command)
			p.wantUsable(t)
		})
	}
}

// wantUsable starts the command with the new certificate and connects to it.
func (p *process) wantUsable(t *testing.T) {
	t.Helper()
	certificate, key := p.Dir+"/it's.crt.crt", p.Dir+"/it's.crt.key"
	if info, err := os.Stat(key); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v, %v: others can read the key", info, err)
	}
	text, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	keys := &pki{p.Dir, newPool(t, text)}
	served := startServer(t, "-q", "--tls-cert", certificate, "--tls-key", key)
	for _, host := range []string{"127.0.0.1", "localhost"} {
		client := keys.client(t)
		client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: keys.pool, ServerName: host}
		res, err := client.Get("https://" + served.addr + "/hello.txt")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
}

// newPool returns a pool with the certificates in text.
func newPool(t *testing.T, text []byte) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("no certificate")
	}
	return pool
}

// replace puts a file of another pki into the place of the one with that name. The
// time of the file is n seconds after 1970.
func (p *pki) replace(t *testing.T, name string, other *pki, n int64) {
	t.Helper()
	text, err := os.ReadFile(other.path(name))
	if err != nil {
		t.Fatal(err)
	}
	write(t, p.dir, name, text)
	if err := os.Chtimes(p.path(name), time.Time{}, time.Unix(n, 0)); err != nil {
		t.Fatal(err)
	}
}

// A changed pair is used after a second at the latest. One that cannot be used is
// logged in one line, and the pair before it stays in use.
func TestCurrentPair(t *testing.T) {
	t.Parallel()
	files, second, third := makePKI(t), makePKI(t), makePKI(t)
	var log bytes.Buffer
	opts, err := parseArgs(files.args("--tls-cert cert.pem --tls-key key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := opts.tlsConfig(&log)
	if err != nil {
		t.Fatal(err)
	}
	first, err := config.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &currentPair{options: opts, log: &log, state: opts.pairState(), pair: first}
	now := time.Now()
	want := func(after time.Duration, chain []byte, line string) {
		t.Helper()
		now = now.Add(after)
		if got := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.get(now).Certificate[0]}); !bytes.Equal(got, chain) {
			t.Errorf("another certificate is used:\n%s\nwant\n%s", got, chain)
		}
		if got := log.String(); !strings.Contains(got, line) || (line == "") != (got == "") || strings.Count(got, "\n") > 1 {
			t.Errorf("the log is %q, want a line with %q", got, line)
		}
		log.Reset()
	}
	firstChain, secondChain, thirdChain := readFile(t, files.path("cert.pem")), readFile(t, second.path("cert.pem")), readFile(t, third.path("cert.pem"))

	want(0, firstChain, "")
	files.replace(t, "cert.pem", second, 1)
	files.replace(t, "key.pem", second, 2)
	want(time.Second-1, firstChain, "")
	want(1, secondChain, "")
	files.replace(t, "cert.pem", third, 3)
	want(time.Second, secondChain, "httpserver: the certificate was changed, but the old one stays in use: ")
	want(time.Second, secondChain, "")
	files.replace(t, "key.pem", third, 2) // with the size and time of before, as if only its reading failed
	want(time.Second, thirdChain, "")
	do(t, os.WriteFile(files.path("cert.pem"), secondChain[:len(secondChain)/2], 0o600))
	want(time.Second, thirdChain, "holds no certificate in PEM form")
	want(time.Second, thirdChain, "")
	do(t, os.Remove(files.path("cert.pem")))
	if mkfifo, err := exec.LookPath("mkfifo"); err == nil { // there is none on Windows
		do(t, exec.Command(mkfifo, files.path("cert.pem")).Run())
		want(time.Second, thirdChain, "not a regular file")
		do(t, os.Remove(files.path("cert.pem")))
	}
	want(time.Second, thirdChain, "; --tls-cert takes a file with the certificate chain")
	files.replace(t, "cert.pem", second, 5)
	files.replace(t, "key.pem", second, 6)
	want(time.Second, secondChain, "")
}

// A renewed pair is used if its files have the sizes and times of those before, as they
// may have behind a link that is switched.
func TestCurrentPairReplaced(t *testing.T) {
	t.Parallel()
	files, renewed := makePKI(t), makePKI(t)
	for _, p := range []*pki{files, renewed} {
		for _, name := range []string{"cert.pem", "key.pem"} {
			text := readFile(t, p.path(name))
			write(t, p.dir, name, append(text, bytes.Repeat([]byte("\n"), 2000-len(text))...))
			do(t, os.Chtimes(p.path(name), time.Time{}, time.Unix(1, 0)))
		}
	}
	opts, err := parseArgs(files.args("--tls-cert cert.pem --tls-key key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	first, err := opts.loadPair()
	if err != nil {
		t.Fatal(err)
	}
	c := &currentPair{options: opts, log: io.Discard, state: opts.pairState(), pair: &first}
	now := time.Now()
	if c.get(now) != &first {
		t.Error("the pair was read again without a change")
	}
	for _, name := range []string{"cert.pem", "key.pem"} {
		do(t, os.Rename(renewed.path(name), files.path(name)))
	}
	if c.get(now.Add(time.Second)) == &first {
		t.Error("the old pair is still in use")
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A renewed certificate is used for the next connection. The one before goes on.
func TestTLSRenewed(t *testing.T) {
	t.Parallel()
	keys, renewed := makePKI(t), makePKI(t)
	p := keys.startTLS(t, "-q", "-p", "HTTP/1.1")
	keys.replace(t, "cert.pem", renewed, 1)
	keys.replace(t, "key.pem", renewed, 2)
	conn := tls.Client(p.dial(t, ""), renewed.config())
	for i := range 3 {
		io.WriteString(conn, getHello)
		if body, err := io.ReadAll(readHead(t, conn).Body); string(body) != hello {
			t.Fatalf("got %q, %v", body, err)
		}
		if i == 1 {
			do(t, os.Remove(keys.path("cert.pem")), os.Remove(keys.path("key.pem")))
		}
	}
}

// A certificate and a key that come by pipes are read once.
func TestTLSFromPipes(t *testing.T) {
	needSignals(t)
	t.Parallel()
	keys := makePKI(t)
	p := prepare(t, "-q", "-b", "127.0.0.1", "--tls-cert", "/dev/fd/3", "--tls-key", "/dev/fd/4", "0")
	for _, name := range []string{"cert.pem", "key.pem"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		w.Write(readFile(t, keys.path(name)))
		w.Close()
		p.ExtraFiles = append(p.ExtraFiles, r)
	}
	p.begin(t)
	p.readBanner(t)
	res, err := keys.client(t).Get("https://" + p.addr + "/hello.txt")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	p.Process.Kill()
	if _, _, stderr := p.wait(t); stderr != "" {
		t.Errorf("stderr: %s", stderr)
	}
}

// A key is served where its name or the file is in the directory and not hidden.
func TestServesKey(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows lets only some users make symbolic links")
	}
	base := t.TempDir()
	write(t, base, "site/.well/key.pem", nil)
	write(t, base, "site/.keys/key.pem", nil)
	write(t, base, "site/.well-known/key.pem", nil)
	write(t, base, "site/both.pem", nil)
	write(t, base, "keys/key.pem", nil)
	write(t, base, "site2/key.pem", nil)
	for name, target := range map[string]string{
		"site/out.pem": "../keys/key.pem", "site/in.pem": ".well/key.pem", "site/hidden.pem": ".keys/key.pem", "keys/link.pem": "../site/both.pem", "sitelink": "site", "well": "site/.well",
	} {
		do(t, os.Symlink(target, filepath.Join(base, name)))
	}
	for _, tt := range []struct {
		args string // files are below base
		want bool
	}{
		{"--tls-cert both.pem --tls-key site/.well/key.pem -d site", true},
		{"--tls-cert site/both.pem -d site", true},
		{"--tls-cert site/both.pem --tls-key keys/key.pem -d site", false},
		{"--tls-cert site/both.pem --tls-key site2/key.pem -d site", false},
		{"--tls-cert site/both.pem --tls-key keys/missing -d site", false},
		{"--tls-cert c --tls-key site/out.pem -d site", true},
		{"--tls-cert c --tls-key site/out.pem -d site --confine", false},
		{"--tls-cert c --tls-key site/in.pem -d site --confine", true},
		{"--tls-cert c --tls-key keys/link.pem -d site", true},
		{"--tls-cert c --tls-key keys/link.pem -d site --confine", true},
		{"--tls-cert c --tls-key well/key.pem -d site", true},
		{"--tls-cert c --tls-key site/both.pem -d sitelink", true},
		{"--tls-cert c --tls-key site/both.pem -d site/.well/..", true},
		{"--tls-cert c --tls-key site/.keys/key.pem -d site", true},
		{"--tls-cert c --tls-key site/.keys/key.pem -d site --no-hidden", false},
		{"--tls-cert c --tls-key site/.keys/key.pem -d site/.keys --no-hidden", true},
		{"--tls-cert c --tls-key site/.well-known/key.pem -d site --no-hidden", true},
		{"--tls-cert c --tls-key site/both.pem -d site --no-hidden", true},
		{"--tls-cert c --tls-key site/hidden.pem -d site --no-hidden", true},
		{"--tls-cert c --tls-key site/hidden.pem -d site --no-hidden --confine", true},
		{"--tls-cert c --tls-key site/out.pem -d site --no-hidden --confine", false},
		{"-d site", false},
	} {
		args := strings.Fields(tt.args)
		for i, arg := range args {
			if arg[0] != '-' {
				args[i] = filepath.Join(base, arg)
			}
		}
		opts, err := parseArgs(args)
		if err != nil {
			t.Fatal(err)
		}
		if got := opts.servesKey(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.args, got, tt.want)
		}
	}
}

// The command warns in one line of a key that it serves.
func TestServedKeyWarning(t *testing.T) {
	t.Parallel()
	keys := makePKI(t)
	p := prepare(t, "-q", "-b", "127.0.0.1", "--tls-cert", "both.pem", "0")
	p.addFile(t, "both.pem", readFile(t, keys.path("both.pem")))
	p.begin(t)
	p.readBanner(t)
	p.Process.Kill()
	_, _, stderr := p.wait(t)
	if want := "httpserver: the private key in \"both.pem\" is served to everybody who can connect; move it out of the directory\n"; stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
}
