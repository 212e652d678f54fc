package httpserver_test

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing/fstest"
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

// show prints the status code and the body of a response.
func show(response *http.Response, err error) {
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.TrimSpace(fmt.Sprintf("%d %s", response.StatusCode, body)))
}

// sendText sends a complete response. It calls the methods of the outermost value, which
// may have been overridden.
func sendText(h *httpserver.BaseRequestHandler, text string) {
	self := h.Self()
	self.SendResponse(200, "")
	self.SendHeader("Content-Type", "text/plain; charset=utf-8")
	self.SendHeader("Content-Length", strconv.Itoa(len(text)))
	self.EndHeaders()
	io.WriteString(h.WFile, text)
}

var errTooLong = errors.New("the body is too long")

// A limitedReader fails after left bytes. With an io.LimitedReader, a part of a body
// would look like the whole.
type limitedReader struct {
	io.Reader
	left int64
}

func (r *limitedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.left -= int64(n); r.left < 0 {
		return 0, errTooLong
	}
	return n, err
}

// sendFailure answers a request whose body could not be read or used.
func sendFailure(h *httpserver.BaseRequestHandler, err error) {
	code := 400
	switch {
	case errors.Is(err, errTooLong):
		code = 413
	case errors.Is(err, fs.ErrNotExist):
		code = 409
	case errors.As(err, new(*fs.PathError)), errors.As(err, new(*os.LinkError)):
		code = 500
	}
	h.Self().LogError("%s: %v", h.Command, err)
	h.Self().SendError(code, "", "")
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
	body, err := io.ReadAll(&limitedReader{h.RFile, 1 << 20})
	if err != nil {
		sendFailure(&h.BaseRequestHandler, err)
		return
	}
	sendText(&h.BaseRequestHandler, string(body))
}

func ExampleBaseRequestHandler_DoPOST() {
	url, stop := serve(httpserver.New[echo])
	defer stop()

	show(http.Post(url, "text/plain", strings.NewReader("with a length")))
	show(http.Post(url, "text/plain", io.MultiReader(strings.NewReader("in chunks"))))
	// Output:
	// 200 with a length
	// 200 in chunks
}

// form reads forms of both kinds, as cgi.FieldStorage did in Python.
type form struct{ httpserver.BaseRequestHandler }

func (h *form) values() (url.Values, error) {
	const limit = 1 << 20
	body := &limitedReader{h.RFile, limit}
	mediaType, params, err := mime.ParseMediaType(h.Headers.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	if mediaType == "multipart/form-data" {
		f, err := multipart.NewReader(body, params["boundary"]).ReadForm(limit)
		if err != nil {
			return nil, err
		}
		defer f.RemoveAll() // f.File has the files
		return f.Value, nil
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	return url.ParseQuery(string(text))
}

func (h *form) DoPOST() {
	values, err := h.values()
	if err != nil {
		sendFailure(&h.BaseRequestHandler, err)
		return
	}
	sendText(&h.BaseRequestHandler, "Hello, "+values.Get("name")+"!")
}

// Forms that a browser sends, urlencoded or multipart.
func ExampleBaseRequestHandler_DoPOST_form() {
	address, stop := serve(httpserver.New[form])
	defer stop()

	show(http.PostForm(address, url.Values{"name": {"Jürgen"}}))

	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	w.WriteField("name", "Zoë")
	w.Close()
	show(http.Post(address, w.FormDataContentType(), &body))
	// Output:
	// 200 Hello, Jürgen!
	// 200 Hello, Zoë!
}

// upload stores files below Directory, which are sent with PUT or by a form. A request
// may have limit bytes. A file appears when it is whole.
type upload struct {
	httpserver.SimpleHandler
	limit int64
}

func (h *upload) DoPUT() {
	h.answer(h.save(h.Path, &limitedReader{h.RFile, h.limit}))
}

func (h *upload) DoPOST() {
	h.answer(h.saveForm(&limitedReader{h.RFile, h.limit}))
}

func (h *upload) saveForm(body io.Reader) error {
	_, params, err := mime.ParseMediaType(h.Headers.Get("Content-Type"))
	if err != nil {
		return err
	}
	parts := multipart.NewReader(body, params["boundary"])
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return nil
		}
		if err == nil && part.FileName() != "" {
			err = h.save("/"+url.PathEscape(part.FileName()), part)
		}
		if err != nil {
			return err
		}
	}
}

// save stores the file for a path. TranslatePath leads nowhere else than below Directory.
func (h *upload) save(path string, content io.Reader) error {
	name := h.TranslatePath(path)
	if name == "" {
		return fmt.Errorf("no file can have the path %q", path)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".upload-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // which fails after the Rename
	_, err = io.Copy(f, content)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func (h *upload) answer(err error) {
	if err != nil {
		sendFailure(&h.BaseRequestHandler, err)
		return
	}
	h.SendResponse(204, "")
	h.EndHeaders()
}

// Uploads by PUT and by a form, with a limit.
func ExampleBaseRequestHandler_DoPUT() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	url, stop := serve(func() httpserver.Handler {
		h := &upload{limit: 1000}
		h.Directory = dir
		return h
	})
	defer stop()

	put, _ := http.NewRequest("PUT", url+"/note.txt", strings.NewReader("kept"))
	show(http.DefaultClient.Do(put))
	show(http.Get(url + "/note.txt"))

	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	file, _ := w.CreateFormFile("file", "100 %.txt")
	io.WriteString(file, "from a form")
	w.Close()
	show(http.Post(url, w.FormDataContentType(), &body))
	show(http.Get(url + "/100%20%25.txt"))

	put, _ = http.NewRequest("PUT", url+"/note.txt", strings.NewReader(strings.Repeat("x", 1001)))
	response, err := http.DefaultClient.Do(put)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Status)
	show(http.Get(url + "/note.txt"))
	// Output:
	// 204
	// 200 kept
	// 204
	// 200 from a form
	// 413 Content Too Large
	// 200 kept
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

// structured logs by package log/slog, one record a request. LogRequest is called for
// each response, LogError for each that SendError sends and for connections that break.
type structured struct {
	httpserver.SimpleHandler
	logger *slog.Logger
}

func (h *structured) LogRequest(code int, size int64) {
	h.logger.Info("request", "method", h.Command, "path", h.Path, "code", code, "client", h.AddressString())
}

func (h *structured) LogError(format string, args ...any) {
	if format != "code %d, message %s" { // that of SendError: LogRequest has the code
		h.LogMessage(format, args...)
	}
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
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
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

// proxy makes a tunnel for each CONNECT. Who can connect to it can connect from this
// machine to any other.
type proxy struct{ httpserver.BaseRequestHandler }

func (h *proxy) DoCONNECT() {
	target, err := net.DialTimeout("tcp", h.Path, 10*time.Second)
	if err != nil {
		h.SendError(502, "", "")
		return
	}
	defer target.Close()
	h.SendResponse(200, "Connection established")
	h.EndHeaders()
	client, r := h.Hijack()
	defer client.Close()
	go func() {
		io.Copy(target, r)
		target.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(client, target)
}

// A proxy for HTTPS, and a client that uses it.
func ExampleBaseRequestHandler_DoCONNECT() {
	address, stop := serve(httpserver.New[proxy])
	defer stop()
	target := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "through the tunnel")
	}))
	defer target.Close()

	proxyURL, _ := url.Parse(address)
	client := target.Client()
	client.Transport.(*http.Transport).Proxy = http.ProxyURL(proxyURL)
	show(client.Get(target.URL))
	// Output: 200 through the tunnel
}

// wsgi calls an application with an environment, as wsgiref.simple_server does. Handle
// serves one request, for which it reads the request line itself.
type wsgi struct {
	httpserver.BaseRequestHandler
	application func(environ map[string]string) string
}

func (h *wsgi) Handle() {
	if !h.ReadRequestLine() || !h.ParseRequest() {
		return
	}
	path, query, _ := strings.Cut(h.Path, "?")
	sendText(&h.BaseRequestHandler, h.application(map[string]string{
		"REQUEST_METHOD": h.Command,
		"PATH_INFO":      path,
		"QUERY_STRING":   query,
	}))
}

// An override of Handle that reads requests itself.
func ExampleBaseRequestHandler_ReadRequestLine() {
	application := func(environ map[string]string) string {
		return environ["REQUEST_METHOD"] + " " + environ["PATH_INFO"] + " with " + environ["QUERY_STRING"]
	}
	url, stop := serve(func() httpserver.Handler { return &wsgi{application: application} })
	defer stop()

	show(http.Get(url + "/a?b=c"))
	show(http.Post(url, "text/plain", nil))
	// Output:
	// 200 GET /a with b=c
	// 200 POST / with
}

// forwarded handles all methods in one place, as do_GET = do_POST = … does in Python.
type forwarded struct{ httpserver.BaseRequestHandler }

func (h *forwarded) Dispatch() {
	sendText(&h.BaseRequestHandler, h.Command+" "+h.Path)
}

func ExampleBaseRequestHandler_Dispatch() {
	url, stop := serve(httpserver.New[forwarded])
	defer stop()

	show(http.Get(url + "/a"))
	show(http.Post(url+"/b", "text/plain", nil))
	// Output:
	// 200 GET /a
	// 200 POST /b
}

// counters are what the handlers of a server have in common. In Python they would be
// attributes of self.server.
type counters struct{ responses, errors atomic.Int64 }

// measured serves files, and at /metrics how many responses it has sent.
type measured struct {
	httpserver.SimpleHandler
	counters *counters
}

func (h *measured) LogRequest(code int, size int64) {
	h.counters.responses.Add(1)
	if code >= 400 {
		h.counters.errors.Add(1)
	}
	h.SimpleHandler.LogRequest(code, size)
}

func (h *measured) DoGET() {
	if h.Path != "/metrics" {
		h.SimpleHandler.DoGET()
		return
	}
	sendText(&h.BaseRequestHandler, fmt.Sprintf("http_responses_total %d\nhttp_errors_total %d\n",
		h.counters.responses.Load(), h.counters.errors.Load()))
}

// Metrics of a server. The function that makes the handlers has what is an attribute of
// the server in Python, and sets what are class attributes there.
func ExampleBaseRequestHandler_DoGET_metrics() {
	shared := new(counters)
	url, stop := serve(func() httpserver.Handler {
		h := &measured{counters: shared}
		h.ServerVersion = "Measured/1.0"
		h.ErrorMessageFormat = "%(code)d %(message)s"
		return h
	})
	defer stop()

	show(http.Get(url + "/missing"))
	response, err := http.Head(url + "/LICENSE")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Fields(response.Header.Get("Server"))[0])
	show(http.Get(url + "/metrics"))
	// Output:
	// 404 404 File not found
	// Measured/1.0
	// 200 http_responses_total 2
	// http_errors_total 1
}

// callback waits for the page that an authorization server sends the browser to.
type callback struct {
	httpserver.BaseRequestHandler
	code *string // in Python it would be self.server.code
}

func (h *callback) DoGET() {
	target, err := url.ParseRequestURI(h.Path)
	if err != nil || !target.Query().Has("code") { // the browser also asks for /favicon.ico
		h.SendError(404, "", "")
		return
	}
	*h.code = target.Query().Get("code")
	sendText(&h.BaseRequestHandler, "You can close this page.\n")
}

// A program that needs one request, the callback of OAuth for example.
func ExampleHTTPServer_HandleRequest() {
	var code string
	server, err := httpserver.NewHTTPServer("127.0.0.1:0", func() httpserver.Handler {
		h := &callback{code: &code}
		h.Timeout = time.Second // browsers also open connections that they do not use
		return h
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	server.Stderr = io.Discard

	go func() { // the browser
		http.Get(server.URL() + "/favicon.ico")
		http.Get(server.URL() + "/?code=4711")
	}()
	for code == "" {
		if err := server.HandleRequest(); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(code)
	// Output: 4711
}

// The socket of a server speaks TLS. A program has its certificate from
// [tls.LoadX509KeyPair], and keeps the key out of the directory that it serves.
func ExampleHTTPServer_tls() {
	test := httptest.NewTLSServer(nil) // has a certificate for this machine
	defer test.Close()

	server, err := httpserver.NewThreadingHTTPServer("127.0.0.1:0", httpserver.New[ported])
	if err != nil {
		log.Fatal(err)
	}
	server.Listener = tls.NewListener(server.Listener, &tls.Config{Certificates: test.TLS.Certificates})
	server.Stderr = io.Discard
	go server.ServeForever()
	defer server.Close()

	show(test.Client().Get("https://" + server.Addr().String() + "/greet"))
	// Output: 200 Hello, world!
}

// A handler on a net.Pipe, without a listener.
func ExampleHTTPServer_FinishRequest() {
	client, conn := net.Pipe()
	server := &httpserver.HTTPServer{NewHandler: httpserver.New[ported], Stderr: io.Discard}
	go func() {
		server.FinishRequest(conn)
		conn.Close()
	}()

	io.WriteString(client, "GET /greet?name=pipe HTTP/1.0\r\n\r\n")
	show(http.ReadResponse(bufio.NewReader(client), nil))
	// Output: 200 Hello, pipe!
}

// Downloads can be resumed, and players can seek: a SimpleHandler sends parts of files.
func ExampleSimpleHandler_ranges() {
	files := fstest.MapFS{"letters.txt": {Data: []byte("abcdefghijklmnopqrstuvwxyz")}}
	url, stop := serve(func() httpserver.Handler { return &httpserver.SimpleHandler{FS: files} })
	defer stop()

	for _, part := range []string{"bytes=0-4", "bytes=-5", "bytes=99-"} {
		request, _ := http.NewRequest("GET", url+"/letters.txt", nil)
		request.Header.Set("Range", part)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(response.Status, response.Header.Get("Content-Range"))
	}
	// Output:
	// 206 Partial Content bytes 0-4/26
	// 206 Partial Content bytes 21-25/26
	// 416 Range Not Satisfiable bytes */26
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
	url, stop := serve(httpserver.New[mjpeg])
	defer stop()

	response, err := http.Get(url)
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
