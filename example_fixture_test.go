package httpserver_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"httpserver"
)

// A test has NewFixture(t) in place of the first three lines.
func ExampleNewFixture() {
	f := httpserver.NewFixture(nil)
	f.Stderr = io.Discard
	defer f.Close()

	f.Reply("GET /", httpserver.Send(httpserver.Response(200, "hello")))

	response, err := http.Get(f.URL())
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	fmt.Println(response.Status, string(body), err)
	// Output: 200 OK hello <nil>
}

// The server fails twice, in different ways, and then works.
func ExampleFixture_Reply() {
	f := httpserver.NewFixture(nil)
	f.Stderr = io.Discard
	defer f.Close()

	f.Reply("GET /x",
		httpserver.Answer{}.Reset(),
		httpserver.Send(httpserver.Response(503, "", "Retry-After: 0")),
		httpserver.Send(httpserver.Response(200, "at last")))

	for range 3 {
		response, err := http.Get(f.URL() + "/x")
		if err != nil {
			fmt.Println("failed")
			continue
		}
		body, _ := io.ReadAll(response.Body)
		fmt.Println(response.StatusCode, len(body))
	}
	fmt.Println(len(f.Requests()), "requests")
	// Output:
	// failed
	// 503 0
	// 200 7
	// 3 requests
}

// A server that has peculiar ways of writing.
func ExampleSend() {
	f := httpserver.NewFixture(nil)
	f.Stderr = io.Discard
	defer f.Close()

	f.Reply("", httpserver.Send("HTTP/1.1 299 So what\r\nx-B: 1\r\nX-a:  2  \r\ncontent-length:2\r\n\r\nhi"))

	response, err := http.Get(f.URL())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Status)
	request := f.Requests()[0]
	fmt.Println(request.RequestLine, len(request.Raw) > len(request.RequestLine), request.Headers[1].Name)
	// Output:
	// 299 So what
	// GET / HTTP/1.1 true User-Agent
}

// The connection ends two bytes too early.
func ExampleAnswer_Close() {
	f := httpserver.NewFixture(nil)
	f.Stderr = io.Discard
	defer f.Close()

	ok := httpserver.Response(200, "hello")
	f.Reply("/short", httpserver.Send(ok[:len(ok)-2]).Close())

	response, err := http.Get(f.URL() + "/short")
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	fmt.Println(string(body), err)
	// Output: hel unexpected EOF
}

// The server stalls in the middle of the body until the test has looked.
func ExampleAnswer_Wait() {
	f := httpserver.NewFixture(nil)
	f.Stderr = io.Discard
	defer f.Close()

	ok, release := httpserver.Response(200, "hello"), make(chan struct{})
	f.Reply("/stall", httpserver.Send(ok[:len(ok)-3]).Wait(release).Send(ok[len(ok)-3:]))

	response, err := http.Get(f.URL() + "/stall")
	if err != nil {
		log.Fatal(err)
	}
	r := bufio.NewReader(response.Body)
	begin, _ := r.Peek(2)
	fmt.Printf("%s\n", begin)
	close(release)
	body, err := io.ReadAll(r)
	fmt.Println(string(body), err)
	// Output:
	// he
	// hello <nil>
}

// Every byte comes in a packet of its own.
func ExampleAnswer_Drip() {
	f := httpserver.NewFixture(nil)
	f.Stderr = io.Discard
	defer f.Close()

	f.Reply("/slow", httpserver.Answer{}.Drip(httpserver.Response(200, "hello"), time.Millisecond))

	response, err := http.Get(f.URL() + "/slow")
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	fmt.Println(string(body), err)
	// Output: hello <nil>
}

// An interim response comes before the final one, in the same write.
func ExampleResponse() {
	f := httpserver.NewFixture(nil)
	f.Stderr = io.Discard
	defer f.Close()

	hints := httpserver.Response(103, "", "Link: </style.css>; rel=preload")
	f.Reply("GET /", httpserver.Send(hints+httpserver.Response(200, "hello")))

	request, _ := http.NewRequest("GET", f.URL(), nil)
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		fmt.Println(code, header.Get("Link"))
		return nil
	}}
	response, err := http.DefaultClient.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Status)
	// Output:
	// 103 </style.css>; rel=preload
	// 200 OK
}

// Fields follow the body.
func ExampleResponse_trailers() {
	f := httpserver.NewFixture(nil)
	f.Stderr = io.Discard
	defer f.Close()

	body := "5\r\nhello\r\n" + "0\r\nX-Checksum: 532\r\n\r\n"
	f.Reply("GET /", httpserver.Send(httpserver.Response(200, body, "Transfer-Encoding: chunked", "Trailer: X-Checksum")))

	response, err := http.Get(f.URL())
	if err != nil {
		log.Fatal(err)
	}
	io.Copy(io.Discard, response.Body)
	fmt.Println(response.Trailer.Get("X-Checksum"))
	// Output: 532
}

// The second chunk has no size.
func ExampleResponse_badChunk() {
	f := httpserver.NewFixture(nil)
	f.Stderr = io.Discard
	defer f.Close()

	body := "5\r\nhello\r\n" + "oops\r\n"
	f.Reply("GET /", httpserver.Send(httpserver.Response(200, body, "Transfer-Encoding: chunked")).Close())

	response, err := http.Get(f.URL())
	if err != nil {
		log.Fatal(err)
	}
	_, err = io.ReadAll(response.Body)
	fmt.Println(err)
	// Output: invalid byte in chunk length
}

// The server breaks off in the middle of an upload.
func ExampleAnswer_Reset() {
	f := httpserver.NewFixture(nil)
	f.Stderr = io.Discard
	defer f.Close()

	f.Reply("PUT /upload", httpserver.Answer{}.Read(10).Reset())

	request, _ := http.NewRequest("PUT", f.URL()+"/upload", strings.NewReader(strings.Repeat("x", 1<<20)))
	_, err := http.DefaultClient.Do(request)
	fmt.Println(err != nil)
	fmt.Println(f.Requests()[0].Body)
	// Output:
	// true
	// xxxxxxxxxx
}

// The server does not want the body, and says so before it has read any of it.
func ExampleAnswer_Read() {
	f := httpserver.NewFixture(nil)
	f.Stderr = io.Discard
	defer f.Close()

	f.Reply("PUT /early", httpserver.Answer{}.Read(0).Send(httpserver.Response(413, "", "Connection: close")).Close())

	request, _ := http.NewRequest("PUT", f.URL()+"/early", strings.NewReader(strings.Repeat("x", 1<<20)))
	request.Header.Set("Expect", "100-continue")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Status)
	// Output: 413 Content Too Large
}

// The first connection is reset before anything is read of it. The second is served.
func ExampleFixture_Accept() {
	f := httpserver.NewFixture(nil)
	f.Stderr = io.Discard
	defer f.Close()

	f.Reply("GET /", httpserver.Send(httpserver.Response(200, "hello")))
	f.Accept(httpserver.Answer{}.Reset())

	_, err := http.Get(f.URL())
	fmt.Println(err != nil)
	response, err := http.Get(f.URL())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Status)
	// Output:
	// true
	// 200 OK
}

// A client that begins with a TLS handshake gets an alert.
func ExampleFixture_Accept_alert() {
	f := httpserver.NewFixture(nil)
	f.Stderr = io.Discard
	defer f.Close()

	f.Accept(httpserver.Send("\x15\x03\x03\x00\x02\x02\x28").Close())

	_, err := http.Get("https://" + f.Addr().String())
	fmt.Println(errors.Unwrap(err))
	// Output: remote error: tls: handshake failure
}

// Most requests are answered by a handler, one in another way.
func ExampleFixture() {
	f := httpserver.NewFixture(nil)
	f.Stderr = io.Discard
	f.NewHandler = httpserver.New[greeter]
	defer f.Close()

	f.Reply("/broken", httpserver.Send(httpserver.Response(500, "sorry")))

	for _, path := range []string{"/fine", "/broken", "/too"} {
		response, err := http.Get(f.URL() + path)
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		fmt.Println(response.StatusCode, strings.TrimSpace(string(body)))
	}
	fmt.Println(len(f.Requests()), "requests")
	// Output:
	// 200 hello from /fine
	// 500 sorry
	// 200 hello from /too
	// 3 requests
}

// The certificate is that of a server of httptest, which also makes a client that trusts
// it.
func ExampleFixture_tls() {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	f := httpserver.NewFixture(nil)
	f.Listener, f.Stderr = tls.NewListener(f.Listener, certified.TLS), io.Discard
	defer f.Close()

	ok := httpserver.Response(200, "hello")
	f.Reply("GET /", httpserver.Send(ok[:len(ok)-2]).Close())

	response, err := certified.Client().Get("https://" + f.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	fmt.Println(string(body), err)
	// Output: hel unexpected EOF
}

// A test waits for what its client does meanwhile. If nothing comes, the error says what
// every connection is doing.
func ExampleFixture_Next() {
	f := httpserver.NewFixture(nil)
	f.Stderr = io.Discard
	defer f.Close()

	f.Reply("POST", httpserver.Send(httpserver.Response(204, "")))
	go http.Post(f.URL()+"/form", "text/plain", strings.NewReader("a=b"))

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	request, err := f.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(request.Command, request.Path, request.Body)
	// Output: POST /form a=b
}

// A network in memory needs no ports. In a test that runs inside [synctest.Test], as
// TestOfHours does, pauses and timeouts take no time.
func ExampleMemoryListener() {
	l := new(httpserver.MemoryListener)
	f := httpserver.NewFixture(nil)
	f.Listener, f.Stderr = l, io.Discard
	defer f.Close()

	f.Reply("GET /", httpserver.Send(httpserver.Response(200, "hello")))

	client := &http.Client{Transport: &http.Transport{DialContext: l.DialContext}}
	response, err := client.Get(f.URL())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(f.URL(), response.Status)
	// Output: http://localhost 200 OK
}

// A whole test of a handler.
func TestOfHandler(t *testing.T) {
	f := httpserver.NewFixture(t)
	f.NewHandler = httpserver.New[ported]
	for path, want := range map[string]string{
		"/greet":             "Hello, world!\n",
		"/greet?name=Gopher": "Hello, Gopher!\n",
		"/greet?name=":       "Hello, !\n",
	} {
		response, err := http.Get(f.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if string(body) != want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", path, body, err, want)
		}
	}
}

// A handler in a network in memory. Its Timeout takes no time.
func TestOfTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(httpserver.MemoryListener)
		f := httpserver.NewFixture(t)
		f.Listener = l
		f.NewHandler = func() httpserver.Handler {
			h := new(ported)
			h.Timeout = time.Minute
			return h
		}
		f.URL() // begins to serve
		conn, err := l.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		begin := time.Now()
		io.WriteString(conn, "GET /greet HT")
		got, err := io.ReadAll(conn)
		if took := time.Since(begin); len(got) > 0 || err != nil || took < time.Minute {
			t.Errorf("got %q, %v after %v", got, err, took)
		}
	})
}

func TestOfHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(httpserver.MemoryListener)
		f := httpserver.NewFixture(t)
		f.Listener = l
		ok := httpserver.Response(200, "hello")
		f.Reply("/slow", httpserver.Send(ok[:30]).Pause(2*time.Hour).Send(ok[30:]))

		client := &http.Client{Transport: &http.Transport{DialContext: l.DialContext}, Timeout: time.Hour}
		begin := time.Now()
		_, err := client.Get(f.URL() + "/slow")
		if took := time.Since(begin); err == nil || took != time.Hour {
			t.Errorf("%v after %v", err, took)
		}
	})
}
