// This module is a user of the fixture server: a client of twenty lines, with retries, and
// its tests.
package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"httpserver"
)

var errRefused = errors.New("refused")

// fetch returns what is at a URL. What may be a passing fault is tried four times, with a
// pause that doubles.
func fetch(client *http.Client, url string) (body string, err error) {
	for try := range 4 {
		if try > 0 {
			time.Sleep(time.Second << try)
		}
		var response *http.Response
		if response, err = client.Get(url); err != nil {
			continue
		}
		var text []byte
		text, err = io.ReadAll(response.Body)
		response.Body.Close()
		switch {
		case response.StatusCode >= 500:
			err = errors.New(response.Status)
		case response.StatusCode >= 400:
			return "", fmt.Errorf("%w: %s", errRefused, response.Status)
		case err == nil:
			return string(text), nil
		}
	}
	return "", err
}

// start returns a fixture that works on a network in memory, and a client for it.
func start(t *testing.T) (*httpserver.Fixture, *http.Client) {
	l := new(httpserver.MemoryListener)
	f := httpserver.NewFixture(t)
	f.Listener = l
	return f, &http.Client{Transport: &http.Transport{DialContext: l.DialContext}, Timeout: time.Minute}
}

func TestFaults(t *testing.T) {
	send := httpserver.Send
	ok := httpserver.Response(200, "hello")
	for name, fault := range map[string]httpserver.Answer{
		"reset":        httpserver.Answer{}.Reset(),
		"closed":       httpserver.Answer{}.Close(),
		"503":          send(httpserver.Response(503, "", "Retry-After: 1")),
		"cut head":     send(ok[:30]).Close(),
		"cut body":     send(ok[:len(ok)-2]).Close(),
		"reset later":  send(ok[:len(ok)-2]).Pause(time.Second).Reset(),
		"stall":        send(ok[:len(ok)-2]).Pause(time.Hour).Send(ok[len(ok)-2:]),
		"silence":      httpserver.Answer{}.Wait(nil),
		"drip":         httpserver.Answer{}.Drip(ok, 10*time.Second),
		"bad chunk":    send(httpserver.Response(200, "5\r\nhello\r\noops\r\n", "Transfer-Encoding: chunked")).Close(),
		"bad status":   send(strings.Replace(ok, "200", "2OO", 1)).Close(),
		"not HTTP":     send("220 mail.example.com ESMTP\r\n").Close(),
		"endless head": send("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 1<<18)).Close(),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, client := start(t)
				f.Reply("GET /", fault, fault, send(ok))
				if body, err := fetch(client, f.URL()); body != "hello" || err != nil {
					t.Errorf("got %q, %v", body, err)
				}
				if n := len(f.Requests()); n != 3 {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
}

func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := start(t)
		f.Reply("GET /", httpserver.Answer{}.Reset())
		if _, err := fetch(client, f.URL()); err == nil || len(f.Requests()) != 4 {
			t.Errorf("%v after %d requests", err, len(f.Requests()))
		}
	})
}

func TestRefused(t *testing.T) {
	f := httpserver.NewFixture(t)
	f.Reply("GET /", httpserver.Send(httpserver.Response(404, "")))
	if _, err := fetch(http.DefaultClient, f.URL()); !errors.Is(err, errRefused) || len(f.Requests()) != 1 {
		t.Errorf("%v after %d requests", err, len(f.Requests()))
	}
}

func TestConnectionsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := start(t)
		f.Accept(httpserver.Answer{}.Reset(), httpserver.Send("busy\r\n").Close())
		f.Reply("GET /", httpserver.Send(httpserver.Response(200, "hello")))
		if body, err := fetch(client, f.URL()); body != "hello" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
		if request := f.Requests()[0]; request.Conn != 3 {
			t.Errorf("answered on connection %d", request.Conn)
		}
	})
}

// A connection in use that the server closes is no fault: the client asks again.
func TestReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := start(t)
		ok := httpserver.Send(httpserver.Response(200, "hello"))
		f.Reply("GET /", ok, httpserver.Answer{}.Close(), ok)
		for range 2 {
			begin := time.Now()
			if body, err := fetch(client, f.URL()); body != "hello" || err != nil || time.Since(begin) != 0 {
				t.Errorf("got %q, %v after %v", body, err, time.Since(begin))
			}
		}
		var conns []int
		for _, request := range f.Requests() {
			conns = append(conns, request.Conn)
		}
		if fmt.Sprint(conns) != "[1 1 2]" {
			t.Errorf("on the connections %v", conns)
		}
	})
}
