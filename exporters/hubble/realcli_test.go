package hubble_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	observerpb "github.com/cilium/cilium/api/v1/observer"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/hubble/hubbletest"
	"github.com/seed79351815/weir/exporters/hubble/printer"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

// judged is a verdict as policies give it.
func judged(id uint64, denied, ingress bool) flow.Record {
	r := recordtest.New(id, flow.RecordVerdict)
	r.Drop = nil
	near, far := r.Flow.Client.Addr, r.Flow.Server.Addr
	if ingress {
		near, far = far, near
	}
	r.Judged = &flow.Judged{
		Cgroup: 7, Ingress: ingress, Denied: denied, Protocol: flow.TCP, Local: near, Remote: far, Port: r.Flow.Server.Addr.Port(), Count: 3,
		By: []flow.PolicyRef{{Name: "web", Namespace: "shop", Kind: "CiliumNetworkPolicy", Mode: "enforce", Section: "egress"}},
	}
	r.Verdict = flow.VerdictAudit
	if denied {
		r.Verdict = flow.VerdictDropped
	}
	return r
}

// Every kind of flow in every output mode of the real client is what weir itself
// makes of it.
func TestRealHubbleCLIOutput(t *testing.T) {
	programs := hubbletest.Need(t)
	o := hubble.NewObserver(hubble.Config{NodeName: "node-1", Version: "1.2.3"})
	target, _ := serve(t, o)
	c := programs.Client(t, target)
	unknown := recordtest.New(8, flow.RecordDrop)
	unknown.Drop.Reason = "TCP_RESET" // the kernel's, and none of Cilium's
	ruled := judged(4, true, true)
	ruled.Judged.Rule = "egressDeny[0]"
	consume(t, o, recordtest.New(1, flow.RecordStart), judged(2, true, false), judged(3, false, true), ruled, recordtest.Exchange(5, flow.HTTP),
		recordtest.Exchange(6, flow.DNS), recordtest.New(7, flow.RecordDrop), unknown, recordtest.New(9, flow.RecordEnd))
	for _, f := range []struct {
		name   string
		format printer.Format
	}{{"compact", printer.FormatCompact}, {"dict", printer.FormatDict}, {"table", printer.FormatTable}, {"json", printer.FormatJSON}, {"jsonpb", printer.FormatJSON}} {
		var b bytes.Buffer
		p := printer.New(printer.Options{Format: f.format, Out: &b, PolicyNames: true})
		if err := o.Flows(t.Context(), &observerpb.GetFlowsRequest{Number: 20}, p.Write); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		got, want := strings.Split(c.Run("observe", "--print-policy-names", "-o", f.name), "\n"), strings.Split(b.String(), "\n")
		if len(got) != len(want) {
			t.Errorf("%s: %d lines, weir has %d", f.name, len(got), len(want))
			continue
		}
		for i := range got {
			g, w := got[i], want[i]
			if f.format == printer.FormatJSON {
				g, w = canonical(g), canonical(w)
			}
			// The one thing that weir words better: Hubble has no name for a reason that
			// is none of Cilium's.
			g = strings.Replace(g, "255, 0", "Dropped by the kernel", 1)
			if g != w && strings.Join(strings.Fields(g), " ") != strings.Join(strings.Fields(w), " ") {
				t.Errorf("%s:\nhubble %s\nweir   %s", f.name, g, w)
			}
		}
	}
	out := c.Run("observe", "--print-policy-names")
	for _, want := range []string{
		"policy-verdict:none EGRESS DENIED BY web (CiliumNetworkPolicy) (denied 3 times by shop/web: no rule allows it)",
		"policy-verdict:none INGRESS AUDITED BY web (CiliumNetworkPolicy) (would be denied 3 times by shop/web: no rule allows it)",
		"policy-verdict:L3-L4 INGRESS DENIED BY web (CiliumNetworkPolicy) (denied 3 times by shop/web: egressDeny[0])",
		"http-response FORWARDED (HTTP/1.1 200", "dns-response kernel FORWARDED (DNS Answer", "Policy denied DROPPED (NETFILTER_DROP", "255, 0 DROPPED (TCP_RESET",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	for args, want := range map[string]int{
		"--verdict AUDIT": 1, "--verdict DROPPED": 4, "-t policy-verdict": 3, "-t drop": 2, "--drop-reason-desc POLICY_DENIED": 3,
		"-t policy-verdict --traffic-direction ingress": 2, "-t policy-verdict --verdict DROPPED --pod shop/": 2,
	} {
		if n := strings.Count(c.Run(append([]string{"observe"}, strings.Fields(args)...)...), "\n"); n != want {
			t.Errorf("%s: %d flows, want %d:\n%s", args, n, want, out)
		}
	}
}

func TestRealHubbleCLIAgentEvents(t *testing.T) {
	programs := hubbletest.Need(t)
	o := hubble.NewObserver(hubble.Config{NodeName: "node-1"})
	target, _ := serve(t, o)
	c := programs.Client(t, target)
	web := &flow.Workload{CgroupID: 7, Name: "web-1\x1b[2J", Namespace: "shop", Runtime: flow.RuntimeDocker, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
	o.Tell(convert.WorkloadEvent(web, false))
	o.Tell(convert.PolicyEvent([]string{"weir:policy=shop/web"}, 3, 2, false))
	o.Tell(convert.PolicyEvent([]string{"weir:policy=shop/web"}, 4, 2, true))
	o.Tell(convert.WorkloadEvent(web, true))
	lines := strings.Split(strings.TrimSpace(c.Run("observe", "agent-events", "--print-node-name")), "\n")
	want := []string{
		"AGENT_STARTED (start time: ", "ENDPOINT_CREATED (id: 7, namespace: shop, pod name: web-1", "POLICY_UPDATED (labels: [weir:policy=shop/web], revision: 3, count: 2)",
		"POLICY_DELETED (labels: [weir:policy=shop/web], revision: 4, count: 2)", "ENDPOINT_DELETED (id: 7, namespace: shop, pod name: web-1",
	}
	if len(lines) != len(want) {
		t.Fatalf("%q", lines)
	}
	for i, l := range lines {
		if !strings.Contains(l, "[node-1]: "+want[i]) {
			t.Errorf("%q, want %q", l, want[i])
		}
	}
	for _, format := range []string{"dict", "table", "json", "jsonpb"} {
		if out := c.Run("observe", "agent-events", "-o", format); strings.Count(out, "weir:policy=shop/web") != 2 {
			t.Errorf("-o %s: %s", format, out)
		}
	}
}
