package httpserver

import "testing"

const browserHead = "Host: 127.0.0.1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: identity\r\nReferer: http://127.0.0.1/index.html\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nDNT: 1\r\n\r\n"

func BenchmarkZLine(b *testing.B) {
	for b.Loop() {
		parseRequestLine("GET /f1k.css HTTP/1.1")
	}
}
func BenchmarkZFields(b *testing.B) {
	var f Header
	for b.Loop() {
		f, _ = parseFields(f[:0], browserHead)
	}
}
func BenchmarkZHost(b *testing.B) {
	f, _ := parseFields(nil, browserHead)
	r, _ := parseRequestLine("GET /f1k.css HTTP/1.1")
	for b.Loop() {
		checkHost(f, &r)
	}
}
func BenchmarkZFraming(b *testing.B) {
	f, _ := parseFields(nil, browserHead)
	r, _ := parseRequestLine("GET /f1k.css HTTP/1.1")
	for b.Loop() {
		parseFraming(f, &r)
	}
}
func BenchmarkZHeadSize(b *testing.B) {
	c := connReader{buf: []byte("GET / HTTP/1.1\r\n" + browserHead)}
	c.w = len(c.buf)
	for b.Loop() {
		c.headSize(0)
	}
}
func BenchmarkZLookups(b *testing.B) {
	f, _ := parseFields(nil, browserHead)
	for b.Loop() {
		f.Get("Expect")
		f.Get("If-Modified-Since")
		f.Get("If-None-Match")
		f.Get("Range")
	}
}
func BenchmarkZClean(b *testing.B) {
	for b.Loop() {
		cleanPath("/a/b/c/d/e/f/f1k.css")
	}
}
func BenchmarkZSendHeader(b *testing.B) {
	h := new(BaseRequestHandler)
	h.self = h
	h.out.length = -1
	for b.Loop() {
		h.out.begin()
		h.out.code = 200
		h.SendHeader("Content-Length", "13")
		h.SendHeader("Content-Type", "text/plain")
		h.SendHeader("Server", "SimpleHTTP/0.6 Go/1.26.8")
	}
}
