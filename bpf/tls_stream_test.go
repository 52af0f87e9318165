package bpf

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/bpf/native"
	"github.com/seed79351815/weir/collector/flow"
)

// These hold what weir tells of TLS handshakes against TCP as it can be, as
// stream_test.go does for HTTP: captured handshakes, one end of each forged.

// tlsStage is one for handshakes.
func tlsStage(t *testing.T) *stage {
	s := newStage(t)
	s.of = flow.TLS
	return s
}

var (
	toldHello = regexp.MustCompile(`^(\d+): (client hello|server hello|retry) .*?version=(\w+) cipher(?:s=\d+|=(\w+))(?: sni="(.*?)" hash=(\w+))?(?: alpn=\[(.*?)\]/\w+)? session=(\w+)`)
	toldAlert = regexp.MustCompile(`^(\d+): alert level=(\d) description=(\d+)`)
)

// handshakes are the captured ones of package native, by name, with what its parser
// tells of each direction, and what follows from that for the exchange.
func handshakes(t *testing.T) (all []*dialogue, truths map[string]*flow.TLSHandshake) {
	t.Helper()
	samples, err := native.TLSSamples()
	if err != nil {
		t.Fatal(err)
	}
	truths = map[string]*flow.TLSHandshake{}
	for i := 0; i+1 < len(samples); i += 2 {
		name, _ := strings.CutSuffix(samples[i].Name, ".client")
		d := &dialogue{name: name, requests: samples[i].Bytes, responses: samples[i+1].Bytes, want: outcomes{}}
		truths[name] = d.greet(t, samples[i].Told, samples[i+1].Told)
		all = append(all, d)
	}
	if len(all) < 20 {
		t.Fatalf("%d captured handshakes", len(all))
	}
	return all, truths
}

// greet makes turns, the outcome and the handshake of what is told of both streams.
func (d *dialogue) greet(t *testing.T, asked, answered []string) *flow.TLSHandshake {
	t.Helper()
	var hellos, answers [][]string
	var ends [2][]int
	status := uint16(0)
	for _, line := range asked {
		if m := toldHello.FindStringSubmatch(line); m != nil {
			hellos = append(hellos, m)
			ends[0] = append(ends[0], int(number(t, m[1], 10)))
		}
	}
	for _, line := range answered {
		m := toldHello.FindStringSubmatch(line)
		if m == nil && len(answers) == 0 {
			if m = toldAlert.FindStringSubmatch(line); m != nil {
				status = uint16(number(t, m[3], 10))
				ends[1] = append(ends[1], int(number(t, m[1], 10)))
			}
			continue
		}
		if m != nil {
			ends[1] = append(ends[1], int(number(t, m[1], 10)))
			if m[2] == "server hello" {
				answers = append(answers, m)
			}
		}
	}
	if len(hellos) == 0 || len(ends[0]) != len(ends[1]) || status == 0 && len(answers) != 1 {
		t.Fatalf("%s: hellos %q, answers %q", d.name, asked, answered)
	}
	for i := range ends[0] {
		d.turns = append(d.turns, turn{ends[0][i], ends[1][i]})
	}
	last := d.turns[len(d.turns)-1]
	if len(answers) == 1 && hex16(t, answers[0][3]) < 0x0304 {
		// Up to TLS 1.2 an alert may follow in the clear, before either's keys.
		for side, lines := range [][]string{asked, answered} {
			for _, line := range lines {
				if m := toldAlert.FindStringSubmatch(line); m != nil && m[2] == "2" {
					status = uint16(number(t, m[3], 10))
					*[]*int{&last.asked, &last.answered}[side] = int(number(t, m[1], 10))
				}
			}
		}
	}
	d.turns = append(d.turns, turn{len(d.requests), len(d.responses)})
	first := hellos[0]
	operation := uint64(nameless)
	if first[6] != "" {
		operation = nameOperation(number(t, first[6], 16))
	}
	d.want.add(outcome{flow.Operation(operation), status}, amount{1, uint64(last.asked), uint64(last.answered)})

	h := &flow.TLSHandshake{Version: hex16(t, first[3]), ServerName: first[5], ALPN: quoted(first[7]), Alert: uint8(status), JA4: fingerprint(t, d.requests)}
	if len(answers) == 1 {
		a := answers[0]
		h.Version, h.Cipher = hex16(t, a[3]), hex16(t, a[4])
		h.Chosen = strings.Join(quoted(a[7]), "")
		h.Resumed = strings.Contains(strings.Join(answered, " "), " psk ") || strings.Contains(strings.Join(answered, " "), " resumed ")
	}
	return h
}

// nameless is TLS_NAMELESS of tls.h.
const nameless = 1

// nameOperation is the number of a server's name with that hash.
func nameOperation(hash uint64) uint64 {
	hash = (hash ^ uint64(flow.TLS)) * 0x9e3779b97f4a7c15
	return hash ^ hash>>32
}

func hex16(t *testing.T, text string) uint16 { return uint16(number(t, text, 16)) }

func quoted(list string) (names []string) {
	for _, q := range strings.Fields(list) {
		name, _ := strconv.Unquote(q)
		names = append(names, name)
	}
	return names
}

// handshakesTold holds what was told in full so far against all that was said.
func (s *stage) handshakesTold(truths map[string]*flow.TLSHandshake) {
	s.t.Helper()
	n := 0
	known := map[string]*flow.TLSHandshake{}
	for _, h := range truths {
		known[h.JA4+h.ServerName+fmt.Sprint(h.ALPN, h.Version, h.Cipher, h.Alert, h.Chosen, h.Resumed)] = h
	}
	for _, ev := range s.told.all(func(ev *flow.Event) bool { return ev.Kind == flow.KindExchange && ev.Exchange.TLS != nil }) {
		h := ev.Exchange.TLS
		want := known[h.JA4+h.ServerName+fmt.Sprint(h.ALPN, h.Version, h.Cipher, h.Alert, h.Chosen, h.Resumed)]
		if want == nil || !reflect.DeepEqual(h, want) {
			s.t.Errorf("%s: told %+v: nothing like that was said", ev.Exchange.Remote, h)
		}
		n++
	}
	if n == 0 {
		s.t.Error("no handshake was told in full")
	}
}

func TestTLSStreamWhole(t *testing.T) {
	s := tlsStage(t)
	all, truths := handshakes(t)
	for _, v6 := range []bool{false, true} {
		var variants []variant
		for _, d := range all {
			variants = append(variants, variant{name: d.name, d: d, shape: whole, v6: v6})
		}
		before := s.peers
		s.ask(variants...)
		s.inFull(variants, truths, before, flow.RoleClient)
		before = s.peers
		s.serve(variants...)
		s.inFull(variants, truths, before, flow.RoleServer)
	}
	s.nothingUnseen()
}

// inFull compares what was told in full of the peers behind the first before.
func (s *stage) inFull(all []variant, truths map[string]*flow.TLSHandshake, before int, as flow.Role) {
	s.t.Helper()
	told := map[netip.Addr]*flow.Exchange{}
	for _, ev := range s.told.all(func(ev *flow.Event) bool { return ev.Kind == flow.KindExchange && ev.Exchange.TLS != nil }) {
		told[ev.Exchange.Remote] = ev.Exchange
	}
	for i, v := range all {
		peer := lab.PeerV4(before + 1 + i)
		if v.v6 {
			peer = lab.PeerV6(before + 1 + i)
		}
		x := told[peer]
		switch {
		case x == nil:
			s.t.Errorf("%s, as %v: not told in full", v.name, as)
		case x.Role != as || !reflect.DeepEqual(x.TLS, truths[v.name]):
			s.t.Errorf("%s, as %v: told %+v\nwant %+v", v.name, as, x.TLS, truths[v.name])
		case x.Latency <= 0 || x.ConnID == 0 || x.PID == 0 || x.Comm.String() != "bpf.test" || x.Transport != flow.TCP || x.NetNS != uint32(s.host.NetNS):
			s.t.Errorf("%s: exchange %+v", v.name, x)
		}
	}
}

func TestTLSStreamCutAnywhere(t *testing.T) {
	s := tlsStage(t)
	all, truths := handshakes(t)
	for _, server := range []bool{false, true} {
		var variants []variant
		for i, d := range all {
			stream, ends, _ := d.side(server)
			hello := ends[len(ends)-2]
			for at := 1; at < min(hello+3, len(stream)); at++ {
				// All bytes of a few, and where things begin and end in all.
				if i%5 == 0 || at < 8 || at > hello-3 || at%23 == 0 {
					variants = append(variants, variant{name: fmt.Sprintf("%s, cut at %d", d.name, at), d: d, shape: cutAt(at), v6: at%7 == 0})
				}
			}
		}
		s.play(server, variants...)
	}
	s.handshakesTold(truths)
	s.nothingUnseen()
}

func TestTLSStreamSegments(t *testing.T) {
	s := tlsStage(t)
	dialogues, truths := handshakes(t)
	var all []variant
	for _, d := range dialogues {
		for name, shape := range map[string]shape{
			"byte by byte":            begin(1),
			"7 bytes":                 every(7),
			"whole, twice":            shape(whole).then(twice),
			"33 bytes, each twice":    every(33).then(twice),
			"overlapping a little":    overlapping(5),
			"overlapping much":        overlapping(40),
			"overlapping, each twice": overlapping(90).then(twice),
		} {
			all = append(all, variant{name: d.name + ", " + name, d: d, shape: shape, asleep: true})
		}
	}
	s.serve(all...)
	s.ask(all...)
	s.handshakesTold(truths)
	s.nothingUnseen()
}

// What met the listener, because the server's kernel had no socket yet.
func TestTLSStreamMeetsTheListener(t *testing.T) {
	s := tlsStage(t)
	dialogues, truths := handshakes(t)
	var all []variant
	for _, d := range dialogues {
		for name, shape := range map[string]shape{"whole": whole, "cut at 6": cutAt(6), "cut at 100": cutAt(100), "120 bytes": every(120)} {
			all = append(all, variant{name: d.name + ", " + name, d: d, shape: shape, silent: true})
		}
	}
	s.serve(all...)
	s.serveAs(role.Spec{Behaviour: role.Defer}, all...)
	s.handshakesTold(truths)
	s.nothingUnseen()
}

// tlsLies are what a segment that TCP does not take may say instead of the truth.
func tlsLies(server bool, other *dialogue) map[string]func(string) string {
	hello := string(other.requests)
	if server {
		hello = string(other.responses)
	}
	return map[string]func(string) string{
		"another's hello": func(string) string { return hello },
		"as long, but":    func(truth string) string { return (hello + truth)[:len(truth)] },
		"less of it":      func(truth string) string { return hello[:min(len(hello), (len(truth)+1)/2)] },
		"an alert":        func(string) string { return "\x15\x03\x03\x00\x02\x02\x28" },
		"no TLS":          func(truth string) string { return strings.Repeat("\x00\xff", len(truth)) },
		"one byte":        func(string) string { return "\x00" },
		"what comes next": func(string) string { return "\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x20" + strings.Repeat("x", 32) },
	}
}

func TestTLSStreamForged(t *testing.T) {
	s := tlsStage(t)
	dialogues, truths := handshakes(t)
	var other *dialogue
	for _, d := range dialogues {
		if d.name == "node" {
			other = d
		}
	}
	for _, server := range []bool{false, true} {
		var all []variant
		for i, d := range dialogues {
			if d == other || i%3 != 0 && !strings.Contains(d.name, "retry") {
				continue
			}
			for how, forge := range rejected {
				for what, lie := range tlsLies(server, other) {
					for cut, truth := range map[string]shape{"whole": whole, "in 2s": cutAt(2, 4), "in 70s": every(70)} {
						n := len(all)
						all = append(all, variant{
							name: fmt.Sprintf("%s %s, %s: %s", d.name, cut, how, what), d: d, v6: n%5 == 0, asleep: true,
							shape: forging(truth, forge, lie, n%3 != 1, n%3 != 0),
						})
					}
				}
			}
		}
		s.play(server, all...)
	}
	s.handshakesTold(truths)
	s.nothingUnseen()
}

// offer is a hello that is answered by what a test says, in one turn, with the
// status and the bytes that count. It is taken from a captured one.
func offer(from *dialogue, name, answer string, status uint16, answered uint64) *dialogue {
	asked := from.turns[0].asked
	d := &dialogue{name: name, requests: from.requests[:asked], responses: []byte(answer), want: outcomes{}}
	d.turns = []turn{{asked, len(answer)}}
	for k := range from.want {
		d.want.add(outcome{k.Operation, status}, amount{1, uint64(asked), answered})
	}
	return d
}

func TestTLSStreamWithoutHandshake(t *testing.T) {
	s := tlsStage(t)
	dialogues, _ := handshakes(t)
	const (
		warning = "\x15\x03\x03\x00\x02\x01\x70" // unrecognized_name
		fatal   = "\x15\x03\x03\x00\x02\x02\x28" // handshake_failure
		closing = "\x15\x03\x03\x00\x02\x01\x00" // close_notify
	)
	byName := map[string]*dialogue{}
	for _, d := range dialogues {
		byName[d.name] = d
	}
	var all []variant
	for _, hello := range []*dialogue{byName["curl"], byName["openssl-12"], byName["openssl-11"]} {
		answer := string(hello.responses)
		size := uint64(hello.turns[0].answered)
		for _, d := range []*dialogue{
			offer(hello, "no answer", "", flow.NoAnswer, 0),
			offer(hello, "half an answer", answer[:40], flow.NoAnswer, 0),
			offer(hello, "another protocol", "HTTP/1.1 400 Bad Request\r\n\r\n", flow.NoAnswer, 0),
			offer(hello, "too little of another protocol", "HT", flow.NoAnswer, 0),
			offer(hello, "a warning and no more", warning, 112, 7),
			offer(hello, "a warning and the answer", warning+answer, 0, 7+size),
			offer(hello, "a failure", fatal, 40, 7),
			offer(hello, "a failure behind a warning", warning+fatal, 40, 14),
			offer(hello, "closing without an answer", closing, flow.NoAnswer, 7),
		} {
			d.close = true
			v := variant{name: hello.name + ": " + d.name, d: d, shape: whole}
			cut, reset := v, v
			cut.name, cut.shape = v.name+", byte by byte", every(1)
			reset.name, reset.end = v.name+", reset", endRST
			all = append(all, v, cut, reset)
		}
	}
	s.serve(all...)
	s.ask(all...)
	s.nothingUnseen()
}

// What cannot be read is said to be so, and no handshake is told of it.
func TestTLSStreamUnreadable(t *testing.T) {
	dialogues, _ := handshakes(t)
	var hello *dialogue
	for _, d := range dialogues {
		if d.name == "openssl-12" {
			hello = d
		}
	}
	broken := []byte(string(hello.responses))
	broken[9] ^= 0xff // version
	asked := append([]byte(nil), hello.requests...)
	asked[9] ^= 0xff
	s := tlsStage(t)
	var all []variant
	for _, tc := range []struct {
		name                string
		requests, responses []byte
	}{
		{"a ServerHello of no version", hello.requests, broken},
		{"a ClientHello of no version", asked, hello.responses},
		{"an answer to half a hello", hello.requests[:100], hello.responses},
	} {
		d := &dialogue{name: tc.name, requests: tc.requests, responses: tc.responses, turns: []turn{{len(tc.requests), len(tc.responses)}}, close: true}
		all = append(all, variant{name: tc.name, d: d, shape: whole}, variant{name: tc.name + ", in 9s", d: d, shape: every(9)})
	}
	s.serve(all...)
	s.ask(all...)
	if u := s.unseen(); len(u) != 1 || u["error"].Stretches != uint64(2*len(all)) {
		t.Errorf("unseen: %+v, want %d errors", u, 2*len(all))
	}
}

// What is no handshake is none, and nothing that was missed.
func TestTLSStreamOfSomethingElse(t *testing.T) {
	s := tlsStage(t)
	dialogues, _ := handshakes(t)
	hello := dialogues[0]
	var all []variant
	for _, tc := range []struct {
		name                string
		requests, responses string
	}{
		{"half a hello", string(hello.requests[:100]), ""},
		{"a server's hello first", string(hello.responses), string(hello.requests)},
		{"a record of something else", "\x17" + string(hello.requests[1:]), string(hello.responses)},
		{"no TLS at all", "\x00\x01\x02\x03\x04\x05\x06\x07nothing that weir knows", "\xff\xfe\xfd\xfc"},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", "\x15\x03\x03\x00\x02\x02\x28"},
	} {
		d := &dialogue{name: tc.name, requests: []byte(tc.requests), responses: []byte(tc.responses), close: true}
		d.turns = []turn{{len(d.requests), len(d.responses)}}
		all = append(all, variant{name: tc.name, d: d, shape: whole}, variant{name: tc.name + ", byte by byte", d: d, shape: every(1)})
	}
	s.serve(all...)
	s.ask(all...)
	s.nothingUnseen()
}

// A connection without a byte is nothing.
func TestTLSStreamSilence(t *testing.T) {
	s := tlsStage(t)
	peer := s.wire.Expect(netip.AddrPortFrom(s.peer(false), 443))
	client := s.host.Play(role.Spec{Role: role.ScriptClient, Path: s.write(role.Script{
		Parts: []role.Part{{Close: true}}, Calls: []role.Call{{To: peer.Local().String()}},
	})})
	if err := peer.Established(); err != nil {
		t.Fatal(err)
	}
	if err := peer.Ended(); err != nil {
		t.Fatal(err)
	}
	if err := peer.Send(lab.Segment{FIN: true}); err != nil {
		t.Fatal(err)
	}
	client.Stop()
	s.settle()
	if told, _ := s.tallies(flow.RoleClient, 443); len(told) > 0 {
		t.Errorf("told %+v", told)
	}
	s.nothingUnseen()
}
