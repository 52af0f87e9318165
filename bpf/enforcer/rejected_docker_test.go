package enforcer

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

// Docker's own resolver, in a network as Compose makes them.
func TestDockersResolverIsAskedForNamesAlone(t *testing.T) {
	w := &court{newOccupiedTown(t, false, "client"), nil}
	lab.RequireTool(t, "dig")
	lab.RequireTool(t, "nsenter")
	d := lab.NewDocker(t)
	if out, err := exec.Command("docker", "network", "create", "weir-lab-names").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	defer func() { _ = exec.Command("docker", "network", "rm", "weir-lab-names").Run() }()
	c := d.Play("weir-lab-asks", role.Spec{Role: role.UDPServer, Address: "127.0.0.1:0"}, "--network", "weir-lab-names")
	defer c.Kill()
	pid, err := exec.Command("docker", "inspect", "--format", "{{.State.Pid}}", c.Name).Output()
	if err != nil {
		t.Fatal(err)
	}
	// The lab's client is in the container's network, and its devices are covered when somebody is there.
	enter := []string{"-n", "-t", strings.TrimSpace(string(pid))}
	there := w.hosts["client"].Command("nsenter", append(enter, "sleep", "30")...)
	if err := there.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = there.Process.Kill()
		_ = there.Wait()
	}()
	time.Sleep(200 * time.Millisecond)
	w.hold(policy.ModeEnforce, strings.ReplaceAll(strings.ReplaceAll(rejecting, "a.test", c.Name), "CODE", "refused"))
	for name, want := range map[string]string{c.Name: "status: NOERROR", "evil.test": "status: REFUSED"} {
		out, err := w.hosts["client"].Command("nsenter", append(enter, "dig", "@127.0.0.11", "+tries=1", "+time=2", name)...).Output()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: no %q: %v\n%s", name, want, err, out)
		}
	}
}
