package whole

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/bpf/lab"
)

// costRounds of each load, of which each runs it without weir and with it, in
// turns first.
const costRounds = 5

// duel is a server and a client in containers, and what they get done.
type duel struct {
	server func(*dockerHost) *container
	files  map[string]string // of the client
	client func(server *container) []string
	done   func(output string) (work, seconds float64, err error)
	unit   string // of the work
}

// Requests of one path, which is the least that there is to count, of a thousand,
// and of so many that each is its only one. All on kept connections.
func BenchmarkCostRequests(b *testing.B)  { requests(wrkOne).cost(b) }
func BenchmarkCostPaths(b *testing.B)     { requests(wrkThousand).cost(b) }
func BenchmarkCostUniqueIDs(b *testing.B) { requests(wrkUnique).cost(b) }

// BenchmarkCostBulk is one stream that is no protocol which weir reads.
func BenchmarkCostBulk(b *testing.B) { bulk().cost(b) }

// run is what one run of a load gave.
type run struct {
	rate float64 // work a second
	cpu  float64 // ns of both programs for each unit of work
	weir float64 // cores that the daemon took meanwhile
}

func (l duel) cost(b *testing.B) {
	require(b, nginxPath, wrkPath, iperfPath)
	h := newDockerHost(b)
	server := l.server(h)
	client := h.idle("client", l.files)
	l.run(b, server, client, nil) // to warm up
	for b.Loop() {
		var rates, cpus, off, on, cores []float64
		for round := range lab.Rounds(costRounds) {
			var without, with run
			if round%2 == 0 {
				without = l.run(b, server, client, nil)
			}
			d := start(b)
			time.Sleep(settle)
			with = l.run(b, server, client, d)
			d.stop(b)
			if round%2 != 0 {
				without = l.run(b, server, client, nil)
			}
			rates = append(rates, with.rate/without.rate)
			cpus = append(cpus, with.cpu/without.cpu)
			off, on, cores = append(off, without.cpu), append(on, with.cpu), append(cores, with.weir)
		}
		b.ReportMetric(median(rates), "rate-on/off")
		b.ReportMetric(median(cpus), "cpu-on/off")
		b.ReportMetric(median(off), "cpu-ns/"+l.unit+"-off")
		b.ReportMetric(median(on), "cpu-ns/"+l.unit+"-on")
		b.ReportMetric(median(cores), "weir-cores")
		b.ReportMetric(l.hooks(b, server, client), "hooks-ns/"+l.unit)
		b.ReportMetric(0, "ns/op")
		b.Logf("rate %v, cpu %v", rounded(rates), rounded(cpus))
	}
}

// run drives the load once; d is nil without weir.
func (l duel) run(b *testing.B, server, client *container, d *daemon) run {
	work, seconds, cpu, cores := l.drive(b, server, client, d)
	return run{rate: work / seconds, cpu: cpu.Seconds() * 1e9 / work, weir: cores}
}

func (l duel) drive(b *testing.B, server, client *container, d *daemon) (work, seconds float64, cpu time.Duration, cores float64) {
	b.Helper()
	before, weirs, begun := onCPU(b, server.pid), time.Duration(0), time.Now()
	if d != nil {
		weirs = onCPU(b, d.cmd.Process.Pid)
	}
	out := client.must(append([]string{actorPath, "measure"}, l.client(server)...)...)
	if d != nil {
		cores = (onCPU(b, d.cmd.Process.Pid) - weirs).Seconds() / time.Since(begun).Seconds()
	}
	var m measured
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	work, seconds, err := l.done(m.Output)
	if err != nil || work == 0 || seconds == 0 {
		b.Fatalf("%v: %s", err, m.Output)
	}
	return work, seconds, m.CPU + onCPU(b, server.pid) - before, cores
}

// hooks is the time that weir's programs in the kernel take for a unit of work. A
// program that was called by another's tail call is in the other's time; taking
// the time costs some 20 ns for each run itself.
func (l duel) hooks(b *testing.B, server, client *container) (ns float64) {
	b.Helper()
	d := start(b)
	time.Sleep(settle)
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		b.Fatal(err)
	}
	defer stats.Close()
	before := d.programs(b)
	work, _, _, _ := l.drive(b, server, client, d)
	for id, p := range d.programs(b) {
		runs, took := p.runs-before[id].runs, p.took-before[id].took
		ns += float64(took) / work
		if share := float64(runs) / work; share > 0.1 {
			b.Logf("%s: %.0f ns a run, %.2f runs for each %s", p.name, float64(took)/float64(runs), share, l.unit)
		}
	}
	d.stop(b)
	return ns
}

// onCPU is how long a process's living threads were on a processor.
func onCPU(b *testing.B, pid int) (sum time.Duration) {
	b.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		b.Fatalf("process %d: %v", pid, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that ended
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(n)
	}
	return sum
}

// Scripts for wrk: what it asks for.
const (
	wrkOne      = ``
	wrkThousand = `local n, all = 0, {}
for i = 0, 999 do
	all[i] = "GET /pages/" .. string.char(97 + i % 10, 107 + math.floor(i / 10) % 10, 97 + math.floor(i / 100)) .. " HTTP/1.1\r\nHost: bench\r\n\r\n"
end
request = function() n = (n + 1) % 1000; return all[n] end
`
	wrkUnique = `local n = 0
request = function() n = n + 1; return "GET /items/" .. n .. " HTTP/1.1\r\nHost: bench\r\n\r\n" end
`
)

var wrkSaid = regexp.MustCompile(`(?s)\n *([0-9]+) requests in .*\nRequests/sec: +([0-9.]+)`)

func requests(script string) duel {
	return duel{
		server: func(h *dockerHost) *container { return h.nginx("access_log off;", manyRequests) },
		files:  map[string]string{"requests.lua": script},
		client: func(server *container) []string {
			return []string{wrkPath, "-t", "1", "-c", "16", "-d", "1s", "-s", "/data/requests.lua", "http://" + server.at(8080) + "/hello"}
		},
		done: func(output string) (work, seconds float64, err error) {
			m := wrkSaid.FindStringSubmatch(output)
			if m == nil {
				return 0, 0, fmt.Errorf("not wrk's output")
			}
			work, err = strconv.ParseFloat(m[1], 64)
			rate, _ := strconv.ParseFloat(m[2], 64)
			return work, work / rate, err
		},
		unit: "request",
	}
}

const iperfPath = "/usr/bin/iperf3"

func bulk() duel {
	return duel{
		server: func(h *dockerHost) *container { return h.start("iperf", nil, iperfPath, "-s").listens(5201) },
		client: func(server *container) []string {
			return []string{iperfPath, "-c", server.ip.String(), "-t", "1", "-J"}
		},
		done: func(output string) (work, seconds float64, err error) {
			var report struct {
				End struct {
					Sum struct{ Bytes, Seconds float64 } `json:"sum_received"`
				}
			}
			err = json.Unmarshal([]byte(output), &report)
			return report.End.Sum.Bytes / (1 << 20), report.End.Sum.Seconds, err
		},
		unit: "MiB",
	}
}
