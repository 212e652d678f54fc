package main

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// This file contains the reading of certificates and keys, for --tls-cert,
// --tls-key and --tls-password-file.

// readPassword sets tlsPassword to the content of the password file, without white
// space at its ends. As in Python, a file that cannot be read is a usage error.
func (o *options) readPassword() error {
	if o.tlsPasswordFile == "" {
		return nil
	}
	text, err := os.ReadFile(o.tlsPasswordFile)
	if err != nil {
		//lint:ignore ST1005 the words are those of Python
		return fmt.Errorf("Failed to read TLS password file: %w", err)
	}
	o.tlsPassword = strings.TrimSpace(string(text))
	return nil
}

// tlsConfig returns the TLS configuration with the certificate and its key, or nil
// if --tls-cert is not set. What is wrong with a certificate that comes later is
// written to log.
func (o *options) tlsConfig(log io.Writer) (*tls.Config, error) {
	if o.tlsCert == "" {
		return nil, nil
	}
	state := o.pairState() // before the files are read, so that no change is missed
	pair, err := o.loadPair()
	if err != nil {
		return nil, fmt.Errorf("httpserver: %w", err)
	}
	current := &currentPair{options: o, log: log, state: state, pair: &pair}
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.get(time.Now()), nil },
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1", "http/1.0"},
	}, nil
}

// A currentPair is a certificate with its key that is read again when a file changes.
type currentPair struct {
	options *options
	log     io.Writer

	mu      sync.Mutex
	looked  time.Time // when the files were last looked at
	state   pairState // of the files when pair was read
	pair    *tls.Certificate
	failure string // the error that was logged since then, or ""
}

// get returns the certificate for a handshake. It looks at the files at most once a
// second. If they hold no pair that can be used, the last one that could is kept, and
// the next look reads them again, because what failed may have been temporary.
func (c *currentPair) get(now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.looked) < time.Second {
		return c.pair
	}
	c.looked = now
	state := c.options.pairState()
	if state.equal(c.state) {
		return c.pair
	}
	var pair tls.Certificate
	err := errors.New("one of its files is not a regular file now")
	if !slices.ContainsFunc(state[:], isIrregular) {
		pair, err = c.options.loadPair()
	}
	if err == nil {
		c.state, c.pair, c.failure = state, &pair, ""
	} else if err.Error() != c.failure {
		c.failure = err.Error()
		text := "httpserver: the certificate was changed, but the old one stays in use: " + c.failure
		printSoon(c.log, strings.Map(replaceControl, text)+"\n")
	}
	return c.pair
}

// A pairState describes the certificate file and the key file, which shows whether they
// have changed. It is nil for a missing file.
type pairState [2]fs.FileInfo

// pairState returns the current state.
func (o *options) pairState() (state pairState) {
	for i, name := range []string{o.tlsCert, o.keyFile()} {
		state[i], _ = os.Stat(name)
	}
	return state
}

// equal reports whether two states are of the same files with the same sizes and times.
// A pipe, which can be read only once, equals every other one.
func (s pairState) equal(other pairState) bool {
	return slices.EqualFunc(s[:], other[:], func(a, b fs.FileInfo) bool {
		return isIrregular(a) && isIrregular(b) ||
			os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
	})
}

// isIrregular reports whether there is a file that is not regular, such as a pipe.
func isIrregular(info fs.FileInfo) bool { return info != nil && !info.Mode().IsRegular() }

// servesKey reports whether the file with the key is one of those that are served: its
// name or, if that is a link, what it leads to is in the directory.
func (o *options) servesKey() bool {
	name, err := filepath.Abs(o.keyFile())
	if err != nil || o.tlsCert == "" {
		return false
	}
	parent, _ := filepath.EvalSymlinks(filepath.Dir(name))
	link := o.pathOf(filepath.Join(parent, filepath.Base(name)))
	file, _ := filepath.EvalSymlinks(name)
	path := o.pathOf(file)
	return o.shows(path) || o.shows(link) && (!o.confine || path != "")
}

// pathOf returns the path in the directory of a name without links, or "" if the name is
// not in the directory.
func (o *options) pathOf(name string) string {
	directory, err := filepath.EvalSymlinks(o.directory)
	if err != nil {
		return ""
	}
	path, err := filepath.Rel(directory, name)
	if err != nil || !filepath.IsLocal(path) {
		return ""
	}
	return path
}

// shows reports whether there is a path and --no-hidden does not hide it.
func (o *options) shows(path string) bool {
	isHidden := func(part string) bool { return strings.HasPrefix(part, ".") && part != ".well-known" }
	parts := strings.Split(path, string(filepath.Separator))
	return path != "" && !(o.noHidden && slices.ContainsFunc(parts, isHidden))
}

// keyFile returns the name of the file that holds the key.
func (o *options) keyFile() string { return cmp.Or(o.tlsKey, o.tlsCert) }

// loadPair reads the certificate and its key.
func (o *options) loadPair() (pair tls.Certificate, err error) {
	chain, err := os.ReadFile(o.tlsCert)
	if err != nil {
		return pair, fmt.Errorf("%w; --tls-cert takes a file with the certificate chain", err)
	}
	block := findPEM(chain, "CERTIFICATE")
	if block == nil {
		return pair, fmt.Errorf("%s holds no certificate in PEM form; --tls-cert takes a file that does", o.tlsCert)
	}
	if err := checkCertificate(block.Bytes); err != nil {
		return pair, o.unsupportedCertificate(err)
	}
	key, err := o.readKey(o.keyFile())
	if err != nil {
		return pair, err
	}
	pair, err = tls.X509KeyPair(chain, key)
	if err != nil {
		return pair, fmt.Errorf("%s with the key of %s: %w; --tls-key takes the key of the first certificate",
			o.tlsCert, o.keyFile(), err)
	}
	if err := anyClient.SupportsCertificate(&pair); err != nil {
		return pair, o.unsupportedCertificate(err)
	}
	return pair, nil
}

// checkCertificate returns an error if Go cannot use a certificate, whatever its key
// file holds.
func checkCertificate(der []byte) error {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	switch certificate.PublicKeyAlgorithm {
	case x509.RSA, x509.ECDSA, x509.Ed25519:
		return nil
	}
	return errors.New("its kind of key is none of RSA, ECDSA and Ed25519")
}

// anyClient is a client that takes every kind of certificate that Go can use.
var anyClient = &tls.ClientHelloInfo{
	SupportedVersions: []uint16{tls.VersionTLS13},
	SignatureSchemes: []tls.SignatureScheme{
		tls.PSSWithSHA256, tls.Ed25519,
		tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512,
	},
}

// unsupportedCertificate returns an error for a certificate that Go cannot use. It
// contains a command that makes another one.
func (o *options) unsupportedCertificate(err error) error {
	return fmt.Errorf("%s holds a certificate that Go cannot use: %w; "+
		"pass a new one and its key to --tls-cert and --tls-key, such as those made by: "+
		"openssl req -x509 -newkey rsa:2048 -nodes -days 365 -keyout %s -out %s "+
		"-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1",
		o.tlsCert, err, shellQuote(o.tlsCert+".key"), shellQuote(o.tlsCert+".crt"))
}

// readKey returns the private key in a file, in PEM form and decrypted.
func (o *options) readKey(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%w; --tls-key takes a file with the private key", err)
	}
	block := findPEM(text, "PRIVATE KEY")
	switch {
	case block == nil:
		return nil, fmt.Errorf("%s holds no private key in PEM form; --tls-key takes a file that does", name)
	case block.Type == "ENCRYPTED PRIVATE KEY":
		return nil, o.unsupportedKey(name, "PKCS #8")
	//lint:ignore SA1019 OpenSSL writes such keys, and Python reads them
	case !x509.IsEncryptedPEMBlock(block):
		return text, nil
	case o.tlsPasswordFile == "":
		return nil, fmt.Errorf("the key in %s is encrypted; "+
			"--tls-password-file takes a file with its password", name)
	}
	//lint:ignore SA1019 as above
	der, err := x509.DecryptPEMBlock(block, []byte(o.tlsPassword))
	if err != nil && err != x509.IncorrectPasswordError {
		return nil, o.unsupportedKey(name, block.Headers["DEK-Info"])
	}
	// DecryptPEMBlock checks only the padding at the end, which a wrong password can
	// produce by chance. A key must also begin with an ASN.1 sequence.
	if sequence := []byte{0x30}; err != nil || !bytes.HasPrefix(der, sequence) {
		return nil, fmt.Errorf("the password in %s does not open the key in %s", o.tlsPasswordFile, name)
	}
	return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der}), nil
}

// findPEM returns the first block whose type ends in kind, or nil if there is none.
func findPEM(text []byte, kind string) *pem.Block {
	for {
		block, rest := pem.Decode(text)
		if block == nil || strings.HasSuffix(block.Type, kind) {
			return block
		}
		text = rest
	}
}

// unsupportedKey returns an error for a key whose encryption crypto/x509 does not
// support. It contains the command that decrypts the key.
func (o *options) unsupportedKey(name, encryption string) error {
	command := "openssl pkey -in " + shellQuote(name)
	if o.tlsPasswordFile != "" {
		command += " -passin " + shellQuote("file:"+o.tlsPasswordFile)
	}
	command += " -out " + shellQuote(name+".plain")
	return fmt.Errorf("the key in %s is encrypted by %s, which Go does not read; "+
		"pass the key that this command writes to --tls-key: %s", name, encryption, command)
}

// shellQuote returns s quoted as one word of a shell command.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return 'a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-:+,", r)
	}
	if strings.TrimFunc(s, plain) == "" && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
