package l7

import (
	"math"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

func TestRED(t *testing.T) {
	var r RED
	var scratch Histogram
	if r.Present(base, &scratch) != (Present{}) {
		t.Error("the present of nothing")
	}
	for s := range 10 {
		at := after(time.Duration(s) * time.Second)
		fast := &flow.Tally{Count: 98, Status: 200, Bucket: flow.BucketOf(2e6), Latency: 98 * 2e6}
		slow := &flow.Tally{Count: 2, Status: 503, Bucket: flow.BucketOf(3e9), Latency: 2 * 3e9}
		r.Add(at, fast, false)
		r.Add(at, slow, true)
		p := r.Present(at, &scratch)
		// A steady load shows its rate at once, and keeps it.
		if math.Abs(p.Rate-100) > 20 || math.Abs(p.ErrorRate-2) > 0.4 {
			t.Errorf("second %d: %+v", s, p)
		}
		if !within(p.P50, 2e6) || !within(p.P99, 3e9) {
			t.Errorf("second %d: %+v", s, p)
		}
	}
	if r.Requests != 1000 || r.Errors != 20 {
		t.Errorf("%d, %d", r.Requests, r.Errors)
	}
	end := after(9 * time.Second)
	if p := r.Present(end+int64(3*time.Second), &scratch); p.Rate <= 0 || p.Rate > 60 {
		t.Errorf("3 s later: %+v", p)
	}
	if p := r.Present(end+int64(slots*slotSpan), &scratch); p != (Present{}) {
		t.Errorf("long after: %+v", p)
	}
	r.Add(base, &flow.Tally{Count: 1}, false) // late: it counts, but not for the present
	if r.Requests != 1001 || r.Present(end, &scratch).Rate > 120 {
		t.Errorf("%d, %+v", r.Requests, r.Present(end, &scratch))
	}
}

func within(ns int64, want float64) bool { return math.Abs(float64(ns)-want) <= QuantileError*want+1 }

// How long nobody answered is no latency.
func TestNoAnswerHasNoLatency(t *testing.T) {
	var r RED
	r.Add(base, &flow.Tally{Count: 5, Status: flow.NoAnswer, Bucket: 300, Latency: 5e12}, true)
	if p := r.Present(base, new(Histogram)); p.P50 != 0 || p.ErrorRate == 0 {
		t.Errorf("%+v", p)
	}
}

func TestOutcomes(t *testing.T) {
	var o Outcomes
	for status := range uint16(1000) {
		o.Add(status, uint64(status))
	}
	if len(o) != maxStatuses {
		t.Errorf("%d", len(o))
	}
	if top := o.Top(2); len(top) != 2 || top[0].Count < top[1].Count || top[1].Count != maxStatuses-2 {
		t.Errorf("%+v", top)
	}
	if n := len(Outcomes(nil).Top(5)); n != 0 {
		t.Errorf("%d of nothing", n)
	}
}

func TestExamples(t *testing.T) {
	var e Examples
	if e.Newest() != nil {
		t.Error("examples of nothing")
	}
	add := func(s int, latency int64, failed bool, why flow.Why) {
		e.Add(after(time.Duration(s)*time.Second), &flow.L7{Error: failed, Exchange: &flow.Exchange{Latency: latency, Why: why}})
	}
	add(0, 1, false, flow.WhyNew)
	add(0, 1, false, flow.WhySample)
	if len(e.Newest()) != 0 {
		t.Error("neither slow nor failed")
	}
	for s, latency := range []int64{50, 90, 70, 60, 80, 10} {
		add(s, latency, false, flow.WhySlow)
	}
	for s := 10; s < 20; s++ {
		add(s, int64(s), true, flow.WhyError)
	}
	e.Add(base, &flow.L7{Error: true, Tally: &flow.Tally{}})
	want := []int64{19, 18, 17, 80, 70, 90}
	got := e.Newest()
	if len(got) != len(want) {
		t.Fatalf("%d examples", len(got))
	}
	for i, l := range got {
		if l.Exchange.Latency != want[i] {
			t.Errorf("example %d: %d, want %d", i, l.Exchange.Latency, want[i])
		}
	}
	// What was slow long ago gives way to what is less slow now.
	add(1000, 5, false, flow.WhySlow)
	if e.Newest()[0].Exchange.Latency != 5 || len(e.Newest()) != maxFailed+maxSlow {
		t.Errorf("the newest: %d", e.Newest()[0].Exchange.Latency)
	}
}
