package otel

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// maxAnswer bounds what a receiver may answer, in bytes.
const maxAnswer = 1 << 20

// overGRPC is a transport by the Export method of a signal's service.
type overGRPC struct {
	conn    *grpc.ClientConn
	method  string
	headers metadata.MD
}

func newGRPC(s *signal, e *Endpoint, agent string) (*overGRPC, error) {
	u, err := url.Parse(e.URL)
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	secure := insecure.NewCredentials()
	if u.Scheme == "https" {
		secure = credentials.NewTLS(e.TLS)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(secure), grpc.WithUserAgent(agent),
		// A receiver that comes back is to be found within the time of a retry.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstWait, Multiplier: 1.6, Jitter: 0.2, MaxDelay: lastWait},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
	}
	if e.Gzip {
		options = append(options, grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	}
	conn, err := grpc.NewClient("dns:///"+u.Host, options...)
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", u.Host, err)
	}
	return &overGRPC{conn, s.method, metadata.New(e.Headers)}, nil
}

func (g *overGRPC) send(ctx context.Context, message, answer proto.Message) *failure {
	ctx = metadata.NewOutgoingContext(ctx, g.headers)
	if err := g.conn.Invoke(ctx, g.method, message, answer); err != nil {
		return grpcFailure(err)
	}
	return nil
}

func (g *overGRPC) close() { g.conn.Close() }
