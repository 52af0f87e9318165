package whole

import (
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
)

// BenchmarkMemoryAt50000Flows holds 50,000 connections between two hosts open
// and looks at the daemon's resident memory. Each process holds some 8,000: the
// limit of open files is often 20,000.
func BenchmarkMemoryAt50000Flows(b *testing.B) {
	l := lab.New(b)
	server, client := l.Host("server"), l.Host("client")
	const processes, each = 6, 8334
	for b.Loop() {
		d := start(b)
		empty := memory(b, d.cmd.Process.Pid, "VmRSS")
		var players []*lab.Player
		for range processes {
			srv := server.Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
			players = append(players, srv, client.Play(role.Spec{Role: role.TCPClient, Address: srv.On(server.V4), Count: each, Parallel: 32, Bytes: 10, Wait: true, Timeout: time.Minute}))
		}
		time.Sleep(3 * time.Second) // the daemon's next readings and a garbage collection
		b.ReportMetric(empty, "MiB-empty")
		b.ReportMetric(memory(b, d.cmd.Process.Pid, "VmRSS"), "MiB")
		b.ReportMetric(memory(b, d.cmd.Process.Pid, "VmHWM"), "MiB-peak")
		b.ReportMetric(processes*each, "flows")
		b.ReportMetric(0, "ns/op")
		for _, p := range players {
			p.Kill()
		}
		d.stop(b)
	}
}
