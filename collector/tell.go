package collector

import (
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// Tell gives the aggregator verdicts, which no Source has. It waits until they are
// taken, and may be called from any goroutine while Run works; after its end they
// are nobody's.
func (c *Collector) Tell(verdicts []flow.Event) {
	done := make(chan struct{})
	ask := func(t *aggregate.Table) {
		defer close(done)
		t.Judged(verdicts)
	}
	select {
	case c.asks <- ask:
		<-done
	case <-c.aggregated:
	}
}
