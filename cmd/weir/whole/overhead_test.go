package whole

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
)

// rounds of each load; every round measures it with nothing, with weir and with
// the peer, one after the other, so that a machine whose speed drifts is no
// advantage to any of them. The medians of the rounds' ratios are what counts.
const rounds = 7

// settle is how long the daemon is left alone after its start: what that costs is
// another figure.
const settle = 2 * time.Second

// load drives one real server from one real client and gives a rate.
type load struct {
	unit  string
	serve func(b *testing.B, h *lab.Host) (stop func())
	drive func(b *testing.B, from, to *lab.Host) float64
}

func BenchmarkOverheadBulkTCP(b *testing.B)  { overhead(b, iperf3()) }
func BenchmarkOverheadRequests(b *testing.B) { overhead(b, nginx("")) }
func BenchmarkOverheadConnects(b *testing.B) { overhead(b, nginx("Connection: close")) }

func overhead(b *testing.B, l load) {
	tcpdump := lab.RequireTool(b, "tcpdump")
	lb := lab.New(b)
	server, client := lb.Host("server"), lb.Host("client")
	defer l.serve(b, server)()
	l.drive(b, client, server) // to warm up
	for b.Loop() {
		var with, beside, cores []float64
		for range lab.Rounds(rounds) {
			plain := l.drive(b, client, server)
			d := start(b)
			time.Sleep(settle)
			with = append(with, l.drive(b, client, server)/plain)
			cores = append(cores, d.stop(b))
			stop := capture(b, server, tcpdump)
			beside = append(beside, l.drive(b, client, server)/plain)
			stop()
		}
		b.ReportMetric(median(with), "weir/off")
		b.ReportMetric(median(beside), "tcpdump/off")
		b.ReportMetric(median(cores), "weir-cores")
		b.ReportMetric(0, "ns/op")
		b.Logf("%s: weir/off %.3f of %v; tcpdump/off %.3f", l.unit, median(with), rounded(with), median(beside))
	}
}

// capture is the peer: tcpdump of the same traffic, written to nowhere.
func capture(b *testing.B, h *lab.Host, tcpdump string) (stop func()) {
	cmd := h.Command(tcpdump, "-i", "any", "-w", "/dev/null", "-U", "-s", "96")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	// It says nothing when it is ready.
	time.Sleep(300 * time.Millisecond)
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

func iperf3() load {
	const port = "5201"
	return load{
		unit: "bit/s",
		serve: func(b *testing.B, h *lab.Host) func() {
			cmd := h.Command(lab.RequireTool(b, "iperf3"), "-s", "-p", port)
			return background(b, h, cmd, port)
		},
		drive: func(b *testing.B, from, to *lab.Host) float64 {
			out, err := from.Command("iperf3", "-c", to.V4.String(), "-p", port, "-t", "2", "-J").Output()
			if err != nil {
				b.Fatal(err)
			}
			var report struct {
				End struct {
					Sum struct {
						Rate float64 `json:"bits_per_second"`
					} `json:"sum_received"`
				} `json:"end"`
			}
			if err := json.Unmarshal(out, &report); err != nil || report.End.Sum.Rate == 0 {
				b.Fatalf("iperf3: %v: %s", err, out)
			}
			return report.End.Sum.Rate
		},
	}
}

const nginxConf = `daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log %[1]s/error.log;
events { worker_connections 1024; }
http { access_log off; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
keepalive_requests 1000000; server { listen 8080 backlog=4096; location / { return 200 "hello\n"; } } }
`

// nginx serves wrk; with a header that closes it measures connections.
func nginx(header string) load {
	const port = "8080"
	return load{
		unit: "requests/s",
		serve: func(b *testing.B, h *lab.Host) func() {
			path := lab.RequireTool(b, "nginx")
			dir := b.TempDir()
			conf := filepath.Join(dir, "nginx.conf")
			if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir), 0o644); err != nil {
				b.Fatal(err)
			}
			return background(b, h, h.Command(path, "-c", conf, "-e", filepath.Join(dir, "start.log")), port)
		},
		drive: func(b *testing.B, from, to *lab.Host) float64 {
			args := []string{"-t", "1", "-c", "16", "-d", "2s", "http://" + net.JoinHostPort(to.V4.String(), port) + "/"}
			if header != "" {
				args = append([]string{"-H", header}, args...)
			}
			out, err := from.Command(lab.RequireTool(b, "wrk"), args...).Output()
			if err != nil {
				b.Fatal(err)
			}
			for line := range strings.Lines(string(out)) {
				if rest, ok := strings.CutPrefix(line, "Requests/sec:"); ok {
					rate, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
					if err != nil {
						b.Fatal(err)
					}
					return rate
				}
			}
			b.Fatalf("wrk: %s", out)
			return 0
		},
	}
}

// background starts a server and waits until it listens.
func background(b *testing.B, h *lab.Host, cmd *lab.Cmd, port string) (stop func()) {
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill() })
	up := func() error {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(h.V4.String(), port), time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	}
	var err error
	for range 100 {
		if err = h.Run(up); err == nil {
			return func() {
				_ = cmd.Process.Signal(os.Interrupt)
				_ = cmd.Wait()
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatalf("%s does not listen: %v", filepath.Base(cmd.Path), err)
	return nil
}

func median[T cmp.Ordered](v []T) T {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

func rounded(v []float64) []string {
	s := make([]string, len(v))
	for i, x := range v {
		s[i] = strconv.FormatFloat(x, 'f', 3, 64)
	}
	return s
}

// BenchmarkStartToFirstFlow is the time from a shell's exec of `weir observe` to
// the first line of a flow, while there is traffic all the time.
func BenchmarkStartToFirstFlow(b *testing.B) {
	lab.RequireRoot(b)
	path, err := binary()
	if err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				if conn, err := net.Dial("tcp", ln.Addr().String()); err == nil {
					conn.Close()
				}
			}
		}
	}()
	for b.Loop() {
		cmd := exec.Command(path, "observe", "--follow", "--socket", filepath.Join(b.TempDir(), "none.sock"))
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		buf := make([]byte, 4096)
		n, err := out.Read(buf)
		if err != nil || n == 0 {
			b.Fatalf("no flow: %v", err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}
