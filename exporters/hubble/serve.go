package hubble

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	peerpb "github.com/cilium/cilium/api/v1/peer"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

// healthService is the name that Hubble's CLI asks the health of.
const healthService = "hubble.server.Observer"

// Limits on what a client may cost.
const (
	maxRequestBytes = 1 << 20
	maxStreams      = 100 // of one connection
	stopTime        = 2 * time.Second
)

// Serve answers clients of the listeners, which it closes, until ctx is done.
// Streams then end in order, and it returns nil. Whoever may connect may read
// all flows: rights are the listeners' affair, as is TLS (tls.NewListener with
// "h2" among the config's NextProtos).
func (o *Observer) Serve(ctx context.Context, listeners ...net.Listener) error {
	srv := grpc.NewServer(
		grpc.MaxRecvMsgSize(maxRequestBytes), grpc.MaxConcurrentStreams(maxStreams), grpc.StreamInterceptor(endWith(ctx)),
	)
	o.Register(srv)
	reflection.Register(srv)
	g, gctx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		g.Go(func() error {
			if err := srv.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				return fmt.Errorf("serve Hubble API on %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	g.Go(func() error {
		<-gctx.Done()
		// A client that does not read must not keep the server alive.
		hard := time.AfterFunc(stopTime, srv.Stop)
		defer hard.Stop()
		srv.GracefulStop()
		return nil
	})
	return g.Wait()
}

// Register adds the Observer, Peer and Health services to a server that the
// caller runs.
func (o *Observer) Register(srv grpc.ServiceRegistrar) {
	observerpb.RegisterObserverServer(srv, o)
	peerpb.RegisterPeerServer(srv, peerServer{o: o})
	h := health.NewServer()
	h.SetServingStatus(healthService, healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(srv, h)
}

// endWith makes streams end when ctx does, without an error: a client that
// follows reads to the end as it would a file.
func endWith(ctx context.Context) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		sctx, cancel := context.WithCancel(ss.Context())
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		err := handler(srv, stoppable{ss, sctx})
		if ctx.Err() != nil && ss.Context().Err() == nil {
			return nil
		}
		return err
	}
}

type stoppable struct {
	grpc.ServerStream
	ctx context.Context
}

func (s stoppable) Context() context.Context { return s.ctx }

// GetFlows is Flows for gRPC.
func (o *Observer) GetFlows(req *observerpb.GetFlowsRequest, srv observerpb.Observer_GetFlowsServer) error {
	return grpcError(o.Flows(srv.Context(), req, srv.Send))
}

// grpcError is err with the code that a client of gRPC expects.
func grpcError(err error) error {
	var wrong *RequestError
	switch {
	case errors.As(err, &wrong):
		return status.Error(codes.InvalidArgument, valid(err.Error()))
	case errors.Is(err, ErrBusy):
		return status.Error(codes.ResourceExhausted, err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	return err
}

// GetDebugEvents is not implemented: they are events of Cilium's datapath.
func (o *Observer) GetDebugEvents(*observerpb.GetDebugEventsRequest, observerpb.Observer_GetDebugEventsServer) error {
	return status.Error(codes.Unimplemented, "weir has no debug events of Cilium's datapath")
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
