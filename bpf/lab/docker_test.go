package lab

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/seed79351815/weir/bpf/lab/role"
)

func TestDockerRolesReachEachOther(t *testing.T) {
	d := NewDocker(t)
	server := d.Play("weir-lab-test-server", role.Spec{Role: role.TCPServer, Address: Listen(7000)}, "--label", "tier=back")
	if len(server.ID) != 64 || server.Addr.Addr() != server.IP || server.Addr.Port() != 7000 {
		t.Errorf("server: id %q, address %v, container's %v", server.ID, server.Addr, server.IP)
	}
	client := d.Play("weir-lab-test-client", role.Spec{Role: role.TCPClient, Address: server.Addr.String(), Count: 5, Bytes: 5000})
	c, s := client.Stop(), server.Stop()
	if c.Conns != 5 || c.Sent != 25_000 || s.Received != 25_000 || c.Received != 25_000 {
		t.Errorf("client %+v, server %+v", c, s)
	}
	out, err := exec.Command("docker", "ps", "-a", "--filter", "label="+ownerLabel, "--format", "{{.Names}}").Output()
	if err != nil || strings.Contains(string(out), "weir-lab-test") {
		t.Errorf("containers left: %q (%v)", out, err)
	}
}

func TestDockerKill(t *testing.T) {
	d := NewDocker(t)
	c := d.Play("weir-lab-test-kill", role.Spec{Role: role.UDPServer, Address: Listen(7001)})
	c.Kill()
	if _, ok := <-c.lines; ok {
		t.Error("a killed container wrote a report")
	}
}
