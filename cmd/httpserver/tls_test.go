package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A pki is a directory with a certificate for 127.0.0.1 and its key in several forms:
// cert.pem, key.pem, both.pem, other.pem (another key) and old.pem (encrypted by RFC
// 1423). The files password and wrong contain passwords, and lucky contains a wrong
// one with which decryption seems to succeed.
type pki struct {
	dir  string
	pool *x509.CertPool
}

func (p *pki) path(name string) string { return filepath.Join(p.dir, name) }

func makePKI(t *testing.T) *pki {
	t.Helper()
	key, keyPEM := makeKey(t)
	_, otherPEM := makeKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 the command reads such keys
	old, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", ec, []byte("open sesame"), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	lucky := 0
	for x509.IncorrectPasswordError == decrypt(old, strconv.Itoa(lucky)) {
		lucky++
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	p := &pki{t.TempDir(), x509.NewCertPool()}
	p.pool.AppendCertsFromPEM(certPEM)
	for name, content := range map[string][]byte{
		"cert.pem": certPEM, "key.pem": keyPEM, "other.pem": otherPEM, "both.pem": append(keyPEM, certPEM...),
		"old.pem": pem.EncodeToMemory(old), "password": []byte(" open sesame\r\n\n"), "wrong": []byte("close sesame"), "lucky": []byte(strconv.Itoa(lucky)),
		"pkcs8.pem": pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("0")}), "text": []byte("no PEM"),
	} {
		if err := os.WriteFile(p.path(name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func decrypt(block *pem.Block, password string) error {
	//lint:ignore SA1019 the command reads such keys
	_, err := x509.DecryptPEMBlock(block, []byte(password))
	return err
}

func makeKey(t *testing.T) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// client returns a client that trusts the certificate.
func (p *pki) client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: p.config()}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: testLimit}
}

func (p *pki) config() *tls.Config { return &tls.Config{RootCAs: p.pool, ServerName: "127.0.0.1"} }

// startTLS starts the command with the certificate and its key.
func (p *pki) startTLS(t *testing.T, args ...string) *process {
	t.Helper()
	return startServer(t, append([]string{"--tls-cert", p.path("cert.pem"), "--tls-key", p.path("key.pem")}, args...)...)
}

func TestTLSKeys(t *testing.T) {
	t.Parallel()
	keys := makePKI(t)
	for _, args := range []string{
		"--tls-cert cert.pem --tls-key key.pem",
		"--tls-cert both.pem",
		"--tls-cert cert.pem --tls-key both.pem",
		"--tls-cert cert.pem --tls-key old.pem --tls-password-file password",
		"--tls-cert cert.pem --tls-key key.pem --tls-password-file wrong", // not needed
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			p := startServer(t, append(keys.args(args), "-q")...)
			_, port, _ := net.SplitHostPort(p.addr)
			if want := "Serving HTTPS on 127.0.0.1 port " + port + " (https://127.0.0.1:" + port + "/) ...\n"; p.banner != want {
				t.Errorf("got  %swant %s", p.banner, want)
			}
			res, err := keys.client(t).Get("https://" + p.addr + "/hello.txt")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if body, err := io.ReadAll(res.Body); string(body) != hello {
				t.Errorf("got %q, %v", body, err)
			}
		})
	}
}

// args splits a command line and finds the files in it.
func (p *pki) args(line string) []string {
	args := strings.Fields(line)
	for i, arg := range args {
		if _, err := os.Stat(p.path(arg)); err == nil {
			args[i] = p.path(arg)
		}
	}
	return args
}

// Each failure is one line that says what to do.
func TestTLSFailures(t *testing.T) {
	t.Parallel()
	keys := makePKI(t)
	for _, tt := range []struct {
		args, want string // with file names as in args
	}{
		{"--tls-cert missing", "open missing: ; --tls-cert takes a file with the certificate chain"},
		{"--tls-cert text", "text holds no certificate in PEM form; --tls-cert takes a file that does"},
		{"--tls-cert key.pem", "key.pem holds no certificate in PEM form; --tls-cert takes a file that does"},
		{"--tls-cert cert.pem", "cert.pem holds no private key in PEM form; --tls-key takes a file that does"},
		{"--tls-cert cert.pem --tls-key missing", "open missing: ; --tls-key takes a file with the private key"},
		{"--tls-cert cert.pem --tls-key text", "text holds no private key in PEM form; --tls-key takes a file that does"},
		{"--tls-cert cert.pem --tls-key other.pem", "cert.pem with the key of other.pem: tls: private key does not match public key; --tls-key takes the key of the first certificate"},
		{"--tls-cert cert.pem --tls-key old.pem", "the key in old.pem is encrypted; --tls-password-file takes a file with its password"},
		{"--tls-cert cert.pem --tls-key old.pem --tls-password-file wrong", "the password in wrong does not open the key in old.pem"},
		{"--tls-cert cert.pem --tls-key old.pem --tls-password-file lucky", "the password in lucky does not open the key in old.pem"},
		{"--tls-cert cert.pem --tls-key pkcs8.pem", "the key in pkcs8.pem is encrypted by PKCS #8, which Go does not read; " +
			"pass the key that this command writes to --tls-key: openssl pkey -in pkcs8.pem -out pkcs8.pem.plain"},
		{"--tls-cert cert.pem --tls-key pkcs8.pem --tls-password-file password", "the key in pkcs8.pem is encrypted by PKCS #8, which Go does not read; " +
			"pass the key that this command writes to --tls-key: openssl pkey -in pkcs8.pem -passin file:password -out pkcs8.pem.plain"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := start(t, append(keys.args(tt.args), "-b", "127.0.0.1", "0")...).wait(t)
			got := strings.ReplaceAll(stderr, keys.dir+string(filepath.Separator), "")
			got = regexp.MustCompile(`missing: [^;]+;`).ReplaceAllString(got, "missing: ;") // text of the system
			if code != 1 || stdout != "" || got != "httpserver: "+tt.want+"\n" {
				t.Errorf("exit code %d, stdout %q, stderr\n%swant 1 and\nhttpserver: %s", code, stdout, got, tt.want)
			}
		})
	}
	code, _, stderr := start(t, "--tls-cert", "a", "--tls-password-file", "missing").wait(t)
	if code != 2 || !strings.HasPrefix(stderr, usage+"httpserver: error: Failed to read TLS password file: open missing: ") {
		t.Errorf("exit code %d, stderr %s", code, stderr)
	}
}

// The command that the error names converts the key, which only its owner can read.
func TestTLSConvertedKey(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is for a shell, and there are no permissions to look at")
	}
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("no openssl here: ", err)
	}
	keys := makePKI(t)
	encrypted := keys.path("it's encrypted.pem")
	sh(t, "openssl", "pkcs8", "-topk8", "-in", keys.path("key.pem"), "-out", encrypted, "-passout", "pass:open sesame")
	if err := os.WriteFile(keys.path("password"), []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, stderr := start(t, "--tls-cert", keys.path("cert.pem"), "--tls-key", encrypted, "--tls-password-file", keys.path("password")).wait(t)
	_, command, _ := strings.Cut(stderr, "this command writes to --tls-key: ")
	sh(t, "sh", "-c", command)
	p := startServer(t, "-q", "--tls-cert", keys.path("cert.pem"), "--tls-key", encrypted+".plain")
	if _, err := keys.client(t).Get("https://" + p.addr + "/hello.txt"); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(encrypted + ".plain"); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v, %v: others can read the key", info.Mode(), err)
	}
}

// Keys that openssl encrypts in its older format are read.
func TestTLSTraditionalKey(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("no openssl here: ", err)
	}
	keys := makePKI(t)
	sh(t, "openssl", "pkey", "-in", keys.path("key.pem"), "-aes256", "-traditional", "-passout", "pass:open sesame", "-out", keys.path("old2.pem"))
	p := startServer(t, append(keys.args("--tls-cert cert.pem --tls-key old2.pem --tls-password-file password"), "-q")...)
	if _, err := keys.client(t).Get("https://" + p.addr + "/hello.txt"); err != nil {
		t.Error(err)
	}
}

func sh(t *testing.T, name string, args ...string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, output)
	}
	return string(output)
}

// A handshake that fails is logged as one line, and nobody waits for it.
func TestTLSHandshake(t *testing.T) {
	t.Parallel()
	keys := makePKI(t)
	impatient, patient := keys.startTLS(t, "-q", "--timeout", "1"), keys.startTLS(t, "-q")
	client := keys.client(t)
	for _, tt := range []struct {
		name string
		fail func(conn net.Conn)
		want string // the log line
	}{
		{"silence", func(net.Conn) {}, "Request timed out"},
		{"half a hello", func(conn net.Conn) { conn.Write([]byte("\x16\x03\x01\x00\xff\x01")) }, "Request timed out"},
		{"plain HTTP", func(conn net.Conn) { io.WriteString(conn, getHello) }, "Connection failed: tls: first record does not look like a TLS handshake"},
		{"TLS 1.1", func(conn net.Conn) {
			config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}
			if tls.Client(conn, config).Handshake() == nil {
				t.Error("TLS 1.1 was spoken")
			}
		}, "Connection failed: tls: client offered only unsupported versions: [302]"},
		{"HTTP/2 alone", func(conn net.Conn) {
			config := keys.config()
			config.NextProtos = []string{"h2"}
			if tls.Client(conn, config).Handshake() == nil {
				t.Error("h2 was agreed on")
			}
		}, "Connection failed: tls: client requested unsupported application protocols ([\"h2\"])"},
		{"no trust", func(conn net.Conn) {
			if tls.Client(conn, &tls.Config{ServerName: "127.0.0.1"}).Handshake() == nil {
				t.Error("the certificate was trusted")
			}
		}, "Connection failed: remote error: tls: bad certificate"},
		{"broken off", func(conn net.Conn) {
			conn.Write([]byte("\x16\x03\x01\x00\xff\x01"))
			conn.(*net.TCPConn).CloseWrite()
		}, "Connection failed: unexpected EOF"},
	} {
		p := patient
		if tt.want == "Request timed out" {
			p = impatient
		}
		conn := p.dial(t, "")
		tt.fail(conn)
		res, err := client.Get("https://" + p.addr + "/hello.txt") // meanwhile
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		io.Copy(io.Discard, conn) // until the server gives up
		if line, _ := p.stderr.ReadString('\n'); !strings.HasSuffix(line, "] "+tt.want+"\n") {
			t.Errorf("%s: log line is %q", tt.name, line)
		}
	}
	for _, p := range []*process{impatient, patient} {
		p.Process.Kill()
		if _, _, rest := p.wait(t); rest != "" {
			t.Errorf("and then:\n%s", rest)
		}
	}
}

// A connection is used again, and the only protocol agreed on is HTTP/1.1.
func TestTLSPersistent(t *testing.T) {
	t.Parallel()
	keys := makePKI(t)
	p := keys.startTLS(t, "-p", "HTTP/1.1", "-q")
	config := keys.config()
	config.NextProtos = []string{"h2", "http/1.1"}
	conn := tls.Client(p.dial(t, ""), config)
	for range 3 {
		io.WriteString(conn, getHello)
		if body, err := io.ReadAll(readHead(t, conn).Body); string(body) != hello {
			t.Fatalf("got %q, %v", body, err)
		}
	}
	if state := conn.ConnectionState(); state.NegotiatedProtocol != "http/1.1" || state.Version != tls.VersionTLS13 {
		t.Errorf("agreed on %q by %s", state.NegotiatedProtocol, tls.VersionName(state.Version))
	}
}

// After SIGTERM a large file is sent to its end. Its connection and an idle one end
// with close_notify.
func TestTLSTerminate(t *testing.T) {
	needSignals(t)
	t.Parallel()
	keys := makePKI(t)
	p := keys.startTLS(t, "-p", "HTTP/1.1", "-q")
	content := bytes.Repeat([]byte("0123456789abcde\n"), 1<<19)
	p.addFile(t, "large", content)

	idle := tls.Client(p.dial(t, ""), keys.config())
	io.WriteString(idle, getHello)
	readHead(t, idle).Body.Close()
	conn := p.dial(t, "")
	conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	busy := tls.Client(conn, keys.config())
	io.WriteString(busy, "GET /large HTTP/1.1\r\nHost: test\r\n\r\n")
	res := readHead(t, busy)
	p.signal(t, syscall.SIGTERM)
	if n, err := idle.Read(make([]byte, 1)); n > 0 || err != io.EOF { // not io.ErrUnexpectedEOF
		t.Errorf("idle connection: %d bytes, %v", n, err)
	}
	if got, err := io.ReadAll(res.Body); !bytes.Equal(got, content) {
		t.Errorf("got %d bytes of %d, %v", len(got), len(content), err)
	}
	if n, err := busy.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		t.Errorf("busy connection: %d bytes, %v", n, err)
	}
	p.wantExit(t, 0, "", "")
}

func TestTLSCurl(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl here: ", err)
	}
	keys := makePKI(t)
	p := keys.startTLS(t, "-p", "HTTP/1.1", "-q")
	p.addFile(t, "large", bytes.Repeat([]byte("0123456789abcde\n"), 1<<18))
	url := "https://" + p.addr + "/"
	got := sh(t, "curl", "-sS", "--cacert", keys.path("cert.pem"), "-o", p.Dir+"/copy", "-w", "%{http_code} %{size_download} %{num_connects}\n",
		url+"large", url+"hello.txt", "-o", os.DevNull)
	if got != "200 4194304 1\n200 14 0\n" {
		t.Errorf("curl prints %q", got)
	}
}

// Scripts learn that the client uses HTTPS.
func TestTLSScript(t *testing.T) {
	needSignals(t)
	t.Parallel()
	keys := makePKI(t)
	p := keys.startTLS(t, "--cgi", "-q")
	p.addScript(t, "scheme", `echo "$HTTPS $REQUEST_SCHEME"`)
	res, err := keys.client(t).Get("https://" + p.addr + "/cgi-bin/scheme")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); string(body) != "on https\n" {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestShellQuote(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"key.pem": "key.pem", "/a/b-c_d:e": "/a/b-c_d:e", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "a;b": "'a;b'", "a;": "'a;'", "$x": "'$x'", "ä": "'ä'",
	} {
		if got := shellQuote(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

// A client of HTTP/1.0 may say so in the handshake, as curl --http1.0 does.
func TestTLSProtocols(t *testing.T) {
	t.Parallel()
	keys := makePKI(t)
	p := keys.startTLS(t, "-q")
	for _, protocol := range []string{"http/1.0", "http/1.1"} {
		config := keys.config()
		config.NextProtos = []string{protocol}
		conn := tls.Client(p.dial(t, ""), config)
		if err := conn.Handshake(); err != nil || conn.ConnectionState().NegotiatedProtocol != protocol {
			t.Errorf("%s: agreed on %q, %v", protocol, conn.ConnectionState().NegotiatedProtocol, err)
		}
	}
}
