package httpserver_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"httpserver"
)

var plot = flag.String("plot", "", "file for what BenchmarkGrowth measures, as SVG")

// BenchmarkGrowth measures how the time for a response grows with the number of
// connections, the size of a file, the number of entries of a folder, and the depth of
// a path, in turns with net/http.
func BenchmarkGrowth(b *testing.B) {
	site := b.TempDir()
	var charts []*chart
	grow := func(title string, values []int64, of func(b *testing.B, n int64) (target string, connections int)) {
		c := &chart{title: title}
		for _, n := range values {
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(title, " ", "_"), n), func(b *testing.B) {
				target, connections := of(b, n)
				ours, theirs := growthPair(b, site, target, connections)
				b.ReportMetric(theirs.Seconds()/ours.Seconds(), "x-net/http")
				c.add(n, ours, theirs)
			})
		}
		charts = append(charts, c)
	}
	file := func(b *testing.B, size int64) string {
		name := fmt.Sprint("file-", size)
		writeOld(b, filepath.Join(site, name), size)
		return "/" + name
	}
	grow("connections", []int64{1, 4, 16, 64, 256, 1024}, func(b *testing.B, n int64) (string, int) {
		return file(b, 1<<10), int(n)
	})
	grow("bytes of a file", []int64{0, 1 << 10, 8 << 10, 32 << 10, 128 << 10, 1 << 20, 8 << 20, 64 << 20, 512 << 20, 4 << 30}, func(b *testing.B, n int64) (string, int) {
		return file(b, n), 1
	})
	grow("entries of a folder", []int64{10, 100, 1000, 10_000, 100_000}, func(b *testing.B, n int64) (string, int) {
		name := fmt.Sprint("folder-", n)
		switch err := os.Mkdir(filepath.Join(site, name), 0o777); {
		case errors.Is(err, fs.ErrExist): // the benchmark is run again
			return "/" + name + "/", 1
		case err != nil:
			b.Fatal(err)
		}
		for i := range n {
			if err := os.WriteFile(filepath.Join(site, name, fmt.Sprintf("entry-%06d", i)), nil, 0o666); err != nil {
				b.Fatal(err)
			}
		}
		return "/" + name + "/", 1
	})
	grow("folders above a file", []int64{1, 2, 5, 10, 20, 50}, func(b *testing.B, n int64) (string, int) {
		name := strings.Repeat("d/", int(n))
		if err := os.MkdirAll(filepath.Join(site, name), 0o777); err != nil {
			b.Fatal(err)
		}
		writeOld(b, filepath.Join(site, name, "file"), 1<<10)
		return "/" + name + "file", 1
	})
	if *plot != "" {
		if err := os.WriteFile(*plot, drawCharts(charts), 0o666); err != nil {
			b.Fatal(err)
		}
	}
}

// growthPair returns how long each of the servers takes for a response that so many
// connections request at once: the median of all rounds.
func growthPair(b *testing.B, site, target string, connections int) (ours, theirs time.Duration) {
	b.Helper()
	request := "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n"
	var askers [2][]*asker
	for i, server := range []string{"httpserver", "net/http"} {
		addr := startSite(b, server, site)
		for range connections {
			askers[i] = append(askers[i], newAsker(b, "", addr, request))
		}
	}
	round := func(askers []*asker) time.Duration {
		begin := time.Now()
		for _, a := range askers {
			a.send(b)
		}
		for _, a := range askers {
			a.receive(b)
		}
		return time.Since(begin) / time.Duration(connections)
	}
	round(askers[0]) // brings the file into memory
	round(askers[1])
	var took [2][]time.Duration
	for b.Loop() {
		for i := range askers {
			took[i] = append(took[i], round(askers[i]))
		}
	}
	return median(took[0]), median(took[1])
}

// startSite serves a directory from a process of its own until the end of the
// benchmark.
func startSite(b *testing.B, server, site string) net.Addr {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SERVE_SITE="+site, "SERVE_BY="+server)
	return startServing(b, cmd)
}

// startServing starts a command that runs serveSite, until the end of the test.
func startServing(b testing.TB, cmd *exec.Cmd) net.Addr {
	b.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	line, err := firstLine(b, cmd)
	b.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	if err != nil {
		b.Fatal(err)
	}
	addr, err := net.ResolveTCPAddr("tcp", strings.TrimSpace(line))
	if err != nil {
		b.Fatal(err)
	}
	return addr
}

// serveSite is that process. It prints its address, and ends with its standard input.
func serveSite(server, site string) {
	s, err := httpserver.NewThreadingHTTPServer("127.0.0.1:0", newUnloggedFiles(site, "HTTP/1.1"))
	if err != nil {
		panic(err)
	}
	fmt.Println(s.Addr())
	if server == "net/http" {
		go http.Serve(s.Listener, http.FileServer(http.Dir(site)))
	} else {
		go s.ServeForever()
	}
	io.Copy(io.Discard, os.Stdin)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// A chart shows times for a response on a logarithmic scale.
type chart struct {
	title  string
	values []int64
	times  [2][]time.Duration // of httpserver and of net/http
}

func (c *chart) add(n int64, ours, theirs time.Duration) {
	if i := len(c.values) - 1; i >= 0 && c.values[i] == n { // the benchmark was run again
		c.times[0][i], c.times[1][i] = ours, theirs
		return
	}
	c.values = append(c.values, n)
	c.times[0], c.times[1] = append(c.times[0], ours), append(c.times[1], theirs)
}

const (
	chartWidth, chartHeight = 440, 270
	chartLeft, chartRight   = 62, 20
	chartTop, chartBottom   = 36, 40
)

// drawCharts draws charts in two columns.
func drawCharts(charts []*chart) []byte {
	var svg bytes.Buffer
	rows := (len(charts) + 1) / 2
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#333">
<style>path{fill:none;stroke-width:2}.o{stroke:#0969da}.t{stroke:#bc4c00;stroke-dasharray:5 4}.g{stroke:#ddd;stroke-width:1}</style>
<rect width="100%%" height="100%%" fill="#fff"/>
<path class="o" d="M62 20h30"/><text x="98" y="24">httpserver</text><path class="t" d="M182 20h30"/><text x="218" y="24">net/http</text>
<text x="%d" y="24" text-anchor="end">median time for an answer, client included</text>
`, 2*chartWidth, 40+rows*chartHeight, 2*chartWidth-chartRight)
	for i, c := range charts {
		fmt.Fprintf(&svg, "<g transform=\"translate(%d %d)\">\n", i%2*chartWidth, 40+i/2*chartHeight)
		c.draw(&svg)
		svg.WriteString("</g>\n")
	}
	svg.WriteString("</svg>\n")
	return svg.Bytes()
}

func (c *chart) draw(svg *bytes.Buffer) {
	all := slices.Concat(c.times[0], c.times[1])
	low := math.Floor(math.Log10(float64(slices.Min(all))))
	high := math.Ceil(math.Log10(float64(slices.Max(all))))
	x := func(i int) float64 {
		return chartLeft + float64(i)*(chartWidth-chartLeft-chartRight)/float64(max(len(c.values)-1, 1))
	}
	y := func(d float64) float64 {
		return chartHeight - chartBottom - (math.Log10(d)-low)/(high-low)*(chartHeight-chartTop-chartBottom)
	}
	for decade := low; decade <= high; decade++ {
		at := y(math.Pow(10, decade))
		fmt.Fprintf(svg, "<path class=\"g\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%v</text>\n",
			chartLeft, at, chartWidth-chartRight, chartLeft-6, at+4, time.Duration(math.Pow(10, decade)))
	}
	for i, n := range c.values {
		fmt.Fprintf(svg, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x(i), chartHeight-chartBottom+18, short(n))
	}
	for i, class := range []string{"o", "t"} {
		var path strings.Builder
		for j, d := range c.times[i] {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(j, 1)], x(j), y(float64(d)))
		}
		fmt.Fprintf(svg, "<path class=\"%s\" d=\"%s\"/>\n", class, path.String())
	}
	fmt.Fprintf(svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" font-weight=\"bold\">%s</text>\n",
		(chartLeft+chartWidth-chartRight)/2, chartTop-12, c.title)
}

// short formats a number with a binary prefix if that is exact, else with a decimal
// one.
func short(n int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{1 << 30, "Gi"}, {1 << 20, "Mi"}, {1 << 10, "Ki"}, {1000, "k"}} {
		if n >= unit.size && n%unit.size == 0 {
			return fmt.Sprint(n/unit.size, unit.name)
		}
	}
	return fmt.Sprint(n)
}
