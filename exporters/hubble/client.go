package hubble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"sync"
	"syscall"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/seed79351815/weir/collector/flow"
)

// What can be wrong with a daemon's socket.
var (
	// ErrNoDaemon: nobody listens there.
	ErrNoDaemon = errors.New("no daemon listens")
	// ErrPermission: the caller may not connect to the socket.
	ErrPermission = errors.New("no permission to connect")
	// ErrDisconnected: the daemon went away in the middle of an answer.
	ErrDisconnected = errors.New("the daemon went away")
)

// Client reads flows from an Observer, or any other server of Hubble's API. It
// is safe for many goroutines.
type Client struct {
	conn *grpc.ClientConn
	api  observerpb.ObserverClient

	mu   sync.Mutex
	lost map[flow.Loss]uint64
}

// Dial connects to target, unix:///path or host:port, without TLS unless opts
// say otherwise. It tries the connection at once: the error is ErrNoDaemon or
// ErrPermission, wrapped, where one of them is the cause.
func Dial(ctx context.Context, target string, opts ...grpc.DialOption) (*Client, error) {
	if err := try(ctx, target); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", target, err)
	}
	opts = append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy()}, opts...)
	conn, err := grpc.NewClient(target, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", target, err)
	}
	return &Client{conn: conn, api: observerpb.NewObserverClient(conn), lost: make(map[flow.Loss]uint64)}, nil
}

// try connects once: gRPC by itself would say only that the server is
// unavailable, and only later.
func try(ctx context.Context, target string) error {
	network, address := "tcp", target
	if path, ok := strings.CutPrefix(target, "unix:"); ok {
		network, address = "unix", strings.TrimPrefix(path, "//")
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	switch {
	case err == nil:
		return c.Close()
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrPermission, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: %w", ErrNoDaemon, err)
	}
	return err
}

// Close ends the connection, and every call with it.
func (c *Client) Close() error { return c.conn.Close() }

// Flows sends to send what req asks for. It returns nil at the end of the
// answer, send's error as it is, ctx's error when ctx ends first, and a
// *RequestError where the server takes req for wrong.
func (c *Client) Flows(ctx context.Context, req *observerpb.GetFlowsRequest, send Send) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a stream that is not read to its end is ended this way
	stream, err := c.api.GetFlows(ctx, req)
	if err != nil {
		return c.explain(ctx, err)
	}
	for {
		res, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return c.explain(ctx, err)
		}
		if l := res.GetLostEvents(); l != nil {
			c.countLost(lossOf(l.GetSource()), l.GetNumEventsLost())
		}
		if err := send(res); err != nil {
			return err
		}
	}
}

// Status is the server's account of itself.
func (c *Client) Status(ctx context.Context) (*observerpb.ServerStatusResponse, error) {
	res, err := c.api.ServerStatus(ctx, &observerpb.ServerStatusRequest{})
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	return res, nil
}

// Lost is what the server said was lost while this client read, and what the
// client itself could not read, by stage and reason.
func (c *Client) Lost() map[flow.Loss]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[flow.Loss]uint64, len(c.lost))
	for l, n := range c.lost {
		out[l] = n
	}
	return out
}

func (c *Client) countLost(l flow.Loss, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost[l] += n
}

// lossOf is a place for what Hubble's message only hints at.
func lossOf(s flowpb.LostEventSource) flow.Loss {
	switch s {
	case flowpb.LostEventSource_PERF_EVENT_RING_BUFFER:
		return flow.Loss{Stage: "kernel", Reason: "ring_full"}
	case flowpb.LostEventSource_HUBBLE_RING_BUFFER:
		return flow.Loss{Stage: stage, Reason: reasonSlow}
	}
	return flow.Loss{Stage: "collector", Reason: "queue_full"}
}

// explain turns a gRPC error into one that says what to do.
func (c *Client) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s := status.Convert(err)
	switch s.Code() {
	case codes.InvalidArgument:
		return &RequestError{errors.New(s.Message())}
	case codes.ResourceExhausted:
		return fmt.Errorf("read flows: %w", ErrBusy)
	case codes.Unavailable:
		return fmt.Errorf("read flows: %w: %s", ErrDisconnected, s.Message())
	}
	return fmt.Errorf("read flows: %s", s.Message())
}
