package enforcer

import (
	"bytes"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// court is a town whose rules are policies: what the kernel does is compared with
// what they say.
type court struct {
	*town
	tables *policy.Tables
}

// hold makes policies hold, in the mode given, for hosts with a label "name".
func (w *court) hold(mode policy.Mode, specs ...string) {
	w.t.Helper()
	var policies []*policy.Policy
	for i, spec := range specs {
		text := fmt.Sprintf("apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p%d}\nspec:\n  mode: %s\n  %s\n",
			i, mode, strings.ReplaceAll(spec, "\n", "\n  "))
		for name, h := range w.hosts {
			text = strings.ReplaceAll(strings.ReplaceAll(text, name+".v4", h.V4.String()), name+".v6", h.V6.String())
		}
		all, problems := policy.Parse("p.yaml", []byte(text))
		if err := problems.Err(); err != nil {
			w.t.Fatalf("%v\n%s", err, text)
		}
		policies = append(policies, all...)
	}
	var workloads []policy.Workload
	plan := &kernel.Plan{OwnNetwork: map[uint64]bool{}}
	for name, h := range w.hosts {
		workloads = append(workloads, policy.Workload{
			Cgroup: h.CgroupID, Name: name, Labels: map[string]string{"container:name": name}, Addrs: []netip.Addr{h.V4, h.V6}})
		plan.OwnNetwork[h.CgroupID] = true
	}
	var problems policy.Problems
	if plan.Tables, problems = policy.Compile(policies, workloads, policy.Limits{}); plan.Tables == nil {
		w.t.Fatal(problems)
	}
	if _, err := w.Apply(plan); err != nil {
		w.t.Fatal(err)
	}
	w.tables = plan.Tables
}

func newCourt(t *testing.T, hosts ...string) *court { return &court{newTown(t, hosts...), nil} }

// asked is what is sent to a resolver: a question for a name, or something that is
// none.
type asked struct {
	what string
	say  []byte
	name string // "" for what cannot be read
}

func questionsOf(t testing.TB, names ...string) (all []asked) {
	for i, n := range names {
		all = append(all, asked{n, pack(t, question(uint16(i+1), n+".", dnsmessage.TypeA)), n})
	}
	return all
}

// hostile are messages that are no plain question, or one in a strange form.
func hostile(t testing.TB) []asked {
	plain := pack(t, question(1, "a.test.", dnsmessage.TypeA))
	with := func(change func(b []byte) []byte) []byte { return change(bytes.Clone(plain)) }
	counts := func(at int, n byte) []byte { return with(func(b []byte) []byte { b[at] = n; return b }) }
	two := question(1, "a.test.", dnsmessage.TypeA)
	two.Questions = append(two.Questions, question(1, "evil.test.", dnsmessage.TypeA).Questions...)
	edns := question(1, "a.test.", dnsmessage.TypeA)
	opt := dnsmessage.ResourceHeader{Name: name("."), Type: dnsmessage.TypeOPT, Class: 1232}
	edns.Additionals = []dnsmessage.Resource{{Header: opt, Body: &dnsmessage.OPTResource{Options: []dnsmessage.Option{{Code: 12, Data: make([]byte, 300)}}}}}
	header := plain[:12]
	label := func(n int) []byte { return append([]byte{byte(n)}, bytes.Repeat([]byte{'a'}, n)...) }
	end := []byte{0, 0, 1, 0, 1}
	long := slices.Concat(header, label(63), label(63), label(63), label(61), end) // 253 characters
	longer := slices.Concat(header, label(63), label(63), label(63), label(62), end)
	return []asked{
		{"no question", header, ""}, {"nothing", nil, ""}, {"a few bytes", []byte{1, 2, 3}, ""},
		{"no count", counts(5, 0), ""}, {"two counted", counts(5, 2), ""}, {"two questions", pack(t, two), ""},
		{"with an answer", counts(7, 1), ""}, {"a response", with(func(b []byte) []byte { b[2] |= 0x80; return b }), ""},
		{"an update", with(func(b []byte) []byte { b[2] |= 5 << 3; return b }), ""},
		{"cut", plain[:len(plain)-3], ""}, {"something behind", append(bytes.Clone(plain), 1, 2, 3), ""},
		{"a pointer", slices.Concat(header, []byte{1, 'a', 0xc0, 12}, end[1:]), ""},
		{"a pointer alone", slices.Concat(header, []byte{0xc0, 4}, end[1:]), ""},
		{"a reserved length", slices.Concat(header, []byte{0x41}, end), ""},
		{"253 characters", long, strings.TrimSuffix(strings.Repeat(strings.Repeat("a", 63)+".", 3), "") + strings.Repeat("a", 61)},
		{"254 characters", longer, ""},
		{"EDNS with padding", pack(t, edns), "a.test"},
		{"mixed letters", pack(t, question(1, "A.tEsT.", dnsmessage.TypeAAAA)), "A.tEsT"},
		{"a zero within", slices.Concat(header, []byte{6}, []byte("a.test"), end), "a\\.test"},
		{"the root", slices.Concat(header, end), "."},
		{"oversized", slices.Concat(plain[:11], []byte{1}, plain[12:], make([]byte, 5000)), ""},
	}
}

// asks sends messages and tells what became of each: "answered", "denied", "timeout".
func (w *court) asks(to netip.AddrPort, how role.Behaviour, all []asked) (said []string) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "datagrams.json")
	var script role.Datagrams
	for _, one := range all {
		script.Client = append(script.Client, role.Datagram{Say: one.say})
	}
	if err := role.WriteDatagrams(path, script); err != nil {
		w.t.Fatal(err)
	}
	r := w.hosts["client"].Account(role.Spec{Role: role.Asker, Address: to.String(), Path: path, Behaviour: how, Timeout: 2 * time.Second, Detail: true})
	for i, c := range r.Each {
		one := c.Failure
		if one == "" {
			one = "answered"
			if i < len(all) && !bytes.Equal(c.Heard, all[i].say) {
				one = fmt.Sprintf("%x", c.Heard)
			}
		}
		said = append(said, one)
	}
	return said
}

// decides is what policies make of a message.
func (w *court) decides(to netip.AddrPort, one asked) policy.Outcome {
	return w.tables.Decide(policy.Query{
		Workload: w.hosts["client"].CgroupID, Direction: policy.Egress, Addr: to.Addr(), Protocol: udp, Port: to.Port(),
		Asked: &policy.Asking{Name: one.name, Unread: one.name == ""},
	})
}

const namesAtResolver = `endpointSelector: {matchLabels: {name: client}}
egress:
- toEndpoints: [{matchLabels: {name: resolver}}]
  toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchName: a.test}, {matchPattern: "*.b.test"}, {matchPattern: "**.c.test"}]}}]
- toEndpoints: [{matchLabels: {name: other}}]
  toPorts: [{ports: [{port: "53"}]}]
`

// The kernel does to each question what policies say.
func TestQuestionsAreJudgedAsPoliciesSay(t *testing.T) {
	w := newCourt(t, "client", "resolver", "other")
	all := append(questionsOf(t, "a.test", "x.b.test", "b.test", "y.x.b.test", "y.x.c.test", "c.test", "evil.test", "a.test.evil.test", "bad.b.test", "test"), hostile(t)...)
	for _, host := range []string{"resolver", "other"} {
		w.hosts[host].Play(role.Spec{Role: role.UDPServer, Address: lab.Listen(53)})
	}
	for name, specs := range map[string][]string{
		"a list":           {namesAtResolver},
		"a list, a denial": {namesAtResolver, "endpointSelector: {}\negressDeny: [{toPorts: [{ports: [{port: '53'}], rules: {dns: [{matchPattern: 'bad.**'}, {matchPattern: 'bad.*.test'}]}}]}]"},
		"a denial alone": {`endpointSelector: {matchLabels: {name: client}}
enableDefaultDeny: {egress: false}
egressDeny: [{toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchName: evil.test}]}}]}]`},
		"a list of everyone": {"endpointSelector: {matchLabels: {name: client}}\negress: [{toPorts: [{ports: [{port: '53'}], rules: {dns: [{matchPattern: '*.test'}]}}]}]"},
		"two lists":          {namesAtResolver, "endpointSelector: {}\negress: [{toPorts: [{ports: [{port: '53'}], rules: {dns: [{matchName: evil.test}]}}]}]"},
	} {
		for _, mode := range []policy.Mode{policy.ModeEnforce, policy.ModeAudit} {
			w.hold(mode, specs...)
			for _, how := range []role.Behaviour{role.Echo, role.Connected} {
				for _, addr := range []netip.Addr{w.hosts["resolver"].V4, w.hosts["other"].V6} {
					w.verdicts()
					to := netip.AddrPortFrom(addr, 53)
					said := w.asks(to, how, all)
					refused := uint64(0)
					for i, one := range all {
						o := w.decides(to, one)
						want := "answered"
						if o.Result == policy.Denied {
							want = "denied"
						}
						if o.Result != policy.Forwarded {
							refused++
						}
						if i >= len(said) || said[i] != want {
							t.Errorf("%s, %s, %q to %s: %q is %q, want %q", name, mode, how, addr, one.what, said[i:min(i+1, len(said))], want)
						}
					}
					told := uint64(0)
					if _, err := w.Verdicts(func(v *kernel.Verdict) {
						if told += v.Count; !v.Asked || v.Denied != (mode == policy.ModeEnforce) || v.Peer != to {
							t.Errorf("%s, %s: told %+v", name, mode, v)
						}
					}); err != nil || told != refused {
						t.Errorf("%s, %s, %q to %s: %d were refused, %d told (%v)", name, mode, how, addr, refused, told, err)
					}
				}
			}
		}
	}
}

// Who asked for what is told, by the rule that denies it.
func TestRefusedQuestionsAreTold(t *testing.T) {
	w := newCourt(t, "client", "resolver")
	w.hold(policy.ModeEnforce, namesAtResolver, "endpointSelector: {}\negressDeny: [{toPorts: [{ports: [{port: '53'}], rules: {dns: [{matchName: bad.b.test}]}}]}]")
	denial := kernel.RuleNumber(w.tables.Rules[slices.IndexFunc(w.tables.Rules, func(r policy.Rule) bool { return r.Deny })])
	w.verdicts()
	w.asks(netip.AddrPortFrom(w.hosts["resolver"].V4, 53), role.Echo, append(questionsOf(t, "EVIL.test", "evil.test", "bad.b.test", "a.test"), hostile(t)[0]))
	got := map[string]uint64{}
	if _, err := w.Verdicts(func(v *kernel.Verdict) { got[fmt.Sprintf("%q by %d", v.Name, v.Rule)] = v.Count }); err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{`"evil.test" by 0`: 2, fmt.Sprintf("%q by %d", "bad.b.test", denial): 1, fmt.Sprintf("%q by %d", "", denial): 1}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// askTCP has the client send bytes in pieces over one connection to a resolver that
// echoes them, and tells how many came back.
func (w *court) askTCP(to netip.AddrPort, pieces ...[]byte) (heard uint64, failed string) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "pieces.json")
	if err := role.WriteDatagrams(path, role.Datagrams{Client: datagrams(pieces...)}); err != nil {
		w.t.Fatal(err)
	}
	r := w.hosts["client"].Account(role.Spec{Role: role.Asker, Address: to.String(), Path: path, Behaviour: role.Stream, Timeout: 500 * time.Millisecond})
	for reason := range r.Failed {
		failed = reason
	}
	return r.Received, failed
}

// Over TCP a refused question is not heard by the resolver however it is cut, nor
// is what comes after it.
func TestQuestionsOverTCP(t *testing.T) {
	w := newCourt(t, "client", "resolver")
	w.hosts["resolver"].Play(role.Spec{Role: role.TCPServer, Address: lab.Listen(53)})
	all := questionsOf(t, "A.test", "evil.test")
	good, bad := framed(all[0].say), framed(all[1].say)
	cut := func(b []byte) (pieces [][]byte) {
		for i := range b {
			pieces = append(pieces, b[i:i+1])
		}
		return pieces
	}
	size := uint64(len(good))
	for _, c := range []struct {
		what   string
		pieces [][]byte
		most   uint64 // bytes that the resolver may hear
		denied bool
	}{
		{"an allowed one", [][]byte{good}, size, false},
		{"byte by byte", cut(good), size, false},
		{"two at once", [][]byte{append(bytes.Clone(good), good...)}, 2 * size, false},
		{"a refused one", [][]byte{bad}, 0, true},
		{"refused byte by byte", cut(bad), uint64(len(bad) - 1), true},
		{"refused behind an allowed one", [][]byte{append(bytes.Clone(good), bad...)}, 0, true},
		{"refused after an allowed one", [][]byte{good, bad}, size, true},
		{"more after a refused one", [][]byte{bad, good}, 0, true},
		{"nothing of a length", [][]byte{{0, 0}, good}, 1, true},
		{"no question", [][]byte{framed(make([]byte, 40))}, 0, true},
		{"oversized", [][]byte{framed(make([]byte, 5000))}, 5001, true},
	} {
		for _, mode := range []policy.Mode{policy.ModeEnforce, policy.ModeAudit} {
			w.hold(mode, namesAtResolver)
			w.verdicts()
			carried := w.tap("resolver")
			heard, failed := w.askTCP(netip.AddrPortFrom(w.hosts["resolver"].V4, 53), c.pieces...)
			refused, came := c.denied && mode == policy.ModeEnforce, carried.payload()
			if (failed == "") == refused || (refused && came > c.most) {
				t.Errorf("%s, %s: %d bytes came to the resolver, %d back, failed %q", c.what, mode, came, heard, failed)
			}
			told := w.verdicts()["client egress"]
			if (told != nil) != c.denied || (told != nil && (!told.Asked || told.Denied != refused)) {
				t.Errorf("%s, %s: told %+v", c.what, mode, told)
			}
		}
	}
}

// What is no question is refused by whatever way it comes, as are frames, whose
// questions nobody reads.
func TestQuestionsByOtherWays(t *testing.T) {
	w := newOccupiedTown(t, false, "client", "server", "friend")
	var asks []policy.Entry
	for _, to := range []string{"server", "friend"} {
		one := both(policy.Egress, w.identity(to), 0, 0, policy.Allow)
		if to == "server" {
			one.Questions = 1
		}
		asks = append(asks, one)
	}
	w.apply(map[string]policy.Set{"client": {Egress: enforced, Entries: asks, Questions: []policy.Questions{{}}}})
	for _, v := range []way{
		{way: role.Plain, server: role.TCPServer}, {way: role.Mapped, server: role.TCPServer}, {way: role.Plain, server: role.TCPServer, v6: true},
		{way: role.Reconnected, server: role.TCPServer}, {way: role.FastOpen, server: role.TCPServer}, {way: role.Multipath, server: role.TCPServer},
		{way: role.Ring, server: role.TCPServer}, {way: role.Datagrammed, server: role.UDPServer}, {way: role.SendTo, server: role.UDPServer},
		{way: role.MappedSendTo, server: role.UDPServer}, {way: role.SendToOther, server: role.UDPServer}, {way: role.DatagramAgain, server: role.UDPServer},
		{way: role.Large, server: role.UDPServer}, {way: role.Options, server: role.UDPServer, v6: true}, {way: role.Raw, server: role.UDPServer},
		{way: role.RawSource, server: role.UDPServer}, {way: role.Frame, server: role.UDPServer}, {way: role.Frame, server: role.UDPServer, v6: true},
	} {
		if failed, arrived := v.try(w, w.hosts["client"], "server", "friend"); arrived != 0 {
			t.Errorf("%s: failed %q, %d bytes arrived", v, failed, arrived)
		}
		if told := w.verdicts()["client egress"]; told == nil || !told.Denied || !told.Asked {
			t.Errorf("%s: told %+v", v, told)
		}
	}
	if failed, arrived := (way{way: role.SendTo, server: role.UDPServer}).try(w, w.hosts["client"], "friend", "server"); arrived == 0 {
		t.Errorf("to the friend: failed %q", failed)
	}
}
