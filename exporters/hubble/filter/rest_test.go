package filter_test

import (
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/filter"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

func rest(t *testing.T, allow ...*flowpb.FlowFilter) *filter.Rest {
	t.Helper()
	s, err := filter.Compile(allow, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s.Rest()
}

// What was shown is counted too, once; what is of another kind is not.
func TestRest(t *testing.T) {
	x := recordtest.Exchange(1, flow.HTTP)
	tally := func(n uint64, change func(*flow.Tally)) *flow.Tally {
		r := recordtest.Tally(x, n).L7.Tally
		if change != nil {
			change(r)
		}
		return r
	}
	r := rest(t, &flowpb.FlowFilter{HttpMethod: []string{"GET"}})
	if n := r.Of(tally(10, nil)); n != 0 {
		t.Errorf("%d more like nothing", n)
	}
	r.Known(x.L7.Exchange)
	for range 12 {
		r.Shown(x.L7.Exchange)
	}
	for i, want := range []uint64{0, 8, 10} { // 12 of the first 20 were shown
		if n := r.Of(tally(10, func(t *flow.Tally) { t.Bucket += uint16(i) })); n != want {
			t.Errorf("tally %d: %d more, want %d", i, n, want)
		}
	}
	for name, change := range map[string]func(*flow.Tally){
		"status":    func(t *flow.Tally) { t.Status = 500 },
		"operation": func(t *flow.Tally) { t.Operation++ },
		"client":    func(t *flow.Tally) { t.Cgroup++ },
		"role":      func(t *flow.Tally) { t.Role = flow.RoleServer },
	} {
		if n := r.Of(tally(10, change)); n != 0 {
			t.Errorf("other %s: %d more", name, n)
		}
	}
}

func TestRestOfAll(t *testing.T) {
	x := recordtest.Exchange(1, flow.DNS)
	r := rest(t)
	r.Shown(x.L7.Exchange)
	other := recordtest.Tally(x, 5).L7.Tally
	other.Operation++
	if a, b := r.Of(other), r.Of(recordtest.Tally(x, 5).L7.Tally); a != 5 || b != 4 {
		t.Errorf("%d and %d more, want 5 and 4", a, b)
	}
}

// A peer that asks for ever new things does not fill the memory.
func TestRestIsBounded(t *testing.T) {
	x := *recordtest.Exchange(1, flow.HTTP).L7.Exchange
	r := rest(t, &flowpb.FlowFilter{HttpMethod: []string{"GET"}})
	first := recordtest.Tally(recordtest.Exchange(1, flow.HTTP), 2).L7.Tally
	for range 100_000 {
		x.Operation++
		r.Shown(&x)
	}
	r.Shown(recordtest.Exchange(1, flow.HTTP).L7.Exchange)
	if n := r.Of(first); n != 1 {
		t.Errorf("%d more after many kinds, want 1", n)
	}
}
