package whole

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/exporters/hubble/hubbletest"
)

// Two daemons, each in a network, cgroup and host name of its own, are one view
// behind the real relay, which reads both over the network with mutual TLS.
func TestTwoDaemonsBehindRelay(t *testing.T) {
	programs := hubbletest.Need(t)
	l := lab.New(t)
	one, two := l.Host("one"), l.Host("two")
	dir := t.TempDir()
	relayCert, relayKey := hubbletest.Pair(t, dir, "relay")
	var peers, servers []string
	for _, h := range []*lab.Host{one, two} {
		cert, _ := hubbletest.Pair(t, dir, h.Name, h.Name+".example")
		servers = append(servers, cert)
		peers = append(peers, fmt.Sprintf("%s=%s:4244/%s.example", h.Name, h.V4, h.Name))
	}
	for i, h := range []*lab.Host{one, two} {
		apart(t, h, filepath.Join(dir, "at-"+h.Name), "--hubble-peers", strings.Join(peers, ","), "--hubble-client-ca", relayCert,
			"--hubble-cert", servers[i], "--hubble-key", strings.TrimSuffix(servers[i], ".crt")+".key")
	}

	// The gateway reaches both, and there the relay and its clients are.
	programs.Start = func(cmd *exec.Cmd) error { return l.Gateway().Run(cmd.Start) }
	cli := programs.StartRelay(t, "unix://"+filepath.Join(dir, "at-one", "hubble.sock"), "--tls-hubble-server-ca-files", strings.Join(servers, ","),
		"--tls-hubble-client-cert-file", relayCert, "--tls-hubble-client-key-file", relayKey)
	if out := cli.Run("status"); !strings.Contains(out, "Connected Nodes: 2/2") {
		t.Errorf("status: %s", out)
	}
	if out := cli.Run("list", "nodes"); strings.Count(out, "Connected") != 2 || !strings.Contains(out, "one") || !strings.Contains(out, "two") {
		t.Errorf("nodes: %s", out)
	}

	server := two.Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	one.Play(role.Spec{Role: role.TCPClient, Address: server.Addr.String(), Count: 3}).Stop()
	// Each daemon saw the conversations from its own end.
	want := [2]int{3, 3}
	var got [2]int
	for deadline := time.Now().Add(patience); got != want && time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		out := cli.Run("observe", "--print-node-name", "--all", "--to-port", fmt.Sprint(server.Addr.Port()), "--to-ip", two.V4.String(), "--tcp-flags", "SYN")
		got = [2]int{strings.Count(out, "[one]"), strings.Count(out, "[two]")}
	}
	if got != want {
		t.Errorf("flows of the nodes: %v, want %v", got, want)
	}
}

// apart runs a daemon on a host as if it were a machine: what it sees of cgroups
// begins at the host's.
func apart(t *testing.T, h *lab.Host, dir string, flags ...string) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "cgroup")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	socket, pins := filepath.Join(dir, "weir.sock"), filepath.Join("/sys/fs/bpf", unique(h.Name))
	t.Cleanup(func() { _ = os.RemoveAll(pins) })
	const enter = `hostname "$1" && mount -t cgroup2 none "$2" && shift 2 && exec "$@"`
	args := append([]string{
		"--uts", "--cgroup", "--mount", "sh", "-c", enter, "sh", h.Name, root, path, "run", "--cgroup-root", root,
		"--socket", socket, "--state-dir", filepath.Join(dir, "state"), "--bpf-fs", pins, "--metrics-listen", "",
		"--hubble-listen", fmt.Sprintf("unix://%s,%s:4244", filepath.Join(dir, "hubble.sock"), h.V4),
	}, flags...)
	cmd := h.Command(lab.RequireTool(t, "unshare"), args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		defer time.AfterFunc(patience, func() { _ = cmd.Process.Kill() }).Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("weir on %s ended badly: %v: %s", h.Name, err, said.String())
		}
	})
	if out, err := exec.Command(path, "status", "--socket", socket, "--wait", "20s").CombinedOutput(); err != nil {
		t.Fatalf("weir on %s: %v: %s: %s", h.Name, err, out, said.String())
	}
}
