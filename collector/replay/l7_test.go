package replay

import (
	"bytes"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
)

func sampleCounted(p flow.L7Protocol) flow.Counted {
	return flow.Counted{
		Protocol: p, Role: flow.RoleServer, Cgroup: 7, Peer: 8, Remote: netip.MustParseAddr("fd00::1"), Port: 443, Operation: 1<<64 - 1,
	}
}

func sampleTally() *flow.Tally {
	return &flow.Tally{
		Counted: sampleCounted(flow.HTTP), Status: 503, Bucket: 328, Count: 1 << 40, Latency: 1<<64 - 1, RequestBytes: 2, ResponseBytes: 3,
	}
}

func sampleExchange(p flow.L7Protocol) *flow.Exchange {
	return &flow.Exchange{
		Counted: sampleCounted(p), Cookie: 1 << 63, ConnID: 0xfeed, NetNS: 4026531840, PID: 99, Comm: flow.MakeComm("ng\xffinx"),
		Local: netip.MustParseAddrPort("[fd00::2]:8443"), RemotePort: 40000, Transport: flow.TCP, Status: 404, Why: flow.WhySlow,
		Start: ms(3), Latency: 1_234_567, RequestBytes: 120, ResponseBytes: 1 << 50,
	}
}

func sampleHTTP() *flow.Exchange {
	x := sampleExchange(flow.HTTP)
	x.HTTP = &flow.HTTPExchange{
		Method: "PROPFIND", Path: "/a/\x1b[31m\u202e\xff/日本", Cut: true, Query: true, Version: 11, Upgrade: "websocket",
		Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}
	return x
}

func sampleLookup() *flow.Exchange {
	x := sampleExchange(flow.DNS)
	x.Transport, x.Status, x.ConnID, x.Why = flow.UDP, flow.NoAnswer, 0, flow.WhyError
	x.DNS = &flow.DNSExchange{
		ID: 0xbeef, Name: "a.\x00.example", Type: 28, Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::1")}, Addresses: 9, CNAMEs: 2, TTL: 60,
	}
	return x
}

func sampleTLS() *flow.Exchange {
	x := sampleExchange(flow.TLS)
	x.Status = 40
	x.TLS = &flow.TLSHandshake{
		Version: 0x0304, ServerName: "x.example", ALPN: []string{"h2", "http/1.1", "\xff"}, Chosen: "h2", Cipher: 0x1301, Alert: 40,
		Resumed: true, ECH: true, JA4: "t13d1516h2_8daaf6152771_e5627efa2ab1",
	}
	return x
}

// What is behind a path's question mark is in no recording, even if an event
// should have it.
func TestNoQueries(t *testing.T) {
	x := sampleHTTP()
	x.HTTP.Path, x.HTTP.Query = "/login?token=s3cr3t", false
	raw := written(t, []flow.Event{{Kind: flow.KindExchange, Time: ms(1), Exchange: x}})
	if bytes.Contains(raw, []byte("s3cr3t")) || bytes.Contains(raw, []byte("token")) {
		t.Errorf("the query is recorded:\n%s", raw)
	}
	got, _, err := read(t, raw)
	if err != nil {
		t.Fatal(err)
	}
	if h := got[0].Exchange.HTTP; h.Path != "/login" || !h.Query {
		t.Errorf("path %q, query %v: want /login with a query", h.Path, h.Query)
	}
}

// The lines of an exchange and of a tally as they are, so that a change of the
// format is seen.
func TestLines(t *testing.T) {
	tally := sampleTally()
	tally.Peer, tally.Bucket, tally.Latency = 0, 163, 9_000
	x := sampleHTTP()
	x.Comm, x.HTTP.Path = flow.MakeComm("nginx"), "/a"
	lines := strings.Split(string(written(t, []flow.Event{
		{Kind: flow.KindTally, Time: 5, Tally: tally},
		{Kind: flow.KindExchange, Time: 6, Exchange: x},
	})), "\n")
	for i, want := range []string{
		`{"k":11,"t":5,"tally":{"l7":1,"role":2,"cgroup":7,"remote":"fd00::1","port":443,"op":"ffffffffffffffff",` +
			`"status":503,"bucket":163,"n":1099511627776,"latency":9000,"request":2,"response":3}}`,
		`{"k":10,"t":6,"exchange":{"l7":1,"role":2,"cgroup":7,"peer":8,"remote":"fd00::1","port":443,"op":"ffffffffffffffff",` +
			`"cookie":9223372036854775808,"conn":"feed","netns":4026531840,"pid":99,"comm":"nginx","local":"[fd00::2]:8443","rport":40000,` +
			`"proto":6,"status":404,"why":3,"start":1700000000003000000,"latency":1234567,"request":120,"response":1125899906842624,` +
			`"http":{"method":"PROPFIND","path":"/a","cut":true,"query":true,"version":11,"upgrade":"websocket",` +
			`"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}}`,
	} {
		if lines[i+1] != want {
			t.Errorf("the line is\n%s\nwant\n%s", lines[i+1], want)
		}
	}
	if got, _, err := read(t, []byte(strings.Join(lines, "\n"))); err != nil || !reflect.DeepEqual(got[1].Exchange, x) {
		t.Errorf("came back as %+v, error %v", got, err)
	}
}

func TestBrokenExchanges(t *testing.T) {
	const head = `{"weir_recording":1}` + "\n"
	const good = `{"k":10,"t":5,"exchange":{"l7":1,"role":2,"proto":6,"why":1,"start":1,"http":{"method":"GET","path":"/","version":11}}}`
	if _, _, err := read(t, []byte(head+good+"\n")); !errors.Is(err, ErrTruncated) {
		t.Fatalf("what the others are made of is not right: %v", err)
	}
	const tally = `{"k":11,"t":5,"tally":{"l7":2,"role":1,"bucket":9,"op":"a","remote":"10.0.0.1"}}`
	if _, _, err := read(t, []byte(head+tally+"\n")); !errors.Is(err, ErrTruncated) {
		t.Fatalf("what the others are made of is not right: %v", err)
	}
	change := func(s, from, to string) string {
		if !strings.Contains(s, from) {
			t.Fatalf("no %s in %s", from, s)
		}
		return head + strings.Replace(s, from, to, 1) + "\n"
	}
	long := strings.Repeat("x", maxString+1)
	dns := change(good, `"l7":1`, `"l7":2`)
	dns = strings.Replace(dns, `"http":{"method":"GET","path":"/","version":11}`, `"dns":{}`, 1)
	tls := strings.Replace(strings.Replace(dns, `"l7":2`, `"l7":3`, 1), `"dns":{}`, `"tls":{}`, 1)
	for name, tc := range map[string]struct{ recording, want string }{
		"protocol":         {change(good, `"l7":1`, `"l7":4`), "test:2:27: protocol 4: unknown to this weir"},
		"no protocol":      {change(tally, `"l7":2`, `"l7":0`), "protocol 0: unknown"},
		"role":             {change(good, `"role":2`, `"role":3`), "test:2:34: role 3"},
		"no role":          {change(tally, `"role":1`, `"role":0`), "role 0"},
		"remote":           {change(tally, `10.0.0.1`, `10.0.0.1:80`), `address "10.0.0.1:80"`},
		"remote's zone":    {change(tally, `10.0.0.1`, `fe80::1%eth0`), "without a zone"},
		"operation":        {change(tally, `"op":"a"`, `"op":"x"`), `operation "x": it must be a hexadecimal number`},
		"bucket":           {change(tally, `"bucket":9`, `"bucket":329`), "test:2:40: bucket 329: the last is 328"},
		"negative count":   {change(tally, `"bucket":9`, `"n":-1`), "does not fit"},
		"huge status":      {change(tally, `"bucket":9`, `"status":65536`), "does not fit"},
		"local":            {change(good, `"start":1`, `"local":"x"`), `address "x"`},
		"connection":       {change(good, `"start":1`, `"conn":"-1"`), `connection id "-1"`},
		"command":          {change(good, `"start":1`, `"comm":"0123456789abcdef"`), "command name of 16 bytes"},
		"transport":        {change(good, `"proto":6`, `"proto":1`), "transport 1: it must be TCP or UDP"},
		"why":              {change(good, `"why":1`, `"why":5`), "why 5: unknown"},
		"no why":           {change(good, `"why":1`, `"why":0`), "why 0: unknown"},
		"negative start":   {change(good, `"start":1`, `"start":-1`), "start -1"},
		"far start":        {change(good, `"start":1`, `"start":9223372036854775807`), "start 9223372036854775807"},
		"negative latency": {change(good, `"start":1`, `"latency":-1`), "latency -1"},
		"endless latency":  {change(good, `"start":1`, `"latency":9223372036854775807`), "latency 9223372036854775807"},
		"no part":          {change(good, `,"http":{"method":"GET","path":"/","version":11}`, ``), "exchange of protocol http: it must have what"},
		"two parts":        {change(good, `"http":`, `"dns":{},"http":`), "nothing of another"},
		"other's part":     {change(good, `"l7":1`, `"l7":3`), "exchange of protocol tls"},
		"query":            {change(good, `"path":"/"`, `"path":"/?a=b"`), "path with a query"},
		"version":          {change(good, `"version":11`, `"version":20`), "HTTP version 20"},
		"long path":        {change(good, `"path":"/"`, `"path":"/`+long+`"`), "text of 1026 bytes: it has at most 1024"},
		"long method":      {change(good, `GET`, long), "text of 1025 bytes"},
		"long upgrade":     {change(good, `"method"`, `"upgrade":"`+long+`","method"`), "text of 1025 bytes"},
		"long trace":       {change(good, `"method"`, `"traceparent":"`+long+`","method"`), "text of 1025 bytes"},
		"long DNS name":    {strings.Replace(dns, `{}`, `{"name":"`+long+`"}`, 1), "text of 1025 bytes"},
		"addresses":        {strings.Replace(dns, `{}`, `{"addrs":["::1"`+strings.Repeat(`,"::1"`, maxList)+`]}`, 1), "65 addresses: there are at most 64"},
		"answer":           {strings.Replace(dns, `{}`, `{"addrs":["x"]}`, 1), `address "x"`},
		"long server name": {strings.Replace(tls, `{}`, `{"sni":"`+long+`"}`, 1), "text of 1025 bytes"},
		"long choice":      {strings.Replace(tls, `{}`, `{"chosen":"`+long+`"}`, 1), "text of 1025 bytes"},
		"long fingerprint": {strings.Replace(tls, `{}`, `{"ja4":"`+long+`"}`, 1), "text of 1025 bytes"},
		"ALPN":             {strings.Replace(tls, `{}`, `{"alpn":["h2"`+strings.Repeat(`,"h2"`, maxList)+`]}`, 1), "65 protocols offered: there are at most 64"},
		"long ALPN":        {strings.Replace(tls, `{}`, `{"alpn":["h2","`+long+`"]}`, 1), "text of 1025 bytes"},
		"unknown field":    {change(good, `"method"`, `"body":"x","method"`), `field "body": unknown to this weir`},
		"tally's content":  {change(good, `"k":10`, `"k":11`), "its content is that of another kind"},
		"unseen protocol":  {head + `{"end":{"events":0,"stats":{"unseen":[{"l7":4}]}}}` + "\n", "test:2:29: protocol 4: unknown"},
		"unseen reason":    {head + `{"end":{"events":0,"stats":{"unseen":[{"reason":"` + long + `"}]}}}` + "\n", "text of 1025 bytes"},
		"unseen":           {head + `{"end":{"events":0,"stats":{"unseen":[{}` + strings.Repeat(`,{}`, maxUnseen) + `]}}}` + "\n", "257 reasons"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := read(t, []byte(tc.recording))
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %.300v\nwant %s", err, tc.want)
			}
			if errors.Is(err, ErrTruncated) {
				t.Errorf("called truncated: %v", err)
			}
		})
	}
}

// Whatever byte of a recording is another, it is an error with a place, or events
// that can be written again.
func TestMutated(t *testing.T) {
	whole := written(t, []flow.Event{
		{Kind: flow.KindExchange, Time: 6, Exchange: sampleHTTP()}, {Kind: flow.KindExchange, Time: 6, Exchange: sampleLookup()},
		{Kind: flow.KindExchange, Time: 6, Exchange: sampleTLS()}, {Kind: flow.KindTally, Time: 5, Tally: sampleTally()},
	})
	const to = "9-\"?}\xff\n,"
	for at := bytes.IndexByte(whole, '\n'); at < len(whole); at++ {
		raw := bytes.Clone(whole)
		raw[at] = to[at%len(to)]
		events, _, err := read(t, raw)
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("%q at %d: error without a place: %v", raw[at], at, err)
		}
		for i := range events {
			if x := events[i].Exchange; x != nil && x.HTTP != nil && strings.Contains(x.HTTP.Path, "?") {
				t.Fatalf("%q at %d: a query was read", raw[at], at)
			}
		}
		if again, _, err := read(t, written(t, events)); err != nil || !reflect.DeepEqual(again, events) {
			t.Fatalf("%q at %d: came back as %v, was %v: %v", raw[at], at, again, events, err)
		}
	}
}

// BenchmarkTallies is the bulk of a busy host's recording.
func BenchmarkTallies(b *testing.B) {
	batch := make([]flow.Event, 256)
	for i := range batch {
		batch[i] = flow.Event{Kind: flow.KindTally, Time: ms(1), Tally: sampleTally()}
	}
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		for i := range batch {
			var err error
			if line, err = appendEvent(line[:0], &batch[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)*256/b.Elapsed().Seconds()/1e6, "Mevents/s")
}
