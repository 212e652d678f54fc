package httpserver_test

import (
	"bufio"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"httpserver"
)

// serve serves with new handlers until stop is called. In these examples it stands for
// main, which calls ServeForever.
func serve(newHandler func() httpserver.Handler) (url string, stop func() error) {
	server, err := httpserver.NewThreadingHTTPServer("127.0.0.1:0", newHandler)
	if err != nil {
		log.Fatal(err)
	}
	server.Stderr = io.Discard
	go server.ServeForever()
	return server.URL(), server.Close
}

// ported is this handler of Python, moved line by line:
//
//	class Greeter(BaseHTTPRequestHandler):
//	    def do_GET(self):
//	        target = urlsplit(self.path)
//	        if target.path != '/greet':
//	            self.send_error(404)
//	            return
//	        name = parse_qs(target.query).get('name', ['world'])[0]
//	        body = f'Hello, {name}!\n'.encode()
//	        self.send_response(200)
//	        self.send_header('Content-Type', 'text/plain; charset=utf-8')
//	        self.send_header('Content-Length', str(len(body)))
//	        self.end_headers()
//	        self.wfile.write(body)
type ported struct{ httpserver.BaseRequestHandler }

func (h *ported) DoGET() {
	target, err := url.ParseRequestURI(h.Path)
	if err != nil || target.Path != "/greet" {
		h.SendError(404, "", "")
		return
	}
	name := "world"
	if values, ok := target.Query()["name"]; ok {
		name = values[0]
	}
	body := []byte(fmt.Sprintf("Hello, %s!\n", name))
	h.SendResponse(200, "")
	h.SendHeader("Content-Type", "text/plain; charset=utf-8")
	h.SendHeader("Content-Length", strconv.Itoa(len(body)))
	h.EndHeaders()
	h.WFile.Write(body)
}

func ExampleBaseRequestHandler() {
	url, stop := serve(httpserver.New[ported])
	defer stop()

	for _, path := range []string{"/greet", "/greet?name=Gopher", "/"} {
		response, err := http.Get(url + path)
		if err != nil {
			log.Fatal(err)
		}
		line, _ := bufio.NewReader(response.Body).ReadString('\n')
		fmt.Print(response.StatusCode, " ", line)
	}
	// Output:
	// 200 Hello, world!
	// 200 Hello, Gopher!
	// 404 <!DOCTYPE html>
}

// echo answers with the body of the request. RFile ends where the body does, however
// that was sent.
type echo struct{ httpserver.BaseRequestHandler }

func (h *echo) DoPOST() {
	body, err := io.ReadAll(io.LimitReader(h.RFile, 1<<20))
	if err != nil {
		h.SendError(400, "", "")
		return
	}
	h.SendResponse(200, "")
	h.SendHeader("Content-Type", "application/octet-stream")
	h.SendHeader("Content-Length", strconv.Itoa(len(body)))
	h.EndHeaders()
	h.WFile.Write(body)
}

func ExampleBaseRequestHandler_DoPOST() {
	url, stop := serve(httpserver.New[echo])
	defer stop()

	response, err := http.Post(url, "text/plain", io.MultiReader(strings.NewReader("in chunks"))) // whose length is not known
	if err != nil {
		log.Fatal(err)
	}
	io.Copy(os.Stdout, response.Body)
	// Output: in chunks
}

// upload stores files below Directory. A file appears when it is whole.
type upload struct{ httpserver.SimpleHandler }

func (h *upload) DoPUT() {
	name := h.TranslatePath(h.Path)
	f, err := os.CreateTemp(filepath.Dir(name), ".upload-*")
	if err != nil {
		h.SendError(409, "", "")
		return
	}
	defer os.Remove(f.Name()) // which fails after the Rename
	_, err = io.Copy(f, h.RFile)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		h.LogError("%v", err)
		h.SendError(500, "", "")
		return
	}
	h.SendResponse(204, "")
	h.EndHeaders()
}

func ExampleBaseRequestHandler_DoPUT() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	url, stop := serve(func() httpserver.Handler {
		return &upload{httpserver.SimpleHandler{Directory: dir}}
	})
	defer stop()

	request, _ := http.NewRequest("PUT", url+"/note.txt", strings.NewReader("kept"))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Status)
	if response, err = http.Get(url + "/note.txt"); err != nil {
		log.Fatal(err)
	}
	io.Copy(os.Stdout, response.Body)
	// Output:
	// 204 No Content
	// kept
}

// protected serves files to those who know the password. ParseRequest sees the requests
// of all methods.
type protected struct{ httpserver.SimpleHandler }

func (h *protected) ParseRequest() bool {
	if !h.SimpleHandler.ParseRequest() {
		return false
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:password"))
	if subtle.ConstantTimeCompare([]byte(h.Headers.Get("Authorization")), []byte(want)) == 1 {
		return true
	}
	h.SendResponse(401, "")
	h.SendHeader("WWW-Authenticate", `Basic realm="files"`)
	h.SendHeader("Content-Length", "0")
	h.EndHeaders()
	return false
}

func ExampleBaseRequestHandler_ParseRequest() {
	url, stop := serve(httpserver.New[protected])
	defer stop()

	request, _ := http.NewRequest("GET", url+"/LICENSE", nil)
	for range 2 {
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(response.Status, response.Header.Get("WWW-Authenticate"))
		request.SetBasicAuth("user", "password")
	}
	// Output:
	// 401 Unauthorized Basic realm="files"
	// 200 OK
}

// structured logs by package log/slog. LogRequest is called for each response,
// LogMessage for everything else, errors for example.
type structured struct {
	httpserver.SimpleHandler
	logger *slog.Logger
}

func (h *structured) LogRequest(code int, size int64) {
	h.logger.Info("request", "method", h.Command, "path", h.Path, "code", code, "client", h.AddressString())
}

func (h *structured) LogMessage(format string, args ...any) {
	h.logger.Warn(fmt.Sprintf(format, args...), "client", h.AddressString())
}

func ExampleBaseRequestHandler_LogRequest() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{} // for an example that is the same every time
			}
			return a
		},
	}))
	url, stop := serve(func() httpserver.Handler { return &structured{logger: logger} })
	defer stop()

	for _, path := range []string{"/LICENSE", "/missing"} {
		if _, err := http.Head(url + path); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// level=INFO msg=request method=HEAD path=/LICENSE code=200 client=127.0.0.1
	// level=WARN msg="code 404, message File not found" client=127.0.0.1
	// level=INFO msg=request method=HEAD path=/missing code=404 client=127.0.0.1
}

// events sends an event from time to time. Each Write to WFile is sent at once, and fails
// when the client has left.
type events struct{ httpserver.BaseRequestHandler }

func (h *events) DoGET() {
	h.SendResponse(200, "")
	h.SendHeader("Content-Type", "text/event-stream")
	h.SendHeader("Cache-Control", "no-store")
	h.EndHeaders()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for i := 1; ; i++ {
		if _, err := fmt.Fprintf(h.WFile, "id: %d\ndata: tick\n\n", i); err != nil {
			return
		}
		<-ticker.C
	}
}

func ExampleBaseRequestHandler_DoGET_events() {
	url, stop := serve(httpserver.New[events])
	defer stop()

	response, err := http.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for range 5 {
		lines.Scan()
		fmt.Println(lines.Text())
	}
	// Output:
	// id: 1
	// data: tick
	//
	// id: 2
	// data: tick
}

// socket speaks WebSocket after the handshake of RFC 6455. What it sends is a frame with
// a text of less than 126 bytes.
type socket struct{ httpserver.BaseRequestHandler }

func (h *socket) DoGET() {
	key, ok := h.Headers.Lookup("Sec-WebSocket-Key")
	if !ok || !strings.EqualFold(h.Headers.Get("Upgrade"), "websocket") {
		h.SendError(426, "", "")
		return
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	h.SendResponseOnly(101, "")
	h.SendHeader("Upgrade", "websocket")
	h.SendHeader("Connection", "Upgrade")
	h.SendHeader("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	h.EndHeaders()
	conn, _ := h.Hijack() // the reader has what the client sends
	defer conn.Close()
	text := "hello"
	fmt.Fprintf(conn, "\x81%c%s", len(text), text)
}

func ExampleBaseRequestHandler_Hijack_webSocket() {
	url, stop := serve(func() httpserver.Handler {
		h := new(socket)
		h.ProtocolVersion = "HTTP/1.1"
		return h
	})
	defer stop()

	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Status, response.Header.Get("Sec-WebSocket-Accept"))
	frame, _ := io.ReadAll(r)
	fmt.Printf("%q\n", frame)
	// Output:
	// 101 Switching Protocols s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
	// "\x81\x05hello"
}

// limited sends files in pieces of 512 bytes, one each millisecond.
type limited struct{ httpserver.SimpleHandler }

func (h *limited) CopyFile(dst io.Writer, src io.Reader) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		if _, err := io.CopyN(dst, src, 512); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		<-ticker.C
	}
}

func ExampleSimpleHandler_CopyFile() {
	url, stop := serve(httpserver.New[limited])
	defer stop()

	begin := time.Now()
	response, err := http.Get(url + "/LICENSE")
	if err != nil {
		log.Fatal(err)
	}
	n, _ := io.Copy(io.Discard, response.Body)
	fmt.Println(n == response.ContentLength, time.Since(begin) >= time.Duration(n/512)*time.Millisecond)
	// Output: true true
}

// A mjpeg sends pictures one after another, each of which replaces the one before, as
// cameras do: EndHeaders sends a header within the body, too.
type mjpeg struct{ httpserver.BaseRequestHandler }

func (h *mjpeg) DoGET() {
	h.SendResponse(200, "")
	h.SendHeader("Content-Type", "multipart/x-mixed-replace; boundary=picture")
	h.EndHeaders()
	for _, picture := range []string{"first", "second"} {
		io.WriteString(h.WFile, "--picture\r\n")
		h.SendHeader("Content-Type", "image/jpeg")
		h.SendHeader("Content-Length", strconv.Itoa(len(picture)))
		h.EndHeaders()
		io.WriteString(h.WFile, picture+"\r\n")
	}
}

// A camera stream, as many Python programs send it.
func ExampleBaseRequestHandler_EndHeaders_stream() {
	f := httpserver.NewFixture(nil)
	defer f.Close()
	f.NewHandler, f.Stderr = httpserver.New[mjpeg], io.Discard
	response, err := http.Get(f.URL())
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	fmt.Println(strings.ReplaceAll(string(body), "\r", ""))
	// Output:
	// --picture
	// Content-Type: image/jpeg
	// Content-Length: 5
	//
	// first
	// --picture
	// Content-Type: image/jpeg
	// Content-Length: 6
	//
	// second
}
