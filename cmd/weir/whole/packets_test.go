package whole

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
)

// snap runs `weir capture` into a file and gives what ends it.
func snap(t *testing.T, flags ...string) (path string, end func() string) {
	t.Helper()
	weir, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "x.pcapng")
	cmd := exec.Command(weir, append([]string{"capture", "-o", path}, flags...)...)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	said := func() string {
		raw, err := os.ReadFile(log.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for deadline := time.Now().Add(patience); !strings.Contains(said(), "capturing into"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("weir capture did not begin: %s", said())
		}
	}
	return path, func() string {
		t.Helper()
		_ = cmd.Process.Signal(syscall.SIGINT)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("weir capture ended badly: %v: %s", err, said())
		}
		return said()
	}
}

// tshark reads fields of a file's packets, one line each.
func tshark(t *testing.T, path string, fields ...string) []string {
	t.Helper()
	args := []string{"-r", path, "-T", "fields"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.CommandContext(t.Context(), lab.RequireTool(t, "tshark"), args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// The packets of one container, and no other's, are in a file that tshark reads: of
// one that was there before, and of one that starts later.
func TestCaptureOfOneContainer(t *testing.T) {
	docker := lab.NewDocker(t)
	const connections, bytes = 20, 3000
	server := docker.Play(unique("server"), role.Spec{Role: role.TCPServer, Address: lab.Listen(7010)})
	early, endEarly := snap(t, "--container", unique("server"), "--protocol", "tcp")
	late, endLate := snap(t, "--workload", unique("chosen"), "--port", "7010")
	play := func(name string, server *lab.Container) {
		t.Helper()
		docker.Play(name, role.Spec{Role: role.TCPClient, Address: server.Addr.String(), Count: connections, Bytes: bytes}).Stop()
	}
	play(unique("other"), server)
	chosen := docker.Play(unique("chosen"), role.Spec{Role: role.TCPServer, Address: lab.Listen(7010)})
	// It is captured a moment after its start.
	for i := 0; i < 20 && !holds(t, late); i++ {
		play(unique("client-"+strconv.Itoa(i)), chosen)
	}
	chosen.Stop()
	server.Stop()
	for _, end := range []func() string{endEarly, endLate} {
		if said := end(); !strings.Contains(said, "lost: nothing") {
			t.Errorf("weir capture says %q", said)
		}
	}
	for _, tt := range []struct{ path, name string }{{early, unique("server")}, {late, unique("chosen")}} {
		lines := tshark(t, tt.path, "frame.interface_name", "frame.comment")
		owned := 0
		for _, l := range lines {
			if !strings.Contains(l, "workload="+tt.name+" ") || !strings.Contains(l, "verdict=") {
				t.Errorf("%s: packet %q", tt.name, l)
			}
			if strings.Contains(l, " process=peer pid=") {
				owned++
			}
		}
		t.Logf("%s: %d packets, %d with their process", tt.name, len(lines), owned)
		if owned == 0 {
			t.Errorf("%s: no packet names its process", tt.name)
		}
	}
}

// holds tells whether a capture has packets in its file: its head alone has less.
func holds(t *testing.T, path string) bool {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size() > 1024
}

// Packets that the kernel drops say so, and why.
func TestCaptureOfDrops(t *testing.T) {
	l := lab.New(t)
	server := l.Host("server").Play(role.Spec{Role: role.UDPServer, Address: lab.Listen(7011)})
	client := l.Host("client")
	defer client.Filter("OUTPUT", "-p", "udp", "--dport", "7012", "-j", "DROP")()
	path, end := snap(t, "--protocol", "udp", "--port", "7012")
	client.Account(role.Spec{Role: role.UDPClient, Address: strings.Replace(server.On(client.V4), "7011", "7012", 1), Messages: 3, Timeout: time.Second})
	end()
	lines := tshark(t, path, "udp.dstport", "frame.comment")
	dropped := 0
	for _, l := range lines {
		if strings.Contains(l, "verdict=DROPPED") && strings.Contains(l, "reason=NETFILTER_DROP") {
			dropped++
		}
	}
	t.Logf("%d packets, %d dropped: %q", len(lines), dropped, lines[0])
	if dropped == 0 {
		t.Error("no dropped packet is told")
	}
}
