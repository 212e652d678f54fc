package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
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
		return fmt.Errorf("Failed to read TLS password file: %w", err)
	}
	o.tlsPassword = strings.TrimSpace(string(text))
	return nil
}

// tlsConfig returns the TLS configuration with the certificate and its key, or nil
// if --tls-cert is not set.
func (o *options) tlsConfig() (*tls.Config, error) {
	if o.tlsCert == "" {
		return nil, nil
	}
	keyFile := o.tlsKey
	if keyFile == "" {
		keyFile = o.tlsCert
	}
	chain, err := os.ReadFile(o.tlsCert)
	if err != nil {
		return nil, fmt.Errorf("httpserver: %w; --tls-cert takes a file with the certificate chain", err)
	}
	if findPEM(chain, "CERTIFICATE") == nil {
		return nil, fmt.Errorf("httpserver: %s holds no certificate in PEM form; --tls-cert takes a file that does", o.tlsCert)
	}
	key, err := o.readKey(keyFile)
	if err != nil {
		return nil, fmt.Errorf("httpserver: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("httpserver: %s with the key of %s: %w; --tls-key takes the key of the first certificate", o.tlsCert, keyFile, err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	}, nil
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
	case !x509.IsEncryptedPEMBlock(block):
		return text, nil
	case o.tlsPasswordFile == "":
		return nil, fmt.Errorf("the key in %s is encrypted; --tls-password-file takes a file with its password", name)
	}
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
	return fmt.Errorf("the key in %s is encrypted by %s, which Go does not read; give --tls-key what this makes of it: %s", name, encryption, command)
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
