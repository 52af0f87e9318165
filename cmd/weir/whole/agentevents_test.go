package whole

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
)

const auditedPolicy = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: quiet, namespace: weir-whole}
spec:
  endpointSelector: {matchLabels: {app: none-such}}
  egress: [{toEntities: [host]}]
`

// The daemon tells what becomes of it: its start, a workload that comes and goes,
// a policy that is put to work and taken out.
func TestAgentEventsOfDaemon(t *testing.T) {
	l := lab.New(t)
	pins := filepath.Join("/sys/fs/bpf", unique("events"))
	t.Cleanup(func() { _ = os.RemoveAll(pins) })
	d := start(t, "--bpf-fs", pins)
	cc, err := grpc.NewClient("unix://"+d.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := observerpb.NewObserverClient(cc).GetAgentEvents(ctx, &observerpb.GetAgentEventsRequest{Follow: true, Number: 1000})
	if err != nil {
		t.Fatal(err)
	}
	// until reads to an event of a type that tells of what is asked for: others
	// may come and go on this machine.
	until := func(typ flowpb.AgentEventType, about string) {
		t.Helper()
		for {
			e, err := stream.Recv()
			if err != nil {
				t.Fatalf("%v of %s: %v", typ, about, err)
			}
			if a := e.GetAgentEvent(); a.GetType() == typ && strings.Contains(a.String(), about) {
				return
			}
		}
	}
	policy := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(ctx, d.path, append([]string{"policy", "--socket", d.socket}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("policy %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	until(flowpb.AgentEventType_AGENT_STARTED, "")

	host := l.Host("newcomer")
	server := host.Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(0)})
	l.Host("caller").Play(role.Spec{Role: role.TCPClient, Address: server.Addr.String()}).Stop()
	until(flowpb.AgentEventType_ENDPOINT_CREATED, "newcomer")

	file := filepath.Join(t.TempDir(), "quiet.yaml")
	if err := os.WriteFile(file, []byte(auditedPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	policy("audit", file)
	until(flowpb.AgentEventType_POLICY_UPDATED, "weir:policy=weir-whole/quiet")
	policy("off", "--yes")
	until(flowpb.AgentEventType_POLICY_DELETED, "weir:policy=weir-whole/quiet")

	server.Stop()
	if err := os.Remove(host.CgroupPath); err != nil {
		t.Fatal(err)
	}
	until(flowpb.AgentEventType_ENDPOINT_DELETED, "newcomer")
	d.stop(t)
}
