package hubble_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/convert"
)

// told is an Observer whose clock is moved by hand, second by second: it starts
// at 0, and workload n came at n.
func told(last int) *hubble.Observer {
	now := int64(0)
	o := hubble.NewObserver(hubble.Config{NodeName: "node-1", Now: func() time.Time { return time.Unix(now, 0) }})
	for now = 1; now <= int64(last); now++ {
		o.Tell(came(now))
	}
	return o
}

func came(n int64) *flowpb.AgentEvent {
	return convert.WorkloadEvent(&flow.Workload{CgroupID: uint64(n), Name: fmt.Sprint("web-", n)}, false)
}

func sec(n int64) *timestamppb.Timestamp { return &timestamppb.Timestamp{Seconds: n} }

// events are the ids of the workloads that came; the start has 0.
func events(stream grpc.ServerStreamingClient[observerpb.GetAgentEventsResponse], most int) (ids []uint64, err error) {
	for len(ids) < most {
		e, err := stream.Recv()
		if err != nil {
			return ids, err
		}
		ids = append(ids, e.GetAgentEvent().GetEndpointUpdate().GetId())
	}
	return ids, nil
}

func TestAgentEvents(t *testing.T) {
	target, _ := serve(t, told(9))
	api := observerpb.NewObserverClient(conn(t, target))
	for _, tt := range []struct {
		name string
		req  *observerpb.GetAgentEventsRequest
		want []uint64
	}{
		{"all", &observerpb.GetAgentEventsRequest{}, span2(0, 9)},
		{"newest", &observerpb.GetAgentEventsRequest{Number: 2}, span2(8, 9)},
		{"more than there are", &observerpb.GetAgentEventsRequest{Number: 1<<64 - 1}, span2(0, 9)},
		{"oldest", &observerpb.GetAgentEventsRequest{Number: 2, First: true}, span2(0, 1)},
		{"since", &observerpb.GetAgentEventsRequest{Since: sec(7)}, span2(7, 9)},
		{"since beats number", &observerpb.GetAgentEventsRequest{Since: sec(3), Number: 2}, span2(3, 4)},
		{"until", &observerpb.GetAgentEventsRequest{Until: sec(2)}, span2(0, 2)},
		{"newest until", &observerpb.GetAgentEventsRequest{Until: sec(5), Number: 2}, span2(4, 5)},
		{"from to", &observerpb.GetAgentEventsRequest{Since: sec(4), Until: sec(6)}, span2(4, 6)},
		{"after all", &observerpb.GetAgentEventsRequest{Since: sec(100)}, nil},
	} {
		stream, err := api.GetAgentEvents(t.Context(), tt.req)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := events(stream, 1000); err != io.EOF || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
	for _, req := range []*observerpb.GetAgentEventsRequest{
		{First: true, Follow: true}, {Since: &timestamppb.Timestamp{Nanos: -1}}, {Until: &timestamppb.Timestamp{Nanos: -1}},
	} {
		stream, err := api.GetAgentEvents(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", req, err)
		}
	}
	// The first of all is the start.
	stream, err := api.GetAgentEvents(t.Context(), &observerpb.GetAgentEventsRequest{First: true, Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	e, err := stream.Recv()
	if err != nil || e.GetNodeName() != "node-1" || e.GetTime().AsTime().Unix() != 0 ||
		e.GetAgentEvent().GetType() != flowpb.AgentEventType_AGENT_STARTED || e.GetAgentEvent().GetAgentStart().GetTime().AsTime().Unix() != 0 {
		t.Errorf("start: %v, %v", e, err)
	}
}

func TestFollowAgentEvents(t *testing.T) {
	o := told(3)
	target, stop := serve(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream, err := observerpb.NewObserverClient(conn(t, target)).GetAgentEvents(ctx, &observerpb.GetAgentEventsRequest{Follow: true, Number: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := events(stream, 2); err != nil || !slices.Equal(got, span2(2, 3)) {
		t.Fatalf("past: %v, %v", got, err)
	}
	for n := int64(4); n < 6; n++ {
		o.Tell(came(n))
		if got, err := events(stream, 1); err != nil || got[0] != uint64(n) {
			t.Fatalf("event %d: %v, %v", n, got, err)
		}
	}
	stop()
	if _, err := stream.Recv(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	if n := o.Lost()[flow.Loss{Stage: "observer", Reason: "follower_slow"}]; n != 0 {
		t.Errorf("%d events lost", n)
	}
}

// Who does not read misses the oldest, is told the newest, and is counted.
func TestAgentEventsAreBounded(t *testing.T) {
	const kept = 4096
	o := told(3 * kept)
	target, _ := serve(t, o)
	stream, err := observerpb.NewObserverClient(conn(t, target)).GetAgentEvents(t.Context(), &observerpb.GetAgentEventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := events(stream, 4*kept); err != io.EOF || !slices.Equal(got, span2(2*kept+1, 3*kept)) {
		t.Errorf("%d events from %d, %v", len(got), got[0], err)
	}
	deaf := &deafStream{ctx: t.Context(), first: make(chan struct{}), resume: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	deaf.ctx = ctx
	end := make(chan error, 1)
	go func() {
		end <- o.GetAgentEvents(&observerpb.GetAgentEventsRequest{Follow: true, Number: 1}, deaf)
	}()
	<-deaf.first
	const more = kept + 10
	for n := range int64(more) {
		o.Tell(came(100_000 + n))
	}
	deaf.last, deaf.done = 100_000+more-1, cancel
	close(deaf.resume)
	if err := <-end; status.Code(err) != codes.Canceled {
		t.Errorf("end: %v", err)
	}
	if n := o.Lost()[flow.Loss{Stage: "observer", Reason: "follower_slow"}]; n != 10 || deaf.n != 1+kept {
		t.Errorf("%d events lost, %d read", n, deaf.n)
	}
}

// deafStream takes its first event only when it is told to.
type deafStream struct {
	grpc.ServerStream
	ctx           context.Context
	first, resume chan struct{}
	n             int
	last          uint64
	done          func()
}

func (d *deafStream) Context() context.Context { return d.ctx }

func (d *deafStream) Send(e *observerpb.GetAgentEventsResponse) error {
	d.n++
	if d.n == 1 {
		close(d.first)
		<-d.resume
	}
	if e.GetAgentEvent().GetEndpointUpdate().GetId() == d.last {
		d.done()
	}
	return nil
}
