package bpf

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

func httpEvent() *sharedHttpEvent {
	e := &sharedHttpEvent{Hdr: sharedEventHdr{Kind: uint16(sharedEventKindEVENT_HTTP)}}
	x := &e.Exchange
	x.Key = sharedExchangeKey{Operation: 7, Cgroup: 11, Peer: 12, Port: 8080, Status: 200, Protocol: 1, Role: 1}
	x.Key.Remote = netip.MustParseAddr("::ffff:10.0.0.2").As16()
	x.Value = sharedExchangeValue{Count: 1, Latency: uint64(3 * time.Millisecond), RequestBytes: 80, ResponseBytes: 900}
	x.Cookie, x.Conn, x.Start, x.RemotePort, x.Why, x.Transport = 5, 6, 1000, 8080, 1, 6
	x.Local.Addr, x.Local.Port = netip.MustParseAddr("::ffff:10.0.0.1").As16(), 40000
	e.Method, e.RequestMarks = 1, uint16(httpHttp1MarkHTTP1VERSION_1)
	e.PathLen = uint8(copy(e.Path[:], "/users/7"))
	copy(e.MethodText[:], "GET")
	return e
}

func TestDecodeHTTP(t *testing.T) {
	d := decoder{offset: 1, monotonic: 500, listeners: listeners{}}
	var ev flow.Event
	if ok, err := d.event(bytesOf(httpEvent()), &ev); !ok || err != nil {
		t.Fatal(ok, err)
	}
	x := ev.Exchange
	want := flow.Counted{
		Protocol: flow.HTTP, Role: flow.RoleClient, Cgroup: 11, Peer: 12, Remote: netip.MustParseAddr("10.0.0.2"), Port: 8080, Operation: 7,
	}
	if ev.Kind != flow.KindExchange || x.Counted != want {
		t.Errorf("%v %+v", ev.Kind, x.Counted)
	}
	if x.Start != 1500 || x.Latency != int64(3*time.Millisecond) || x.RequestBytes != 80 || x.ResponseBytes != 900 ||
		x.Status != 200 || x.Why != flow.WhyNew || x.Cookie != 5 || x.ConnID != 6 || x.Transport != flow.TCP ||
		x.Local != netip.MustParseAddrPort("10.0.0.1:40000") || x.RemotePort != 8080 {
		t.Errorf("%+v", x)
	}
	if h := *x.HTTP; h != (flow.HTTPExchange{Method: "GET", Path: "/users/7", Version: 11}) {
		t.Errorf("%+v", h)
	}
}

func TestDecodeHTTPParts(t *testing.T) {
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, test := range map[string]struct {
		change func(*sharedHttpEvent)
		want   flow.HTTPExchange
	}{
		"other method": {func(e *sharedHttpEvent) { e.Method, e.MethodText = 0, [8]uint8([]byte("PROPFIND")) },
			flow.HTTPExchange{Method: "PROPFIND", Path: "/users/7", Version: 11}},
		"of another request": {func(e *sharedHttpEvent) { e.Method, e.PathLen = 0, 0 }, flow.HTTPExchange{Version: 11}},
		"1.0 with a query": {func(e *sharedHttpEvent) { e.RequestMarks = uint16(httpHttp1MarkHTTP1QUERY) },
			flow.HTTPExchange{Method: "GET", Path: "/users/7", Query: true, Version: 10}},
		"long path": {func(e *sharedHttpEvent) { e.PathLen = uint8(copy(e.Path[:], strings.Repeat("/a", 56))) },
			flow.HTTPExchange{Method: "GET", Path: strings.Repeat("/a", 56), Cut: true, Version: 11}},
		"lengths beyond": {func(e *sharedHttpEvent) { e.PathLen, e.TraceLen = 255, 255 },
			flow.HTTPExchange{Method: "GET", Path: "/users/7" + strings.Repeat("\x00", 104), Cut: true, Version: 11, Traceparent: strings.Repeat("\x00", 56)}},
		"traced": {func(e *sharedHttpEvent) { e.TraceLen = uint8(copy(e.Trace[:], trace)) },
			flow.HTTPExchange{Method: "GET", Path: "/users/7", Version: 11, Traceparent: trace}},
		"websocket": {func(e *sharedHttpEvent) {
			e.Exchange.Key.Status, e.RequestMarks, e.ResponseMarks = 101, e.RequestMarks|uint16(httpHttp1MarkHTTP1WEBSOCKET), 2
		}, flow.HTTPExchange{Method: "GET", Path: "/users/7", Version: 11, Upgrade: "websocket"}},
		"refused upgrade": {func(e *sharedHttpEvent) { e.RequestMarks |= uint16(httpHttp1MarkHTTP1H2C) },
			flow.HTTPExchange{Method: "GET", Path: "/users/7", Version: 11}},
	} {
		t.Run(name, func(t *testing.T) {
			e := httpEvent()
			test.change(e)
			d := decoder{listeners: listeners{}}
			var ev flow.Event
			if ok, err := d.event(bytesOf(e), &ev); !ok || err != nil {
				t.Fatal(ok, err)
			}
			if *ev.Exchange.HTTP != test.want {
				t.Errorf("got %+v\nwant %+v", *ev.Exchange.HTTP, test.want)
			}
		})
	}
	d := decoder{listeners: listeners{}}
	var ev flow.Event
	if ok, err := d.event(bytesOf(httpEvent())[:200], &ev); ok || err == nil {
		t.Error("a cut event was taken")
	}
}

func BenchmarkDecodeHTTP(b *testing.B) {
	raw := bytesOf(httpEvent())
	d := decoder{listeners: listeners{}}
	var ev flow.Event
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := d.event(raw, &ev); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
