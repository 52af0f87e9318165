package hubbletest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// patience bounds the wait for a relay, which looks at its own health every five
// seconds.
const patience = time.Minute

// StartRelay runs a relay until the test ends, and gives the client of it once it
// says that it is healthy. It asks the socket at peers who there is. flags say how
// it connects to them; clients connect without TLS.
func (p Programs) StartRelay(t testing.TB, peers string, flags ...string) CLI {
	t.Helper()
	address, health := freePort(t), freePort(t)
	args := append([]string{
		"serve", "--peer-service", peers, "--listen-address", address, "--health-listen-address", health, "--gops=false",
		"--disable-server-tls", "--retry-timeout", "1s", "--sort-buffer-drain-timeout", "100ms",
	}, flags...)
	cmd := exec.Command(p.Relay, args...)
	log, err := os.Create(filepath.Join(t.TempDir(), "relay.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		defer time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
		_ = cmd.Wait()
	})
	if err := healthy(t.Context(), address); err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("relay: %v\n%s", err, said)
	}
	return CLI{t, p.CLI, address}
}

// healthy waits until the relay serves.
func healthy(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cc, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		return err
	}
	defer cc.Close()
	watch, err := healthpb.NewHealthClient(cc).Watch(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	for {
		h, err := watch.Recv()
		if err != nil || h.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return err
		}
	}
}

// freePort is an address that nobody listened at a moment ago.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
