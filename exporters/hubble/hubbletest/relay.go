package hubbletest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
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
	if err := p.start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		defer time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
		_ = cmd.Wait()
	})
	cli := p.Client(t, address)
	if err := healthy(cli); err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("relay: %v\n%s", err, said)
	}
	return cli
}

// healthy waits until the relay serves.
func healthy(c CLI) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		if _, err := c.try("status"); err == nil || time.Now().After(deadline) {
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
