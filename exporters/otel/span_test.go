package otel

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/seed79351815/weir/collector/flow"
)

// seen is a span with the service that it is of.
type seen struct {
	*tracepb.Span
	service string
}

// spansOf is what becomes of records, by service and kind: "front client".
func spansOf(t *testing.T, e *Exporter, records ...flow.Record) map[string]seen {
	t.Helper()
	out := map[string]seen{}
	for _, r := range spanMessage(t, e, records...).ResourceSpans {
		service, _ := plainly(r.Resource.Attributes)[keyServiceName].(string)
		for _, s := range r.ScopeSpans[0].Spans {
			out[service+map[tracepb.Span_SpanKind]string{
				tracepb.Span_SPAN_KIND_CLIENT: " client", tracepb.Span_SPAN_KIND_SERVER: " server",
			}[s.Kind]] = seen{s, service}
		}
	}
	return out
}

// The two ends of one request on this host are two spans of one trace, one the
// other's parent.
func TestBothEnds(t *testing.T) {
	spans := spansOf(t, exporter(t, Config{}), request(front, back, 0, 3*time.Millisecond))
	client, server := spans["front client"], spans["back server"]
	if len(spans) != 2 || client.Span == nil || server.Span == nil {
		t.Fatalf("spans %v", spans)
	}
	if string(client.TraceId) != string(server.TraceId) || string(server.ParentSpanId) != string(client.SpanId) || client.ParentSpanId != nil {
		t.Errorf("client %v\nserver %v: they must be one trace, the client's first", client.Span, server.Span)
	}
	if server.Flags&flagRemote == 0 || client.Flags&flagRemote != 0 {
		t.Errorf("flags %#x, %#x: only the server's parent is another process's", client.Flags, server.Flags)
	}
	for _, s := range spans {
		if s.Name != "GET /users/{id}" || int64(s.EndTimeUnixNano-s.StartTimeUnixNano) != int64(3*time.Millisecond) || s.StartTimeUnixNano != uint64(epoch) {
			t.Errorf("%s: %s from %d to %d", s.service, s.Name, s.StartTimeUnixNano, s.EndTimeUnixNano)
		}
	}
}

func TestOneEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		r    flow.Record
		want string
	}{
		"from another machine": {served(request(front, back, 0, time.Millisecond)), "back server"},
		"to another machine":   {asked(request(front, back, 0, time.Millisecond)), "front client"},
	} {
		spans := spansOf(t, exporter(t, Config{}), tc.r)
		if s := spans[tc.want]; len(spans) != 1 || s.Span == nil || s.ParentSpanId != nil {
			t.Errorf("%s: spans %v", name, spans)
		}
	}
}

// Whoever reads a recording again gives the same spans; another exchange others.
func TestIDs(t *testing.T) {
	id := func(r flow.Record) string {
		s := spansOf(t, exporter(t, Config{}), r)["front client"]
		return string(s.TraceId) + string(s.SpanId)
	}
	first := id(request(front, back, 0, time.Millisecond))
	if first != id(request(front, back, 0, time.Millisecond)) {
		t.Error("the same exchange has other ids")
	}
	if first == id(request(front, back, 1, time.Millisecond)) {
		t.Error("a later exchange has the same ids")
	}
}

func TestAttributes(t *testing.T) {
	web := request(front, back, 0, time.Millisecond)
	odd := request(front, back, 0, time.Millisecond)
	odd.L7.Method, odd.L7.Exchange.HTTP.Method, odd.L7.Exchange.Status, odd.L7.Route = "PURGE", "PURGE", 404, ""
	silent := request(front, back, 0, time.Millisecond)
	silent.L7.Exchange.Status, silent.L7.Error = flow.NoAnswer, true
	forbidden := request(front, back, 0, time.Millisecond)
	forbidden.Verdict, forbidden.L7.Exchange.Status = flow.VerdictDropped, 403
	proxied := request(front, back, 0, time.Millisecond)
	proxied.L7.Exchange.HTTP.Path = "http://bob:secret@other.example/a?token=1"
	for _, tc := range []struct {
		name, span, called string
		r                  flow.Record
		status             tracepb.Status_StatusCode
		want               map[string]any // nil for an attribute that must not be there
	}{
		{"HTTP client", "front client", "GET /users/{id}", web, tracepb.Status_STATUS_CODE_UNSET, map[string]any{
			keyHTTPMethod: "GET", keyHTTPStatus: int64(200), keyURLTemplate: "/users/{id}", keyURLFull: "http://users.shop:8080/users/7",
			keyServerAddress: "users.shop", keyServerPort: int64(8080), keyNetProtocol: "http", keyNetVersion: "1.1", keyNetTransport: "tcp",
			keyNetType: "ipv4", keyNetPeerAddress: "172.18.0.3", keyNetPeerPort: int64(8080), keyPeerName: "back", keyPeerNamespace: "shop",
			keyProcessPID: int64(4242), keyProcessCommand: "app", keyRequestBytes: int64(120), keyResponseBytes: int64(4000), keyWhy: "new",
			keyErrorType: nil, keyURLPath: nil, keyHTTPRoute: nil, keyMore: nil, "url.query": nil, keyVerdict: nil, keyHTTPMethodOriginal: nil,
		}},
		{"HTTP server", "back server", "GET /users/{id}", web, tracepb.Status_STATUS_CODE_UNSET, map[string]any{
			keyHTTPRoute: "/users/{id}", keyURLPath: "/users/7", keyURLScheme: "http", keyClientAddress: "172.18.0.2", keyClientPort: int64(40000),
			keyNetPeerAddress: "172.18.0.2", keyPeerName: "front", keyProcessPID: int64(5252), keyURLFull: nil, keyURLTemplate: nil,
		}},
		{"a method that nobody knows, and the client's own error", "front client", "HTTP", odd, tracepb.Status_STATUS_CODE_ERROR, map[string]any{
			keyHTTPMethod: "_OTHER", keyHTTPMethodOriginal: "PURGE", keyErrorType: "404", keyURLTemplate: nil,
		}},
		{"which is none to the server", "back server", "HTTP", odd, tracepb.Status_STATUS_CODE_UNSET, map[string]any{keyErrorType: nil, keyHTTPStatus: int64(404)}},
		{"no answer", "back server", "GET /users/{id}", silent, tracepb.Status_STATUS_CODE_ERROR, map[string]any{keyErrorType: "no_answer", keyHTTPStatus: nil}},
		{"denied", "front client", "GET /users/{id}", forbidden, tracepb.Status_STATUS_CODE_ERROR, map[string]any{keyErrorType: denied, keyVerdict: "dropped"}},
		{"denied, at the server", "back server", "GET /users/{id}", forbidden, tracepb.Status_STATUS_CODE_ERROR, map[string]any{keyErrorType: denied}},
		{"a URL with secrets", "front client", "GET /users/{id}", proxied, tracepb.Status_STATUS_CODE_UNSET, map[string]any{keyURLFull: "http://other.example/a"}},
		{"DNS", "front client", "DNS AAAA", lookup(), tracepb.Status_STATUS_CODE_ERROR, map[string]any{
			keyDNSQuestion: "db.shop", keyDNSType: "AAAA", keyDNSAnswers: []any{"fd00::1"}, keyDNSCode: "SERVFAIL", keyErrorType: "SERVFAIL", keyNetTransport: "udp",
		}},
		{"TLS", "front client", "TLS handshake", handshake(), tracepb.Status_STATUS_CODE_UNSET, map[string]any{
			keyServerAddress: "api.example.com", keyTLSVersion: "1.3", keyTLSProtocol: "tls", keyTLSCipher: "TLS_AES_128_GCM_SHA256", keyTLSNext: "h2",
			keyTLSResumed: false, keyTLSEstablished: true, keyTLSJA4: "t13d1516h2_x_y", keyTLSOffered: []any{"h2", "http/1.1"}, keyTLSECH: nil,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := spansOf(t, exporter(t, Config{}), tc.r)[tc.span]
			if s.Span == nil || s.Name != tc.called || s.Status.Code != tc.status {
				t.Fatalf("span %v, want %q, %v", s.Span, tc.called, tc.status)
			}
			got := plainly(s.Attributes)
			if len(got) != len(s.Attributes) {
				t.Error("an attribute is there twice")
			}
			for k, v := range tc.want {
				if !reflect.DeepEqual(got[k], v) {
					t.Errorf("%s = %v, want %v", k, got[k], v)
				}
			}
		})
	}
}

// lookup is a question that failed.
func lookup() flow.Record {
	r := request(front, back, 0, time.Millisecond)
	l, x := r.L7, r.L7.Exchange
	l.Protocol, l.Method, l.Route, l.Error = flow.DNS, "AAAA", "db.shop", true
	x.Protocol, x.Transport, x.Status, x.HTTP = flow.DNS, flow.UDP, 2, nil
	x.DNS = &flow.DNSExchange{ID: 7, Name: "db.shop", Type: 28, Addrs: []netip.Addr{netip.MustParseAddr("fd00::1")}}
	return r
}

func handshake() flow.Record {
	r := request(front, back, 0, time.Millisecond)
	l, x := r.L7, r.L7.Exchange
	l.Protocol, l.Method, l.Route = flow.TLS, "", "api.example.com"
	x.Protocol, x.Status, x.HTTP = flow.TLS, 0, nil
	x.TLS = &flow.TLSHandshake{Version: 0x0304, ServerName: "api.example.com", ALPN: []string{"h2", "http/1.1"}, Chosen: "h2", Cipher: 0x1301, JA4: "t13d1516h2_x_y"}
	return r
}

// A row of the table for every protocol that weir reads, and no attribute twice.
func TestEveryProtocolHasARow(t *testing.T) {
	for n := flow.L7Protocol(1); n < flow.L7Protocols; n++ {
		p := protocolOf(n)
		if p == nil || len(p.rows) == 0 {
			t.Errorf("%s: no row in protocols", n)
			continue
		}
		for _, of := range []end{clientEnd, serverEnd} {
			keys := map[string]bool{}
			for _, r := range append(append([]row{}, p.rows...), everySpan...) {
				if r.ends&of != 0 && keys[r.key] {
					t.Errorf("%s: %s stands twice", n, r.key)
				}
				keys[r.key] = keys[r.key] || r.ends&of != 0
			}
		}
		if m := l7Metrics[n]; m.client >= metricCount || metrics[m.client].kind != histogram || metrics[m.server].kind != histogram {
			t.Errorf("%s: no histograms in l7Metrics", n)
		}
	}
}

// What a recording of other makers lacks, or says in bad bytes, harms nobody.
func TestHostileExchanges(t *testing.T) {
	for n := flow.L7Protocol(0); n <= flow.L7Protocols; n++ {
		r := request(front, back, 0, -time.Second)
		r.L7.Protocol, r.L7.Exchange.Protocol, r.L7.Exchange.HTTP = n, n, nil
		r.L7.Exchange.Start, r.L7.Method, r.L7.Route = -5, "\xff\x1b[2J", "/\xfe\u202e"
		r.L7.Client.Workload = &flow.Workload{Name: "\xff"}
		r.L7.Server.Workload, r.L7.Server.Names = nil, []string{"\x00\xff"}
		spansOf(t, exporter(t, Config{}), r, flow.Record{Kind: flow.RecordL7}, flow.Record{Kind: flow.RecordL7, L7: &flow.L7{}})
	}
}
