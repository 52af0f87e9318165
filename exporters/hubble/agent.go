package hubble

import (
	"fmt"
	"sync"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// keptEvents is how many agent events an Observer keeps.
const keptEvents = 4096

// agentLog keeps the newest agent events. It is safe for many goroutines.
type agentLog struct {
	mu   sync.Mutex
	list []*observerpb.GetAgentEventsResponse // oldest first; never changed in place
	next uint64                               // number of the event after the last
	more chan struct{}                        // closed when there are more
}

func newAgentLog() *agentLog { return &agentLog{more: make(chan struct{})} }

func (l *agentLog) add(e *observerpb.GetAgentEventsResponse) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, e)
	if len(l.list) > keptEvents {
		l.list = l.list[1:]
	}
	l.next++
	close(l.more)
	l.more = make(chan struct{})
}

// since gives the events that are kept from number from on, how many before them
// are kept no more, the number after the last, and what is closed when there are
// more.
func (l *agentLog) since(from uint64) (list []*observerpb.GetAgentEventsResponse, missed, next uint64, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := l.next - uint64(len(l.list))
	if from < oldest {
		missed, from = oldest-from, oldest
	}
	list = l.list[from-oldest:]
	return list[:len(list):len(list)], missed, l.next, l.more
}

// Tell makes an event known to the clients that ask for agent events. Its time is
// now; the Observer owns it from then on. It does not block.
func (o *Observer) Tell(e *flowpb.AgentEvent) {
	o.agent.add(&observerpb.GetAgentEventsResponse{
		NodeName: o.cfg.NodeName, Time: timestamppb.New(o.cfg.Now()), AgentEvent: e,
	})
}

// GetAgentEvents sends what weir has to tell of itself: its start, policies that
// came, changed and went, workloads that came and went. Which of them is asked
// for as with flows.
func (o *Observer) GetAgentEvents(req *observerpb.GetAgentEventsRequest, srv observerpb.Observer_GetAgentEventsServer) error {
	w, err := newWindow(req)
	if err != nil {
		return grpcError(err)
	}
	list, _, next, more := o.agent.since(0)
	err = sendEvents(w.cut(list), srv)
	for err == nil && w.follow {
		select {
		case <-srv.Context().Done():
			return grpcError(srv.Context().Err())
		case <-more:
		}
		var missed uint64
		list, missed, next, more = o.agent.since(next)
		o.slow.Add(missed)
		past := len(list) > 0 && list[len(list)-1].GetTime().AsTime().UnixNano() > w.until
		if err = sendEvents(w.within(list), srv); past {
			break
		}
	}
	return grpcError(err)
}

func sendEvents(list []*observerpb.GetAgentEventsResponse, srv observerpb.Observer_GetAgentEventsServer) error {
	for _, e := range list {
		if err := srv.Send(e); err != nil {
			return fmt.Errorf("send agent event: %w", err)
		}
	}
	return nil
}

// within are the events of list that the window's times hold.
func (w *window) within(list []*observerpb.GetAgentEventsResponse) []*observerpb.GetAgentEventsResponse {
	var out []*observerpb.GetAgentEventsResponse
	for _, e := range list {
		if w.holds(e.GetTime().AsTime().UnixNano()) {
			out = append(out, e)
		}
	}
	return out
}

// cut are the past events that are asked for.
func (w *window) cut(list []*observerpb.GetAgentEventsResponse) []*observerpb.GetAgentEventsResponse {
	list = w.within(list)
	n := uint64(len(list))
	switch {
	case w.follow && w.number == 0 && !w.hasSince():
		return nil
	case w.number == 0 || w.number >= n || w.follow && w.hasSince():
		return list
	case w.first || w.hasSince():
		return list[:w.number]
	}
	return list[n-w.number:]
}
