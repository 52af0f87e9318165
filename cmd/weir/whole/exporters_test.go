package whole

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
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
// shares are of both, medians of the rounds. Each exporter runs as the daemon sets it,
// in turns with none.
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
	seconds, rounds := steadySeconds, lab.Rounds(3)
	if rounds == 1 {
		seconds = 2
	}
	for b.Loop() {
		took, share := map[string][]float64{}, map[string][]float64{} // ms a second, %
		var kernel, rates []float64
		measure := func(name string, flags []string) (daemon, programs float64) {
			daemon, programs, rate := busy(b, server, client, seconds, flags)
			took[name] = append(took[name], daemon)
			kernel, rates = append(kernel, programs), append(rates, rate)
			return daemon, programs
		}
		for range rounds {
			var without, programs float64
			for i, e := range exporting {
				// The machine's speed drifts: what is compared comes one after the other.
				if i == 0 || rounds > 1 {
					without, programs = measure("none", withoutExporters())
				}
				with, _ := measure(e.name, e.flags(b, receiver.URL))
				share[e.name] = append(share[e.name], 100*(with-without)/(without+programs))
			}
		}
		b.ReportMetric(median(rates), "requests/s")
		b.ReportMetric(median(kernel), "kernel-ms/s")
		b.ReportMetric(median(took["none"]), "daemon-ms/s")
		for name, list := range share {
			b.ReportMetric(median(list), name+"-%")
		}
		b.Logf("daemon, ms a second: %v\n%%: %v", took, share)
		b.ReportMetric(0, "ns/op")
	}
}

// exporting are the daemon's flags for each exporter alone.
var exporting = []struct {
	name  string
	flags func(b *testing.B, receiver string) []string
}{
	{"prom", func(*testing.B, string) []string { return quiet("hubble", "history") }},
	{"hubble", func(*testing.B, string) []string { return quiet("prom", "history") }},
	{"history", func(*testing.B, string) []string { return quiet("prom", "hubble") }},
	{"default", func(*testing.B, string) []string { return nil }},
	{"otlp", func(_ *testing.B, receiver string) []string {
		return append(withoutExporters(), "--otlp-endpoint", receiver)
	}},
	{"jsonl", func(b *testing.B, _ string) []string {
		return append(withoutExporters(), "--flow-log", filepath.Join(b.TempDir(), "flows.jsonl"))
	}},
}

func withoutExporters() []string { return quiet("prom", "hubble", "history") }

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
