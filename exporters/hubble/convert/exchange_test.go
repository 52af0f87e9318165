package convert_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/proto"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

func exchange(p flow.L7Protocol, change func(*flow.L7, *flow.Exchange)) flow.Record {
	r := recordtest.Exchange(5, p)
	if change != nil {
		change(r.L7, r.L7.Exchange)
	}
	return r
}

// An answer goes from the server to the client, as Hubble has it.
func TestExchange(t *testing.T) {
	f := one(exchange(flow.HTTP, nil))
	if f.GetType() != flowpb.FlowType_L7 || f.GetEventType().GetType() != 129 || f.GetEventType().GetSubType() != 0 || f.GetVerdict() != flowpb.Verdict_FORWARDED {
		t.Errorf("type %v, event %v, verdict %v", f.GetType(), f.GetEventType(), f.GetVerdict())
	}
	if !f.GetIsReply().GetValue() || f.GetTrafficDirection() != flowpb.TrafficDirection_EGRESS {
		t.Errorf("is_reply %v, direction %v", f.GetIsReply(), f.GetTrafficDirection())
	}
	if f.GetIP().GetSource() != "198.51.100.7" || f.GetDestination().GetPodName() != "shop-web-1" || f.GetL4().GetTCP().GetSourcePort() != 8080 ||
		f.GetL4().GetTCP().GetDestinationPort() != 40000 || f.GetL4().GetTCP().GetFlags() != nil || f.GetSourceService().GetName() != "db.example.com" {
		t.Errorf("ends %v", f)
	}
	if f.GetUuid() == "" || f.GetNodeName() != "node-1" || f.GetEmitter().GetName() != "Weir" || f.GetSocketCookie() != 77 || f.GetCgroupId() != 4711 || f.GetExtensions() != nil {
		t.Errorf("origin %v", f)
	}
	if l7 := f.GetL7(); l7.GetType() != flowpb.L7FlowType_RESPONSE || l7.GetLatencyNs() != 3_200_000 {
		t.Errorf("l7 %v", l7)
	}
	if h := f.GetL7().GetHttp(); h.GetCode() != 200 || h.GetMethod() != "GET" || h.GetUrl() != "http://db.example.com:8080/users/17" || h.GetProtocol() != "HTTP/1.1" || h.GetHeaders() != nil {
		t.Errorf("http %v", h)
	}
	if id := f.GetTraceContext().GetParent().GetTraceId(); id != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("trace id %q", id)
	}
	d := one(exchange(flow.DNS, func(_ *flow.L7, x *flow.Exchange) { x.Status = 3 })).GetL7().GetDns()
	if d.GetQuery() != "cart.shop.example." || d.GetTtl() != 30 || d.GetRcode() != 3 || len(d.GetIps()) != 2 || d.GetIps()[1] != "192.0.2.8" || d.GetQtypes()[0] != "A" || d.GetObservationSource() != "kernel" {
		t.Errorf("dns %v", d)
	}
	if l7 := one(exchange(flow.TLS, nil)).GetL7(); l7 == nil || l7.GetRecord() != nil || l7.GetType() != flowpb.L7FlowType_RESPONSE {
		t.Errorf("tls %v", l7)
	}
	served := one(exchange(flow.HTTP, func(l *flow.L7, _ *flow.Exchange) { l.Seen = flow.RoleServer }))
	if served.GetTrafficDirection() != flowpb.TrafficDirection_INGRESS {
		t.Errorf("at the server: direction %v", served.GetTrafficDirection())
	}
}

// A request that nobody answered is no answer.
func TestUnanswered(t *testing.T) {
	for _, p := range []flow.L7Protocol{flow.HTTP, flow.DNS, flow.TLS} {
		f := one(exchange(p, func(_ *flow.L7, x *flow.Exchange) { x.Status = flow.NoAnswer }))
		if f.GetIsReply() == nil || f.GetIsReply().GetValue() || f.GetSource().GetPodName() != "shop-web-1" || f.GetL7().GetType() != flowpb.L7FlowType_REQUEST {
			t.Errorf("%v: %v", p, f)
		}
		if f.GetL7().GetHttp().GetCode() != 0 || f.GetL7().GetDns().GetRcode() != 0 {
			t.Errorf("%v: an outcome: %v", p, f.GetL7())
		}
	}
}

func TestExchangeSummary(t *testing.T) {
	status := func(n uint16) func(*flow.L7, *flow.Exchange) {
		return func(_ *flow.L7, x *flow.Exchange) { x.Status = n }
	}
	for _, tt := range []struct {
		name string
		in   flow.Record
		want string
	}{
		{"http", exchange(flow.HTTP, nil), "HTTP/1.1 200 3ms (GET http://db.example.com:8080/users/17)"},
		{"http 1.0", exchange(flow.HTTP, func(_ *flow.L7, x *flow.Exchange) { x.HTTP.Version, x.Status, x.Latency = 10, 503, 1_999_999_999 }),
			"HTTP/1.0 503 1999ms (GET http://db.example.com:8080/users/17)"},
		{"cut", exchange(flow.HTTP, func(_ *flow.L7, x *flow.Exchange) { x.HTTP.Cut = true }), "HTTP/1.1 200 3ms (GET http://db.example.com:8080/users/17…)"},
		{"no path", exchange(flow.HTTP, func(_ *flow.L7, x *flow.Exchange) { x.HTTP.Path = "" }), "HTTP/1.1 200 3ms (GET, path not kept)"},
		{"no response", exchange(flow.HTTP, status(flow.NoAnswer)), "HTTP/1.1 GET http://db.example.com:8080/users/17; no answer"},
		{"dns", exchange(flow.DNS, nil), `DNS Answer "192.0.2.7,192.0.2.8" TTL: 30 (Query cart.shop.example. A)`},
		{"many addresses", exchange(flow.DNS, func(_ *flow.L7, x *flow.Exchange) { x.DNS.Addresses = 9 }), `DNS Answer "192.0.2.7,192.0.2.8,…" TTL: 30 (Query cart.shop.example. A)`},
		{"nxdomain", exchange(flow.DNS, status(3)), "DNS Answer RCode: Non-Existent Domain TTL: 30 (Query cart.shop.example. A)"},
		{"unheard code", exchange(flow.DNS, status(4000)), "DNS Answer RCode: Unknown TTL: 30 (Query cart.shop.example. A)"},
		{"unheard type", exchange(flow.DNS, func(l *flow.L7, x *flow.Exchange) { l.Method, x.DNS.Type, x.DNS.Name = "", 999, "" }), `DNS Answer "192.0.2.7,192.0.2.8" TTL: 30 (Query . TYPE999)`},
		{"no dns answer", exchange(flow.DNS, status(flow.NoAnswer)), "DNS Query cart.shop.example. A; no answer"},
		{"tls", exchange(flow.TLS, nil), "TLS 1.3 3ms (api.example.com, TLS_AES_128_GCM_SHA256)"},
		{"alert", exchange(flow.TLS, status(40)), "TLS 1.3 alert: handshake failure (api.example.com, TLS_AES_128_GCM_SHA256)"},
		{"alert that is none", exchange(flow.TLS, status(300)), "TLS 1.3 alert: 300 (api.example.com, TLS_AES_128_GCM_SHA256)"},
		{"resumed", exchange(flow.TLS, func(_ *flow.L7, x *flow.Exchange) { x.TLS.Resumed, x.TLS.Chosen, x.TLS.Version = true, "h2", 0x0303 }),
			"TLS 1.2 3ms (api.example.com, h2, TLS_AES_128_GCM_SHA256, resumed)"},
		{"little is known", exchange(flow.TLS, func(_ *flow.L7, x *flow.Exchange) {
			*x.TLS, x.Status = flow.TLSHandshake{Version: 0x0300}, flow.NoAnswer
		}), "TLS; no answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			//lint:ignore SA1019 deprecated, and the only text that Hubble's CLI shows
			if got := one(tt.in).GetSummary(); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestURL(t *testing.T) {
	for _, tt := range []struct {
		names              []string
		addr, method, path string
		want               string
	}{
		{nil, "192.0.2.1:80", "GET", "/", "http://192.0.2.1/"},
		{nil, "192.0.2.1:8080", "GET", "/a", "http://192.0.2.1:8080/a"},
		{nil, "[2001:db8::1]:80", "GET", "/a", "http://[2001:db8::1]/a"},
		{nil, "[2001:db8::1]:81", "GET", "/a", "http://[2001:db8::1]:81/a"},
		{[]string{"cart"}, "192.0.2.1:80", "GET", "/a", "http://cart/a"},
		{[]string{"evil\x1b.example/x?", "a:b", "cart.example"}, "192.0.2.1:8080", "GET", "/a", "http://cart.example:8080/a"},
		{[]string{"evil@host"}, "192.0.2.1:80", "GET", "/a", "http://192.0.2.1/a"},
		{nil, "", "GET", "/a", "/a"},
		{nil, "192.0.2.1:80", "GET", "", ""},
		{nil, "192.0.2.1:80", "OPTIONS", "*", "http://192.0.2.1/*"},
		{nil, "192.0.2.1:3128", "CONNECT", "api.example.com:443", "http://api.example.com:443"},
		{nil, "192.0.2.1:3128", "CONNECT", "x\x1b:443", "http://192.0.2.1:3128/x%1B:443"},
		{nil, "192.0.2.1:80", "GET", "/a%20b/%zz%", "http://192.0.2.1/a%20b/%25zz%25"},
		{nil, "192.0.2.1:80", "GET", "/a b?c#d\x1b\u009b\xff\"", "http://192.0.2.1/a%20b%3Fc%23d%1B%C2%9B%FF%22"},
		{nil, "192.0.2.1:80", "GET", "/{token}/…/日本", "http://192.0.2.1/{token}/…/日本"},
	} {
		r := exchange(flow.HTTP, func(l *flow.L7, x *flow.Exchange) {
			l.Server = flow.Endpoint{Names: tt.names}
			if tt.addr != "" {
				l.Server.Addr = netip.MustParseAddrPort(tt.addr)
			}
			x.HTTP.Method, x.HTTP.Path = tt.method, tt.path
		})
		if got := one(r).GetL7().GetHttp().GetUrl(); got != tt.want {
			t.Errorf("%q at %s %q: %q, want %q", tt.path, tt.addr, tt.names, got, tt.want)
		}
	}
}

// Whatever path a peer sends: the URL is one, means that path, and holds nothing
// that a terminal would obey.
func FuzzURL(f *testing.F) {
	for _, s := range []string{"/", "/a%20b", "/%zz", "\x1b]0;x\x07", "/é\u202e\u009b\xff", "//x//y", "http://a/b", "*", "/?#", "%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if path == "" {
			return
		}
		text := one(exchange(flow.HTTP, func(_ *flow.L7, x *flow.Exchange) { x.HTTP.Path = path })).GetL7().GetHttp().GetUrl()
		u, err := url.ParseRequestURI(text)
		if err != nil || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q: URL %q, %v", path, text, err)
		}
		want, err := url.PathUnescape(path)
		if u.RawQuery != "" || u.Fragment != "" || u.Host != "db.example.com:8080" || err == nil && strings.TrimPrefix(u.Path, "/") != strings.TrimPrefix(want, "/") {
			t.Errorf("%q: URL %q means %q", path, text, u.Path)
		}
	})
}

func TestExchangeUUID(t *testing.T) {
	seen := map[string]string{}
	for name, change := range map[string]func(*flow.L7, *flow.Exchange){
		"":          nil,
		"start":     func(_ *flow.L7, x *flow.Exchange) { x.Start++ },
		"socket":    func(_ *flow.L7, x *flow.Exchange) { x.Cookie++ },
		"id":        func(_ *flow.L7, x *flow.Exchange) { x.DNS.ID++ },
		"operation": func(_ *flow.L7, x *flow.Exchange) { x.Operation++ },
	} {
		r := exchange(flow.DNS, change)
		id := one(r).GetUuid()
		if other, dup := seen[id]; dup || id != one(r).GetUuid() {
			t.Errorf("%q and %q share %s, or it is not stable", name, other, id)
		}
		seen[id] = name
	}
}

// Protobuf refuses strings that are not UTF-8, and with them the whole stream.
func TestExchangeInvalidUTF8(t *testing.T) {
	const bad = "a\xff\xfe"
	for _, p := range []flow.L7Protocol{flow.HTTP, flow.DNS, flow.TLS} {
		r := exchange(p, func(l *flow.L7, x *flow.Exchange) {
			l.Method, l.Route, l.Rule, l.TraceID, l.Server.Names = bad, bad, bad, bad, []string{bad}
			switch {
			case x.HTTP != nil:
				*x.HTTP = flow.HTTPExchange{Method: bad, Path: bad, Upgrade: bad, Traceparent: bad}
			case x.DNS != nil:
				x.DNS.Name = bad
			case x.TLS != nil:
				x.TLS.ServerName, x.TLS.ALPN, x.TLS.Chosen, x.TLS.JA4 = bad, []string{bad}, bad, bad
			}
		})
		tally := recordtest.Tally(r, 3)
		for _, r := range []*flow.Record{&r, &tally} {
			c := convert.New("node", "1")
			f := c.Flow(r)
			c.Extend(f, r)
			raw, err := proto.Marshal(f)
			if err != nil || strings.Contains(string(raw), bad) {
				t.Errorf("%v: %v", p, err)
			}
			if _, err := f.Extensions.UnmarshalNew(); err != nil {
				t.Errorf("%v: extensions: %v", p, err)
			}
		}
	}
}

// What a client without weir's extensions takes for a flow is none of a tally.
func TestTally(t *testing.T) {
	x := exchange(flow.HTTP, nil)
	if f := one(recordtest.Tally(x, 7)); !convert.Tally(f) || f.GetEventType() != nil || f.GetL4() != nil {
		t.Errorf("tally %v", f)
	}
	for _, r := range []flow.Record{x, exchange(flow.TLS, nil), recordtest.New(1, flow.RecordStart)} {
		if convert.Tally(one(r)) {
			t.Errorf("%+v passes for a tally", r)
		}
	}
}

func BenchmarkTally(b *testing.B) {
	c, d, r := convert.New("node", "1"), convert.NewDecoder(), recordtest.Tally(recordtest.Exchange(1, flow.HTTP), 7)
	b.ReportAllocs()
	for b.Loop() {
		f := c.Flow(&r)
		c.Extend(f, &r)
		if _, err := d.Record(f); err != nil {
			b.Fatal(err)
		}
	}
}
