package hubble

import (
	"fmt"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seed79351815/weir/collector/flow"
)

func (s *stream) sendLoss() error {
	res := &observerpb.GetFlowsResponse{
		NodeName: s.o.cfg.NodeName, Time: timestamppb.New(s.o.cfg.Now()),
		ResponseTypes: &observerpb.GetFlowsResponse_LostEvents{LostEvents: s.pending.next()},
	}
	if err := s.send(res); err != nil {
		return fmt.Errorf("send lost events: %w", err)
	}
	return nil
}

// record sends r if it is wanted.
func (s *stream) record(r *flow.Record) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	f := s.q.message(r)
	if f == nil {
		return nil
	}
	if s.sent == 0 {
		s.began = r.Time
	}
	s.sent++
	if s.rest != nil && r.Kind == flow.RecordL7 {
		if s.live {
			s.rest.Shown(r.L7.Exchange)
		} else {
			s.rest.Known(r.L7.Exchange)
		}
	}
	return s.sendFlow(r.Time, f)
}

// tally sends a tally, or what of it is not shown otherwise, whole whatever the
// field mask: only a client that knows what it is gets it.
func (s *stream) tally(r *flow.Record) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if s.rest != nil {
		n := s.rest.Of(r.L7.Tally)
		if n == 0 {
			return nil
		}
		r.L7.Tally.Count = n // r was unpacked for this client alone
	}
	f := s.q.conv.Flow(r)
	s.q.conv.Extend(f, r)
	return s.sendFlow(r.Time, f)
}

func (s *stream) sendFlow(at int64, f *flowpb.Flow) error {
	res := &observerpb.GetFlowsResponse{
		NodeName: s.o.cfg.NodeName, Time: timestamppb.New(time.Unix(0, at)),
		ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: f},
	}
	if err := s.send(res); err != nil {
		return fmt.Errorf("send flow: %w", err)
	}
	return nil
}
