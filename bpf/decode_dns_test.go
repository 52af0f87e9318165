package bpf

import (
	"bytes"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/seed79351815/weir/collector/flow"
	"golang.org/x/net/dns/dnsmessage"
)

func TestLookupLayout(t *testing.T) {
	for _, s := range []struct {
		name      string
		got, want uintptr
	}{
		{"lookup_key", unsafe.Sizeof(sharedLookupKey{}), 48},
		{"lookup_value", unsafe.Sizeof(sharedLookupValue{}), 416},
		{"lookup_note", unsafe.Sizeof(sharedLookupNote{}), 16},
		{"lookup_event", unsafe.Sizeof(sharedLookupEvent{}), 576},
	} {
		if s.got != s.want {
			t.Errorf("%s has %d bytes, C says %d", s.name, s.got, s.want)
		}
	}
}

func lookupEvent() *sharedLookupEvent {
	e := &sharedLookupEvent{Hdr: sharedEventHdr{Time: 5000, Cpu: 1, Kind: uint16(sharedEventKindEVENT_LOOKUP)}}
	e.Exchange.Key = sharedExchangeKey{
		Operation: 77, Cgroup: 12, Peer: 13, Remote: netip.MustParseAddr("10.0.0.2").As16(), Port: 53, Status: 3, Bucket: 9,
		Protocol: uint8(flow.DNS), Role: uint8(flow.RoleClient),
	}
	e.Exchange.Value = sharedExchangeValue{Count: 1, Latency: 1500, RequestBytes: 40, ResponseBytes: 90}
	e.Exchange.Cookie, e.Exchange.Conn, e.Exchange.Start, e.Exchange.Netns, e.Exchange.Pid = 5, 6, 3000, 14, 15
	e.Exchange.Local, e.Exchange.RemotePort, e.Exchange.Why, e.Exchange.Transport = endpoint("10.0.0.1:4000"), 53, uint8(flow.WhyError), uint8(flow.TCP)
	copy(e.Exchange.Comm[:], "dig")
	e.Id, e.Type, e.Class, e.Ttl, e.Addresses, e.Aliases = 0xbeef, 28, 1, 60, 2, 3
	e.NameLen = uint8(copy(e.Name[:], "\x01a\x04test\x00"))
	e.Address[0], e.Address[1] = netip.MustParseAddr("fd00::1").As16(), netip.MustParseAddr("10.0.0.3").As16()
	return e
}

func TestDecodeLookup(t *testing.T) {
	want := flow.Exchange{
		Counted: flow.Counted{Protocol: flow.DNS, Role: flow.RoleClient, Cgroup: 12, Peer: 13, Remote: netip.MustParseAddr("10.0.0.2"), Port: 53, Operation: 77},
		Cookie:  5, ConnID: 6, NetNS: 14, PID: 15, Comm: flow.MakeComm("dig"), Local: netip.MustParseAddrPort("10.0.0.1:4000"), RemotePort: 53,
		Transport: flow.TCP, Status: 3, Why: flow.WhyError, Start: 3000 + 1_000_000, Latency: 1500, RequestBytes: 40, ResponseBytes: 90,
	}
	for _, tc := range []struct {
		name   string
		change func(*sharedLookupEvent)
		want   flow.DNSExchange
	}{
		{"whole", func(*sharedLookupEvent) {}, flow.DNSExchange{ID: 0xbeef, Name: "a.test", Type: 28, Addresses: 2, CNAMEs: 3, TTL: 60,
			Addrs: []netip.Addr{netip.MustParseAddr("fd00::1"), netip.MustParseAddr("10.0.0.3")}}},
		{"no answer", func(e *sharedLookupEvent) { e.Ttl, e.Addresses, e.Aliases = ^uint32(0), 0, 0 },
			flow.DNSExchange{ID: 0xbeef, Name: "a.test", Type: 28}},
		{"more addresses than are kept", func(e *sharedLookupEvent) {
			e.Addresses = 300
			for i := range e.Address {
				e.Address[i] = netip.MustParseAddr("10.0.0.9").As16()
			}
		}, flow.DNSExchange{ID: 0xbeef, Name: "a.test", Type: 28, Addresses: 300, CNAMEs: 3, TTL: 60,
			Addrs: slices.Repeat([]netip.Addr{netip.MustParseAddr("10.0.0.9")}, 8)}},
	} {
		e := lookupEvent()
		tc.change(e)
		d := decoder{offset: 7, monotonic: 1_000_000}
		var ev flow.Event
		if ok, err := d.event(bytesOf(e), &ev); !ok || err != nil {
			t.Fatalf("%s: %v, %v", tc.name, ok, err)
		}
		want.DNS = &tc.want
		if ev.Kind != flow.KindExchange || ev.Time != 5007 || ev.CPU != 1 || !reflect.DeepEqual(*ev.Exchange, want) {
			t.Errorf("%s: got %+v of %+v, want %+v of %+v", tc.name, ev.Exchange.DNS, ev.Exchange, want.DNS, want)
		}
	}
	d := decoder{}
	var ev flow.Event
	if ok, err := d.event(bytesOf(lookupEvent())[:575], &ev); ok || err == nil {
		t.Errorf("an event cut off: %v, %v", ok, err)
	}
}

func TestWireName(t *testing.T) {
	long := strings.Repeat("x", 63)
	for wire, want := range map[string]string{
		"":                                "",
		"\x00":                            "",
		"\x01a\x04test\x00":               "a.test",
		"\x03a.b\x04te\\t\x00":            `a\.b.te\\t`,
		"\x05\x1b[2J \x00":                `\027[2J\032`,
		"\x02\xc3\xa9\x00":                `\195\169`,
		"\x01\x7f\x00":                    `\127`,
		"\x01a\x04tes":                    "a", // cut off
		"\x3f" + long + "\x01\x2a\x00":    long + ".*",
		"\xff" + strings.Repeat("y", 255): strings.Repeat("y", 255), // longer than a label can be
		"\x01a\x00\x01b\x00":              "a",
		"\x04_dns\x04_udp\x04a-b0\x00bcd": "_dns._udp.a-b0",
	} {
		if got := wireName([]byte(wire)); got != want {
			t.Errorf("%q is %q, want %q", wire, got, want)
		}
	}
}

// Whatever is in a name, its text is printable, bounded, and no other name's.
func FuzzWireName(f *testing.F) {
	for _, s := range []string{"\x01a\x04test\x00", "\x03a.b\x00", "\xff\xff", "\x00", "\x02\\.\x01\xff\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		text := wireName(wire)
		if len(text) > 4*len(wire) {
			t.Errorf("%d bytes of %d", len(text), len(wire))
		}
		if i := strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }); i >= 0 {
			t.Errorf("%q: byte %d is not printable", text, i)
		}
		if got := wireOf(text); !bytes.Equal(got, wholeLabels(wire)) {
			t.Errorf("%x is %q, which is %x", wire, text, got)
		}
	})
}

// wholeLabels are the labels of a name in wire form that are there whole.
func wholeLabels(wire []byte) (labels []byte) {
	for at := 0; at < len(wire) && wire[at] != 0 && at+int(wire[at]) < len(wire); at += 1 + int(wire[at]) {
		labels = append(labels, wire[at:at+1+int(wire[at])]...)
	}
	return labels
}

// wireOf reads a name's text back, RFC 1035 §5.1.
func wireOf(text string) (wire []byte) {
	if text == "" {
		return nil
	}
	label := []byte{}
	end := func() {
		wire = append(append(wire, byte(len(label))), label...)
		label = label[:0]
	}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '.':
			end()
		case text[i] != '\\':
			label = append(label, text[i])
		case text[i+1] >= '0' && text[i+1] <= '9':
			label = append(label, (text[i+1]-'0')*100+(text[i+2]-'0')*10+text[i+3]-'0')
			i += 3
		default:
			i++
			label = append(label, text[i])
		}
	}
	end()
	return wire
}

// Of plain names the text is what the resolver's library says, but for the final dot.
func TestWireNameAsTheLibrary(t *testing.T) {
	for _, name := range []string{"a.test.", "_443._tcp.www.example.org.", "xn--bcher-kva.example."} {
		b, err := (&dnsmessage.Message{Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name)}}}).Pack()
		if err != nil {
			t.Fatal(err)
		}
		if got := wireName(b[12:]); got+"." != name {
			t.Errorf("%q is %q", name, got)
		}
	}
}

func BenchmarkDecodeLookup(b *testing.B) {
	raw := bytesOf(lookupEvent())
	d := decoder{}
	var ev flow.Event
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := d.event(raw, &ev); !ok || err != nil {
			b.Fatal(err)
		}
	}
}
