package main

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/identity"
	"github.com/seed79351815/weir/collector/l7"
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

// open opens the recording; what it says of itself is known at once.
func (o *replayOptions) open() (*replay.Source, error) {
	speed := o.speed
	if o.realtime {
		if speed != 0 && speed != 1 {
			return nil, &usageError{err: errors.New("--realtime and --speed cannot be combined")}
		}
		speed = 1
	}
	return replay.Open(o.file, replay.Options{Speed: speed})
}

// replayFrom connects a recording to sinks, which it waits for.
func (a *app) replayFrom(src *replay.Source, sinks ...collector.Sink) *feed {
	resolver := identity.New(identity.Config{Offline: true, Logger: a.log})
	table := aggregate.NewTable(aggregate.Config{MaxFlows: a.cfg.maxFlows, L7: l7.Config{Unredacted: a.cfg.unredacted}}, resolver)
	return &feed{
		// Who interrupts a replay does not want the rest of it.
		pipeline: collector.New(collector.Config{Logger: a.log, Wait: true, Drain: time.Second}, src, table, sinks...),
		resolver: resolver, source: src, node: src.Meta().Host,
	}
}

// replayClock is the time of a View of a recording. It stands still once the
// recording has ended: what it shows must not grow old while somebody looks.
type replayClock struct{ ended atomic.Pointer[time.Time] }

func (c *replayClock) now() time.Time {
	if t := c.ended.Load(); t != nil {
		return *t
	}
	return time.Now()
}

// stop ends the time, a little later than now: a View looks at its records no
// oftener than every half a second, and has yet to see the last ones.
func (c *replayClock) stop() {
	t := time.Now().Add(time.Second)
	c.ended.Store(&t)
}
