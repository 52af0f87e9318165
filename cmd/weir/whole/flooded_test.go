package whole

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
)

// A workload that is refused as often as it can, at every port there is, costs the
// daemon no more memory than a few do, and every attempt is told or counted as lost.
func TestRefusedFloodCostsNoMemory(t *testing.T) {
	attempts := 500_000
	if testing.Short() {
		attempts = 100_000
	}
	docker := lab.NewDocker(t)
	d := startRuled(t)
	d.give(onlyApp())
	flood := func(name string, count, ports int) {
		t.Helper()
		r := docker.Play(unique(name), role.Spec{Role: role.Flood, Way: role.Knock, Address: "198.51.100.7:1", Count: count, Messages: ports}, labelled("caged")...).Stop()
		if r.Failed["denied"] != count || r.Conns != 0 {
			t.Errorf("of %d attempts: %+v", count, r)
		}
	}
	flood("few", 1000, 10)
	before := memory(t, d.cmd.Process.Pid, "VmRSS")
	flood("many", attempts, 65_000)
	want := uint64(attempts + 1000)
	var denied, lost uint64
	for deadline := time.Now().Add(patience); denied+lost != want && time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		s := d.policies()
		denied, lost = 0, s.Lost
		for _, p := range s.Policies {
			denied += p.Denied
		}
	}
	after := memory(t, d.cmd.Process.Pid, "VmHWM")
	t.Logf("%d attempts: %d told, %d lost; the daemon's memory went from %.0f to %.0f MiB at most", want, denied, lost, before, after)
	if denied+lost != want {
		t.Errorf("of %d attempts %d are told and %d lost", want, denied, lost)
	}
	if after > before+80 {
		t.Errorf("the daemon's memory went from %.0f to %.0f MiB", before, after)
	}
	if said := fmt.Sprintf(`weir_lost_total{reason="verdict_table_full",stage="kernel"} %d`, lost); lost > 0 && !strings.Contains(d.metrics(t), said+"\n") {
		t.Errorf("no metric says %s", said)
	}
}
