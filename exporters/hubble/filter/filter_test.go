package filter_test

import (
	"errors"
	"strings"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/seed79351815/weir/exporters/hubble/filter"
)

func tcp(src, dst uint32, flags *flowpb.TCPFlags) *flowpb.Layer4 {
	return &flowpb.Layer4{Protocol: &flowpb.Layer4_TCP{TCP: &flowpb.TCP{SourcePort: src, DestinationPort: dst, Flags: flags}}}
}

// sample is a flow with something in every field that a filter looks at.
func sample() *flowpb.Flow {
	return &flowpb.Flow{
		Uuid: "u-1", Verdict: flowpb.Verdict_FORWARDED, NodeName: "node-1", NodeLabels: []string{"zone=a"},
		IP: &flowpb.IP{Source: "10.0.0.1", SourceXlated: "192.0.2.1", Destination: "2001:db8::5", IpVersion: flowpb.IPVersion_IPv6},
		L4: tcp(40000, 80, &flowpb.TCPFlags{SYN: true, ACK: true}),
		Source: &flowpb.Endpoint{
			Identity: 300, Namespace: "shop", PodName: "web-1", Labels: []string{"k8s:app=web", "container:name=web", "reserved:host", "k8s:n=7"},
			Workloads: []*flowpb.Workload{{Name: "web", Kind: "Deployment"}},
		},
		Destination:      &flowpb.Endpoint{Identity: 2, ClusterName: "prod"},
		DestinationNames: []string{"api.example.com"}, DestinationService: &flowpb.Service{Name: "api.example.com"},
		EventType: &flowpb.CiliumEventType{Type: 4, SubType: 3}, TrafficDirection: flowpb.TrafficDirection_EGRESS,
		IsReply: wrapperspb.Bool(false), Interface: &flowpb.NetworkInterface{Index: 3, Name: "eth0"},
		TraceContext: &flowpb.TraceContext{Parent: &flowpb.TraceParent{TraceId: "abc"}}, IpTraceId: &flowpb.IPTraceID{TraceId: 9},
	}
}

// swapped is sample from its destination to its source.
func swapped() *flowpb.Flow {
	f := sample()
	f.Source, f.Destination = f.Destination, f.Source
	f.SourceNames, f.DestinationNames = []string{"api.example.org"}, nil
	f.SourceService, f.DestinationService = &flowpb.Service{Name: "api.example.org"}, nil
	return f
}

func http(code uint32, method, url string) *flowpb.Flow {
	f := sample()
	f.EventType = &flowpb.CiliumEventType{Type: 129}
	f.L7 = &flowpb.Layer7{Record: &flowpb.Layer7_Http{Http: &flowpb.HTTP{Code: code, Method: method, Url: url}}}
	return f
}

// handshake is of a protocol that Hubble has no record for.
func handshake(summary string) *flowpb.Flow {
	f := sample()
	f.L7 = &flowpb.Layer7{}
	//lint:ignore SA1019 deprecated, and the only field that names the protocol
	f.Summary = summary
	return f
}

func dropped(reason flowpb.DropReason) *flowpb.Flow {
	f := sample()
	f.Verdict, f.DropReasonDesc, f.IsReply = flowpb.Verdict_DROPPED, reason, nil
	return f
}

func query(name string) *flowpb.Flow {
	f := sample()
	f.L7 = &flowpb.Layer7{Record: &flowpb.Layer7_Dns{Dns: &flowpb.DNS{Query: name}}}
	return f
}

type strs = []string

type fieldCase struct {
	name   string
	filter *flowpb.FlowFilter
	flow   *flowpb.Flow
	want   bool
}

// fieldCases say what each field matches.
func fieldCases() []fieldCase {
	work := func(kind, name string) *flowpb.FlowFilter {
		return &flowpb.FlowFilter{SourceWorkload: []*flowpb.Workload{{Kind: kind, Name: name}}}
	}
	event := func(typ int32, match bool, sub int32) *flowpb.FlowFilter {
		return &flowpb.FlowFilter{EventType: []*flowpb.EventTypeFilter{{Type: typ, MatchSubType: match, SubType: sub}}}
	}
	udp := sample()
	udp.L4 = &flowpb.Layer4{Protocol: &flowpb.Layer4_UDP{UDP: &flowpb.UDP{SourcePort: 53, DestinationPort: 9}}}
	ping := sample()
	ping.L4 = &flowpb.Layer4{Protocol: &flowpb.Layer4_ICMPv6{ICMPv6: &flowpb.ICMPv6{}}}
	return []fieldCase{
		{"empty", &flowpb.FlowFilter{}, sample(), true},
		{"uuid", &flowpb.FlowFilter{Uuid: strs{"u-0", "u-1"}}, sample(), true},
		{"other uuid", &flowpb.FlowFilter{Uuid: strs{"u-2"}}, sample(), false},
		{"source ip", &flowpb.FlowFilter{SourceIp: strs{"10.0.0.1"}}, sample(), true},
		{"source ip mapped", &flowpb.FlowFilter{SourceIp: strs{"::ffff:10.0.0.1"}}, sample(), true},
		{"source range", &flowpb.FlowFilter{SourceIp: strs{"10.0.0.0/8"}}, sample(), true},
		{"other range", &flowpb.FlowFilter{SourceIp: strs{"10.1.0.0/16"}}, sample(), false},
		{"ip written otherwise", &flowpb.FlowFilter{DestinationIp: strs{"2001:0db8:0::5"}}, sample(), true},
		{"xlated", &flowpb.FlowFilter{SourceIpXlated: strs{"192.0.2.0/24"}}, sample(), true},
		{"no ip", &flowpb.FlowFilter{SourceIp: strs{"0.0.0.0/0"}}, &flowpb.Flow{}, false},
		{"ip version", &flowpb.FlowFilter{IpVersion: []flowpb.IPVersion{flowpb.IPVersion_IPv6}}, sample(), true},
		{"pod prefix", &flowpb.FlowFilter{SourcePod: strs{"we"}}, sample(), true},
		{"bare pod is in any namespace", &flowpb.FlowFilter{SourcePod: strs{"web-1"}}, sample(), true},
		{"pod with namespace", &flowpb.FlowFilter{SourcePod: strs{"shop/web"}}, sample(), true},
		{"pod in other namespace", &flowpb.FlowFilter{SourcePod: strs{"default/web"}}, sample(), false},
		{"namespace", &flowpb.FlowFilter{SourcePod: strs{"shop/"}}, sample(), true},
		{"namespace is no prefix", &flowpb.FlowFilter{SourcePod: strs{"sh/"}}, sample(), false},
		{"any namespace", &flowpb.FlowFilter{SourcePod: strs{"/web"}}, sample(), true},
		{"no pod is not any pod", &flowpb.FlowFilter{DestinationPod: strs{"/"}}, sample(), false},
		{"service", &flowpb.FlowFilter{DestinationService: strs{"api."}}, sample(), true},
		{"fqdn", &flowpb.FlowFilter{DestinationFqdn: strs{"api.example.com."}}, sample(), true},
		{"fqdn glob", &flowpb.FlowFilter{DestinationFqdn: strs{"*.Example.com"}}, sample(), true},
		{"fqdn dot is a dot", &flowpb.FlowFilter{DestinationFqdn: strs{"apixexample.com"}}, sample(), false},
		{"fqdn is whole", &flowpb.FlowFilter{DestinationFqdn: strs{"example.com"}}, sample(), false},
		{"workload", work("Deployment", "web"), sample(), true},
		{"workload by name", work("", "web"), sample(), true},
		{"workload is no prefix", work("", "we"), sample(), false},
		{"other kind", work("Job", "web"), sample(), false},
		{"identity", &flowpb.FlowFilter{SourceIdentity: []uint32{1, 300}}, sample(), true},
		{"destination identity", &flowpb.FlowFilter{DestinationIdentity: []uint32{300}}, sample(), false},
		{"cluster", &flowpb.FlowFilter{DestinationClusterName: strs{"prod"}}, sample(), true},
		{"port", &flowpb.FlowFilter{DestinationPort: strs{"443", "80"}}, sample(), true},
		{"port is not a prefix", &flowpb.FlowFilter{DestinationPort: strs{"8"}}, sample(), false},
		{"udp port", &flowpb.FlowFilter{SourcePort: strs{"53"}}, udp, true},
		{"no ports", &flowpb.FlowFilter{SourcePort: strs{"0"}}, ping, false},
		{"protocol", &flowpb.FlowFilter{Protocol: strs{"UDP", "TCP"}}, sample(), true},
		{"other protocol", &flowpb.FlowFilter{Protocol: strs{"udp"}}, sample(), false},
		{"icmp is either", &flowpb.FlowFilter{Protocol: strs{"icmp"}}, ping, true},
		{"icmpv4 is not", &flowpb.FlowFilter{Protocol: strs{"icmpv4"}}, ping, false},
		{"l7 protocol", &flowpb.FlowFilter{Protocol: strs{"http"}}, http(200, "GET", "/"), true},
		{"verdict", &flowpb.FlowFilter{Verdict: []flowpb.Verdict{flowpb.Verdict_DROPPED}}, sample(), false},
		{"drop reason", &flowpb.FlowFilter{DropReasonDesc: []flowpb.DropReason{flowpb.DropReason_POLICY_DENIED}}, dropped(flowpb.DropReason_POLICY_DENIED), true},
		{"unknown reason needs a drop", &flowpb.FlowFilter{DropReasonDesc: []flowpb.DropReason{0}}, sample(), false},
		{"flags are a subset", &flowpb.FlowFilter{TcpFlags: []*flowpb.TCPFlags{{SYN: true}}}, sample(), true},
		{"all flags", &flowpb.FlowFilter{TcpFlags: []*flowpb.TCPFlags{{SYN: true, FIN: true}}}, sample(), false},
		{"one of two flags", &flowpb.FlowFilter{TcpFlags: []*flowpb.TCPFlags{{FIN: true}, {ACK: true}}}, sample(), true},
		{"flags without TCP", &flowpb.FlowFilter{TcpFlags: []*flowpb.TCPFlags{{}}}, udp, false},
		{"event type", event(4, false, 9), sample(), true},
		{"any type", event(0, true, 3), sample(), true},
		{"other sub-type", event(4, true, 0), sample(), false},
		{"other type", event(1, false, 0), sample(), false},
		{"direction", &flowpb.FlowFilter{TrafficDirection: []flowpb.TrafficDirection{flowpb.TrafficDirection_EGRESS}}, sample(), true},
		{"reply", &flowpb.FlowFilter{Reply: []bool{true}}, sample(), false},
		{"no reply", &flowpb.FlowFilter{Reply: []bool{false}}, sample(), true},
		{"a drop counts as no reply", &flowpb.FlowFilter{Reply: []bool{false}}, dropped(0), true},
		{"unknown is neither", &flowpb.FlowFilter{Reply: []bool{true, false}}, &flowpb.Flow{}, false},
		{"encrypted", &flowpb.FlowFilter{Encrypted: []bool{true}}, sample(), false},
		{"interface", &flowpb.FlowFilter{Interface: []*flowpb.NetworkInterface{{Name: "eth0"}}}, sample(), true},
		{"interface index", &flowpb.FlowFilter{Interface: []*flowpb.NetworkInterface{{Index: 4, Name: "eth0"}}}, sample(), false},
		{"node", &flowpb.FlowFilter{NodeName: strs{"node-*"}}, sample(), true},
		{"node in cluster", &flowpb.FlowFilter{NodeName: strs{"default/"}}, sample(), true},
		{"node in other cluster", &flowpb.FlowFilter{NodeName: strs{"prod/node-1"}}, sample(), false},
		{"node label", &flowpb.FlowFilter{NodeLabels: strs{"zone in (a,b)"}}, sample(), true},
		{"trace", &flowpb.FlowFilter{TraceId: strs{"abc"}}, sample(), true},
		{"ip trace", &flowpb.FlowFilter{IpTraceId: []uint64{8}}, sample(), false},
		{"dns query", &flowpb.FlowFilter{DnsQuery: strs{"^kube.*local"}}, query("kube-dns.local"), true},
		{"dns query of no dns", &flowpb.FlowFilter{DnsQuery: strs{""}}, sample(), false},
		{"status", &flowpb.FlowFilter{HttpStatusCode: strs{"404"}}, http(404, "GET", "/"), true},
		{"status prefix", &flowpb.FlowFilter{HttpStatusCode: strs{"40+", "5+"}}, http(503, "GET", "/"), true},
		{"status is no prefix", &flowpb.FlowFilter{HttpStatusCode: strs{"404"}}, http(40, "GET", "/"), false},
		{"a request has no status", &flowpb.FlowFilter{HttpStatusCode: strs{"2+"}}, http(0, "GET", "/"), false},
		{"method", &flowpb.FlowFilter{HttpMethod: strs{"get"}}, http(0, "GET", "/"), true},
		{"path", &flowpb.FlowFilter{HttpPath: strs{`^/page/\d+$`}}, http(0, "GET", "http://x/page/7?q=1"), true},
		{"path is not the query", &flowpb.FlowFilter{HttpPath: strs{`q=1`}}, http(0, "GET", "http://x/page/7?q=1"), false},
		{"url", &flowpb.FlowFilter{HttpUrl: strs{`q=1`}}, http(0, "GET", "http://x/page/7?q=1"), true},
		{"path is decoded", &flowpb.FlowFilter{HttpPath: strs{`^/a b$`}}, http(0, "GET", "http://x/a%20b"), true},
		{"no url, no path", &flowpb.FlowFilter{HttpPath: strs{``}}, http(200, "GET", ""), false},
		{"a url that is none", &flowpb.FlowFilter{HttpPath: strs{``}}, http(200, "GET", "http://x/%zz"), false},
		{"l7 type", event(129, false, 0), http(200, "GET", "/"), true},
		{"dns", &flowpb.FlowFilter{Protocol: strs{"DNS"}}, query("a."), true},
		{"tls", &flowpb.FlowFilter{Protocol: strs{"tls"}}, handshake("TLS 1.3 3ms (a.example)"), true},
		{"tls of unknown version", &flowpb.FlowFilter{Protocol: strs{"tls"}}, handshake("TLS"), true},
		{"other l7 without a record", &flowpb.FlowFilter{Protocol: strs{"tls"}}, handshake("kafka Fields: x"), false},
		{"http is not tls", &flowpb.FlowFilter{Protocol: strs{"tls"}}, http(200, "GET", "/"), false},
		{"a flow is not tls", &flowpb.FlowFilter{Protocol: strs{"tls"}}, sample(), false},
		{"http of no http", &flowpb.FlowFilter{HttpMethod: strs{"GET"}}, sample(), false},
		{"source name", &flowpb.FlowFilter{SourceFqdn: strs{"*.example.org"}}, swapped(), true},
		{"other source name", &flowpb.FlowFilter{SourceFqdn: strs{"*.example.com"}}, swapped(), false},
		{"source label", &flowpb.FlowFilter{SourceLabel: strs{"k8s:app=web"}}, sample(), true},
		{"other source label", &flowpb.FlowFilter{SourceLabel: strs{"k8s:app=db"}}, sample(), false},
		{"source service", &flowpb.FlowFilter{SourceService: strs{"api"}}, swapped(), true},
		{"other source service", &flowpb.FlowFilter{SourceService: strs{"api"}}, sample(), false},
		{"source cluster", &flowpb.FlowFilter{SourceClusterName: strs{"prod"}}, swapped(), true},
		{"other source cluster", &flowpb.FlowFilter{SourceClusterName: strs{"prod"}}, sample(), false},
		{"destination label", &flowpb.FlowFilter{DestinationLabel: strs{"k8s:app=web"}}, swapped(), true},
		{"other destination label", &flowpb.FlowFilter{DestinationLabel: strs{"k8s:app=web"}}, sample(), false},
		{"destination workload", &flowpb.FlowFilter{DestinationWorkload: []*flowpb.Workload{{Kind: "Deployment", Name: "web"}}}, swapped(), true},
		{"other destination workload", &flowpb.FlowFilter{DestinationWorkload: []*flowpb.Workload{{Name: "db"}}}, swapped(), false},
		{"all fields must match", &flowpb.FlowFilter{SourcePod: strs{"web"}, DestinationPort: strs{"443"}}, sample(), false},
	}
}

func TestFields(t *testing.T) {
	for _, tt := range fieldCases() {
		t.Run(tt.name, func(t *testing.T) {
			s, err := filter.Compile([]*flowpb.FlowFilter{tt.filter}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Match(tt.flow); got != tt.want {
				t.Errorf("match = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestLabelSelectors(t *testing.T) {
	for selector, want := range map[string]bool{
		"":                               true,
		"app":                            true,
		"app=web":                        true,
		"app==web":                       true,
		"app = web , n > 6":              true,
		"any:app=web":                    true,
		"k8s:app=web":                    true,
		"container:app=web":              false,
		"app=w":                          false,
		"app!=db":                        true,
		"app!=web":                       false,
		"missing!=x":                     true,
		"!missing":                       true,
		"!app":                           false,
		"! k8s:app":                      false,
		"!container:app":                 true,
		"app in (db, web)":               true,
		"app notin (db,web)":             false,
		"missing notin (x)":              true,
		"missing in (x)":                 false,
		"n<7":                            false,
		"n>7":                            false,
		"missing<7":                      false,
		"reserved:host":                  true,
		"reserved:world":                 false,
		"host=":                          true,
		"app=web,missing":                false,
		"container:name=web,k8s:n in(7)": true,
	} {
		s, err := filter.Compile([]*flowpb.FlowFilter{{SourceLabel: strs{selector}}}, nil)
		if err != nil {
			t.Errorf("%q: %v", selector, err)
			continue
		}
		if got := s.Match(sample()); got != want {
			t.Errorf("%q: match = %v, want %v", selector, got, want)
		}
	}
}

// The result is allow minus deny; an empty allow is everything.
func TestLists(t *testing.T) {
	yes, no := &flowpb.FlowFilter{SourcePod: strs{"web"}}, &flowpb.FlowFilter{SourcePod: strs{"db"}}
	for _, tt := range []struct {
		name        string
		allow, deny []*flowpb.FlowFilter
		want        bool
	}{
		{"none", nil, nil, true},
		{"one of allow", []*flowpb.FlowFilter{no, yes}, nil, true},
		{"none of allow", []*flowpb.FlowFilter{no, no}, nil, false},
		{"deny alone", nil, []*flowpb.FlowFilter{no, yes}, false},
		{"deny that misses", nil, []*flowpb.FlowFilter{no}, true},
		{"deny beats allow", []*flowpb.FlowFilter{yes}, []*flowpb.FlowFilter{yes}, false},
	} {
		s, err := filter.Compile(tt.allow, tt.deny)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Match(sample()); got != tt.want || s.Empty() != (tt.name == "none") {
			t.Errorf("%s: match %v, empty %v", tt.name, got, s.Empty())
		}
	}
}

// What cannot be evaluated is refused by name, never ignored.
func TestRefused(t *testing.T) {
	future := &flowpb.FlowFilter{}
	future.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 4000, protowire.VarintType), 1))
	many := make(strs, 2000)
	for i := range many {
		many[i] = "x"
	}
	for _, tt := range []struct {
		filter *flowpb.FlowFilter
		field  string
	}{
		{&flowpb.FlowFilter{Experimental: &flowpb.FlowFilter_Experimental{CelExpression: strs{"true"}}}, "experimental.cel_expression"},
		{future, "(unknown)"},
		{&flowpb.FlowFilter{SourceIp: strs{"10.0.0"}}, "source_ip"},
		{&flowpb.FlowFilter{SourceIp: strs{"10.0.0.0/99"}}, "source_ip"},
		{&flowpb.FlowFilter{SourcePod: strs{""}}, "source_pod"},
		{&flowpb.FlowFilter{DestinationPort: strs{"http"}}, "destination_port"},
		{&flowpb.FlowFilter{DestinationPort: strs{"65536"}}, "destination_port"},
		{&flowpb.FlowFilter{Protocol: strs{"tpc"}}, "protocol"},
		{&flowpb.FlowFilter{SourceFqdn: strs{"a b"}}, "source_fqdn"},
		{&flowpb.FlowFilter{SourceFqdn: strs{"a.."}}, "source_fqdn"},
		{&flowpb.FlowFilter{NodeName: strs{"a/b/c"}}, "node_name"},
		{&flowpb.FlowFilter{SourceLabel: strs{"a=b c"}}, "source_label"},
		{&flowpb.FlowFilter{SourceLabel: strs{"()"}}, "source_label"},
		{&flowpb.FlowFilter{SourceLabel: strs{"="}}, "source_label"},
		{&flowpb.FlowFilter{SourceLabel: strs{"a in (b"}}, "source_label"},
		{&flowpb.FlowFilter{SourceLabel: strs{"a > x"}}, "source_label"},
		{&flowpb.FlowFilter{NodeLabels: strs{"!"}}, "node_labels"},
		{&flowpb.FlowFilter{HttpStatusCode: strs{"600"}}, "http_status_code"},
		{&flowpb.FlowFilter{HttpPath: strs{"("}}, "http_path"},
		{&flowpb.FlowFilter{HttpUrl: strs{"["}}, "http_url"},
		{&flowpb.FlowFilter{DnsQuery: strs{"*"}}, "dns_query"},
		{&flowpb.FlowFilter{SourceClusterName: strs{""}}, "source_cluster_name"},
		{&flowpb.FlowFilter{HttpMethod: strs{"GET"}, EventType: []*flowpb.EventTypeFilter{{Type: 4}}}, "http_method"},
		{&flowpb.FlowFilter{HttpHeader: []*flowpb.HTTPHeader{{Key: "x", Value: "1"}}}, "http_header"},
		{&flowpb.FlowFilter{SourcePod: many}, "source_pod"},
		{&flowpb.FlowFilter{DnsQuery: strs{strings.Repeat("a", 5000)}}, "dns_query"},
	} {
		_, err := filter.Compile(nil, []*flowpb.FlowFilter{tt.filter})
		var fe *filter.FieldError
		if !errors.As(err, &fe) || fe.Field != tt.field {
			t.Errorf("%v: error %v, want one about %s", tt.filter, err, tt.field)
		}
	}
	if _, err := filter.Compile(make([]*flowpb.FlowFilter, 1000), nil); err == nil {
		t.Error("1000 filters were taken")
	}
	if _, err := filter.Compile([]*flowpb.FlowFilter{{Protocol: strs{"tpc"}}}, nil); !strings.Contains(err.Error(), `did you mean "tcp"?`) {
		t.Errorf("no suggestion: %v", err)
	}
}

// refusedFields are those of the schema that weir cannot evaluate, and says so.
var refusedFields = map[string]string{
	"http_header":  "weir keeps no headers",
	"experimental": "weir does not evaluate CEL",
}

// Every field of the schema is either evaluated or refused by name: none can be
// added to the schema without being noticed here.
func TestEveryFieldIsKnown(t *testing.T) {
	tested := make(map[string]bool)
	for _, c := range fieldCases() {
		c.filter.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			tested[string(fd.Name())] = true
			return true
		})
	}
	fds := (&flowpb.FlowFilter{}).ProtoReflect().Descriptor().Fields()
	for i := range fds.Len() {
		fd := fds.Get(i)
		m := (&flowpb.FlowFilter{}).ProtoReflect()
		switch {
		case fd.IsList():
			l := m.Mutable(fd).List()
			l.Append(l.NewElement())
		default:
			m.Mutable(fd)
		}
		_, err := filter.Compile([]*flowpb.FlowFilter{m.Interface().(*flowpb.FlowFilter)}, nil)
		name := string(fd.Name())
		if why, refused := refusedFields[name]; refused {
			var wrong *filter.FieldError
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "filter field "+name) || !strings.Contains(err.Error(), why) {
				t.Errorf("field %s: error %v, want one that names it and says %q", name, err, why)
			}
			continue
		}
		if err != nil && strings.Contains(err.Error(), "weir cannot evaluate it") {
			t.Errorf("field %s: %v", name, err)
		}
		if !tested[name] {
			t.Errorf("field %s: no test says what it matches", name)
		}
	}
}

func FuzzLabelSelector(f *testing.F) {
	for _, s := range []string{"", "a", "k8s:a=b,!c,d in (e,f),g notin(h),i>1,j<2", "a=b c", "in in (in)", "!!a", "a:b:c=d=e"} {
		f.Add(s, "k8s:a=b")
	}
	f.Fuzz(func(t *testing.T, selector, label string) {
		s, err := filter.Compile([]*flowpb.FlowFilter{{SourceLabel: strs{selector}}}, nil)
		if err == nil {
			s.Match(&flowpb.Flow{Source: &flowpb.Endpoint{Labels: strs{label}}})
		}
	})
}
