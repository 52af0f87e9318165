package hubble_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	peerpb "github.com/cilium/cilium/api/v1/peer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

// serve runs o on a socket and gives the target; the server ends with the test,
// or by stop.
func serve(t testing.TB, o *hubble.Observer) (target string, stop func()) {
	t.Helper()
	// t.TempDir can be longer than a socket's path may be.
	dir, err := os.MkdirTemp("", "weir")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "hubble.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() { end <- o.Serve(ctx, l) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-end:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the server does not end")
		}
	}
	t.Cleanup(stop)
	return "unix://" + path, stop
}

func dial(t *testing.T, target string) *hubble.Client {
	t.Helper()
	c, err := hubble.Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func conn(t *testing.T, target string) *grpc.ClientConn {
	t.Helper()
	c, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestClientReadsFlows(t *testing.T) {
	o := hubble.NewObserver(hubble.Config{NodeName: "node-1", Version: "1.2"})
	fill(t, o, 1, 100)
	target, _ := serve(t, o)
	c := dial(t, target)
	var got []string
	err := c.Flows(t.Context(), &observerpb.GetFlowsRequest{Number: 2}, func(res *observerpb.GetFlowsResponse) error {
		got = append(got, res.GetNodeName()+" "+res.GetFlow().GetSource().GetPodName())
		return nil
	})
	if err != nil || !slices.Equal(got, []string{"node-1 shop-web-1", "node-1 shop-web-1"}) {
		t.Errorf("%q, %v", got, err)
	}
	s, err := c.Status(t.Context())
	if err != nil || s.GetSeenFlows() != 100 || s.GetVersion() != "1.2" {
		t.Errorf("status %v, %v", s, err)
	}
	enough := errors.New("enough")
	if err := c.Flows(t.Context(), &observerpb.GetFlowsRequest{Follow: true, Number: 1}, func(*observerpb.GetFlowsResponse) error { return enough }); err != enough {
		t.Errorf("error of send: %v", err)
	}
	var wrong *hubble.RequestError
	err = c.Flows(t.Context(), &observerpb.GetFlowsRequest{Whitelist: []*flowpb.FlowFilter{{Protocol: []string{"tpc"}}}}, nil)
	if !errors.As(err, &wrong) || !strings.Contains(err.Error(), `did you mean "tcp"?`) {
		t.Errorf("wrong request: %v", err)
	}
	if _, err := observerpb.NewObserverClient(conn(t, target)).GetFlows(t.Context(), &observerpb.GetFlowsRequest{First: true, Follow: true}); err == nil {
		st, _ := observerpb.NewObserverClient(conn(t, target)).GetFlows(t.Context(), &observerpb.GetFlowsRequest{First: true, Follow: true})
		if _, err := st.Recv(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("first and follow: %v", err)
		}
	}
}

// Records brings what the daemon's collector gave its sinks, whole.
func TestRecords(t *testing.T) {
	live := recordtest.New(7, flow.RecordUpdate)
	o := hubble.NewObserver(hubble.Config{Live: func(yield func(*flow.Record) bool) { yield(&live) }})
	fill(t, o, 1, 3) // the past is not asked for
	target, stop := serve(t, o)
	c := dial(t, target)
	batches := make(chan []flow.Record)
	end := make(chan error, 1)
	go func() {
		end <- c.Records(t.Context(), func(b []flow.Record) error {
			batches <- slices.Clone(b)
			return nil
		})
	}()
	next := func() flow.Record {
		t.Helper()
		select {
		case b := <-batches:
			if len(b) != 1 {
				t.Fatalf("batch of %d", len(b))
			}
			return b[0]
		case err := <-end:
			t.Fatalf("ended: %v", err)
		case <-time.After(10 * time.Second):
			t.Fatal("no record")
		}
		return flow.Record{}
	}
	if r := next(); r.Kind != flow.RecordUpdate || r.Flow.ID != 7 || r.Flow.Received != live.Flow.Received || r.Delta != live.Delta {
		t.Errorf("snapshot: %+v", r)
	}
	for id, k := range []flow.RecordKind{flow.RecordStart, flow.RecordUpdate, flow.RecordDrop, flow.RecordEnd} {
		want := recordtest.New(uint64(id)+10, k)
		consume(t, o, want)
		r := next()
		if r.Kind != k || r.Flow.ID != want.Flow.ID || r.Flow.Client.Workload.Image != "nginx:1.29" || r.Flow.Server.Addr != want.Flow.Server.Addr {
			t.Errorf("kind %d: %+v", k, r)
		}
	}
	stop()
	if err := <-end; !errors.Is(err, hubble.ErrDisconnected) {
		t.Errorf("after the daemon's end: %v", err)
	}
	full := errors.New("full")
	target, _ = serve(t, o)
	if err := dial(t, target).Records(t.Context(), func([]flow.Record) error { return full }); !errors.Is(err, full) {
		t.Errorf("error of take: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := dial(t, target).Records(ctx, func([]flow.Record) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	none, _ := serve(t, hubble.NewObserver(hubble.Config{}))
	if err := dial(t, none).Records(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "no snapshot") {
		t.Errorf("a server without snapshots: %v", err)
	}
}

func TestDialErrors(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.Listen("unix", stale)
	if err != nil {
		t.Skipf("no socket here: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for _, target := range []string{"unix://" + filepath.Join(dir, "none"), "unix://" + stale, "127.0.0.1:1"} {
		if _, err := hubble.Dial(t.Context(), target); !errors.Is(err, hubble.ErrNoDaemon) || !strings.Contains(err.Error(), target) {
			t.Errorf("%s: %v", target, err)
		}
	}
	if os.Getuid() != 0 {
		os.Chmod(stale, 0)
		if _, err := hubble.Dial(t.Context(), "unix://"+stale); !errors.Is(err, hubble.ErrPermission) {
			t.Errorf("forbidden: %v", err)
		}
		return
	}
	// Root may connect to anything: become nobody for a moment, on a thread
	// that ends with it.
	os.Chmod(dir, 0o755)
	got := make(chan error, 1)
	go forbidden("unix://"+stale, stale, got)
	if err := <-got; !errors.Is(err, hubble.ErrPermission) {
		t.Errorf("forbidden: %v", err)
	}
}

// What Hubble's CLI, its relay and grpcurl ask for beside flows.
func TestServices(t *testing.T) {
	o := hubble.NewObserver(hubble.Config{NodeName: "node-1", Address: "192.0.2.1:4244", ServerName: "one.example"})
	target, stop := serve(t, o)
	cc := conn(t, target)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, name := range []string{"", "hubble.server.Observer"} {
		if h, err := healthpb.NewHealthClient(cc).Check(ctx, &healthpb.HealthCheckRequest{Service: name}); err != nil || h.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v, %v", name, h, err)
		}
	}
	notify, err := peerpb.NewPeerClient(cc).Notify(ctx, &peerpb.NotifyRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := notify.Recv(); err != nil || p.GetName() != "node-1" || p.GetAddress() != "192.0.2.1:4244" || p.GetType() != peerpb.ChangeNotificationType_PEER_ADDED {
		t.Errorf("peer %v, %v", p, err)
	}
	api := observerpb.NewObserverClient(cc)
	debug, err := api.GetDebugEvents(ctx, &observerpb.GetDebugEventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := debug.Recv(); status.Code(err) != codes.Unimplemented {
		t.Errorf("debug events: %v", err)
	}
	agent, err := api.GetAgentEvents(ctx, &observerpb.GetAgentEventsRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	refl, err := reflectionpb.NewServerReflectionClient(cc).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := refl.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	list, err := refl.Recv()
	if err != nil || !strings.Contains(list.String(), "observer.Observer") {
		t.Errorf("reflection: %v, %v", list, err)
	}
	// All streams that wait end in order when the server does.
	stop()
	if _, err := agent.Recv(); err != io.EOF {
		t.Errorf("agent events at the end: %v", err)
	}
	if _, err := notify.Recv(); err != io.EOF {
		t.Errorf("peers at the end: %v", err)
	}
}

// A client that never reads does not keep the server from ending.
func TestServerEndsDespiteDeafClient(t *testing.T) {
	o := hubble.NewObserver(hubble.Config{})
	fill(t, o, 1, 20_000)
	target, stop := serve(t, o)
	stream, err := observerpb.NewObserverClient(conn(t, target)).GetFlows(t.Context(), &observerpb.GetFlowsRequest{Number: 1 << 40, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	stop() // fails the test when it takes too long
}

func forbidden(target, path string, got chan<- error) {
	if err := os.Chmod(path, 0o700); err != nil {
		got <- err
		return
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	const nobody = 65534
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
		got <- errno
		return
	}
	_, err := hubble.Dial(context.Background(), target)
	got <- err
}
