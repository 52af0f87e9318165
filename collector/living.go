package collector

import (
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

// Living gives yield the state of every living flow until it returns false. It
// works inside the aggregator, which waits for yield meanwhile: yield must not
// block. The record is the collector's again when yield returns. Living may be
// called from any goroutine while Run works; after its end it gives nothing.
func (c *Collector) Living(yield func(*flow.Record) bool) {
	done := make(chan struct{})
	ask := func(t *aggregate.Table) {
		defer close(done)
		t.Living(yield)
	}
	select {
	case c.asks <- ask:
		<-done
	case <-c.aggregated:
	}
}
