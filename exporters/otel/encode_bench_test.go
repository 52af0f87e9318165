package otel

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/collector/flow"
)

// processorTime is the process', garbage collection included: the machine may be busy.
func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkExport is what a record costs, from the pipeline's hands to a message's
// bytes. Of an exchange become two spans.
func BenchmarkExport(b *testing.B) {
	for name, r := range map[string]flow.Record{
		"flow": connection(flow.RecordEnd, front, back), "tally": tally(request(front, back, 0, time.Millisecond), 3),
		"exchange": with(request(front, back, 0, time.Millisecond), traceparent(aParent)),
	} {
		b.Run(name, func(b *testing.B) {
			e := exporter(b, Config{})
			batch := []flow.Record{r}
			b.ReportAllocs()
			bytes, before := 0, processorTime(b)
			for n := 1; b.Loop(); n++ {
				if err := e.Consume(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				if n%512 == 0 {
					for _, l := range []*line{e.spans, e.records} {
						if p, _ := l.take(time.Time{}, true); p != nil {
							e.servings.settle(p)
							m := l.packer.message(p)
							bytes += m.Len()
							m.Free()
							l.reuse(p)
						}
					}
				}
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(bytes)/float64(b.N), "B-sent/op")
		})
	}
}
