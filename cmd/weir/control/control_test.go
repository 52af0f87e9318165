package control

import (
	"context"
	"net"
	"reflect"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

func TestGet(t *testing.T) {
	want := &Status{
		Version: "1", PID: 7, Ready: true, Started: time.Unix(100, 0).UTC(), Time: time.Unix(200, 0).UTC(),
		Runtimes: []Runtime{{Name: "docker", Connected: true}}, Listen: Listen{Socket: "/s"},
	}
	want.SetHealth(collector.Health{Lost: map[flow.Loss]uint64{{Stage: "kernel", Reason: "ring_full"}: 1 << 60}})
	l := bufconn.Listen(1 << 16)
	srv := grpc.NewServer()
	Register(srv, func() *Status { return want })
	go srv.Serve(l)
	defer srv.Stop()
	cc, err := grpc.NewClient("passthrough:x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return l.Dial() }))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	got, err := Get(t.Context(), cc)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestBalanced(t *testing.T) {
	for _, tc := range []struct {
		name    string
		cpus    []CPU
		unread  uint64
		waiting int64
		want    bool
	}{
		{"nothing", nil, 0, 0, true},
		{"adds up over processors", []CPU{{10, 5, 2}, {1, 2, 0}, {0, 2, 0}}, 0, 0, true},
		{"waits in the ring", []CPU{{10, 5, 2}}, 64, 3, true},
		{"gone, and the ring is empty", []CPU{{10, 5, 2}}, 0, 3, false},
		{"more out than in", []CPU{{10, 11, 0}}, 64, -1, false},
	} {
		k := Kernel{CPUs: tc.cpus, Unread: tc.unread}
		if k.Waiting() != tc.waiting || k.Balanced() != tc.want {
			t.Errorf("%s: waiting %d, balanced %v", tc.name, k.Waiting(), k.Balanced())
		}
	}
}

func TestLosses(t *testing.T) {
	got := Losses(map[flow.Loss]uint64{{Stage: "b", Reason: "x"}: 1, {Stage: "a", Reason: "y"}: 2, {Stage: "a", Reason: "x"}: 3, {Stage: "z", Reason: "z"}: 0})
	want := []Loss{{"a", "x", 3}, {"a", "y", 2}, {"b", "x", 1}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
