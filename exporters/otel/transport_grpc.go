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
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	protobuf "google.golang.org/protobuf/proto"
)

// maxAnswer bounds what a receiver may answer, in bytes.
const maxAnswer = 1 << 20

// overGRPC is a transport by the Export method of a signal's service.
type overGRPC struct {
	endpoint *Endpoint
	agent    string
	method   string
	headers  metadata.MD
	conn     *grpc.ClientConn // nil until something is sent
}

func newGRPC(s *signal, e *Endpoint, agent string) *overGRPC {
	return &overGRPC{endpoint: e, agent: agent, method: s.method, headers: metadata.New(e.Headers)}
}

// dial makes the connection, which looks for the receiver by itself.
func (g *overGRPC) dial() (*grpc.ClientConn, error) {
	u, err := url.Parse(g.endpoint.URL)
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	secure := insecure.NewCredentials()
	if u.Scheme == "https" {
		secure = credentials.NewTLS(g.endpoint.TLS)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(secure), grpc.WithUserAgent(g.agent),
		// A receiver that comes back is to be found within the time of a retry.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstWait, Multiplier: 1.6, Jitter: 0.2, MaxDelay: lastWait},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer), grpc.ForceCodecV2(bytesCodec{encoding.GetCodecV2(proto.Name)})),
	}
	if g.endpoint.Gzip {
		options = append(options, grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	}
	return grpc.NewClient("dns:///"+u.Host, options...)
}

func (g *overGRPC) send(ctx context.Context, message mem.Buffer, answer protobuf.Message) *failure {
	if g.conn == nil {
		conn, err := g.dial()
		if err != nil {
			return &failure{err: err}
		}
		g.conn = conn
	}
	ctx = metadata.NewOutgoingContext(ctx, g.headers)
	if err := g.conn.Invoke(ctx, g.method, message, answer); err != nil {
		return grpcFailure(err)
	}
	return nil
}

func (g *overGRPC) close() {
	if g.conn != nil {
		g.conn.Close()
	}
}

// bytesCodec is a codec of messages that are protobuf already; answers are made of it.
type bytesCodec struct{ encoding.CodecV2 }

func (bytesCodec) Marshal(message any) (mem.BufferSlice, error) {
	b, ok := message.(mem.Buffer)
	if !ok {
		return nil, fmt.Errorf("message is %T, not bytes", message)
	}
	b.Ref() // gRPC frees it
	return mem.BufferSlice{b}, nil
}

// Name is no part of the content type, where protobuf is what is meant without one.
func (bytesCodec) Name() string { return "" }
