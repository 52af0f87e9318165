package printer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/hubble/printer"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

func response(f *flowpb.Flow) *observerpb.GetFlowsResponse {
	return &observerpb.GetFlowsResponse{Time: f.GetTime(), NodeName: f.GetNodeName(), ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: f}}
}

func record(kind flow.RecordKind, change func(*flow.Record)) *observerpb.GetFlowsResponse {
	r := recordtest.New(0, kind)
	if change != nil {
		change(&r)
	}
	c := convert.New("node-1", "1")
	f := c.Flow(&r)
	c.Extend(f, &r)
	return response(f)
}

func lost(cpu *wrapperspb.Int32Value) *observerpb.GetFlowsResponse {
	at := timestamppb.New(time.Unix(0, recordtest.Epoch))
	return &observerpb.GetFlowsResponse{Time: at, NodeName: "node-1", ResponseTypes: &observerpb.GetFlowsResponse_LostEvents{
		LostEvents: &flowpb.LostEvent{Source: flowpb.LostEventSource_PERF_EVENT_RING_BUFFER, NumEventsLost: 12, Cpu: cpu},
	}}
}

func render(t *testing.T, o printer.Options, list ...*observerpb.GetFlowsResponse) string {
	t.Helper()
	var b bytes.Buffer
	o.Out = &b
	p := printer.New(o)
	for _, r := range list {
		if err := p.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFormats(t *testing.T) {
	start := record(flow.RecordStart, nil)
	drop := record(flow.RecordDrop, func(r *flow.Record) { r.Drop.Source, r.Drop.Destination = r.Drop.Destination, r.Drop.Source })
	ssh := record(flow.RecordStart, func(r *flow.Record) {
		r.Flow.Client.Workload, r.Flow.Client.Comm, r.Flow.Server.Names = recordtest.Host(), flow.MakeComm("ssh"), nil
	})
	for _, tt := range []struct {
		name string
		o    printer.Options
		in   []*observerpb.GetFlowsResponse
		want string
	}{
		{"compact", printer.Options{}, []*observerpb.GetFlowsResponse{start, drop, ssh, lost(nil)},
			"Jun  1 12:00:00.000: shop/shop-web-1:40000 (ID:WEB) -> db.example.com:5432 (world) to-stack FORWARDED (TCP Flags: SYN)\n" +
				"Jun  1 12:00:00.000: shop/shop-web-1:40000 (ID:WEB) <- db.example.com:5432 (world) Policy denied DROPPED (NETFILTER_DROP, 3 packets)\n" +
				"Jun  1 12:00:00.000: ssh:40000 (host) -> 198.51.100.7:5432 (world) to-stack FORWARDED (TCP Flags: SYN)\n" +
				"Jun  1 12:00:00.000 EVENTS LOST: PERF_EVENT_RING_BUFFER 12: the kernel made events faster than they were read\n"},
		{"numeric with node", printer.Options{Numeric: true, NodeName: true, Layout: time.RFC3339}, []*observerpb.GetFlowsResponse{start},
			"2026-06-01T12:00:00Z [node-1]: 172.18.0.3:40000 (ID:WEB) -> 198.51.100.7:5432 (world) to-stack FORWARDED (TCP Flags: SYN)\n"},
		{"dict", printer.Options{Format: printer.FormatDict}, []*observerpb.GetFlowsResponse{start, lost(wrapperspb.Int32(3))},
			"  TIMESTAMP: Jun  1 12:00:00.000\n" +
				"     SOURCE: shop/shop-web-1:40000\n" +
				"DESTINATION: db.example.com:5432\n" +
				"       TYPE: to-stack\n" +
				"    VERDICT: FORWARDED\n" +
				"    SUMMARY: TCP Flags: SYN\n" +
				"------------\n" +
				"  TIMESTAMP: Jun  1 12:00:00.000\n" +
				"     SOURCE: PERF_EVENT_RING_BUFFER\n" +
				"       TYPE: EVENTS LOST\n" +
				"    VERDICT: -\n" +
				"    SUMMARY: CPU(3) 12: the kernel made events faster than they were read\n"},
		{"table", printer.Options{Format: printer.FormatTable, Color: true, NodeName: true}, []*observerpb.GetFlowsResponse{start},
			"TIMESTAMP             NODE     SOURCE                  DESTINATION           TYPE       VERDICT     SUMMARY\n" +
				"Jun  1 12:00:00.000   node-1   shop/shop-web-1:40000   db.example.com:5432   to-stack   FORWARDED   TCP Flags: SYN\n"},
		{"colour", printer.Options{Color: true}, []*observerpb.GetFlowsResponse{ssh},
			"Jun  1 12:00:00.000: \x1b[36mssh:\x1b[0m\x1b[33m40000\x1b[0m \x1b[35m(host)\x1b[0m -> \x1b[36m198.51.100.7:\x1b[0m\x1b[33m5432\x1b[0m \x1b[35m(world)\x1b[0m to-stack \x1b[32mFORWARDED\x1b[0m (TCP Flags: SYN)\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := start.GetFlow().GetSource().GetIdentity()
			got := strings.ReplaceAll(render(t, tt.o, tt.in...), fmt.Sprintf("ID:%d", id), "ID:WEB")
			if got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestTypeAndVerdict(t *testing.T) {
	policy := func(v flowpb.Verdict, dir flowpb.TrafficDirection) *flowpb.Flow {
		p := []*flowpb.Policy{{Name: "p", Kind: "Guard"}, {Name: "nameless kind"}}
		return &flowpb.Flow{
			Verdict: v, TrafficDirection: dir, EventType: &flowpb.CiliumEventType{Type: 5}, PolicyMatchType: 2, IP: &flowpb.IP{},
			EgressAllowedBy: p, IngressDeniedBy: p,
		}
	}
	event := func(typ, sub int32) *flowpb.Flow {
		return &flowpb.Flow{EventType: &flowpb.CiliumEventType{Type: typ, SubType: sub}, IP: &flowpb.IP{}}
	}
	for _, tt := range []struct {
		flow *flowpb.Flow
		want string
	}{
		{policy(flowpb.Verdict_FORWARDED, flowpb.TrafficDirection_EGRESS), "policy-verdict:L3-L4 EGRESS ALLOWED BY p (Guard) ()"},
		{policy(flowpb.Verdict_DROPPED, flowpb.TrafficDirection_INGRESS), "policy-verdict:L3-L4 INGRESS DENIED BY p (Guard) ()"},
		{policy(flowpb.Verdict_AUDIT, flowpb.TrafficDirection_EGRESS), "policy-verdict:L3-L4 EGRESS AUDITED ()"},
		{event(4, 0), "to-endpoint VERDICT_UNKNOWN ()"},
		{event(4, 99), "99 VERDICT_UNKNOWN ()"},
		{event(1, 133), "Policy denied VERDICT_UNKNOWN ()"},
		{event(1, 178), "Socket lookup failed VERDICT_UNKNOWN ()"},
		{event(1, 255), "Dropped by the kernel VERDICT_UNKNOWN ()"},
		{event(7, 1), "pre-xlate-fwd VERDICT_UNKNOWN ()"},
		{&flowpb.Flow{IP: &flowpb.IP{}}, "UNKNOWN VERDICT_UNKNOWN ()"},
		{&flowpb.Flow{IP: &flowpb.IP{}, L7: &flowpb.Layer7{Type: flowpb.L7FlowType_REQUEST, Record: &flowpb.Layer7_Http{Http: &flowpb.HTTP{}}}}, "http-request VERDICT_UNKNOWN ()"},
	} {
		if got := strings.TrimSpace(render(t, printer.Options{PolicyNames: true}, response(tt.flow))); !strings.HasSuffix(got, " (unknown) "+tt.want) {
			t.Errorf("%q does not end in %q", got, tt.want)
		}
	}
}

const hostile = "a\x1b[2Jb\nc\td\re\u202ef\u009bg\xffh\u200bi\x7f\U000e0041"

func TestSanitize(t *testing.T) {
	for in, want := range map[string]string{
		"plain":       "plain",
		"":            "",
		"日本 é \uFFFD": "日本 é \uFFFD",
		hostile:       `a\x1b[2Jb\nc\td\re\u202ef\u009bg\xffh\u200bi\x7f\U000e0041`,
		"\u2028\x00":  `\u2028\x00`,
	} {
		if got := printer.Sanitize(in); got != want {
			t.Errorf("Sanitize(%q) = %q, want %q", in, got, want)
		}
	}
	if n := testing.AllocsPerRun(10, func() { printer.Sanitize("clean and 日本") }); n != 0 {
		t.Errorf("clean text costs %v allocations", n)
	}
}

// No name whatever brings the terminal a character that is not printable.
func TestHostileNames(t *testing.T) {
	in := record(flow.RecordStart, func(r *flow.Record) {
		w := recordtest.Web()
		w.Name, w.Namespace, w.Image, w.Labels[0].Value, w.Owner.Name = hostile, hostile, hostile, hostile, hostile
		r.Flow.Client.Workload, r.Flow.Server.Names, r.Flow.Client.Comm = w, []string{hostile}, flow.MakeComm("\x1b]0;x\x07")
	})
	in.GetFlow().NodeName = strings.ToValidUTF8(hostile, "?")
	in.NodeName = in.GetFlow().NodeName
	for _, f := range []printer.Format{printer.FormatCompact, printer.FormatDict, printer.FormatTable, printer.FormatJSON} {
		out := render(t, printer.Options{Format: f, NodeName: true}, in)
		for _, r := range out {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("format %d lets %q through: %q", f, r, out)
				break
			}
		}
		want := map[printer.Format]int{printer.FormatCompact: 1, printer.FormatDict: 7, printer.FormatTable: 2, printer.FormatJSON: 1}[f]
		if n := strings.Count(out, "\n"); n != want {
			t.Errorf("format %d: %d lines, want %d", f, n, want)
		}
		if f == printer.FormatJSON {
			var back observerpb.GetFlowsResponse
			if err := json.Unmarshal([]byte(out), &back); err != nil {
				t.Errorf("JSON: %v", err)
			} else if got, want := back.GetFlow().GetSource().GetPodName(), in.GetFlow().GetSource().GetPodName(); got != want {
				t.Errorf("JSON changed the name: %q, want %q", got, want)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	out := render(t, printer.Options{Format: printer.FormatJSON}, record(flow.RecordStart, nil), lost(nil))
	for _, want := range []string{
		`{"flow":{"time":"2026-06-01T12:00:00Z"`, `"pod_name":"shop-web-1"`, `"traffic_direction":"EGRESS"`, `"Summary":"TCP Flags: SYN"`,
		`"extensions":{"@type":"type.googleapis.com/google.protobuf.Struct","value":{`, `"node_name":"node-1"`,
		`{"lost_events":{"source":"PERF_EVENT_RING_BUFFER","num_events_lost":"12"}`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in %s", want, out)
		}
	}
	foreign := record(flow.RecordStart, nil)
	foreign.GetFlow().Extensions = &anypb.Any{TypeUrl: "type.googleapis.com/acme.Unheard", Value: []byte{1}}
	if out := render(t, printer.Options{Format: printer.FormatJSON}, foreign); strings.Contains(out, "extensions") || !strings.Contains(out, "shop-web-1") {
		t.Errorf("unknown extensions: %s", out)
	}
}

// Extensions that are JSON already make the line that they make as a message, also where
// the rest of the flow is so odd that protojson has to write it.
func TestWriteExtended(t *testing.T) {
	for name, change := range map[string]func(*flowpb.Flow){"plain": func(*flowpb.Flow) {}, "odd": func(f *flowpb.Flow) { f.EgressDeniedBy = []*flowpb.Policy{nil} }} {
		r := recordtest.New(1, flow.RecordEnd)
		c := convert.New("node-1", "1.2.3")
		whole, rest := c.Flow(&r), c.Flow(&r)
		c.Extend(whole, &r)
		change(whole)
		change(rest)
		var b strings.Builder
		p := printer.New(printer.Options{Format: printer.FormatJSON, Out: &b})
		if err := p.WriteExtended(response(rest), c.AppendExtensions(nil, &r)); err != nil {
			t.Fatal(err)
		}
		if want := render(t, printer.Options{Format: printer.FormatJSON}, response(whole)); b.String() != want || !strings.Contains(want, `"value":{"client"`) {
			t.Errorf("%s: %s\nwant %s", name, b.String(), want)
		}
		if rest.Extensions != nil {
			t.Errorf("%s: the flow was changed", name)
		}
	}
}

func TestNodeStatusGoesToErr(t *testing.T) {
	var out, errs bytes.Buffer
	p := printer.New(printer.Options{Out: &out, Err: &errs})
	for _, s := range []relaypb.NodeState{relaypb.NodeState_NODE_CONNECTED, relaypb.NodeState_NODE_UNAVAILABLE} {
		if err := p.Write(&observerpb.GetFlowsResponse{ResponseTypes: &observerpb.GetFlowsResponse_NodeStatus{
			NodeStatus: &relaypb.NodeStatusEvent{StateChange: s, NodeNames: []string{"a", "b", "c", "d", "e"}},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	if out.Len() != 0 || errs.String() != "N/A []: nodes a, b, c, d and 1 more: unavailable\n" {
		t.Errorf("out %q, err %q", out.String(), errs.String())
	}
}

func TestBrokenPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	p := printer.New(printer.Options{Out: w})
	if err := p.Write(record(flow.RecordStart, nil)); !printer.IsBrokenPipe(err) || !errors.Is(err, syscall.EPIPE) {
		t.Errorf("error %v", err)
	}
	if printer.IsBrokenPipe(io.ErrUnexpectedEOF) || printer.IsBrokenPipe(nil) {
		t.Error("other errors pass for a broken pipe")
	}
}

func TestFlags(t *testing.T) {
	env := func(vars ...string) func(string) string {
		return func(k string) string {
			for _, v := range vars {
				if name, value, _ := strings.Cut(v, "="); name == k {
					return value
				}
			}
			return ""
		}
	}
	ok := printer.Flags{Output: "compact", TimeFormat: "rfc3339nano", Color: "auto", Translate: true}
	for _, tt := range []struct {
		name   string
		change func(*printer.Flags)
		follow bool
		want   string
	}{
		{"fine", func(*printer.Flags) {}, true, ""},
		{"format", func(f *printer.Flags) { f.Output = "xml" }, false, "--output xml"},
		{"table that follows", func(f *printer.Flags) { f.Output = "table" }, true, "--follow"},
		{"time", func(f *printer.Flags) { f.TimeFormat = "noon" }, false, "--time-format noon"},
		{"colour", func(f *printer.Flags) { f.Color = "pink" }, false, "--color pink"},
	} {
		f := ok
		tt.change(&f)
		o, err := f.Options(io.Discard, io.Discard, tt.follow, env())
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
		if err == nil && (o.Layout != time.RFC3339Nano || o.Color || o.Numeric) {
			t.Errorf("%s: %+v", tt.name, o)
		}
	}
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo terminal: %v", err)
	}
	defer tty.Close()
	for _, tt := range []struct {
		when string
		env  func(string) string
		want bool
	}{{"auto", env("TERM=xterm"), true}, {"auto", env("TERM=xterm", "NO_COLOR=1"), false}, {"auto", env("TERM=dumb"), false}, {"never", env(), false}, {"always", env("NO_COLOR=1"), true}} {
		if got, err := printer.UseColor(tt.when, tty, tt.env); err != nil || got != tt.want {
			t.Errorf("UseColor(%s) = %v, %v, want %v", tt.when, got, err, tt.want)
		}
	}
}

func FuzzSanitize(f *testing.F) {
	f.Add(hostile)
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		out := printer.Sanitize(s)
		for _, r := range out {
			if !unicode.IsPrint(r) {
				t.Errorf("%q lets %q through", s, r)
			}
		}
		if printer.Sanitize(out) != out {
			t.Errorf("%q is not clean after cleaning", s)
		}
	})
}
