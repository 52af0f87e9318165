package hubble_test

import (
	"errors"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

// What an attaching "weir top" costs on a host with many flows, both ends and
// the socket included.
func BenchmarkSnapshot(b *testing.B) {
	const flows = 10_000
	list := make([]flow.Record, flows)
	web := recordtest.Web()
	for i := range list {
		list[i] = recordtest.New(uint64(i), flow.RecordUpdate)
		list[i].Flow.Client.Workload = web
	}
	o := hubble.NewObserver(hubble.Config{Live: func(yield func(*flow.Record) bool) {
		for i := range list {
			if !yield(&list[i]) {
				return
			}
		}
	}})
	target, _ := serve(b, o)
	enough := errors.New("enough")
	b.ReportAllocs()
	for b.Loop() {
		c, err := hubble.Dial(b.Context(), target)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		err = c.Records(b.Context(), func(batch []flow.Record) error {
			if n += len(batch); n == flows {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			b.Fatal(err)
		}
		c.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/flows, "ns/flow")
}
