package enforcer

import (
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/enforce/policy"
)

// A real client and a real resolver: dig says what it was answered, in time.
func TestDigIsRefused(t *testing.T) {
	lab.RequireTool(t, "dnsmasq")
	lab.RequireTool(t, "dig")
	w := &court{newOccupiedTown(t, false, "client", "resolver"), nil}
	resolver := w.hosts["resolver"]
	daemon := resolver.Command("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file=", "--user=root",
		"--bind-interfaces", "--listen-address="+resolver.V4.String(), "--address=/a.test/192.0.2.1", "--address=/evil.test/192.0.2.2")
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
	}()
	dig := func(args ...string) (string, time.Duration) {
		begun := time.Now()
		out, err := w.hosts["client"].Command("dig", append([]string{"@" + resolver.V4.String(), "+tries=1", "+time=2"}, args...)...).Output()
		if err != nil {
			out = append(out, err.Error()...)
		}
		return string(out), time.Since(begun)
	}
	w.hold(policy.ModeAudit, strings.ReplaceAll(rejecting, "CODE", "refused"))
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) { // until it listens
		if out, _ := dig("a.test"); strings.Contains(out, "192.0.2.1") {
			break
		} else if time.Since(begun) > 10*time.Second {
			t.Fatal(out)
		}
	}
	for _, c := range []struct {
		mode policy.Mode
		args []string
		want string
		most time.Duration
	}{
		{policy.ModeAudit, []string{"evil.test"}, "192.0.2.2", time.Second},
		{policy.ModeEnforce, []string{"A.tesT"}, "192.0.2.1", time.Second},
		{policy.ModeEnforce, []string{"a.test", "+tcp"}, "192.0.2.1", time.Second},
		{policy.ModeEnforce, []string{"evil.test"}, "status: REFUSED", time.Second},
		{policy.ModeEnforce, []string{"evil.test", "AAAA", "+noedns", "+nocookie"}, "status: REFUSED", time.Second},
		{policy.ModeEnforce, []string{"evil.test", "+tcp"}, "connection reset", time.Second},
	} {
		w.hold(c.mode, strings.ReplaceAll(rejecting, "CODE", "refused"))
		if out, took := dig(c.args...); !strings.Contains(out, c.want) || took > c.most || strings.Contains(out, "Warning") {
			t.Errorf("%s, dig %q: no %q, or not in time (%s):\n%s", c.mode, c.args, c.want, took, out)
		}
	}
}
