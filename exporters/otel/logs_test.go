package otel

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	logpb "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/seed79351815/weir/collector/flow"
)

// written is a log record with the service that it is of.
type written struct {
	*logpb.LogRecord
	service any
}

func recordsOf(t *testing.T, e *Exporter, records ...flow.Record) (out []written) {
	t.Helper()
	for _, r := range recordMessage(t, e, records...).ResourceLogs {
		for _, rec := range r.ScopeLogs[0].LogRecords {
			out = append(out, written{rec, plainly(r.Resource.Attributes)[keyServiceName]})
		}
	}
	return out
}

// A flow's beginning and end are records, what is between them is not.
func TestFlowRecords(t *testing.T) {
	drop := connection(flow.RecordDrop, front, back)
	got := recordsOf(t, exporter(t, Config{}), connection(flow.RecordStart, front, back), connection(flow.RecordUpdate, front, back), drop, connection(flow.RecordEnd, front, back))
	if len(got) != 2 || got[0].EventName != "weir.flow.start" || got[1].EventName != "weir.flow.end" {
		t.Fatalf("records %v", got)
	}
	want := map[string]any{
		keyNetTransport: "tcp", keyNetType: "ipv4", keySourceAddress: "172.18.0.2", keySourcePort: int64(40000), keyDestAddress: "172.18.0.3", keyDestPort: int64(5432),
		keySource: "front", keySourceNS: "shop", keyDest: "back", keyDestNS: "shop", keyServerAddress: "db.shop", "weir.flow.id": int64(5), keyFlowState: "closed",
		keyVerdict: "forwarded", "weir.flow.sent.bytes": int64(100), "weir.flow.sent.packets": int64(3), "weir.flow.received.bytes": int64(900),
		"weir.flow.received.packets": int64(4), "weir.flow.duration": 2.0, "weir.tcp.rtt": 0.0002, "weir.tcp.connect.duration": 0.0003,
		"weir.tcp.retransmits": int64(1), keyProcessPID: int64(4242), keyProcessCommand: "app",
	}
	if got := plainly(got[1].Attributes); !reflect.DeepEqual(got, want) {
		t.Errorf("attributes\n%v\nwant\n%v", got, want)
	}
	if body := got[1].Body.GetStringValue(); body != "tcp shop/front-1 -> shop/back-1:5432 closed" {
		t.Errorf("body %q", body)
	}
	if got[1].SeverityText != "INFO" || got[1].TimeUnixNano != uint64(epoch) || got[1].service != "front" {
		t.Errorf("record %v", got[1])
	}
}

// verdict is what a policy said to attempts of one kind.
func verdict(denied bool) flow.Record {
	r := connection(flow.RecordVerdict, front, back)
	r.Verdict, r.Delta = flow.VerdictAudit, flow.Delta{}
	r.Judged = &flow.Judged{Denied: denied, Count: 4, By: []flow.PolicyRef{{Namespace: "shop", Name: "web"}}}
	if denied {
		r.Verdict, r.Judged.Ingress, r.Judged.Rule = flow.VerdictDropped, true, "deny everyone else"
	}
	return r
}

// What policies say is told as a record and as a count, once.
func TestVerdicts(t *testing.T) {
	e := exporter(t, Config{})
	got := recordsOf(t, e, verdict(true), verdict(false))
	if len(got) != 2 {
		t.Fatalf("records %v", got)
	}
	for i, want := range []struct{ severity, body, verdict, direction, rule string }{
		{"WARN", "tcp shop/front-1 -> shop/back-1:5432 denied by shop/web: deny everyone else", "dropped", "ingress", "deny everyone else"},
		{"INFO", "tcp shop/front-1 -> shop/back-1:5432 audited by shop/web", "audit", "egress", ""},
	} {
		a := plainly(got[i].Attributes)
		rule, _ := a[keyRule].(string)
		if r := got[i]; r.EventName != "weir.policy.verdict" || r.SeverityText != want.severity || r.Body.GetStringValue() != want.body ||
			a[keyVerdict] != want.verdict || a[keyDirection] != want.direction || rule != want.rule || a[keyAttempts] != int64(4) || a[keyPolicy] != "shop/web" {
			t.Errorf("record %v", r)
		}
	}
	all := points(t, e.measured(time.Unix(1, 0)))
	if len(all["weir.policy.verdicts"]) != 2 || len(all["weir.flow.bytes"]) != 0 {
		t.Errorf("points %v", all)
	}
	for _, p := range all["weir.policy.verdicts"] {
		rule := map[any]any{"dropped": "deny everyone else", "audit": nil}[p.attrs[keyVerdict]]
		if p.number != 4 || p.attrs[keyPolicy] != "shop/web" || p.attrs[keyRule] != rule || p.attrs[keySource] != "front" {
			t.Errorf("verdicts %+v", p)
		}
	}
}

func TestRecordOf(t *testing.T) {
	refused := connection(flow.RecordEnd, front, nil)
	refused.Flow.End = flow.EndRefused
	denied := connection(flow.RecordStart, front, back)
	denied.Verdict = flow.VerdictDropped
	bare := connection(flow.RecordStart, nil, nil)
	bare.Flow.Server.Names, bare.Flow.Client.Addr = nil, netip.AddrPort{}
	for name, tc := range map[string]struct {
		r                       flow.Record
		service, severity, body string
	}{
		"to another machine":   {refused, "front", "WARN", "tcp shop/front-1 -> db.shop:5432 refused"},
		"denied":               {denied, "front", "WARN", "tcp shop/front-1 -> shop/back-1:5432"},
		"from another machine": {connection(flow.RecordStart, nil, back), "back", "INFO", "tcp 172.18.0.2 -> shop/back-1:5432"},
		"of nobody":            {bare, "unknown_service", "INFO", "tcp  -> 172.18.0.3:5432"},
	} {
		got := recordsOf(t, exporter(t, Config{}), tc.r)[0]
		if got.service != tc.service || got.SeverityText != tc.severity || got.Body.GetStringValue() != tc.body {
			t.Errorf("%s: %v %s %q", name, got.service, got.SeverityText, got.Body.GetStringValue())
		}
	}
}

func TestResources(t *testing.T) {
	r := resources{node: "host-1", version: "1.0", service: "weir", extra: resource{
		{"deployment.environment.name", text("prod")}, {"service.namespace", text("ops")}, {keyContainerID, text("forged")}, {keyHostName, text("named")},
	}}
	pod := &flow.Workload{
		CgroupID: 5, Cgroup: "/kubepods/x", Runtime: flow.RuntimeContainerd, Container: "c0ffee", Name: "api-7d9-x", Namespace: "prod", Image: "api@sha256:abc",
		Owner: flow.Owner{Kind: "Deployment", Name: "api"},
		Labels: []flow.Label{
			{Source: "container", Key: "name", Value: "main"}, {Source: "k8s", Key: labelName, Value: "api-service"}, {Source: "k8s", Key: labelVersion, Value: "3"},
			{Source: "k8s", Key: labelContainer, Value: "main"}, {Source: "k8s", Key: labelPodUID, Value: "u-1"},
		},
	}
	unit := &flow.Workload{CgroupID: 6, Cgroup: "/system.slice/ssh.service", Runtime: flow.RuntimeSystemd, Name: "ssh.service", Owner: flow.Owner{Kind: "Unit", Name: "ssh.service"}}
	every := map[string]any{"deployment.environment.name": "prod", keyHostName: "named", keyDistroName: "weir", keyDistroVersion: "1.0"}
	for name, tc := range map[string]struct {
		got  resource
		want map[string]any
	}{
		"a pod": {r.of(pod), map[string]any{
			keyServiceName: "api-service", keyServiceNamespace: "prod", keyServiceInstance: "c0ffee", keyServiceVersion: "3", keyContainerID: "c0ffee",
			keyContainerName: "main", keyContainerRuntime: "containerd", keyContainerImage: "api", keyK8sPod: "api-7d9-x", keyK8sPodUID: "u-1",
			keyK8sNamespace: "prod", keyK8sContainer: "main", "k8s.deployment.name": "api", keyProcessCgroup: "/kubepods/x",
		}},
		"a Compose service": {r.of(front), map[string]any{
			keyServiceName: "front", keyServiceNamespace: "shop", keyServiceInstance: "front0123456789abcdef", keyContainerID: "front0123456789abcdef",
			keyContainerName: "front-1", keyContainerRuntime: "docker", keyContainerImage: "registry:5000/shop/front", keyContainerTags: []any{"1.2"},
			keyProcessCgroup: "/system.slice/docker-front.scope",
		}},
		"a unit": {r.of(unit), map[string]any{
			keyServiceName: "ssh.service", keyServiceInstance: "ssh.service", keyProcessCgroup: "/system.slice/ssh.service", keyContainerID: "forged",
		}},
		"nobody": {r.of(nil), map[string]any{keyServiceName: "unknown_service", keyContainerID: "forged"}},
		"weir": {r.own(), map[string]any{
			keyServiceName: "weir", keyServiceInstance: "host-1", keyServiceVersion: "1.0", keyServiceNamespace: "ops", keyContainerID: "forged",
		}},
	} {
		for k, v := range every {
			tc.want[k] = v
		}
		var read resourcepb.Resource
		if err := proto.Unmarshal(tc.got.field()[headroom:], &read); err != nil {
			t.Fatal(err)
		}
		if got := plainly(read.Attributes); !reflect.DeepEqual(got, tc.want) || len(got) != len(read.Attributes) {
			t.Errorf("%s:\n%v\nwant\n%v", name, got, tc.want)
		}
	}
}
