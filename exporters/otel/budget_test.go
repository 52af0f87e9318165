package otel

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	tracecollectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"

	"github.com/seed79351815/weir/collector/flow"
)

// traces gives ids.
type traces func() traceID

func randomTraces() traces {
	r := rand.New(rand.NewPCG(1, 2))
	return func() (t traceID) {
		binary.BigEndian.PutUint64(t[:8], r.Uint64())
		binary.BigEndian.PutUint64(t[8:], r.Uint64())
		return t
	}
}

func countedTraces(at int) traces {
	n := uint64(0)
	return func() (t traceID) {
		n++
		binary.BigEndian.PutUint64(t[at:], n)
		return t
	}
}

// second tells a budget of a second in which so many exchanges end, and gives how many
// of them became spans. Errors are among them in equal distances, and of no trace's id.
func second(t *testing.T, b *budget, at int64, exchanges, errors int, id traces) (took int) {
	t.Helper()
	for i := range exchanges {
		if b.takes(id(), false, at+int64(i)*int64(time.Second)/int64(exchanges)) {
			took++
		}
		for range errors*(i+1)/exchanges - errors*i/exchanges {
			if !b.takes(traceID{}, true, at+int64(i)*int64(time.Second)/int64(exchanges)) {
				t.Fatal("an error was left out")
			}
		}
	}
	return took
}

// What becomes spans keeps to the budget, about, whatever comes.
func TestTracesBudget(t *testing.T) {
	for name, tc := range map[string]struct {
		rate, exchanges, errors int
		id                      traces
		first                   int // at most, in the first second
		low, high               int // in one of ten seconds once it is used to them
	}{
		"no budget":             {0, 5000, 100, randomTraces(), 5000, 5000, 5000},
		"under it":              {100, 100, 0, randomTraces(), 100, 100, 100},
		"errors, under it":      {100, 40, 60, randomTraces(), 40, 40, 40},
		"over it":               {100, 400, 0, randomTraces(), 320, 85, 110},
		"far over it":           {100, 100_000, 0, randomTraces(), 1100, 85, 110},
		"little":                {1, 1000, 0, randomTraces(), 12, 0, 2},
		"much":                  {5000, 12_000, 0, randomTraces(), 12_000, 4500, 5200},
		"errors take of it":     {100, 400, 60, randomTraces(), 320, 30, 45},
		"errors do not take it": {100, 400, 1000, randomTraces(), 320, 18, 28},
		"numbered traces":       {100, 400, 0, countedTraces(8), 320, 85, 110},
		"numbered in front":     {100, 400, 0, countedTraces(0), 320, 85, 110},
	} {
		t.Run(name, func(t *testing.T) {
			b, at := newBudget(tc.rate), epoch
			next := func() int {
				at += int64(time.Second)
				return second(t, &b, at, tc.exchanges, tc.errors, tc.id)
			}
			if n := next(); n > tc.first {
				t.Errorf("%d in the first second, want at most %d", n, tc.first)
			}
			for range 9 {
				next()
			}
			sum := 0
			for range 10 {
				n := next()
				if sum += n; float64(n) > burst*float64(tc.high) {
					t.Errorf("%d in a second, want %d to %d", n, tc.low, tc.high)
				}
			}
			if sum < 10*tc.low || sum > 10*tc.high {
				t.Errorf("%d in ten seconds, want %d to %d in each", sum, tc.low, tc.high)
			}
		})
	}
}

// A trace that alone is more than the budget is left out, once that is known, and
// leaves room for some of the others.
func TestBudgetOfOneTrace(t *testing.T) {
	id := randomTraces()
	for range 20 {
		one, n := id(), 0
		both := func() traceID {
			if n++; n%5 > 0 {
				return one
			}
			return id()
		}
		b := newBudget(100)
		var took [20]int
		for i := range took {
			took[i] = second(t, &b, epoch+int64(i)*int64(time.Second), 500, 0, both)
		}
		for i, n := range took[6:] {
			if n > 100+10 {
				t.Errorf("%d in second %d, want the others at most: %v", n, i+6, took)
				break
			}
		}
	}
}

// What was much is forgotten, also where nothing comes, and whatever the clock does.
func TestBudgetForgets(t *testing.T) {
	for name, tc := range map[string]struct {
		silence time.Duration
		seconds int // in which something may still be left out
	}{
		"at once": {time.Second, 5}, "after a pause": {6 * time.Second, 0}, "after a year": {365 * 24 * time.Hour, 0},
		"the clock was set back": {-time.Hour, 5}, "what is told comes late": {-lateness * time.Second, lateness + 20},
	} {
		t.Run(name, func(t *testing.T) {
			b, id, at := newBudget(100), randomTraces(), epoch
			for range 10 {
				at += int64(time.Second)
				second(t, &b, at, 1000, 0, id)
			}
			at += int64(tc.silence)
			for range tc.seconds {
				second(t, &b, at, 50, 0, id)
				at += int64(time.Second)
			}
			for range 10 {
				if n := second(t, &b, at, 50, 0, id); n != 50 {
					t.Errorf("%d of 50", n)
				}
				at += int64(time.Second)
			}
		})
	}
}

// Of two hosts with other loads the one that takes more takes all that the other
// does, and so does one host of two seconds.
func TestBudgetIsOfTraces(t *testing.T) {
	little, much, own := newBudget(100), newBudget(100), randomTraces()
	for i := range 10 {
		second(t, &little, epoch+int64(i)*int64(time.Second), 300, 0, own)
		second(t, &much, epoch+int64(i)*int64(time.Second), 900, 0, own)
	}
	at, both, either := epoch+10*int64(time.Second), 0, 0
	for range 90 { // of one second, which is no more than usual
		id := own()
		a, b := little.takes(id, false, at), much.takes(id, false, at)
		if a != little.takes(id, false, at) {
			t.Error("a trace is parted within a second")
		}
		if b && !a {
			t.Fatalf("%v is taken where there is less room, not where there is more", id)
		}
		if a {
			either++
		}
		if b {
			both++
		}
	}
	if both == 0 || both == either || either == 90 {
		t.Errorf("both take %d, one of them %d: this test tests nothing", both, either)
	}
}

func TestBuckets(t *testing.T) {
	for i := range placeCount {
		begin := beginOf(i)
		if bucketOf(begin) != i || i > 0 && bucketOf(begin-1) != i-1 {
			t.Fatalf("bucket %d begins at %d, which is of %d, and what is before of %d", i, begin, bucketOf(begin), bucketOf(begin-1))
		}
	}
	if i := bucketOf(allTraces - 1); i != placeCount-1 {
		t.Errorf("the last place is of bucket %d, want %d", i, placeCount-1)
	}
}

// A request through three services is spans on all of them or on none, and each span
// is below one that is there. An error is a span wherever it is.
func TestBudgetKeepsTracesWhole(t *testing.T) {
	e := exporter(t, Config{TracesBudget: 100, Spans: Limits{Queue: 1 << 20, Batch: 1 << 16}})
	const each, seconds, warm = 150, 12, 6 // each of three exchanges
	id := randomTraces()
	begun, failing := map[string]int{}, map[string]bool{}
	for s := range seconds {
		for i := range each {
			trace := id()
			name := hex.EncodeToString(trace[:])
			at := time.Duration(s)*time.Second + time.Duration(i)*time.Second/each
			records := chain(func(int) string { return "00-" + name + "-" + aParent + "-01" })
			begun[name] = s
			if i%50 == 0 {
				records[0].L7.Exchange.Status, failing[name] = 503, true
			}
			for j := range records {
				records[j].L7.Exchange.Start += int64(at)
				records[j].Time = epoch + int64(at)
			}
			consume(t, e, records...)
		}
	}
	spans, ids := map[string]int{}, map[string]bool{aParent: true}
	var parents []string
	for _, r := range spanMessage(t, e).ResourceSpans {
		for _, s := range r.ScopeSpans[0].Spans {
			spans[hex.EncodeToString(s.TraceId)]++
			ids[hex.EncodeToString(s.SpanId)] = true
			parents = append(parents, hex.EncodeToString(s.ParentSpanId))
		}
	}
	whole, errors := 0, 0
	for name, s := range begun {
		switch n := spans[name]; {
		case failing[name] && n >= 2:
			errors++
		case failing[name]:
			t.Errorf("%d spans of a trace with an error, want 2 or more", n)
		case n == 5:
			whole++
		case n != 0 && s >= warm:
			t.Errorf("%d spans of a trace of second %d, want 5 or none", n, s)
		}
	}
	if errors != 3*seconds || whole < seconds*20 || whole > seconds*50 {
		t.Errorf("%d whole traces, %d with errors in %d seconds", whole, errors, seconds)
	}
	for _, p := range parents {
		if !ids[p] {
			t.Error("a span is below one that was left out")
			break
		}
	}
}

// What the budget leaves out is said by the next span like it, to the last exchange.
func TestBudgetSaysTheRest(t *testing.T) {
	e := exporter(t, Config{TracesBudget: 10, Spans: Limits{Queue: 1 << 20, Batch: 1 << 16}})
	const each, seconds = 40, 20 // told each second, of four times as many
	at := func(s, i int) flow.Record {
		r := request(front, back, time.Duration(s)*time.Second+time.Duration(i)*time.Second/each, time.Millisecond)
		if i%20 == 0 {
			r.L7.Exchange.Status = 500
		}
		return r
	}
	count := func(m *tracecollectorpb.ExportTraceServiceRequest) (n uint64) {
		for _, more := range moreOf(m) {
			n += 1 + more
		}
		return n
	}
	for s := range seconds {
		for i := range each {
			consume(t, e, at(s, i))
		}
		consume(t, e, tally(at(s, 0), 4*each), tally(at(s, 1), 4*each))
	}
	m := spanMessage(t, e)
	if n := len(moreOf(m)); n < 10*seconds || n > each*seconds/2 {
		t.Fatalf("%d spans: this test tests nothing", n)
	}
	n := count(m)
	consume(t, e, at(seconds+100, 0), at(seconds+100, 1), tally(at(0, 0), 1), tally(at(0, 1), 1))
	last := spanMessage(t, e)
	if n += count(last); n != 2*(4*each*seconds+1) || len(moreOf(last)) != 2 {
		t.Errorf("the spans tell of %d requests, want %d", n, 2*(4*each*seconds+1))
	}
	if got := losses(e); len(got) > 0 {
		t.Errorf("lost %v", got)
	}
}

func BenchmarkBudget(b *testing.B) {
	x, id := newBudget(100), randomTraces()()
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		x.takes(id, false, i*int64(time.Second)/1000)
	}
}

// Whatever times and ids come: no panic, and no more than the bursts allow.
func FuzzBudget(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\xff\x80"), 3)
	f.Fuzz(func(t *testing.T, data []byte, rate int) {
		b := newBudget(rate & 0xff)
		at := epoch
		for _, c := range data {
			at += int64(int8(c)) * int64(time.Second) / 4
			var id traceID
			id[0], id[15] = c, 1
			if b.takes(id, c%7 == 0, at); b.bound > allTraces || b.rate > 0 && b.room < b.rate/leastRoom {
				t.Fatal(fmt.Sprint("bound ", b.bound, " room ", b.room))
			}
		}
	})
}
