package otel

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/internal/merge"
)

// stage is the name of the exporter and of its losses.
const stage = "otel"

// Config is what an Exporter needs. FromEnvironment makes one. A signal whose
// Endpoint is nil is not sent.
type Config struct {
	Traces, Metrics, Logs *Endpoint

	Sampler, SamplerArg string // as OTEL_TRACES_SAMPLER has them
	TracesBudget        int    // exchanges a second that become spans, about; 0 for any number
	Spans, Records      Limits
	Budget              int           // flow records a second that are sent one by one; alike ones beyond it are merged; 0 is no bound
	Interval            time.Duration // between exports of metrics
	Temporality         Temporality
	ExplicitBuckets     bool // histograms with OpenTelemetry's advised bounds, not exponential ones
	Flush               time.Duration

	Service    string // weir's own service.name
	Attributes [][2]string

	Node    string // the host's name
	Version string
	Now     func() time.Time        // what a second is to the budget; time.Now when nil
	Health  func() collector.Health // called before each export of metrics, from a goroutine of Run; may be nil
	Logger  *slog.Logger
}

// Exporter is a collector.Sink. Run must run for anything to be sent. Its methods
// are safe for concurrent use, but for Consume, which is one goroutine's.
type Exporter struct {
	cfg       Config
	resources resources
	sampler   sampler
	budget    budget
	servings  *servings
	rest      rest

	spans   *line    // nil where they are not sent
	records *line    //
	metrics *courier //

	mu     sync.Mutex // guards merge, folder, points and sheet
	merge  *merge.Merger
	folder *folder
	points *packer
	sheet  parcel

	unsaid atomic.Uint64
}

// New makes an Exporter. It connects to nothing yet: a receiver that cannot be
// reached is no error here.
func New(cfg Config) (*Exporter, error) {
	cfg = cfg.withDefaults()
	e := &Exporter{
		cfg:       cfg,
		resources: resources{node: cfg.Node, version: cfg.Version, service: cfg.Service},
		budget:    newBudget(cfg.TracesBudget), servings: newServings(), rest: newRest(), folder: newFolder(), merge: merge.New(cfg.Budget, cfg.Logger),
	}
	for _, a := range cfg.Attributes {
		e.resources.extra = append(e.resources.extra, attribute{clean(a[0]), text(a[1])})
	}
	var err error
	if e.sampler, err = newSampler(cfg.Sampler, cfg.SamplerArg); err != nil {
		return nil, err
	}
	if cfg.Traces != nil {
		e.spans = newLine(cfg.Spans, e.courier(&traceSignal, cfg.Traces), newPacker(&e.resources))
		e.spans.ready = e.servings.settle
	}
	if cfg.Logs != nil {
		e.records = newLine(cfg.Records, e.courier(&logSignal, cfg.Logs), newPacker(&e.resources))
	}
	if cfg.Metrics != nil {
		e.metrics = e.courier(&metricSignal, cfg.Metrics)
		e.points = newPacker(&e.resources)
	}
	return e, nil
}

func (e *Exporter) courier(s *signal, to *Endpoint) *courier {
	return newCourier(s, to, "weir/"+clean(e.cfg.Version), e.cfg.Logger)
}

func (cfg Config) withDefaults() Config {
	limits := func(l *Limits, delay time.Duration) {
		if l.Queue <= 0 {
			l.Queue = 2048
		}
		if l.Batch <= 0 {
			l.Batch = 512
		}
		if l.Delay <= 0 {
			l.Delay = delay
		}
		l.Batch = min(l.Batch, l.Queue)
	}
	limits(&cfg.Spans, 5*time.Second)
	limits(&cfg.Records, time.Second)
	if cfg.Interval <= 0 {
		cfg.Interval = time.Minute
	}
	if cfg.Flush <= 0 {
		cfg.Flush = 2 * time.Second
	}
	if cfg.Temporality == 0 {
		cfg.Temporality = Cumulative
	}
	if cfg.Service == "" {
		cfg.Service = "weir"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

// Signals are the names of what can be sent, as OpenTelemetry has them.
func Signals() []string { return []string{traceSignal.name, metricSignal.name, logSignal.name} }

// String says where what is sent.
func (e *Exporter) String() string {
	var parts []string
	for _, x := range []struct {
		signal *signal
		to     *Endpoint
	}{{&traceSignal, e.cfg.Traces}, {&metricSignal, e.cfg.Metrics}, {&logSignal, e.cfg.Logs}} {
		if x.to != nil {
			parts = append(parts, fmt.Sprintf("%s to %s by %s", x.signal.name, x.to.URL, x.to.Protocol))
		}
	}
	return strings.Join(parts, ", ")
}

// Name is the stage of the exporter's losses.
func (e *Exporter) Name() string { return stage }

// Consume writes what becomes spans and log records, and counts the rest. It never
// waits for a receiver and never fails.
func (e *Exporter) Consume(_ context.Context, batch []flow.Record) error {
	now, merged := time.Now(), e.cfg.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range batch {
		r := &batch[i]
		switch {
		case r.Kind != flow.RecordL7:
			e.flow(r, now, merged)
		case r.L7 == nil:
		case r.L7.Exchange != nil:
			e.exchange(r, now)
		case r.L7.Tally != nil:
			e.tally(r.L7, now)
		}
	}
	e.unsaid.Store(e.rest.lost)
	return nil
}

func (e *Exporter) flow(r *flow.Record, now, merged time.Time) {
	if e.metrics != nil {
		e.folder.flow(r, now)
	}
	if e.records != nil && logged(r) {
		e.merge.Add(r, merged, e.record)
	}
}

// record sends a record of a flow, or of many that are alike.
func (e *Exporter) record(r *flow.Record) {
	now := time.Now()
	e.records.put(now, now, 1+r.More, func(p *parcel) { writeRecord(e.records.packer, p, r) }) // counts what has no room
}

func (e *Exporter) tally(l *flow.L7, now time.Time) {
	if e.metrics != nil {
		e.folder.tally(l, now)
	}
	if e.spans != nil {
		e.rest.counted(l.Tally)
	}
}

// exchange makes spans of an exchange, where it is sampled and within the budget.
// What is not is among those of which the next span like it says how many they were,
// as the kernel counted it like all others. What a newer weir told of a protocol that
// this one does not know is left out.
func (e *Exporter) exchange(r *flow.Record, now time.Time) {
	l := r.L7
	if e.spans == nil || protocolOf(l.Protocol) == nil {
		return
	}
	t := told{l: l, verdict: r.Verdict, up: contextOf(l)}
	t.ids.trace = t.up.trace
	if !t.up.valid() {
		t.ids = idsOf(e.cfg.Node, l.Exchange, &t.up)
	}
	if !e.sampler.takes(&t) || !e.budget.takes(t.ids.trace, t.always(), r.Time) {
		return
	}
	if t.up.valid() {
		t.ids = idsOf(e.cfg.Node, l.Exchange, &t.up) // a hash, which what is not sent is spared
	}
	t.more = e.rest.told(l.Exchange)
	ripe := now
	if t.up.valid() {
		ripe = now.Add(e.cfg.Spans.Delay) // the exchange that caused it ends later (servings)
	}
	if !e.spans.put(now, ripe, t.spans(), func(p *parcel) {
		e.servings.add(&t) // none that is not sent: what is put below it would hang in the air
		writeSpans(e.spans.packer, p, &t)
	}) {
		e.rest.untold(l.Exchange, t.more)
	}
}

// Lost is what was lost here, by reason. Counters only grow.
func (e *Exporter) Lost() map[flow.Loss]uint64 {
	lost := map[flow.Loss]uint64{}
	put := func(reason string, n uint64) { lost[flow.Loss{Stage: stage, Reason: reason}] = n }
	couriers := []*courier{e.metrics}
	if e.spans != nil {
		put("spans_queue_full", e.spans.full.Load())
		put("more_unsaid", e.unsaid.Load())
		couriers = append(couriers, e.spans.courier)
	}
	if e.records != nil {
		put("logs_queue_full", e.records.full.Load())
		couriers = append(couriers, e.records.courier)
	}
	for _, c := range couriers {
		if c != nil {
			put(c.signal.unit+"_rejected", c.rejected.Load())
			put(c.signal.unit+"_stopped", c.stopped.Load())
		}
	}
	return lost
}
