package whole

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab"
)

// What the load of BenchmarkExporters is: a busy host.
const (
	steadyRequests    = 10_000 // a second
	steadyConnections = 1_000  // a second
	steadySeconds     = 15     // as long as Prometheus waits between two scrapes
)

// BenchmarkExporters is the processor time that weir takes on a busy host, without
// any exporter and with each: of the daemon, and of its programs in the kernel. The
// shares are of both. Each exporter runs as the daemon sets it, in a round's turn. The
// least of the rounds counts: what others take of a shared machine is only ever added.
func BenchmarkExporters(b *testing.B) {
	require(b, nginxPath)
	h := newDockerHost(b)
	server := h.nginx("access_log off;", manyRequests)
	client := h.idle("client", nil)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	b.Cleanup(receiver.Close)
	seconds := steadySeconds
	if lab.Rounds(3) == 1 {
		seconds = 2
	}
	for b.Loop() {
		took := map[string][]float64{} // ms a second
		var kernel, rates []float64
		for range lab.Rounds(3) {
			for _, e := range exporting {
				flags := e.flags(b, receiver.URL)
				daemon, programs, rate := busy(b, server, client, seconds, flags)
				took[e.name] = append(took[e.name], daemon)
				kernel, rates = append(kernel, programs), append(rates, rate)
			}
		}
		programs, none := slices.Min(kernel), slices.Min(took["none"])
		b.ReportMetric(median(rates), "requests/s")
		b.ReportMetric(programs, "kernel-ms/s")
		b.ReportMetric(none, "daemon-ms/s")
		for _, e := range exporting[1:] {
			b.ReportMetric(100*(slices.Min(took[e.name])-none)/(none+programs), e.name+"-%")
		}
		b.Logf("daemon, ms a second: %v", took)
		b.ReportMetric(0, "ns/op")
	}
}

// exporting are the daemon's flags for each exporter alone.
var exporting = []struct {
	name  string
	flags func(b *testing.B, receiver string) []string
}{
	{"none", func(*testing.B, string) []string { return quiet("prom", "hubble", "history") }},
	{"prom", func(*testing.B, string) []string { return quiet("hubble", "history") }},
	{"hubble", func(*testing.B, string) []string { return quiet("prom", "history") }},
	{"history", func(*testing.B, string) []string { return quiet("prom", "hubble") }},
	{"default", func(*testing.B, string) []string { return nil }},
	{"otlp", func(_ *testing.B, receiver string) []string {
		return append(quiet("prom", "hubble", "history"), "--otlp-endpoint", receiver)
	}},
	{"jsonl", func(b *testing.B, _ string) []string {
		return append(quiet("prom", "hubble", "history"), "--flow-log", filepath.Join(b.TempDir(), "flows.jsonl"))
	}},
}

// quiet turns exporters off that are on of themselves.
func quiet(names ...string) (flags []string) {
	off := map[string][]string{"prom": {"--metrics-listen", ""}, "hubble": {"--hubble-listen", ""}, "history": {"--history", "0"}}
	for _, n := range names {
		flags = append(flags, off[n]...)
	}
	return flags
}

// busy is what the daemon and its programs take beside the load, in ms a second, and
// how many requests a second there were. Where there are metrics, they are scraped
// once.
func busy(b *testing.B, server, client *container, seconds int, flags []string) (daemon, programs, rate float64) {
	b.Helper()
	d := start(b, flags...)
	time.Sleep(settle)
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	cpu, ran, begun := onCPU(b, d.cmd.Process.Pid), d.programs(b), time.Now()
	out := client.must(actorPath, "steady", server.at(8080), strconv.Itoa(steadyRequests), strconv.Itoa(steadyConnections), strconv.Itoa(seconds))
	if d.serves != "" {
		d.scrape(b)
	}
	elapsed := time.Since(begun)
	cpu = onCPU(b, d.cmd.Process.Pid) - cpu
	for id, p := range d.programs(b) {
		programs += float64(p.took-ran[id].took) / 1e6
	}
	var did steadied
	if err := json.Unmarshal([]byte(out), &did); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	d.stop(b)
	return cpu.Seconds() * 1e3 / elapsed.Seconds(), programs / elapsed.Seconds(), float64(did.Requests) / elapsed.Seconds()
}
