package pack_test

import (
	"reflect"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/pack"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

// Whatever goes in comes out, from a sealed batch as from an open view.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(recordtest.Any(), 1, 8).Draw(t, "records")
		var p pack.Packer
		for i := range want {
			p.Add(&want[i])
		}
		view := p.View()
		for _, b := range []*pack.Batch{view, p.Seal()} {
			if b.Len() != len(want) {
				t.Fatalf("Len = %d, want %d", b.Len(), len(want))
			}
			first, last := b.Times()
			var got flow.Record
			for i := range want {
				b.At(i, &got)
				if !reflect.DeepEqual(got, want[i]) {
					t.Fatalf("record %d:\n got %+v\nwant %+v", i, got, want[i])
				}
				if b.Kind(i) != want[i].Kind {
					t.Fatalf("Kind(%d) = %d, want %d", i, b.Kind(i), want[i].Kind)
				}
				if b.Tally(i) != (want[i].L7 != nil && want[i].L7.Tally != nil) {
					t.Fatalf("Tally(%d) = %v of %+v", i, b.Tally(i), want[i])
				}
				if want[i].Time < first || want[i].Time > last {
					t.Fatalf("time %d outside of [%d,%d]", want[i].Time, first, last)
				}
			}
		}
	})
}

// A view stays what it was when more is packed and when the packer seals.
func TestViewIsImmutable(t *testing.T) {
	var p pack.Packer
	first := recordtest.New(1, flow.RecordStart)
	p.Add(&first)
	view := p.View()
	for i := range uint64(100) {
		r := recordtest.New(i+2, flow.RecordEnd)
		p.Add(&r)
	}
	p.Seal()
	for i := range uint64(100) {
		r := recordtest.New(i+500, flow.RecordDrop)
		p.Add(&r)
	}
	var got flow.Record
	view.At(0, &got)
	if view.Len() != 1 || !reflect.DeepEqual(got, first) {
		t.Errorf("view changed: %d records, first %+v", view.Len(), got)
	}
}

// The promise the package exists for: 65,536 records of a busy host in a few
// megabytes.
func TestSmall(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	web, host := recordtest.Web(), recordtest.Host()
	names := []string{"db.example.com"}
	var p pack.Packer
	var kept []*pack.Batch
	for i := range uint64(65_536) {
		r := recordtest.New(i, flow.RecordEnd)
		r.Flow.Client.Workload, r.Flow.Server.Workload, r.Flow.Server.Names = web, host, names
		p.Add(&r)
		if p.Len() == 256 {
			kept = append(kept, p.Seal())
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d bytes in all, %d per record", used, used/65_536)
	if used > 12<<20 {
		t.Errorf("65,536 records take %d bytes, want less than 12 MiB", used)
	}
	runtime.KeepAlive(kept)
}

func BenchmarkAdd(b *testing.B) {
	r := recordtest.New(7, flow.RecordEnd)
	var p pack.Packer
	b.ReportAllocs()
	for b.Loop() {
		p.Add(&r)
		if p.Len() == 256 {
			p.Seal()
		}
	}
}

func BenchmarkAt(b *testing.B) {
	r := recordtest.New(7, flow.RecordEnd)
	var p pack.Packer
	p.Add(&r)
	batch := p.Seal()
	b.ReportAllocs()
	for b.Loop() {
		batch.At(0, &r)
	}
}
