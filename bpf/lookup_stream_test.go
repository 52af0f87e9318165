package bpf

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/collector/flow"
	"golang.org/x/net/dns/dnsmessage"
)

func TestLookupsOverTCPAreWhatTheResolverLogged(t *testing.T) {
	c, r, server, client := resolvers(t)
	var options []string
	for i := range 20 { // an answer that needs TCP
		options = append(options, fmt.Sprintf("--txt-record=big.test,%d %s", i, strings.Repeat("x", 200)))
	}
	dns := resolve(t, server, options...)
	v4, v6 := "@"+server.V4.String(), "@"+server.V6.String()
	for _, args := range [][]string{
		{v4, "+tcp", "a.test", "A"},
		{v6, "+tcp", "+noedns", "c1.test", "AAAA"},
		{v4, "+tcp", "none.test", "A"},
		{v4, "+tcp", "+keepopen", "a.test", "A", "c2.test", "A", "example.org", "MX"}, // one connection
		{v4, "+noedns", "big.test", "TXT"},                                            // truncated, then again over TCP
	} {
		dig(t, client, args...)
	}
	settle(t, c, r)
	events := r.all(lookups(client.CgroupID))
	want := append(dns.queries(client.V4), dns.queries(client.V6)...)
	slices.Sort(want)
	if got := names(events); len(want) != 8 || !slices.Equal(got, want) {
		t.Errorf("told %q, dnsmasq logged %q", got, want)
	}
	big := map[flow.Protocol]uint64{}
	conns := map[uint64]int{}
	for _, ev := range events {
		x := ev.Exchange
		if x.Role != flow.RoleClient || x.Peer != server.CgroupID || x.Port != 53 || (x.Transport == flow.TCP) != (x.ConnID != 0) || x.Latency <= 0 || x.Comm.String() != "dig" {
			t.Errorf("%+v of %+v", x.DNS, x)
		}
		if x.Transport == flow.TCP {
			conns[x.ConnID]++
		}
		if x.DNS.Name == "big.test" {
			big[x.Transport] += x.ResponseBytes
		}
		if x.DNS.Name == "c1.test" && (fmt.Sprint(x.DNS.Addrs) != "[fd00::3]" || x.DNS.CNAMEs != 2 || x.DNS.TTL != 60) {
			t.Errorf("%+v", x.DNS)
		}
	}
	if big[flow.UDP] == 0 || big[flow.UDP] > 512 || big[flow.TCP] < 20*200 {
		t.Errorf("bytes of the big answer: %v", big)
	}
	if len(conns) != 5 {
		t.Errorf("connections %v, want 5 of which one has 3 lookups", conns)
	}
	if got := tallied(r, client.CgroupID); got[0] != 6 || got[3] != 1 || got[5] != 1 {
		t.Errorf("tallies %v", got)
	}
	if got := tallied(r, server.CgroupID); len(got) > 0 {
		t.Errorf("the resolver's tallies: %v", got)
	}
	if got := unseenOf(c, flow.DNS); len(got) > 0 {
		t.Errorf("unseen: %v", got)
	}
}

// framed puts messages behind their lengths, RFC 1035 §4.2.2.
func framed(messages ...[]byte) []byte {
	var b []byte
	for _, m := range messages {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(m))), m...)
	}
	return b
}

// turns says a stream in writes of n bytes.
func turns(after int, stream []byte, n int) (list []role.Turn) {
	for part := range slices.Chunk(stream, n) {
		list = append(list, role.Turn{After: after, Say: part})
	}
	return list
}

func TestLookupsOverTCPHoweverTheyAreCut(t *testing.T) {
	c, r, server, client := resolvers(t)
	const typeA = dnsmessage.TypeA
	name := func(i int) string { return fmt.Sprintf("n%d.test.", i) }
	// stream gives count questions, and their answers in the other order.
	stream := func(count int) (asks, answers []byte, want []string) {
		for i := range count {
			id := uint16(100 + i)
			asks = append(asks, framed(question(t, id, name(i), typeA))...)
			answers = append(framed(answerTo(t, id, name(i), typeA, 0, "10.0.0.1")), answers...)
			want = append(want, fmt.Sprintf("%d A n%d.test 0 [10.0.0.1]", id, i))
		}
		return asks, answers, want
	}
	one, oneAnswer, oneWant := stream(1)
	five, fiveAnswers, fiveWant := stream(5)
	many, manyAnswers, manyWant := stream(40)
	broken := framed([]byte("no DNS in here, whatever it may be"))
	for _, v := range []*streamTalk{
		{name: "five at once", client: turns(0, five, 1<<16), server: turns(len(five), fiveAnswers, 1<<16), want: fiveWant},
		{name: "byte by byte", client: turns(0, five, 1), server: turns(len(five), fiveAnswers, 1), want: fiveWant},
		{name: "in sevens", client: turns(0, five, 7), server: turns(len(five), fiveAnswers, 7), want: fiveWant},
		{name: "the length alone", client: append(turns(0, one[:2], 2), turns(0, one[2:], 100)...), server: turns(len(one), oneAnswer, 2), want: oneWant},
		{name: "one after the other", client: append(turns(0, one, 100), turns(len(oneAnswer), one, 100)...),
			server: append(turns(len(one), oneAnswer, 100), turns(2*len(one), oneAnswer, 100)...), want: append(oneWant, oneWant...)},
		{name: "never answered", client: turns(0, one, 100), want: []string{"100 A n0.test 65535 []"}},
		{name: "broken behind a question", client: turns(0, append(slices.Clone(one), broken...), 1000), server: turns(len(one), oneAnswer, 1000), unseen: "error"},
		{name: "broken answer", client: turns(0, one, 1000), server: turns(len(one), broken, 1000), unseen: "error"},
		{name: "more answers at once than are kept", client: turns(0, many, 1<<16), server: turns(len(many), manyAnswers, 1<<16), want: manyWant[32:], unseen: "pipelined"},
		{name: "not DNS", client: turns(0, broken, 100), server: turns(len(broken), broken, 100)},
	} {
		t.Run(v.name, func(t *testing.T) {
			// On a busy machine segments overtake each other: what is not read then is counted.
			for overtaken := 0; ; overtaken++ {
				before := unseenOf(c, flow.DNS)
				port := v.play(t, server, client)
				settle(t, c, r)
				after := unseenOf(c, flow.DNS)
				if after["gap"] > before["gap"] && overtaken < 5 {
					continue
				}
				if v.unseen != "" {
					before[v.unseen]++
				}
				if fmt.Sprint(after) != fmt.Sprint(before) {
					t.Errorf("unseen %v, want %v", after, before)
				}
				v.check(t, r, port, server, client)
				return
			}
		})
	}
}

// streamTalk is what both ends of a connection say, and which lookups that is.
type streamTalk struct {
	name           string
	client, server []role.Turn
	want           []string // as told() gives them
	unseen         string   // the reason of one stretch
}

// play returns the server's port.
func (v *streamTalk) play(t *testing.T, server, client *lab.Host) uint16 {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	script := role.Script{Parts: []role.Part{{Turns: v.server}, {Turns: v.client, Close: true}}}
	served := playScript(t, server, role.Spec{Role: role.ScriptServer, Address: lab.Listen(0), Path: path}, script)
	script.Calls = []role.Call{{To: served.Addr.String(), Part: 1}}
	playScript(t, client, role.Spec{Role: role.ScriptClient, Path: path}, script).Stop()
	served.Stop()
	return served.Addr.Port()
}

func (v *streamTalk) check(t *testing.T, r *recorder, port uint16, server, client *lab.Host) {
	t.Helper()
	events := r.all(func(ev *flow.Event) bool {
		return ev.Kind == flow.KindExchange && ev.Exchange.Protocol == flow.DNS && ev.Exchange.Port == port
	})
	want := slices.Clone(v.want)
	slices.Sort(want)
	if got := told(events); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	for _, ev := range events {
		if x := ev.Exchange; x.Transport != flow.TCP || x.Cgroup != client.CgroupID || x.Peer != server.CgroupID || x.Latency > int64(lookupPatience+time.Second) {
			t.Errorf("%+v", x)
		}
	}
	count := 0
	for _, ev := range r.all(func(ev *flow.Event) bool {
		return ev.Kind == flow.KindTally && ev.Tally.Protocol == flow.DNS && ev.Tally.Port == port
	}) {
		count += int(ev.Tally.Count)
	}
	if count != len(want) {
		t.Errorf("%d in the tallies, want %d", count, len(want))
	}
}

func playScript(t testing.TB, h *lab.Host, spec role.Spec, script role.Script) *lab.Player {
	t.Helper()
	if err := role.WriteScript(spec.Path, script); err != nil {
		t.Fatal(err)
	}
	return h.Play(spec)
}
