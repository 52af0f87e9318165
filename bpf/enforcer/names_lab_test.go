package enforcer

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

// directory is a town with a resolver, whose client may ask it, and reach what
// patterns say and nothing else.
type directory struct {
	*town
	names   []policy.Name
	machine netip.Addr // an address that is the machine's own
}

func newDirectory(t *testing.T, patterns ...string) *directory {
	w := &directory{newTown(t, "client", "twin", "resolver", "other", "server"), nil, netip.Addr{}}
	for i, p := range patterns {
		w.names = append(w.names, policy.Name{Identity: 1<<20 + policy.Identity(i), Pattern: p})
	}
	w.enforce()
	return w
}

// enforce makes the rules hold, anew each time.
func (w *directory) enforce(more ...policy.Entry) {
	w.t.Helper()
	rules := slices.Clone(more)
	for _, to := range []string{"client", "resolver", "other"} {
		rules = append(rules, both(policy.Egress, w.identity(to), udp, 53, policy.Allow), both(policy.Egress, w.identity(to), tcp, 53, policy.Allow))
	}
	for _, n := range w.names {
		rules = append(rules, both(policy.Egress, n.Identity, tcp, 0, policy.Allow), both(policy.Egress, n.Identity, udp, 0, policy.Allow))
	}
	set := policy.Set{Egress: enforced, Entries: rules}
	plan := w.plan(map[string]policy.Set{"client": set, "twin": set})
	plan.Tables.Names = w.names
	if w.machine.IsValid() {
		plan.Tables.Prefixes[netip.PrefixFrom(w.machine, 32)] = policy.IdentityHost
	}
	if _, err := w.Apply(plan); err != nil {
		w.t.Fatal(err)
	}
}

// known is what the host's workload knows, "address=pattern", in order, and
// forgets it.
func (w *directory) known(host string) []string {
	w.t.Helper()
	all := []string{}
	for k, err := range w.Known() {
		if err != nil {
			w.t.Fatal(err)
		}
		if k.Owner == w.hosts[host].CgroupID {
			all = append(all, fmt.Sprintf("%s=%s", k.Addr, w.names[k.Identity-1<<20].Pattern))
		}
	}
	slices.Sort(all)
	var key enforceKnownKey
	for w.maps["known"].NextKey(nil, &key) == nil {
		if err := w.maps["known"].Delete(&key); err != nil {
			w.t.Fatal(err)
		}
	}
	return all
}

// lost is what was lost since the last call.
func (w *directory) lost() map[string]uint64 {
	w.t.Helper()
	lost, err := w.NameLosses()
	if err != nil {
		w.t.Fatal(err)
	}
	maps.DeleteFunc(lost, func(_ string, n uint64) bool { return n == 0 })
	for i := range nameLosses {
		if err := w.maps["name_losses"].Put(uint32(i), make([]uint64, ebpf.MustPossibleCPU())); err != nil {
			w.t.Fatal(err)
		}
	}
	return lost
}

// ask has a client send questions by UDP from one socket to a resolver, which
// answers each as it is told.
func (w *directory) ask(from, at string, address netip.Addr, questions []role.Datagram, answers [][]role.Datagram) {
	w.t.Helper()
	w.askFor(from, at, address, lab.Listen(53), role.Datagrams{Client: questions, Server: answers}, func() {})
}

// askFor has the resolver listen somewhere, and does something while they talk.
func (w *directory) askFor(from, at string, address netip.Addr, listen string, script role.Datagrams, meanwhile func()) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "datagrams.json")
	if err := role.WriteDatagrams(path, script); err != nil {
		w.t.Fatal(err)
	}
	resolver := w.hosts[at].Play(role.Spec{Role: role.DatagramServer, Address: listen, Path: path})
	defer resolver.Stop()
	count := 0
	for _, a := range script.Server {
		count += len(a)
	}
	client := w.hosts[from].Play(role.Spec{Role: role.DatagramClient, Address: netip.AddrPortFrom(address, 53).String(), Path: path, Count: count, Timeout: 5e9})
	meanwhile()
	client.Stop()
}

func datagrams(messages ...[]byte) []role.Datagram {
	var list []role.Datagram
	for _, m := range messages {
		list = append(list, role.Datagram{Say: m})
	}
	return list
}

func name(s string) dnsmessage.Name { return dnsmessage.MustNewName(s) }

func question(id uint16, of string, typ dnsmessage.Type) dnsmessage.Message {
	return dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: name(of), Type: typ, Class: dnsmessage.ClassINET}},
	}
}

// answer is the answer to a question of type A.
func answer(id uint16, to string, records ...dnsmessage.Resource) dnsmessage.Message {
	m := question(id, to, dnsmessage.TypeA)
	m.Response = true
	m.Answers = records
	return m
}

func record(owner string, ttl uint32, body dnsmessage.ResourceBody) dnsmessage.Resource {
	h := dnsmessage.ResourceHeader{Name: name(owner), Class: dnsmessage.ClassINET, TTL: ttl}
	switch body.(type) {
	case *dnsmessage.AResource:
		h.Type = dnsmessage.TypeA
	case *dnsmessage.AAAAResource:
		h.Type = dnsmessage.TypeAAAA
	case *dnsmessage.CNAMEResource:
		h.Type = dnsmessage.TypeCNAME
	}
	return dnsmessage.Resource{Header: h, Body: body}
}

// addr is a record with an address.
func addr(owner string, ttl uint32, a string) dnsmessage.Resource {
	ip := netip.MustParseAddr(a)
	if ip.Is4() {
		return record(owner, ttl, &dnsmessage.AResource{A: ip.As4()})
	}
	return record(owner, ttl, &dnsmessage.AAAAResource{AAAA: ip.As16()})
}

func alias(owner, to string) dnsmessage.Resource {
	return record(owner, 60, &dnsmessage.CNAMEResource{CNAME: name(to)})
}

func pack(t testing.TB, m dnsmessage.Message) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
