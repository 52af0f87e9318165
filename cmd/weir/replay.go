package main

import (
	"errors"
	"time"

	"github.com/spf13/pflag"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/identity"
	"github.com/seed79351815/weir/collector/replay"
)

// replayOptions say which recording is read, and how.
type replayOptions struct {
	file     string
	speed    float64
	realtime bool
}

func (o *replayOptions) flags(fs *pflag.FlagSet) {
	fs.StringVar(&o.file, "file", "", "read this recording of weir record, not the host; needs no privileges")
	fs.Float64Var(&o.speed, "speed", 0, "play the recording so many `times` as fast as it was; 0 is as fast as possible")
	fs.BoolVar(&o.realtime, "realtime", false, "play the recording as fast as it was, --speed 1")
}

// openReplay connects a recording to sinks, which it waits for.
func (a *app) openReplay(o replayOptions, sinks ...collector.Sink) (*feed, error) {
	if o.realtime {
		if o.speed != 0 && o.speed != 1 {
			return nil, &usageError{err: errors.New("--realtime and --speed cannot be combined")}
		}
		o.speed = 1
	}
	src, err := replay.Open(o.file, replay.Options{Speed: o.speed})
	if err != nil {
		return nil, err
	}
	resolver := identity.New(identity.Config{Offline: true, Logger: a.log})
	table := aggregate.NewTable(aggregate.Config{MaxFlows: a.cfg.maxFlows}, resolver)
	return &feed{
		// Who interrupts a replay does not want the rest of it.
		Collector: collector.New(collector.Config{Logger: a.log, Wait: true, Drain: time.Second}, src, table, sinks...),
		resolver:  resolver, close: src.Close,
	}, nil
}
