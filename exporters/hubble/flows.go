package hubble

import (
	"context"
	"errors"
	"math"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/filter"
	"github.com/seed79351815/weir/exporters/hubble/pack"
)

// Send takes a response; an error of it ends the stream.
type Send = func(*observerpb.GetFlowsResponse) error

// maxRequests bounds the streams that run at once: each may hold a queue and
// what the ring has dropped meanwhile.
const maxRequests = 64

// ErrBusy is returned when too many clients read at once.
var ErrBusy = errors.New("too many clients read flows; try again later")

// Flows sends what req asks for, oldest first, with the semantics of
// Observer.GetFlows. It returns nil at the end, and when it follows, ctx's
// error. A *RequestError says what is wrong with req. It blocks as long as send
// does, which costs nobody but this caller.
//
// Sizes of the answer: number is the newest n that pass the filters, with first
// the oldest; since begins at a time and beats number as the start; until ends
// the answer; follow goes on with new records, and without number or since
// shows those alone. What the ring has no more comes from Config.Past: it is told
// once, before what the ring has.
func (o *Observer) Flows(ctx context.Context, req *observerpb.GetFlowsRequest, send Send) error {
	q, err := newQuery(&o.cfg, req)
	if err != nil {
		return err
	}
	if o.requests.Add(1) > maxRequests {
		o.requests.Add(-1)
		return ErrBusy
	}
	defer o.requests.Add(-1)

	s := &stream{o: o, q: q, ctx: ctx, send: send}
	if q.want.More {
		s.rest = q.filters.Rest()
	}
	var f *follower
	if q.follow {
		f = newFollower(q.want)
		defer o.detach(f)
	}
	o.losses.poll(o.cfg.Now())
	_, s.lossSeq = o.losses.since(math.MaxUint64)
	ring := o.attach(f)
	if err := s.history(ring); err != nil {
		return err
	}
	if q.want.Snapshot {
		if err := s.snapshot(); err != nil {
			return err
		}
	}
	if f != nil {
		return s.follow(f)
	}
	return nil
}

// stream is one answer in the making.
type stream struct {
	o    *Observer
	q    *query
	ctx  context.Context
	send Send

	sent     uint64
	began    int64            // time of the first record that was sent
	snapped  map[uint64]int64 // time of each flow's record in the snapshot
	rest     *filter.Rest     // where the client asks how many more exchanges there were
	live     bool             // records are of the present
	lossSeq  uint64
	pending  pending
	lastLoss time.Time
}

// history sends what is wanted of the past and of the ring.
func (s *stream) history(v view) error {
	q := s.q
	start, before := 0, uint64(math.MaxUint64) // flows of the past that are wanted
	switch {
	case q.hasSince():
		start = v.from(q.since)
	case q.first:
	case (q.follow || q.want.Snapshot) && q.number == 0:
		return nil
	case q.number > 0 && q.number < math.MaxUint64:
		var n uint64
		start, n = s.newest(v)
		before = q.number - n
	}
	if err := s.past(v, before); err != nil {
		return err
	}
	var r flow.Record
	for i := start; i < v.n && !s.enough(); i++ {
		v.at(i, &r)
		if err := s.record(&r); err != nil {
			return err
		}
	}
	return s.pastLosses()
}

// newest is where the newest q.number records that are wanted begin, and how many
// there are.
func (s *stream) newest(v view) (start int, n uint64) {
	var r flow.Record
	i := v.n
	for i > 0 && n < s.q.number {
		if i%chunk == 0 && s.ctx.Err() != nil {
			break
		}
		i--
		v.at(i, &r)
		if s.q.matches(&r) {
			n++
		}
	}
	return i, n
}

// pastLosses tells of losses in the time that the answer covers.
func (s *stream) pastLosses() error {
	if s.sent == 0 {
		return nil
	}
	past, _ := s.o.losses.since(0)
	for _, x := range past {
		if x.seq <= s.lossSeq && x.span.last.UnixNano() >= s.began && x.span.first.UnixNano() <= s.q.until {
			s.pending.add(x)
		}
	}
	for len(s.pending.list) > 0 {
		if err := s.sendLoss(); err != nil {
			return err
		}
	}
	return nil
}

// snapshot sends the living flows. They are packed first: whoever lists them
// must not wait for this client.
func (s *stream) snapshot() error {
	var (
		p       pack.Packer
		batches []*pack.Batch
	)
	s.snapped = make(map[uint64]int64)
	s.o.cfg.Live(func(r *flow.Record) bool {
		p.Add(r)
		s.snapped[r.Flow.ID] = r.Time
		if p.Len() == batchSize {
			batches = append(batches, p.Seal())
		}
		return s.ctx.Err() == nil
	})
	if p.Len() > 0 {
		batches = append(batches, p.Seal())
	}
	var r flow.Record
	for _, b := range batches {
		for i := range b.Len() {
			b.At(i, &r)
			if err := s.record(&r); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow sends new records until ctx ends or the time is past until.
func (s *stream) follow(f *follower) error {
	s.live = true
	tick := time.NewTicker(lossEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return s.ctx.Err()
		case <-f.ready:
			done, err := s.batches(f)
			if err != nil || done {
				return err
			}
		case <-tick.C:
		}
		if err := s.newLosses(f); err != nil {
			return err
		}
	}
}

func (s *stream) batches(f *follower) (done bool, err error) {
	var r flow.Record
	for _, b := range f.take() {
		for i := range b.Len() {
			if !f.wants(b, i) {
				continue
			}
			b.At(i, &r)
			if at, told := s.snapped[r.Flow.ID]; told && r.Kind == flow.RecordUpdate && r.Time <= at {
				continue // it was queued before the snapshot told more
			}
			if r.Time > s.q.until {
				return true, nil
			}
			send := s.record
			if b.Tally(i) {
				send = s.tally
			}
			if err := send(&r); err != nil {
				return false, err
			}
		}
	}
	s.snapped = nil // what comes from now on is newer than it
	return false, nil
}

// newLosses tells of what was lost since the last time, once a second.
func (s *stream) newLosses(f *follower) error {
	now := s.o.cfg.Now()
	if now.Sub(s.lastLoss) < lossEvery {
		return nil
	}
	s.o.losses.poll(now)
	var fresh []loss
	fresh, s.lossSeq = s.o.losses.since(s.lossSeq)
	for _, x := range fresh {
		s.pending.add(x)
	}
	s.pending.add(loss{source: flowpb.LostEventSource_HUBBLE_RING_BUFFER, span: f.takeLost(), cpu: -1})
	if len(s.pending.list) == 0 {
		return nil
	}
	s.lastLoss = now
	return s.sendLoss()
}
