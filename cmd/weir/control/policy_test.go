package control

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

type question struct{ N int }

// methodServer serves methods at a listener.
func methodServer(t *testing.T, l net.Listener) {
	srv := grpc.NewServer(grpc.Creds(Credentials()))
	RegisterMethods(srv, PolicyService, map[string]Method{
		"Double": On(false, func(_ context.Context, q question) (any, error) { return question{2 * q.N}, nil }),
		"Change": On(true, func(_ context.Context, q question) (any, error) { return q, nil }),
		"Fail":   On(false, func(context.Context, struct{}) (any, error) { return nil, errors.New("web.yaml:1:1: bad") }),
	})
	go srv.Serve(l)
	t.Cleanup(srv.Stop)
}

func TestMethods(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	methodServer(t, l)
	cc, err := grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	var got question
	if err := Call(t.Context(), cc, PolicyService, "Double", question{21}, &got); err != nil || got.N != 42 {
		t.Errorf("Double: %v, %v", got, err)
	}
	if err := Call(t.Context(), cc, PolicyService, "Double", nil, nil); err != nil {
		t.Errorf("without a request: %v", err)
	}
	if err := Call(t.Context(), cc, PolicyService, "Double", "text", nil); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a request of another type: %v", err)
	}
	if err := Call(t.Context(), cc, PolicyService, "Fail", nil, nil); status.Convert(err).Message() != "web.yaml:1:1: bad" {
		t.Errorf("Fail: %v", err)
	}
	want := codes.PermissionDenied
	if os.Getuid() == 0 {
		want = codes.OK
	}
	if err := Call(t.Context(), cc, PolicyService, "Change", question{1}, &got); status.Code(err) != want {
		t.Errorf("Change by user %d: %v", os.Getuid(), err)
	}
}

// Who comes by another way than a unix socket is nobody that is known.
func TestOnlyRootChanges(t *testing.T) {
	l := bufconn.Listen(1 << 16)
	methodServer(t, l)
	cc, err := grpc.NewClient("passthrough:x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return l.Dial() }))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	if err := Call(t.Context(), cc, PolicyService, "Change", question{1}, nil); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a stranger changes: %v", err)
	}
	if err := Call(t.Context(), cc, PolicyService, "Double", question{1}, nil); err != nil {
		t.Errorf("a stranger asks: %v", err)
	}
}
