package httpserver_test

import (
	"context"
	"embed"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"httpserver"
)

// greeter is the smallest handler.
type greeter struct{ httpserver.BaseRequestHandler }

func (h *greeter) DoGET() {
	body := "hello from " + h.Path + "\n"
	h.SendResponse(200, "")
	h.SendHeader("Content-Type", "text/plain")
	h.SendHeader("Content-Length", fmt.Sprint(len(body)))
	h.EndHeaders()
	io.WriteString(h.WFile, body)
}

func Example() {
	server, err := httpserver.NewThreadingHTTPServer("127.0.0.1:0", httpserver.New[greeter])
	if err != nil {
		log.Fatal(err)
	}
	server.Stderr = io.Discard
	go server.ServeForever()
	defer server.Close()

	response, err := http.Get(server.URL() + "/here")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	io.Copy(os.Stdout, response.Body)
	// Output: hello from /here
}

// cors lets pages of other sites read the files.
type cors struct{ httpserver.SimpleHandler }

func (h *cors) EndHeaders() {
	h.SendHeader("Access-Control-Allow-Origin", "*")
	h.SimpleHandler.EndHeaders()
}

// An override of EndHeaders adds a field to every response.
func ExampleSimpleHandler_EndHeaders() {
	url, stop := serve(httpserver.New[cors])
	defer stop()

	response, err := http.Head(url + "/go.mod")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Status, response.Header.Get("Access-Control-Allow-Origin"))
	// Output: 200 OK *
}

// resumable adds fields that some responses already have: Accept-Ranges is one of a file.
type resumable struct{ httpserver.SimpleHandler }

func (h *resumable) EndHeaders() {
	h.ExtraResponseHeaders = []httpserver.Field{
		{Name: "Accept-Ranges", Value: "bytes"},
		{Name: "Content-Disposition", Value: "attachment"},
	}
	h.SimpleHandler.EndHeaders()
}

// An override of EndHeaders adds only fields that the response does not have.
func ExampleSimpleHandler_EndHeaders_once() {
	server, err := httpserver.NewThreadingHTTPServer("127.0.0.1:0", httpserver.New[resumable])
	if err != nil {
		log.Fatal(err)
	}
	server.Stderr = io.Discard
	go server.ServeForever()
	defer server.Close()

	response, err := http.Head(server.URL() + "/go.mod")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Header["Accept-Ranges"], response.Header["Content-Disposition"])
	// Output: [bytes] [attachment]
}

//go:embed LICENSE
var site embed.FS

// The files are part of the program.
func ExampleSimpleHandler() {
	url, stop := serve(func() httpserver.Handler {
		return &httpserver.SimpleHandler{FS: site, DefaultContentType: "text/plain"}
	})
	defer stop()

	response, err := http.Get(url + "/LICENSE")
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	fmt.Println(response.Header.Get("Content-Type"), strings.SplitN(string(text), "\n", 2)[0])
	// Output: text/plain BSD 3-Clause License
}

// spam has a method that HTTP does not have.
type spam struct{ httpserver.BaseRequestHandler }

func (h *spam) Method(name string) func() {
	if name == "SPAM" {
		return h.DoSPAM
	}
	return h.BaseRequestHandler.Method(name)
}

func (h *spam) DoSPAM() {
	h.SendResponse(204, "Spam, spam, spam")
	h.EndHeaders()
}

func ExampleBaseRequestHandler_Method() {
	url, stop := serve(httpserver.New[spam])
	defer stop()

	request, _ := http.NewRequest("SPAM", url, nil)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Status)
	// Output: 204 Spam, spam, spam
}

// On SIGTERM or Ctrl-C, requests in progress are completed.
func ExampleHTTPServer_Shutdown() {
	server, err := httpserver.NewThreadingHTTPServer("127.0.0.1:0", httpserver.New[greeter])
	if err != nil {
		log.Fatal(err)
	}
	signaled, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signaled.Done()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Shutdown(ctx)
		server.Close() // ends what Shutdown left
	}()
	stop() // as a signal would
	fmt.Println(server.ServeForever())
	// Output: httpserver: server closed
}

// broken is a fixture: a server that sends what no server should.
type broken struct{ httpserver.BaseRequestHandler }

func (h *broken) DoGET() {
	conn, _ := h.Hijack()
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")
}

// A test suite checks how its client handles a body that is cut short.
func ExampleBaseRequestHandler_Hijack() {
	url, stop := serve(httpserver.New[broken])
	defer stop()

	response, err := http.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	_, err = io.ReadAll(response.Body)
	fmt.Println(err)
	// Output: unexpected EOF
}
