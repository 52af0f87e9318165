package identity

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseProxyCmdline(t *testing.T) {
	join := func(args ...string) []byte { return []byte(strings.Join(args, "\x00") + "\x00") }
	for _, tt := range []struct {
		args []byte
		want string
	}{
		{join("/usr/bin/docker-proxy", "-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "8080", "-container-ip", "172.17.0.2", "-container-port", "80"), "172.17.0.2:80"},
		{join("docker-proxy", "--container-ip=fd00::2", "--container-port=443", "-use-listen-fd"), "[fd00::2]:443"},
		{join("docker-proxy", "-container-ip", "172.17.0.2"), ""},
		{join("docker-proxy", "-container-ip", "172.17.0.2", "-container-port", "65536"), ""},
		{join("docker-proxy", "-container-ip", "0.0.0.0", "-container-port", "80"), ""},
		{join("docker-proxy", "-container-ip"), ""},
		{nil, ""},
	} {
		got, ok := parseProxyCmdline(tt.args)
		if ok != (tt.want != "") || ok && got.String() != tt.want {
			t.Errorf("parseProxyCmdline(%q) = %v, %v, want %q", tt.args, got, ok, tt.want)
		}
	}
}

func FuzzParseProxyCmdline(f *testing.F) {
	f.Add([]byte("docker-proxy\x00-container-ip\x00172.17.0.2\x00-container-port\x0080\x00"))
	f.Add([]byte("\x00--container-ip=::1%eth0\x00-container-port="))
	f.Fuzz(func(t *testing.T, b []byte) {
		if target, ok := parseProxyCmdline(b); ok != target.IsValid() || ok && target.Port() == 0 {
			t.Fatalf("parseProxyCmdline(%q) = %v, %v", b, target, ok)
		}
	})
}

// fakeProcess makes a process in a /proc tree.
func fakeProcess(t *testing.T, proc string, pid int, exe, start, cmdline string) {
	t.Helper()
	dir := filepath.Join(proc, fmt.Sprint(pid))
	os.RemoveAll(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// the command name tries to confuse whoever counts fields
	stat := fmt.Sprintf("%d (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 %s 20 21\n", pid, start)
	for name, content := range map[string]string{"stat": stat, "cmdline": cmdline} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(exe, filepath.Join(dir, "exe")); err != nil {
		t.Fatal(err)
	}
}

func TestProxyCache(t *testing.T) {
	proc := t.TempDir()
	const cmdline = "docker-proxy\x00-container-ip\x00172.17.0.2\x00-container-port\x0080\x00"
	fakeProcess(t, proc, 7, "/usr/bin/docker-proxy (deleted)", "100", cmdline)
	fakeProcess(t, proc, 8, "/usr/bin/evil", "100", cmdline) // says so, but is none
	c, now := newProxyCache(proc), time.Unix(1000, 0)
	want := netip.MustParseAddrPort("172.17.0.2:80")
	if got, ok := c.target(7, now); !ok || got != want {
		t.Errorf("target(7) = %v, %v", got, ok)
	}
	if got, ok := c.target(8, now); ok {
		t.Errorf("a process with another program passes for a proxy to %v", got)
	}
	if _, ok := c.target(9, now); ok {
		t.Error("no process passes for a proxy")
	}
	// pid 7 is given to another process
	fakeProcess(t, proc, 7, "/usr/bin/curl", "200", "curl\x00")
	now = now.Add(2 * proxyRecheck)
	if got, ok := c.target(7, now); ok {
		t.Errorf("the reused pid still stands for %v", got)
	}
	// late events of a proxy that is gone
	fakeProcess(t, proc, 10, "/usr/bin/docker-proxy", "100", cmdline)
	c.target(10, now)
	os.RemoveAll(filepath.Join(proc, "10"))
	if got, ok := c.target(10, now.Add(time.Minute)); !ok || got != want {
		t.Errorf("the dead proxy = %v, %v", got, ok)
	}
}

func TestProxyCacheIsBounded(t *testing.T) {
	c := newProxyCache(t.TempDir())
	target := netip.MustParseAddrPort("172.17.0.2:80")
	for pid := range uint32(maxProxyPIDs) {
		e := proxyEntry{start: "1"}
		if pid%100 == 0 {
			e.target = target
		}
		c.pids[pid+100] = e
	}
	fakeProcess(t, c.proc, 7, "/bin/true", "1", "true\x00")
	c.target(7, time.Unix(1000, 0))
	if len(c.pids) > maxProxyPIDs/2 || !c.pids[100].target.IsValid() {
		t.Errorf("%d entries after a full table was cleaned, want the proxies alone", len(c.pids))
	}
}
