package enforcer

import (
	"maps"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// attempts is how often each way is gone in a flood.
func attempts() int {
	if testing.Short() {
		return 2_000
	}
	return 300_000
}

// flood has the client try each way so often, at so many ports of the server, and
// something done meanwhile. Every attempt has to end as wanted.
func (w *town) flood(ports int, want string, meanwhile func()) {
	w.t.Helper()
	for _, way := range []role.Way{role.Knock, role.SendTo, role.Raw} {
		p := w.hosts["client"].Play(role.Spec{Role: role.Flood, Way: way, Address: w.hosts["server"].V4.String() + ":1000", Count: attempts(), Messages: ports})
		done := make(chan role.Report, 1)
		go func() { done <- p.Stop() }()
		var r role.Report
		for ended := false; !ended; {
			select {
			case r = <-done:
				ended = true
			default:
				meanwhile()
			}
		}
		failed := map[string]int{}
		if want != "" {
			failed[want] = attempts()
		}
		if !maps.Equal(r.Failed, failed) || r.Conns+failed[want] != attempts() {
			w.t.Errorf("%s: of %d attempts %d got through and %v did not", way, attempts(), r.Conns, r.Failed)
		}
	}
}

// However many are told of while somebody reads, each is counted once, by its rule.
func TestFloodIsCounted(t *testing.T) {
	w := newTown(t, "client", "server")
	first := kernel.RuleNumber(policy.Rule{Policy: "first"})
	for _, c := range []struct {
		verdict string
		want    string
		rules   policy.Set
	}{
		{"denied", "denied", policy.Set{Egress: enforced, Entries: []policy.Entry{both(policy.Egress, w.identity("server"), tcp, 0, policy.Deny)}}},
		{"audited", "", policy.Set{Egress: policy.Posture{Audit: true}, Entries: []policy.Entry{
			{Direction: policy.Egress, Peer: w.identity("server"), Protocol: tcp, Audited: policy.Decision{Verdict: policy.Deny, Rule: 1}}}}},
	} {
		w.apply(map[string]policy.Set{"client": c.rules})
		told := map[uint32]int{}
		lost := uint64(0)
		read := func() {
			var err error
			if lost, err = w.Verdicts(func(v *kernel.Verdict) {
				if v.Denied != (c.verdict == "denied") {
					t.Errorf("%s: told %+v", c.verdict, v)
				}
				told[v.Rule] += int(v.Count)
			}); err != nil {
				t.Error(err)
			}
		}
		w.flood(1, c.want, read)
		read()
		if want := map[uint32]int{first: attempts(), 0: 2 * attempts()}; !maps.Equal(told, want) || lost != 0 {
			t.Errorf("%s: told are %v, want %v; lost %d", c.verdict, told, want, lost)
		}
	}
}

// Who floods what is told loses the telling, which is counted, and passes nowhere.
func TestFloodOfWhatIsTold(t *testing.T) {
	w := newTownWith(t, Config{rooms: map[string]uint32{"verdicts": 64}}, "client", "server")
	w.apply(map[string]policy.Set{"client": {Egress: enforced}})
	w.flood(1000, "denied", func() { time.Sleep(time.Millisecond) })
	told := uint64(0)
	lost, err := w.Verdicts(func(v *kernel.Verdict) { told += v.Count })
	if err != nil {
		t.Fatal(err)
	}
	if tried := uint64(3 * attempts()); told+lost != tried || lost == 0 {
		t.Errorf("of %d attempts %d are told and %d lost", tried, told, lost)
	}
}
