package hubble

import (
	"slices"
	"sync"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

// lossEvery is how often the pipeline's losses are looked at, and how often one
// client is told of losses at most.
const lossEvery = time.Second

// maxLosses bounds the losses that are remembered: an hour of losing.
const maxLosses = 3600

// loss is what the pipeline lost between two looks at it.
type loss struct {
	seq    uint64
	source flowpb.LostEventSource
	span   span
	cpu    int // that lost it, where it was one alone; else -1
}

// lossLog remembers the pipeline's losses. It is safe for many goroutines.
type lossLog struct {
	health func() collector.Health

	mu     sync.Mutex
	polled time.Time
	kernel uint64
	queues uint64
	cpus   []uint64
	seq    uint64
	list   []loss
}

func newLossLog(health func() collector.Health) *lossLog { return &lossLog{health: health} }

// poll looks at the pipeline, if the last look is long enough ago.
func (l *lossLog) poll(now time.Time) {
	if l.health == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.polled) < lossEvery {
		return
	}
	before := l.polled
	if l.polled.IsZero() {
		before = now
	}
	l.polled = now
	h := l.health()
	kernel, queues := sumLosses(h.Lost)
	cpu := l.onlyCPU(h.Source.PerCPU)
	l.add(flowpb.LostEventSource_PERF_EVENT_RING_BUFFER, grown(l.kernel, kernel), before, now, cpu)
	l.add(flowpb.LostEventSource_OBSERVER_EVENTS_QUEUE, grown(l.queues, queues), before, now, -1)
	l.kernel, l.queues = kernel, queues
}

// sumLosses tells the kernel's losses from those of the queues behind it. What
// another sink lost is none of a client's business, and what followers lost
// each of them is told by itself.
func sumLosses(lost map[flow.Loss]uint64) (kernel, queues uint64) {
	for l, n := range lost {
		switch {
		case l.Stage == "kernel":
			kernel += n
		case l.Stage == "reader", l.Stage == "collector", l.Stage == "aggregate", l.Stage == stage && l.Reason != reasonSlow:
			queues += n
		}
	}
	return kernel, queues
}

func grown(old, now uint64) uint64 {
	if now < old {
		return 0
	}
	return now - old
}

// onlyCPU is the processor whose ring lost events since the last look, -1 where
// there is none or more than one.
func (l *lossLog) onlyCPU(counts []flow.CPUCounts) int {
	cpu, several := -1, false
	l.cpus = append(l.cpus, make([]uint64, max(0, len(counts)-len(l.cpus)))...)
	for i, c := range counts {
		if grown(l.cpus[i], c.Lost) > 0 {
			several = cpu >= 0
			cpu = i
		}
		l.cpus[i] = c.Lost
	}
	if several {
		return -1
	}
	return cpu
}

func (l *lossLog) add(source flowpb.LostEventSource, n uint64, first, last time.Time, cpu int) {
	if n == 0 {
		return
	}
	l.seq++
	if len(l.list) >= maxLosses {
		l.list = slices.Delete(l.list, 0, len(l.list)-maxLosses+1)
	}
	x := loss{seq: l.seq, source: source, cpu: cpu}
	x.span.add(n, first, last)
	l.list = append(l.list, x)
}

// since gives the losses after seq, and the seq to ask with next.
func (l *lossLog) since(seq uint64) ([]loss, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.list, func(x loss) bool { return x.seq > seq })
	if i < 0 {
		return nil, l.seq
	}
	return slices.Clone(l.list[i:]), l.seq
}

// pending merges losses until a client can be told: one message a source.
type pending struct{ list []loss }

func (p *pending) add(x loss) {
	if x.span.n == 0 {
		return
	}
	for i := range p.list {
		if y := &p.list[i]; y.source == x.source {
			y.span.add(x.span.n, x.span.first, x.span.last)
			if y.cpu != x.cpu {
				y.cpu = -1
			}
			return
		}
	}
	p.list = append(p.list, x)
}

// next takes the loss that waits longest; nil when there is none.
func (p *pending) next() *flowpb.LostEvent {
	if len(p.list) == 0 {
		return nil
	}
	x := p.list[0]
	p.list = slices.Delete(p.list, 0, 1)
	e := &flowpb.LostEvent{
		Source: x.source, NumEventsLost: x.span.n, First: timestamppb.New(x.span.first), Last: timestamppb.New(x.span.last),
	}
	if x.cpu >= 0 {
		e.Cpu = wrapperspb.Int32(int32(x.cpu))
	}
	return e
}
