package control

import (
	"context"
	"encoding/json"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	serviceName  = "weir.v1.Control"
	statusMethod = "/" + serviceName + "/Status"
	maxStatus    = 4 << 20
)

// Register adds the service to a gRPC server. status is called for each request,
// from any goroutine.
//
// The service has one method, Status(google.protobuf.Empty) returns
// (google.protobuf.BytesValue): the value is a Status in JSON. Written by hand it
// needs no schema compiler.
func Register(s grpc.ServiceRegistrar, status func() *Status) {
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Status", Handler: func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			in := new(emptypb.Empty)
			if err := decode(in); err != nil {
				return nil, err
			}
			handle := func(context.Context, any) (any, error) {
				b, err := json.Marshal(status())
				return wrapperspb.Bytes(b), err
			}
			if interceptor == nil {
				return handle(ctx, in)
			}
			return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: statusMethod}, handle)
		}}},
	}, struct{}{})
}

// Get asks a daemon for its Status.
func Get(ctx context.Context, cc grpc.ClientConnInterface) (*Status, error) {
	out := new(wrapperspb.BytesValue)
	if err := cc.Invoke(ctx, statusMethod, new(emptypb.Empty), out, grpc.MaxCallRecvMsgSize(maxStatus)); err != nil {
		return nil, err
	}
	s := new(Status)
	if err := json.Unmarshal(out.Value, s); err != nil {
		return nil, fmt.Errorf("daemon's status: %w", err)
	}
	return s, nil
}
