package otel

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/collector/flow"
)

// BenchmarkWrite is what a flow record and a span cost from the queue to a message's
// bytes, in messages of 512; ns/item is of a record or span.
func BenchmarkWrite(b *testing.B) {
	e := exporter(b, Config{})
	b.Run("record", func(b *testing.B) {
		ends := []flow.Record{connection(flow.RecordStart, front, back), connection(flow.RecordEnd, middle, back)}
		write(b, e.records, func(i int) *flow.Record { return &ends[i%len(ends)] })
	})
	b.Run("span", func(b *testing.B) {
		exchanges := []flow.Record{with(request(front, back, 0, time.Millisecond), traceparent(aParent)), request(middle, back, 0, time.Millisecond)}
		var items []told
		for i := range exchanges {
			items = append(items, told{l: exchanges[i].L7, up: contextOf(exchanges[i].L7)})
		}
		write(b, e.spans, func(i int) *told { return &items[i%len(items)] })
	})
}

func write[T any](b *testing.B, l *line[T], item func(int) *T) {
	b.ReportAllocs()
	items, bytes, before := uint64(0), 0, processorTime(b)
	for n := 0; b.Loop(); n++ {
		it := item(n)
		l.write(l.parcel, it)
		items += l.weigh(it)
		if n%512 == 511 {
			m := l.parcel.message()
			bytes += m.Len()
			m.Free()
		}
	}
	b.ReportMetric(float64(processorTime(b)-before)/float64(items), "cpu-ns/item")
	b.ReportMetric(float64(bytes)/float64(items), "B/item")
}

// processorTime is the process', garbage collection included: the machine may be busy.
func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkConsume is what the pipeline's goroutine does with each record: series,
// ids, and the queue.
func BenchmarkConsume(b *testing.B) {
	for name, r := range map[string]flow.Record{
		"flow": connection(flow.RecordEnd, front, back), "tally": tally(request(front, back, 0, time.Millisecond), 3),
		"exchange": with(request(front, back, 0, time.Millisecond), traceparent(aParent)),
	} {
		b.Run(name, func(b *testing.B) {
			e := exporter(b, Config{})
			batch := []flow.Record{r}
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				if err := e.Consume(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				select {
				case <-e.records.queue:
				case <-e.spans.queue:
				default:
				}
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}
