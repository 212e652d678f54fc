package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
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
			what, command, _ := strings.Cut(stderr, "; give --tls-cert and --tls-key a new one and its key, which this makes: ")
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
