package otel

import (
	"strings"
	"testing"
	"time"

	logcollectorpb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/seed79351815/weir/collector/flow"
)

// An embedded message is found where close says that it is, whatever its length takes.
func TestWire(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 16383, 16384, 1<<21 - 1, 1 << 21} {
		var w wire
		w.text(1, "before")
		was := len(w)
		begin := w.open(2)
		w = append(w, strings.Repeat("x", n)...)
		fields := w.close(begin)
		w.varint(3, 7)
		num, typ, tag := protowire.ConsumeTag(w[was:])
		inner, size := protowire.ConsumeBytes(w[was+tag:])
		if num != 2 || typ != protowire.BytesType || size < 0 || string(inner) != strings.Repeat("x", n) {
			t.Fatalf("%d bytes: field %d with %d", n, num, len(inner))
		}
		if want := was + tag + size - n; fields != want {
			t.Errorf("%d bytes: they begin at %d, want %d", n, fields, want)
		}
		if size != protowire.SizeBytes(n) {
			t.Errorf("%d bytes: the length takes more than it has to", n)
		}
		if num, _, n := protowire.ConsumeField(w[was+tag+size:]); num != 3 || was+tag+size+n != len(w) {
			t.Errorf("what comes after is field %d of %d bytes", num, n)
		}
	}
}

// However long what strangers choose is, a message is one that receivers take, and
// nothing is left out for it.
func TestParcelsAreBounded(t *testing.T) {
	e := exporter(t, Config{Records: Limits{Queue: 4000, Batch: 4000, Delay: time.Hour}})
	const n = 2000
	for i := range n {
		r := connection(flow.RecordEnd, hostile(), hostile())
		r.Flow.ID, r.Flow.Server.Names, r.Flow.DropReason = uint64(i)+1, []string{strings.Repeat("n", 2*maxValue)}, strings.Repeat("r", 2*maxValue)
		consume(t, e, r)
	}
	seen := map[any]bool{}
	messages := 0
	for m := packed(e.records); m != nil; m = packed(e.records) {
		messages++
		if m.Len() > 4<<20 {
			t.Errorf("a message of %d bytes", m.Len())
		}
		got := &logcollectorpb.ExportLogsServiceRequest{}
		read(t, m, got)
		for _, r := range got.ResourceLogs {
			for _, rec := range r.ScopeLogs[0].LogRecords {
				seen[plainly(rec.Attributes)["weir.flow.id"]] = true
			}
		}
	}
	if len(seen) != n || messages < 2 || len(losses(e)) > 0 {
		t.Errorf("%d records of %d in %d messages, lost %v", len(seen), n, messages, losses(e))
	}
	// Each record has two workloads of its own.
	if known := len(e.records.packer.known); known > maxKnown+2*n/messages+2 {
		t.Errorf("%d workloads are remembered", known)
	}
}

// What waits goes when it is full, when it is due, when it is ripe, and at the end.
func TestLine(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	add := func(l *line, now, ripe int) bool {
		return l.put(at(now), at(ripe), 2, func(p *parcel) { p.end(l.packer.own, p.begin()) })
	}
	fresh := func() *line {
		return newLine(Limits{Queue: 6, Batch: 2, Delay: 5 * time.Second}, nil, newPacker(&resources{}))
	}
	for name, tc := range map[string]struct {
		ripe  []int // of what is put at 0
		now   int
		ended bool
		n     int // things that go; 0 for none yet
		wait  time.Duration
	}{
		"nothing":             {nil, 0, false, 0, time.Hour},
		"nothing, at the end": {nil, 0, true, 0, -1},
		"one that waits":      {[]int{0}, 2, false, 0, 3 * time.Second},
		"one that is due":     {[]int{0}, 5, false, 1, 0},
		"one, at the end":     {[]int{0}, 0, true, 1, 0},
		"a full one":          {[]int{0, 0}, 0, false, 2, 0},
		"not ripe":            {[]int{0, 7}, 4, false, 0, 3 * time.Second},
		"not ripe, the end":   {[]int{0, 7}, 4, true, 2, 0},
		"half the queue":      {[]int{7, 7, 0, 0}, 0, false, 2, 0},
		"as it came":          {[]int{3, 1, 9}, 3, false, 2, 0},
	} {
		l := fresh()
		for _, ripe := range tc.ripe {
			if !add(l, 0, ripe) {
				t.Fatalf("%s: no room", name)
			}
		}
		p, wait := l.take(at(tc.now), tc.ended)
		n := 0
		if p != nil {
			n = p.n
		}
		if n != tc.n || wait != tc.wait || l.waiting != len(tc.ripe)-n {
			t.Errorf("%s: %d go, wait %v, %d are left; want %d and %v", name, n, wait, l.waiting, tc.n, tc.wait)
		}
	}
	l := fresh()
	for range 7 {
		add(l, 0, 0)
	}
	if l.full.Load() != 2 || l.waiting != 6 {
		t.Errorf("%d wait, and %d had no room", l.waiting, l.full.Load())
	}
	if add(l, 6, 0); len(l.parcels) != 3 {
		t.Errorf("%d parcels", len(l.parcels))
	}
	l = fresh()
	if add(l, 0, 0); !add(l, 6, 0) || len(l.parcels) != 2 {
		t.Errorf("what comes later goes into a parcel that is due: %d", len(l.parcels))
	}
}
