// Package collector is the pipeline between a Source and whoever wants to know:
//
//	Source → batches → aggregate.Table → records → one bounded queue per Sink
//
// Data flows one way. Every edge is bounded; what does not fit is dropped,
// newest first, and counted by stage and reason.
package collector

import (
	"context"

	"github.com/seed79351815/weir/collector/flow"
)

// Source gives events: the kernel, a recording, or a test.
type Source interface {
	// Run hands batches to out until ctx is done or nothing is left, and then
	// returns nil; any other return is a fault that ends the pipeline. It
	// blocks, and is called once.
	Run(ctx context.Context, out Out) error
	// Stats is the source's own account of what it produced and lost. It is
	// safe to call at any time from any goroutine.
	Stats() flow.SourceStats
}

// Clocked is a Source whose events are not of the present, such as a recording.
type Clocked interface {
	Source
	// Now is the time in the source's world, ns since the Unix epoch; 0 where
	// nothing but its events tells the time. It is safe from any goroutine.
	Now() int64
}

// Out is the bounded edge that a Source writes to. It is used by one goroutine.
type Out interface {
	// Batch gives an empty batch with room for at least one event. The batch
	// belongs to the caller until it is offered or sent.
	Batch() []flow.Event
	// Offer hands a batch over and never blocks: where the edge is full the
	// batch is dropped and its events are counted. For live sources.
	Offer(batch []flow.Event)
	// Send hands a batch over and waits for room. It returns ctx's error when
	// that ends first. For sources that lose nothing by waiting.
	Send(ctx context.Context, batch []flow.Event) error
}

// Sink takes records. Each sink has a goroutine and a bounded queue of its own,
// so that a slow one neither holds up capture nor another sink.
type Sink interface {
	// Name is the stage under which the sink's losses are counted.
	Name() string
	// Consume takes a batch of records; it may block. The slice is the
	// collector's again when Consume returns: copy what is kept. The records'
	// contents are never changed and may be kept.
	Consume(ctx context.Context, batch []flow.Record) error
}

// Health is the pipeline's account of itself at one moment.
type Health struct {
	Source  flow.SourceStats
	Lost    map[flow.Loss]uint64 // every stage, the source's included
	Events  uint64               // events that reached the aggregator
	Records uint64               // records that it made
	Flows   int                  // flows in the table
	Evicted uint64               // flows that had to leave the table before their time
	Since   int64                // start of capture, ns since the Unix epoch
	Blind   bool                 // nothing is captured: who made the source says so
}
