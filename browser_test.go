package httpserver_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"httpserver"
)

var screenshots = flag.String("screenshots", "", "directory for pictures of what TestBrowser sees")

// A browser is a headless Chromium with one page, driven by the DevTools
// protocol over two pipes: messages are JSON, each ended by a NUL.
type browser struct {
	t       *testing.T
	to      *os.File
	pipe    *os.File // under from
	from    *bufio.Reader
	session string
	calls   int
	events  []devtoolsMessage
}

type devtoolsMessage struct {
	ID     int
	Method string
	Params json.RawMessage
	Result json.RawMessage
	Error  json.RawMessage
}

// startBrowser starts Chromium, which runs until the end of the test. The test fails
// if it waits for anything for half a minute.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows hands no pipes on to Chromium")
	}
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path == "" {
			path, _ = exec.LookPath(name)
		}
	}
	if path == "" {
		t.Skip("no Chromium here")
	}
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	in, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	cmd := exec.CommandContext(ctx, path, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+profile)
	cmd.ExtraFiles = []*os.File{in, out}
	cmd.Env = append(os.Environ(), "HOME="+profile)
	if err := cmd.Start(); err != nil {
		cancel()
		t.Skip("Chromium does not start: ", err)
	}
	in.Close()
	out.Close()
	b := &browser{t: t, to: to, pipe: from, from: bufio.NewReader(from)}
	t.Cleanup(func() {
		to.Close() // which ends the browser
		cmd.Wait()
		cancel()
		from.Close()
		os.RemoveAll(profile)
	})
	fmt.Fprint(to, `{"id":0,"method":"Browser.getVersion"}`+"\x00")
	if _, err := b.from.ReadBytes(0); err != nil {
		t.Skip("Chromium does not start: ", err) // it may be a stub that asks for a snap
	}
	var target struct{ TargetID, SessionID string }
	b.call("Target.createTarget", `{"url":"about:blank"}`, &target)
	b.call("Target.attachToTarget", fmt.Sprintf(`{"targetId":%q,"flatten":true}`, target.TargetID), &target)
	b.session = target.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.call(domain+".enable", `{}`, nil)
	}
	return b
}

// call calls a method and reads its result.
func (b *browser) call(method, params string, result any) {
	b.t.Helper()
	b.calls++
	session := ""
	if b.session != "" {
		session = fmt.Sprintf(`,"sessionId":%q`, b.session)
	}
	if _, err := fmt.Fprintf(b.to, "{\"id\":%d,\"method\":%q,\"params\":%s%s}\x00", b.calls, method, params, session); err != nil {
		b.t.Fatal(err)
	}
	for {
		m := b.read()
		if m.ID != b.calls {
			b.events = append(b.events, m)
			continue
		}
		if m.Error != nil {
			b.t.Fatalf("%s %s: %s", method, params, m.Error)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
		return
	}
}

func (b *browser) read() (m devtoolsMessage) {
	b.t.Helper()
	b.pipe.SetReadDeadline(time.Now().Add(30 * time.Second))
	text, err := b.from.ReadBytes(0)
	if err == nil {
		err = json.Unmarshal(text[:len(text)-1], &m)
	}
	if err != nil {
		b.t.Fatal("Chromium: ", err)
	}
	return m
}

// loaded calls act, and waits until the page that act opens has loaded.
func (b *browser) loaded(act func()) {
	b.t.Helper()
	b.noComplaint()
	act()
	isLoad := func(m devtoolsMessage) bool { return m.Method == "Page.loadEventFired" }
	for !slices.ContainsFunc(b.events, isLoad) {
		b.events = append(b.events, b.read())
	}
	b.noComplaint()
}

// noComplaint fails the test if the console of the browser would show an error or a
// warning. A 404 does not count.
func (b *browser) noComplaint() {
	b.t.Helper()
	for _, m := range b.events {
		var p struct {
			Entry struct{ Source, Level, Text string }
		}
		if m.Method == "Log.entryAdded" {
			if err := json.Unmarshal(m.Params, &p); err != nil {
				b.t.Fatal(err)
			}
		}
		if m.Method == "Runtime.exceptionThrown" || m.Method == "Runtime.consoleAPICalled" || m.Method == "Log.entryAdded" && p.Entry.Source != "network" {
			b.t.Errorf("the console says: %s", m.Params)
		}
	}
	b.events = b.events[:0]
}

func (b *browser) open(address string) {
	b.t.Helper()
	b.loaded(func() { b.call("Page.navigate", fmt.Sprintf(`{"url":%q}`, address), nil) })
}

// click clicks in the middle of the first element that a selector finds.
func (b *browser) click(selector string) {
	b.t.Helper()
	var at struct{ X, Y float64 }
	b.eval(fmt.Sprintf(`(() => {
		const e = document.querySelector(%q); e.scrollIntoView({block: "center"});
		const r = e.getClientRects()[0]; return {X: r.left + Math.min(r.width/2, 10), Y: r.top + r.height/2}
	})()`, selector), &at)
	b.loaded(func() {
		for _, kind := range []string{"mousePressed", "mouseReleased"} {
			b.call("Input.dispatchMouseEvent", fmt.Sprintf(`{"type":%q,"x":%g,"y":%g,"button":"left","clickCount":1}`, kind, at.X, at.Y), nil)
		}
	})
}

// eval evaluates an expression in the page, and stores its value.
func (b *browser) eval(expression string, value any) {
	b.t.Helper()
	quoted, err := json.Marshal(expression)
	if err != nil {
		b.t.Fatal(err)
	}
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", fmt.Sprintf(`{"expression":%s,"returnByValue":true}`, quoted), &r)
	if r.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, r.ExceptionDetails)
	}
	if err := json.Unmarshal(r.Result.Value, value); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
}

func (b *browser) text(expression string) (s string) {
	b.t.Helper()
	b.eval("String("+expression+")", &s)
	return s
}

func (b *browser) picture(name string) {
	b.t.Helper()
	if *screenshots == "" {
		return
	}
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", `{}`, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(*screenshots, name+".png"), png, 0o666)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// browserSite makes a directory with names that are hard to show in a listing.
func browserSite(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	names := []string{
		"empty/", "a folder/<b>&amp;/deep/readme.md", "odd/שלום/", "odd/שלום עולם.txt", "odd/مرحبا بالعالم " + strings.Repeat("ملف ", 12) + ".pdf",
		"odd/" + strings.Repeat("a", 251) + ".bin", "odd/   ", "odd/\u200b", "odd/😀", "odd/long-" + strings.Repeat("word-", 30) + ".txt", "odd/" + strings.Repeat("漢字", 25) + ".md",
		"odd/evil\u202egpj.exe", "odd/line\nend", "odd/tab\there", "odd/  two  spaces ", "odd/<b>&amp;.html", "odd/#?%41", "odd/a:b", "odd/back\\slash",
		"odd/quote'\"", strings.Repeat("a long name of a folder ", 8) + "/" + strings.Repeat("b", 150) + "/x",
		"many/docs/", "many/Music/",
	}
	if runtime.GOOS == "linux" {
		names = append(names, "odd/latin\xe9")
	}
	for i := range 60 {
		kind := []string{"report.pdf", "Photo.jpg", "notes.txt", "archive.tar.gz", "IMG.mp4"}[i%5]
		names = append(names, fmt.Sprintf("many/%s-%02d%s", kind[:4], i, filepath.Ext(kind)))
	}
	for i, name := range names {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(full, 0o777); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(full, []byte(filepath.Base(name)), 0o666); err != nil {
			t.Skip("this system cannot hold the file names: ", err)
		}
		if strings.HasPrefix(name, "many/") {
			if err := os.Truncate(full, int64(i*i*i*i*7)); err != nil {
				t.Fatal(err)
			}
			when := siteTime.Add(time.Duration(i*i) * 999 * time.Minute)
			if err := os.Chtimes(full, when, when); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// TestBrowser opens the pages in Chromium as on a phone and on a desktop computer, in
// light and in dark colors, and follows their links.
func TestBrowser(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	site := browserSite(t)
	s := serveFiles(t, func(h *httpserver.SimpleHandler) { h.Directory, h.ProtocolVersion = site, "HTTP/1.1" })
	pages := []struct{ name, target string }{
		{"many", "/many/?sort=size&order=desc"}, {"odd", "/odd/"}, {"empty", "/empty/"}, {"deep", "/a%20folder/%3Cb%3E%26amp%3B/deep/"},
		{"long", "/" + url.PathEscape(strings.Repeat("a long name of a folder ", 8)) + "/" + strings.Repeat("b", 150) + "/"}, {"error", "/nope"},
	}
	for _, device := range []struct {
		name          string
		width, height int
	}{{"phone", 360, 740}, {"desktop", 1280, 800}} {
		b.call("Emulation.setDeviceMetricsOverride", fmt.Sprintf(`{"width":%d,"height":%d,"deviceScaleFactor":1,"mobile":%v}`, device.width, device.height, device.width < 500), nil)
		for scheme, back := range map[string]string{"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 27)"} {
			b.call("Emulation.setEmulatedMedia", fmt.Sprintf(`{"features":[{"name":"prefers-color-scheme","value":%q}]}`, scheme), nil)
			for _, page := range pages {
				b.open(s.URL() + page.target)
				b.picture(device.name + "-" + scheme + "-" + page.name)
				name := device.name + ", " + scheme + ", " + page.name
				if got := b.text("getComputedStyle(document.body).backgroundColor"); got != back {
					t.Errorf("%s: the page is %s", name, got)
				}
				if got := b.text("[innerWidth, document.documentElement.scrollWidth - document.documentElement.clientWidth]"); got != fmt.Sprintf("%d,0", device.width) {
					t.Errorf("%s: the window's width, and what is beside it, are %s", name, got)
				}
				if got := b.text("[...document.querySelectorAll('a, p, th')].filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0).length"); got != "0" {
					t.Errorf("%s: %s elements hide a part of their text", name, got)
				}
			}
		}
		b.browseLinks(s)
		b.sortBySize(s)
		b.checkAccess(s)
	}
	b.checkPrint(s)
}

// checkAccess checks what people need who use a keyboard or a screen reader.
func (b *browser) checkAccess(s *httpserver.ThreadingHTTPServer) {
	b.t.Helper()
	check := func(expression, want string) {
		b.t.Helper()
		if got := b.text(expression); got != want {
			b.t.Errorf("%s is %s, want %s", expression, got, want)
		}
	}
	b.open(s.URL() + "/many/")
	check("document.querySelectorAll('h1').length", "1")
	check("document.querySelectorAll('th:not([scope=col])').length", "0")
	check("document.querySelectorAll('[aria-sort]').length", "1")
	check("document.querySelectorAll('td:empty').length", "2") // the sizes of folders
	check("[...document.querySelectorAll('td')].filter(e => getComputedStyle(e).display == 'none').length", "0")
	check("getComputedStyle(document.querySelector('tbody tr')).contentVisibility", "auto")
	for range 6 { // two links of the path, three heads, and a name
		for _, kind := range []string{"rawKeyDown", "keyUp"} {
			b.call("Input.dispatchKeyEvent", fmt.Sprintf(`{"type":%q,"key":"Tab","windowsVirtualKeyCode":9}`, kind), nil)
		}
	}
	check("document.activeElement == document.querySelector('li a')", "true")
	check("getComputedStyle(document.activeElement).outlineStyle", "auto")
	check("window.find('Phot-56.jpg') && scrollY > 0", "true") // which was not laid out before
	b.open(s.URL() + "/odd/")
	check("[...document.querySelectorAll('.blank a')].map(a => getComputedStyle(a, '::before').content)", `"%20%20%20","%E2%80%8B"`)
	check("getComputedStyle(document.querySelector('.blank a')).fontSize", "0px")
}

// checkPrint checks that paper is white, even if the browser prefers dark colors.
func (b *browser) checkPrint(s *httpserver.ThreadingHTTPServer) {
	b.t.Helper()
	b.open(s.URL() + "/many/")
	for media, back := range map[string]string{"print": "rgb(255, 255, 255)", "screen": "rgb(21, 24, 27)"} {
		b.call("Emulation.setEmulatedMedia", fmt.Sprintf(`{"media":%q,"features":[{"name":"prefers-color-scheme","value":"dark"}]}`, media), nil)
		if got := b.text("getComputedStyle(document.body).backgroundColor"); got != back {
			b.t.Errorf("the background of %s is %s", media, got)
		}
	}
}

// browseLinks goes down and up, and checks where the links of odd names lead.
func (b *browser) browseLinks(s *httpserver.ThreadingHTTPServer) {
	b.t.Helper()
	at := func(want string) {
		b.t.Helper()
		if got := b.text("location.pathname"); got != want {
			b.t.Errorf("at %s, not at %s", got, want)
		}
	}
	b.open(s.URL() + "/")
	b.click("li a[href='a%20folder/']")
	at("/a%20folder/")
	b.click("li a")
	at("/a%20folder/%3Cb%3E%26amp%3B/")
	b.click("li a")
	b.click("li a")
	if got := b.text("document.body.innerText"); got != "readme.md" {
		b.t.Errorf("the file says %q", got)
	}
	b.open(s.URL() + "/a%20folder/%3Cb%3E%26amp%3B/deep/")
	b.click("nav a:nth-child(3)")
	at("/a%20folder/%3Cb%3E%26amp%3B/")
	b.click("nav a")
	at("/")

	b.open(s.URL() + "/odd/")
	var found []string
	b.eval("[...document.querySelectorAll('li a')].map(a => a.href)", &found)
	if len(found) < 15 {
		b.t.Errorf("%d links", len(found))
	}
	for _, link := range found {
		u, err := url.Parse(link)
		if err != nil {
			b.t.Fatal(err)
		}
		name, _ := url.PathUnescape(strings.TrimPrefix(u.EscapedPath(), "/odd/"))
		if head, body := get(b.t, s, u.RequestURI()); !strings.HasPrefix(head, "HTTP/1.1 200 ") || body != name && !strings.HasSuffix(name, "/") {
			b.t.Errorf("%s: %s%.200s", link, head, body)
		}
	}
}

// sortBySize clicks on the head of the column twice.
func (b *browser) sortBySize(s *httpserver.ThreadingHTTPServer) {
	b.t.Helper()
	b.open(s.URL() + "/many/")
	for _, want := range []string{"descending", "ascending"} {
		b.click("th:nth-child(2) a")
		if got := b.text("document.querySelector('th:nth-child(2)').ariaSort"); got != want {
			b.t.Errorf("at %s the column is said to be %s", b.text("location.search"), got)
		}
		arrow := map[string]string{"descending": `" ↓"`, "ascending": `" ↑"`}[want]
		if got := b.text("getComputedStyle(document.querySelector('[aria-sort] a'), '::after').content"); got != arrow {
			b.t.Errorf("%s is shown by %s", want, got)
		}
		var sizes []int
		b.eval("[...document.querySelectorAll('td[title]')].map(e => parseInt(e.title))", &sizes)
		if want == "descending" {
			slices.Reverse(sizes)
		}
		if len(sizes) < 50 || !slices.IsSorted(sizes) {
			b.t.Errorf("%s: %d", want, sizes)
		}
	}
}
