package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/seed79351815/weir/bpf"
	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/identity"
	"github.com/seed79351815/weir/collector/l7"
)

// feed is a pipeline from the kernel or a recording, ready to run.
type feed struct {
	pipeline *collector.Collector
	resolver *identity.Resolver
	capture  *bpf.Capture // nil for a recording, and where there is blind
	source   io.Closer
	blind    *blind // where capture could not start with weir; else nil
	node     string // the host that it happens on

	mu    sync.RWMutex
	final *collector.Health // set once source is closed, and cannot be asked any more
}

// openCapture loads weir's programs and connects them to sinks. wrap, if not
// nil, is put between the kernel and the pipeline.
func (a *app) openCapture(wrap func(collector.Source, *identity.Resolver) (collector.Source, error), sinks ...collector.Sink) (*feed, error) {
	root, err := a.findCgroupRoot()
	if err != nil {
		// Open says it with what to do about it.
		a.log.Debug("cgroup v2 is not found", "error", err)
	}
	capture, err := a.openPrograms(root)
	if err != nil {
		return nil, err
	}
	resolver := identity.New(identity.Config{CgroupRoot: root, Logger: a.log})
	var source collector.Source = capture
	if wrap != nil {
		if source, err = wrap(capture, resolver); err != nil {
			capture.Close()
			return nil, err
		}
	}
	f := a.newFeed(source, resolver, sinks...)
	f.capture, f.source = capture, capture
	return f, nil
}

// openPrograms loads and attaches what captures.
func (a *app) openPrograms(cgroupRoot string) (*bpf.Capture, error) {
	c, err := a.openKernel(bpf.Config{
		CgroupRoot: cgroupRoot, RingSize: int(a.cfg.kernelBuffer), Interval: a.cfg.interval, Logger: a.log,
	})
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	return c, nil
}

// captured is what captures; err is why nothing does, and nil for a recording. It is
// safe from any goroutine.
func (f *feed) captured() (c *bpf.Capture, err error) {
	if f.blind != nil {
		return f.blind.state()
	}
	return f.capture, nil
}

// newFeed connects a source to sinks.
func (a *app) newFeed(source collector.Source, resolver *identity.Resolver, sinks ...collector.Sink) *feed {
	table := aggregate.NewTable(aggregate.Config{MaxFlows: a.cfg.maxFlows, L7: l7.Config{Unredacted: a.cfg.unredacted}}, resolver)
	return &feed{
		pipeline: collector.New(collector.Config{Logger: a.log, Drain: drainTime}, source, table, sinks...),
		resolver: resolver, node: hostName(),
	}
}

// admitSecrets says that what is shown may hold secrets, where that was asked for:
// only root may.
func (a *app) admitSecrets(uid int) error {
	if !a.cfg.unredacted {
		return nil
	}
	if uid != 0 {
		return errors.New("--unredacted shows secrets and is for root: run weir as root, or without it")
	}
	a.log.Warn("unredacted: paths are shown as they were sent, secrets in them included")
	return nil
}

// drainTime is how long sinks may finish at the end: systemd, and who presses
// ctrl-c, should not wait for more than some seconds.
const drainTime = 2 * time.Second

// run works until ctx ends, or the source does, and then takes everything out
// of the kernel. It is called once.
func (f *feed) run(ctx context.Context) error {
	// The resolver goes on until the pipeline has told its last flows.
	naming, stop := context.WithCancel(context.WithoutCancel(ctx))
	named := make(chan error, 1)
	go func() { named <- f.resolver.Run(naming) }()
	err := f.pipeline.Run(ctx)
	stop()
	return errors.Join(err, <-named, f.close())
}

// close ends the source. What it counted stays to be told.
func (f *feed) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.final != nil {
		return nil
	}
	h := f.health()
	f.final = &h
	return f.source.Close()
}

// Health is the pipeline's account of itself, names included. It may be called
// from any goroutine, also after the end.
func (f *feed) Health() collector.Health {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.final != nil {
		h := *f.final
		h.Lost = maps.Clone(h.Lost) // the caller may add to it
		return h
	}
	return f.health()
}

func (f *feed) health() collector.Health {
	h := f.pipeline.Health()
	_, why := f.captured()
	h.Blind = why != nil
	for l, n := range f.resolver.Lost() {
		h.Lost[l] += n
	}
	return h
}

// findCgroupRoot is the mount point of cgroup v2: the configured one, else the
// first that this process's mount table names.
func (a *app) findCgroupRoot() (string, error) {
	if a.cfg.cgroupRoot != "" {
		return a.cfg.cgroupRoot, nil
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	defer f.Close()
	return identity.FindCgroup2(f)
}

// hostName may be empty: a flow need not name its node.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}
