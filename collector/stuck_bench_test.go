package collector

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// BenchmarkStuckSink is how fast a source gets rid of events beside a sink that
// takes one batch and never comes back, against the same without it. The goal is 1:
// what is stuck holds up nobody.
func BenchmarkStuckSink(b *testing.B) {
	const connections = 100_000
	through := func(sinks ...Sink) float64 {
		var took time.Duration
		src := funcSource{run: func(ctx context.Context, out Out) error {
			begun := time.Now()
			batch := out.Batch()
			for i := range connections {
				if batch = connection(batch, i); len(batch)+4 > cap(batch) {
					if err := out.Send(ctx, batch); err != nil {
						return err
					}
					batch = out.Batch()
				}
			}
			err := out.Send(ctx, batch)
			took = time.Since(begun)
			return err
		}}
		quick := &memory{name: "quick", consume: func(context.Context, []flow.Record) error { return errors.New("nothing is kept") }}
		cfg := Config{Drain: time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
		if err := newPipeline(cfg, src, append(sinks, quick)...).Run(b.Context()); err != nil {
			b.Fatal(err)
		}
		return took.Seconds()
	}
	stuck := &memory{name: "stuck", consume: func(ctx context.Context, _ []flow.Record) error { <-ctx.Done(); return ctx.Err() }}
	for b.Loop() {
		var ratios []float64
		for range 5 {
			alone := through()
			ratios = append(ratios, through(stuck)/alone)
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], "beside-stuck/alone")
	}
	b.ReportMetric(0, "ns/op")
}
