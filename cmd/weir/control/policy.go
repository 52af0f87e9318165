package control

import (
	"context"
	"encoding/json"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The services whose methods are Methods.
const (
	PolicyService  = "weir.v1.Policy"  // what is enforced and learned
	HistoryService = "weir.v1.History" // what is kept on disk
)

const maxAnswer = 64 << 20

// Method answers a request. Both are JSON.
type Method struct {
	// Changes says that it changes what is enforced: only root may call it.
	Changes bool
	Answer  func(ctx context.Context, request []byte) (answer any, err error)
}

// On is a Method of a function that takes a request of one type.
func On[T any](changes bool, f func(ctx context.Context, request T) (any, error)) Method {
	return Method{changes, func(ctx context.Context, b []byte) (any, error) {
		var in T
		if len(b) > 0 {
			if err := json.Unmarshal(b, &in); err != nil {
				return nil, status.Errorf(codes.InvalidArgument, "request: %v", err)
			}
		}
		return f(ctx, in)
	}}
}

// RegisterMethods adds a service with methods, by their names, to a gRPC server made
// with Credentials. Each takes and gives a google.protobuf.BytesValue with JSON in it.
// They are called from any goroutine.
func RegisterMethods(s grpc.ServiceRegistrar, service string, methods map[string]Method) {
	desc := &grpc.ServiceDesc{ServiceName: service, HandlerType: (*any)(nil)}
	for name, m := range methods {
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: name, Handler: m.handler("/" + service + "/" + name)})
	}
	s.RegisterService(desc, struct{}{})
}

func (m Method) handler(full string) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.BytesValue)
		if err := decode(in); err != nil {
			return nil, err
		}
		handle := func(ctx context.Context, _ any) (any, error) {
			if m.Changes && !isRoot(ctx) {
				return nil, status.Error(codes.PermissionDenied, "only root may change what is enforced or learned: use sudo")
			}
			answer, err := m.Answer(ctx, in.Value)
			if err != nil {
				if _, ok := status.FromError(err); ok {
					return nil, err
				}
				return nil, status.Error(codes.FailedPrecondition, err.Error())
			}
			b, err := json.Marshal(answer)
			return wrapperspb.Bytes(b), err
		}
		if interceptor == nil {
			return handle(ctx, in)
		}
		return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: full}, handle)
	}
}

// Call asks a daemon for a method of a service. request may be nil; the answer is written to out, which may
// be nil too.
func Call(ctx context.Context, cc grpc.ClientConnInterface, service, method string, request, out any) error {
	in, answer := new(wrapperspb.BytesValue), new(wrapperspb.BytesValue)
	if request != nil {
		b, err := json.Marshal(request)
		if err != nil {
			return fmt.Errorf("request: %w", err)
		}
		in.Value = b
	}
	if err := cc.Invoke(ctx, "/"+service+"/"+method, in, answer, grpc.MaxCallRecvMsgSize(maxAnswer), grpc.MaxCallSendMsgSize(maxAnswer)); err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Value, out); err != nil {
		return fmt.Errorf("daemon's answer: %w", err)
	}
	return nil
}
