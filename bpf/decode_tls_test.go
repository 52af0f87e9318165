package bpf

import (
	"encoding/binary"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/seed79351815/weir/collector/flow"
)

// published is the example of JA4's description as the kernel captures it, and its
// fingerprint: Chrome's hello, with GREASE.
func published() (digest []byte, ja4 string) {
	u16 := func(values ...uint16) {
		for _, v := range values {
			digest = binary.BigEndian.AppendUint16(digest, v)
		}
	}
	u16(0x0303, 32, 0xaaaa, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035)
	u16(0x3a3a, 0, 0x001b, 3, 0x0000, 14, 0x0033, 43)
	u16(0x0010, 14, 12)
	digest = append(digest, "\x02h2\x08http/1.1"...)
	u16(0x4469, 5, 0x0017, 0, 0x002d, 2)
	u16(0x000d, 18, 16, 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)
	u16(0x0005, 5, 0x0023, 0, 0x0012, 0)
	u16(0x002b, 7)
	digest = append(digest, 6)
	u16(0x5a5a, 0x0304, 0x0303, 0xff01, 1, 0x000b, 2, 0x000a, 10, 0x0015, 200, 0x0a0a, 1)
	return digest, "t13d1516h2_8daaf6152771_e5627efa2ab1"
}

func tlsEvent(change func(*sharedTlsEvent)) *sharedTlsEvent {
	e := &sharedTlsEvent{Hdr: sharedEventHdr{Time: 5000, Seq: 7, Cpu: 3, Kind: uint16(sharedEventKindEVENT_TLS)}}
	e.Exchange = sharedExchangeReport{
		Key: sharedExchangeKey{Operation: 77, Cgroup: 12, Peer: 13, Remote: endpoint("192.0.2.1:443").Addr, Port: 443,
			Protocol: uint8(flow.TLS), Role: uint8(flow.RoleClient)},
		Value:  sharedExchangeValue{Count: 1, Latency: 900, RequestBytes: 517, ResponseBytes: 127},
		Cookie: 11, Conn: 21, Start: 4000, Local: endpoint("10.0.0.1:40000"), RemotePort: 8443, Why: uint8(flow.WhyNew),
		Transport: uint8(flow.TCP), Netns: 14, Pid: 15,
	}
	copy(e.Exchange.Comm[:], "curl")
	digest, _ := published()
	e.Version, e.Cipher, e.HelloLen = 0x0304, 0x1302, uint16(copy(e.Hello[:], digest))
	e.NameLen = uint8(copy(e.Name[:], "shop.test"))
	e.OfferedLen = uint8(copy(e.Offered[:], "\x02h2\x08http/1.1"))
	if change != nil {
		change(e)
	}
	return e
}

func TestDecodeHandshake(t *testing.T) {
	_, ja4 := published()
	for _, tc := range []struct {
		name   string
		change func(*sharedTlsEvent)
		want   func(*flow.Exchange)
	}{
		{"TLS 1.3", func(*sharedTlsEvent) {}, func(*flow.Exchange) {}},
		{"TLS 1.2, resumed",
			func(e *sharedTlsEvent) {
				e.Version, e.Cipher, e.Hints = 0x0303, 0xc030, uint8(sharedTlsHintHINT_RESUMED)
				e.ChosenLen = uint8(copy(e.Chosen[:], "\x08http/1.1"))
			},
			func(x *flow.Exchange) {
				x.TLS.Version, x.TLS.Cipher, x.TLS.Resumed, x.TLS.Chosen = 0x0303, 0xc030, true, "http/1.1"
			}},
		{"ended by an alert",
			func(e *sharedTlsEvent) {
				e.Exchange.Key.Status, e.Alert, e.Cipher, e.Exchange.Why = 112, 112, 0, uint8(flow.WhyError)
			},
			func(x *flow.Exchange) { x.Status, x.TLS.Alert, x.TLS.Cipher, x.Why = 112, 112, 0, flow.WhyError }},
		{"no answer",
			func(e *sharedTlsEvent) { e.Exchange.Key.Status, e.Cipher = flow.NoAnswer, 0 },
			func(x *flow.Exchange) { x.Status, x.TLS.Cipher = flow.NoAnswer, 0 }},
		{"encrypted hello", func(e *sharedTlsEvent) { e.Hints = uint8(sharedTlsHintHINT_ECH) }, func(x *flow.Exchange) { x.TLS.ECH = true }},
		{"no name", func(e *sharedTlsEvent) { e.NameLen = 0 }, func(x *flow.Exchange) { x.TLS.ServerName = "" }},
		{"a name that was cut off",
			func(e *sharedTlsEvent) {
				e.NameLen = 255
				copy(e.Name[:], strings.Repeat("a", len(e.Name)))
			},
			func(x *flow.Exchange) { x.TLS.ServerName = strings.Repeat("a", 128) }},
		{"protocols that were cut off",
			func(e *sharedTlsEvent) {
				copy(e.Offered[:], "\x02h2\x1ea-name-that-is-longer-than-ther")
				e.OfferedLen = 33
			},
			func(x *flow.Exchange) { x.TLS.ALPN = []string{"h2"} }},
		{"no protocols", func(e *sharedTlsEvent) { e.OfferedLen = 0 }, func(x *flow.Exchange) { x.TLS.ALPN = nil }},
		{"protocols just as long",
			func(e *sharedTlsEvent) {
				copy(e.Offered[:], "\x02h2\x1ca-name-just-as-long-as-that.")
				e.OfferedLen = 32
			},
			func(x *flow.Exchange) { x.TLS.ALPN = []string{"h2", "a-name-just-as-long-as-that."} }},
		{"a hello that was cut off", func(e *sharedTlsEvent) { e.HelloLen = 1025 }, func(x *flow.Exchange) { x.TLS.JA4 = "" }},
		{"a hello that is none", func(e *sharedTlsEvent) { e.HelloLen-- }, func(x *flow.Exchange) { x.TLS.JA4 = "" }},
		{"two protocols chosen",
			func(e *sharedTlsEvent) { e.ChosenLen = uint8(copy(e.Chosen[:], "\x02h2\x02h3")) }, func(*flow.Exchange) {}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := &flow.Exchange{
				Counted: flow.Counted{Protocol: flow.TLS, Role: flow.RoleClient, Cgroup: 12, Peer: 13, Remote: netip.MustParseAddr("192.0.2.1"),
					Port: 443, Operation: 77},
				Cookie: 11, ConnID: 21, NetNS: 14, PID: 15, Comm: flow.MakeComm("curl"), Local: netip.MustParseAddrPort("10.0.0.1:40000"),
				RemotePort: 8443, Transport: flow.TCP, Why: flow.WhyNew, Start: 2_004_000, Latency: 900, RequestBytes: 517, ResponseBytes: 127,
				TLS: &flow.TLSHandshake{Version: 0x0304, Cipher: 0x1302, ServerName: "shop.test", ALPN: []string{"h2", "http/1.1"}, JA4: ja4},
			}
			tc.want(want)
			d := decoder{offset: 1_000_000, monotonic: 2_000_000}
			var ev flow.Event
			ok, err := d.event(bytesOf(tlsEvent(tc.change)), &ev)
			if !ok || err != nil || ev.Kind != flow.KindExchange || ev.CPU != 3 {
				t.Fatal(ok, err, ev)
			}
			if !reflect.DeepEqual(ev.Exchange, want) {
				t.Errorf("got  %+v %+v\nwant %+v %+v", ev.Exchange, ev.Exchange.TLS, want, want.TLS)
			}
		})
	}
}

// The decoder's memory of one hello must not show in the next.
func TestDecodeHandshakesOneAfterTheOther(t *testing.T) {
	_, want := published()
	var d decoder
	for range 2 {
		if h := d.handshake(tlsEvent(func(e *sharedTlsEvent) { e.HelloLen = 40 })); h.JA4 == want {
			t.Errorf("half a hello has the fingerprint of a whole one")
		}
		if h := d.handshake(tlsEvent(nil)); h.JA4 != want {
			t.Errorf("fingerprint %q, want %q", h.JA4, want)
		}
	}
}

func TestDecodeHandshakeOfAnotherSize(t *testing.T) {
	raw := bytesOf(tlsEvent(nil))
	if len(raw) != 1408 {
		t.Errorf("tls_event has %d bytes, C says 1408", len(raw))
	}
	var ev flow.Event
	if ok, err := new(decoder).event(raw[:len(raw)-8], &ev); ok || err == nil {
		t.Errorf("a shorter event was taken: %+v", ev)
	}
}

func FuzzHandshake(f *testing.F) {
	whole := bytesOf(tlsEvent(nil))
	body := int(unsafe.Offsetof(sharedTlsEvent{}.Version))
	f.Add(whole[body:])
	f.Add(bytesOf(tlsEvent(func(e *sharedTlsEvent) {
		e.HelloLen, e.NameLen, e.OfferedLen, e.ChosenLen = math.MaxUint16, math.MaxUint8, math.MaxUint8, math.MaxUint8
	}))[body:])
	f.Fuzz(func(t *testing.T, raw []byte) {
		e := new(sharedTlsEvent)
		copy(bytesOf(e)[body:], raw)
		h := new(decoder).handshake(e)
		length := 0
		for _, name := range h.ALPN {
			if name == "" {
				t.Error("a protocol without a name")
			}
			length += 1 + len(name)
		}
		if len(h.ServerName) > len(e.Name) || length > len(e.Offered) || len(h.Chosen) >= len(e.Chosen) || len(h.JA4) > 0 && len(h.JA4) != 36 {
			t.Errorf("unbounded: %+v", h)
		}
		if !strings.Contains(string(e.Offered[:]), strings.Join(h.ALPN, "")) && len(h.ALPN) == 1 {
			t.Errorf("protocols %q of %q", h.ALPN, e.Offered)
		}
	})
}
