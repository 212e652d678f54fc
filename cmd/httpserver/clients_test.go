package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A client is a program by other people. It runs in a directory of its own, which is
// also its home.
type client struct {
	*process // the server
	program  string
	dir      string
	env      []string
}

func TestClients(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("programs get an environment as on Unix")
	}
	for _, tt := range []struct {
		name     string
		programs string // one of them is needed
		test     func(t *testing.T, c *client)
	}{
		{"curl -C -", "curl", curlResumes},
		{"wget -c", "wget", wgetResumes},
		{"aria2c -x8", "aria2c", aria2Splits},
		{"curl --etag-compare", "curl", curlComparesETag},
		{"browser seeks", "chromium chromium-browser google-chrome", browserSeeks},
		{"pip --find-links", "python3", pipFindsLinks},
		{"apt-get", "apt-get", aptFlatRepository},
		{"GOPROXY", "go", goProxy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &client{dir: t.TempDir()}
			for _, program := range strings.Fields(tt.programs) {
				if path, err := exec.LookPath(program); c.program == "" && err == nil {
					c.program = path
				}
			}
			if c.program == "" {
				t.Skipf("no %s here", strings.ReplaceAll(tt.programs, " ", " or "))
			}
			c.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "TMPDIR=" + t.TempDir(), "LC_ALL=C"}
			c.process = startServer(t, "-p", "HTTP/1.1")
			tt.test(t, c)
		})
	}
}

// command returns the program with arguments, ready to run.
func (c *client) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, c.program, args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	cmd.WaitDelay = time.Second
	return cmd
}

// run runs the program, and returns its output. The test fails if the program does.
func (c *client) run(t *testing.T, args ...string) string {
	t.Helper()
	output, err := c.command(t, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s\nServer:\n%s", c.program, args, err, output, c.log(t))
	}
	return string(output)
}

func (c *client) url(name string) string { return "http://" + c.addr + "/" + name }

// log ends the server and returns its log.
func (c *client) log(t *testing.T) string {
	t.Helper()
	c.Process.Kill()
	_, _, stderr := c.wait(t)
	return stderr
}

// wantLog fails the test unless the log has at least so many responses with a code.
func (c *client) wantLog(t *testing.T, code string, atLeast int) {
	t.Helper()
	if log := c.log(t); strings.Count(log, `" `+code+" -\n") < atLeast {
		t.Errorf("want %d answers of %s in the log:\n%s", atLeast, code, log)
	}
}

// wantFile compares a file that the program wrote with its content on the server.
func (c *client) wantFile(t *testing.T, name string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(filepath.Join(c.dir, name)); !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes, %v, and not the %d of the server", name, len(got), err, len(want))
	}
}

// write makes a file below dir, and its directory.
func write(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// numbered returns so many KiB that do not repeat.
func numbered(kib int) []byte {
	b := make([]byte, 0, kib<<10)
	for i := range kib << 7 {
		b = strconv.AppendInt(b, int64(i)+1_000_000, 10)
		b = append(b, '\n')
	}
	return b
}

// zipOf returns an archive of files, given by names and contents in turn.
func zipOf(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(files[i+1]))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A download that was cut off is continued, not restarted.

func curlResumes(t *testing.T, c *client) {
	content := numbered(1024)
	c.addFile(t, "file", content)
	write(t, c.dir, "file", content[:300_000])
	c.run(t, "-q", "-sS", "-f", "-C", "-", "-O", c.url("file"))
	c.wantFile(t, "file", content)
	c.wantLog(t, "206", 1)
}

func wgetResumes(t *testing.T, c *client) {
	content := numbered(1024)
	c.addFile(t, "file", content)
	write(t, c.dir, "file", content[:300_000])
	c.run(t, "--no-config", "-nv", "-c", c.url("file"))
	c.wantFile(t, "file", content)
	c.wantLog(t, "206", 1)
}

// Parts of a file are downloaded at the same time.
func aria2Splits(t *testing.T, c *client) {
	content := numbered(16 << 10)
	c.addFile(t, "file", content)
	c.run(t, "--no-conf", "-q", "-x8", "-s8", "-k1M", "--file-allocation=none", "--async-dns=false", c.url("file"))
	c.wantFile(t, "file", content)
	c.wantLog(t, "206", 7)
}

// A file is sent once, and again after it has changed.
func curlComparesETag(t *testing.T, c *client) {
	c.addFile(t, "file", []byte("one\n"))
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(c.process.Dir, "file"), old, old); err != nil {
		t.Fatal(err)
	}
	get := func(want string) {
		t.Helper()
		got := c.run(t, "-q", "-sS", "-o", "file", "-w", "%{http_code} %{size_download}", "--etag-save", "etag", "--etag-compare", "etag", c.url("file"))
		if !strings.HasSuffix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	get("200 4")
	get("304 0")
	c.wantFile(t, "file", []byte("one\n"))
	c.addFile(t, "file", []byte("other\n"))
	get("200 6")
	c.wantFile(t, "file", []byte("other\n"))
}

// seekPage requests /outcome with the time that the browser has reached.
const seekPage = `<!DOCTYPE html>
<meta charset="utf-8">
<title>seek</title>
<video src="sound.wav" preload="metadata"></video>
<script>
const video = document.querySelector("video");
const tell = text => fetch("outcome?" + text);
video.onloadedmetadata = () => { video.currentTime = video.duration - 10; };
video.onseeked = () => tell("seeked=" + Math.round(video.currentTime));
video.onerror = () => tell("error=" + video.error.code);
</script>
`

// addRecording makes a WAV file with so many seconds of silence.
func addRecording(t *testing.T, name string, seconds int) {
	t.Helper()
	const rate, channels, sampleSize = 44100, 2, 2
	size := seconds * rate * channels * sampleSize
	b := []byte("RIFF")
	b = binary.LittleEndian.AppendUint32(b, uint32(36+size))
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	b = binary.LittleEndian.AppendUint16(b, 1) // PCM
	b = binary.LittleEndian.AppendUint16(b, channels)
	b = binary.LittleEndian.AppendUint32(b, rate)
	b = binary.LittleEndian.AppendUint32(b, rate*channels*sampleSize)
	b = binary.LittleEndian.AppendUint16(b, channels*sampleSize)
	b = binary.LittleEndian.AppendUint16(b, 8*sampleSize)
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	if err := errors.Join(os.WriteFile(name, b, 0o644), os.Truncate(name, int64(len(b)+size))); err != nil {
		t.Fatal(err)
	}
}

// A browser plays a part of a recording that it has not loaded before.
func browserSeeks(t *testing.T, c *client) {
	addRecording(t, filepath.Join(c.process.Dir, "sound.wav"), 600)
	c.addFile(t, "seek.html", []byte(seekPage))
	args := []string{"--headless", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio", "--no-first-run", "--disable-sync",
		"--disable-background-networking", "--disable-component-update", "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
		"--user-data-dir=" + filepath.Join(c.dir, "profile"), "--remote-debugging-port=0", c.url("seek.html")}
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox")
	}
	browser := c.command(t, args...)
	var output bytes.Buffer
	browser.Stdout, browser.Stderr = &output, &output
	if err := browser.Start(); err != nil {
		t.Fatal(err)
	}
	defer browser.Wait()
	defer browser.Process.Signal(os.Interrupt)
	limit := time.AfterFunc(testLimit, func() { c.Process.Kill() })
	defer limit.Stop()
	var log strings.Builder
	for !strings.Contains(log.String(), "/outcome?") {
		line, err := c.stderr.ReadString('\n')
		if log.WriteString(line); err != nil {
			browser.Process.Kill()
			browser.Wait()
			t.Fatalf("the browser did not tell of an outcome: %v\n%s", err, &output)
		}
	}
	if log := log.String(); !strings.Contains(log, `"GET /outcome?seeked=590 `) || strings.Count(log, `"GET /sound.wav HTTP/1.1" 206 -`) < 2 {
		t.Errorf("want two ranges, and the time 590; log:\n%s", log)
	}
}

// A wheel is found by its link in a listing, although its name contains a plus.
func pipFindsLinks(t *testing.T, c *client) {
	if output, err := c.command(t, "-m", "pip", "--version").CombinedOutput(); err != nil {
		t.Skipf("no pip here: %s", output)
	}
	const wheel = "tiny-1.0+local.1-py3-none-any.whl"
	content := zipOf(t, "tiny.py", "", "tiny-1.0+local.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0+local.1\n",
		"tiny-1.0+local.1.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"tiny-1.0+local.1.dist-info/RECORD", "")
	write(t, c.process.Dir, "wheels/"+wheel, content)
	c.run(t, "-m", "pip", "--isolated", "--no-cache-dir", "--disable-pip-version-check", "download", "--no-index", "--find-links", c.url("wheels/"), "tiny")
	c.wantFile(t, wheel, content)
}

// A package is installed from a directory with an index, which is sent once. Its name
// contains a percent sign, like the names of all packages with an epoch.
func aptFlatRepository(t *testing.T, c *client) {
	const deb = "tiny_1%3a1.0_all.deb"
	content := numbered(1) // apt-get does not look into it
	index := fmt.Sprintf("Package: tiny\nVersion: 1:1.0\nArchitecture: all\nMaintainer: x\nDescription: x\nFilename: ./%s\nSize: %d\nSHA256: %x\n", deb, len(content), sha256.Sum256(content))
	write(t, c.process.Dir, deb, content)
	write(t, c.process.Dir, "Packages", []byte(index))
	// The file in APT_CONFIG is read first, so that no other configuration is.
	write(t, c.dir, "apt.conf", []byte("Dir \""+c.dir+"\"; Dir::State::status \""+c.dir+"/status\"; APT::Sandbox::User \"\"; Acquire::Languages \"none\";\n"))
	write(t, c.dir, "status", nil)
	write(t, c.dir, "etc/apt/sources.list", []byte("deb [trusted=yes] "+c.url("")+" ./\n"))
	for _, dir := range []string{"etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(c.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c.env = append(c.env, "APT_CONFIG="+filepath.Join(c.dir, "apt.conf"))
	c.run(t, "update", "-q")
	c.run(t, "update", "-q")
	c.run(t, "download", "-q", "tiny")
	c.wantFile(t, deb, content)
	c.wantLog(t, "304", 1)
}

// A module is downloaded from a directory, where capital letters are marked.
func goProxy(t *testing.T, c *client) {
	const mod = "module example.test/Mod\n\ngo 1.25\n"
	const code = "package mod\n"
	for name, content := range map[string][]byte{
		"list":        []byte("v1.0.0\n"),
		"v1.0.0.info": []byte(`{"Version":"v1.0.0","Time":"2020-02-29T12:34:56Z"}`),
		"v1.0.0.mod":  []byte(mod),
		"v1.0.0.zip":  zipOf(t, "example.test/Mod@v1.0.0/go.mod", mod, "example.test/Mod@v1.0.0/mod.go", code),
	} {
		write(t, c.process.Dir, "example.test/!mod/@v/"+name, content)
	}
	write(t, c.dir, "go.mod", []byte("module client\n\ngo 1.25\n"))
	cache := filepath.Join(c.dir, "cache")
	// Without a home, the go command starts no telemetry, which would outlive it.
	c.env = append(c.env, "HOME=", "GOPATH="+filepath.Join(c.dir, "path"), "GOPROXY="+c.url(""), "GOSUMDB=off", "GOENV=off", "GOTOOLCHAIN=local", "GOFLAGS=-mod=mod -modcacherw",
		"GOMODCACHE="+cache, "GOCACHE="+filepath.Join(c.dir, "build"))
	c.run(t, "get", "example.test/Mod@v1.0.0")
	c.wantFile(t, "cache/example.test/!mod@v1.0.0/mod.go", []byte(code))
	c.wantFile(t, "go.mod", []byte("module client\n\ngo 1.25\n\nrequire example.test/Mod v1.0.0 // indirect\n"))
}
