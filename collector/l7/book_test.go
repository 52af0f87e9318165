package l7

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

const base = int64(1_700_000_000_000_000_000)

func after(d time.Duration) int64 { return base + int64(d) }

// rig is a book whose gifts gather in got.
type rig struct {
	*testing.T
	book *Book
	got  []Told
}

func newRig(t *testing.T, cfg Config) *rig {
	r := &rig{T: t}
	r.book = NewBook(cfg, func(told *Told) { r.got = append(r.got, *told) })
	return r
}

// take gives what was given since the last call.
func (r *rig) take() []Told {
	got := r.got
	r.got = nil
	return got
}

// one takes what was given, which must be one thing.
func (r *rig) one() Told {
	r.Helper()
	got := r.take()
	if len(got) != 1 {
		r.Fatalf("%d things were given, want 1", len(got))
	}
	return got[0]
}

func (r *rig) named(want Name) {
	r.Helper()
	if got := r.one().Name; got != want {
		r.Errorf("%+v, want %+v", got, want)
	}
}

func counted(p flow.L7Protocol, op flow.Operation) flow.Counted {
	return flow.Counted{
		Protocol: p, Role: flow.RoleClient, Cgroup: 7, Remote: netip.MustParseAddr("10.0.0.9"), Port: 80, Operation: op,
	}
}

func get(op flow.Operation, path string) *flow.Exchange {
	return &flow.Exchange{
		Counted: counted(flow.HTTP, op), Status: 200, Why: flow.WhyNew,
		HTTP: &flow.HTTPExchange{Method: "GET", Path: path, Version: 11},
	}
}

func tallied(p flow.L7Protocol, op flow.Operation, n uint64) *flow.Tally {
	return &flow.Tally{Counted: counted(p, op), Status: 200, Count: n}
}

func TestWords(t *testing.T) {
	r := newRig(t, Config{})
	for i, tt := range []struct {
		x    flow.Exchange
		want Name
	}{
		{flow.Exchange{HTTP: &flow.HTTPExchange{Method: "GET", Path: "/users/7"}}, Name{"GET", "/users/{id}", RuleCollapsed}},
		{flow.Exchange{HTTP: &flow.HTTPExchange{Method: "OPTIONS", Path: "*"}}, Name{"OPTIONS", "*", ""}},
		{flow.Exchange{HTTP: &flow.HTTPExchange{Method: "CONNECT", Path: "example.com:443"}}, Name{"CONNECT", "", ""}},
		{flow.Exchange{DNS: &flow.DNSExchange{Name: "example.com", Type: 28}}, Name{"AAAA", "example.com", ""}},
		{flow.Exchange{DNS: &flow.DNSExchange{Name: "example.com", Type: 4711}}, Name{"TYPE4711", "example.com", ""}},
		{flow.Exchange{TLS: &flow.TLSHandshake{ServerName: "example.com"}}, Name{"", "example.com", ""}},
		{flow.Exchange{TLS: &flow.TLSHandshake{}}, Name{}},
	} {
		p := flow.HTTP
		switch {
		case tt.x.DNS != nil:
			p = flow.DNS
		case tt.x.TLS != nil:
			p = flow.TLS
		}
		tt.x.Counted = counted(p, flow.Operation(i+1))
		r.book.Exchange(base, &tt.x)
		r.named(tt.want)
		r.book.Tally(base, tallied(p, flow.Operation(i+1), 5))
		r.named(tt.want)
	}
	if s := r.book.Stats(); s.Exchanges != 7 || s.Tallied != 35 || s.Unnamed != 0 || s.Held != 0 {
		t.Errorf("%+v", s)
	}
}

// A tally may come before its exchange.
func TestTallyWaits(t *testing.T) {
	r := newRig(t, Config{})
	r.book.Tally(base, tallied(flow.HTTP, 1, 5))
	r.book.Tally(after(time.Second), tallied(flow.HTTP, 1, 6))
	r.book.Tally(after(time.Second), tallied(flow.HTTP, 2, 7))
	if len(r.take()) != 0 || r.book.Stats().Held != 3 || r.book.Due() != after(patience) {
		t.Fatalf("%+v, due %v", r.book.Stats(), time.Duration(r.book.Due()-base))
	}
	r.book.Exchange(after(2*time.Second), get(1, "/a"))
	got := r.take()
	if len(got) != 3 || got[0].Exchange == nil || got[1].Tally.Count != 5 || got[1].At != base || got[2].Tally.Count != 6 {
		t.Fatalf("given: %+v", got)
	}
	for _, g := range got {
		if g.Name != (Name{"GET", "/a", ""}) {
			t.Errorf("%+v", g.Name)
		}
	}
	r.book.Advance(after(time.Second + patience - 1))
	if len(r.take()) != 0 {
		t.Fatal("given up too soon")
	}
	r.book.Advance(after(time.Second + patience))
	r.named(Name{})
	// It was waited for once: from now on it goes at once.
	r.book.Tally(after(5*time.Second), tallied(flow.HTTP, 2, 1))
	r.named(Name{})
	// Until it is told.
	r.book.Exchange(after(6*time.Second), get(2, "/b"))
	r.named(Name{"GET", "/b", ""})
	r.book.Tally(after(6*time.Second), tallied(flow.HTTP, 2, 1))
	r.named(Name{"GET", "/b", ""})
	if s := r.book.Stats(); s.Unnamed != 8 || s.Tallied != 20 || s.Held != 0 {
		t.Errorf("%+v", s)
	}
}

// What the kernel had no room for has no name to wait for.
func TestRest(t *testing.T) {
	r := newRig(t, Config{})
	r.book.Tally(base, tallied(flow.HTTP, 0, 5))
	r.named(Name{})
	r.book.Exchange(base, get(0, "/a"))
	r.named(Name{"GET", "/a", ""})
	r.book.Tally(base, tallied(flow.HTTP, 0, 5))
	r.named(Name{})
}

// A number that stands for two things cannot say which was counted.
func TestAmbiguous(t *testing.T) {
	r := newRig(t, Config{})
	r.book.Exchange(base, get(1, "/users/1"))
	r.book.Exchange(base, get(1, "/users/2222"))
	r.take()
	if n := r.book.Stats().Ambiguous; n != 0 {
		t.Fatal("two of many are not two things")
	}
	r.book.Exchange(base, get(1, "/forged"))
	r.named(Name{"GET", "/forged", ""})
	r.book.Tally(base, tallied(flow.HTTP, 1, 1))
	r.named(Name{Method: "GET"})
	r.book.Exchange(base, get(1, "/users/1"))
	r.named(Name{"GET", "/users/{id}", RuleCollapsed})
	if n := r.book.Stats().Ambiguous; n != 1 {
		t.Errorf("%d", n)
	}
}

// Of pipelined requests no path is kept; the number says it.
func TestPathNotKept(t *testing.T) {
	r := newRig(t, Config{})
	r.book.Exchange(base, get(1, ""))
	r.named(Name{})
	r.book.Exchange(base, get(1, "/a"))
	r.book.Exchange(base, get(1, ""))
	for _, g := range r.take() {
		if g.Name.Route != "/a" {
			t.Errorf("%+v", g.Name)
		}
	}
}

// Each server has its own templates, and an operation's name serves all.
func TestServers(t *testing.T) {
	r := newRig(t, Config{})
	for i := range maxChildren + 1 {
		r.book.Exchange(base, get(flow.Operation(i+1), fmt.Sprintf("/shop/%c-", 'A'+i)))
	}
	r.take()
	r.book.Tally(base, tallied(flow.HTTP, 1, 1))
	r.named(Name{"GET", "/shop/{name}", RuleLearned})
	other := tallied(flow.HTTP, 1, 1)
	other.Peer = 99
	r.book.Tally(base, other)
	r.named(Name{"GET", "/shop/A-", ""})
	same := tallied(flow.HTTP, 1, 1) // as the server counts it
	same.Role, same.Cgroup, same.Remote = flow.RoleServer, 99, netip.MustParseAddr("192.0.2.1")
	r.book.Tally(base, same)
	r.named(Name{"GET", "/shop/A-", ""})
	if n := len(r.book.sites); n != 2 {
		t.Errorf("%d sites", n)
	}
}

// That a path exists may turn out later, and teaches then.
func TestExistsLater(t *testing.T) {
	r := newRig(t, Config{})
	for _, status := range []uint16{404, 200} {
		for i := range maxChildren + 1 {
			x := get(flow.Operation(i+1), fmt.Sprintf("/shop/%c-", 'A'+i))
			x.Status = status
			r.book.Exchange(base, x)
		}
	}
	got := r.take()
	if first, last := got[maxChildren].Name, got[len(got)-1].Name; first.Rule != "" || last.Rule != RuleLearned {
		t.Errorf("%+v, then %+v", first, last)
	}
}

// A server that was forgotten begins anew, also for what was at hand.
func TestForgotten(t *testing.T) {
	r := newRig(t, Config{})
	for i := range maxChildren + 1 {
		r.book.Exchange(base, get(flow.Operation(i+1), fmt.Sprintf("/shop/%c-", 'A'+i)))
	}
	r.book.Tally(base, tallied(flow.HTTP, 1, 1))
	for i := range maxSites {
		x := get(1, "/shop/A-")
		x.Peer = uint64(1000 + i)
		r.book.Exchange(base, x)
	}
	r.take()
	r.book.Exchange(base, get(2, "/shop/B-"))
	r.book.Tally(base, tallied(flow.HTTP, 1, 1))
	for _, g := range r.take() {
		if g.Name.Rule != "" {
			t.Errorf("%+v", g.Name)
		}
	}
}

func TestRedaction(t *testing.T) {
	const secret = "/reset/eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2lnbmF0dXJl/0123456789abcdef0123456789abcdef/7;sid=1"
	const shown = "/reset/{token}/{hex}/7;…"
	r := newRig(t, Config{})
	x := get(1, secret)
	r.book.Exchange(base, x)
	told := r.one()
	if told.Exchange.HTTP.Path != shown || told.Name.Route != "/reset/{token}/{hex}/{id}" {
		t.Errorf("%q, route %q", told.Exchange.HTTP.Path, told.Name.Route)
	}
	if x.HTTP.Path != secret {
		t.Error("the event was changed: it is others' too")
	}
	r.book.Exchange(base, get(2, "/plain/7"))
	if path := r.one().Exchange.HTTP.Path; path != "/plain/7" {
		t.Errorf("%q", path)
	}
	cut := get(3, "/reset/eyJhbGc")
	cut.HTTP.Cut = true
	r.book.Exchange(base, cut)
	if told := r.one(); told.Exchange.HTTP.Path != "/reset/…" || told.Name.Route != "/reset/…" {
		t.Errorf("half a secret: %+v", told)
	}
	open := newRig(t, Config{Unredacted: true})
	open.book.Exchange(base, x)
	if told := open.one(); told.Exchange != x || told.Name.Route != "/reset/{token}/{hex}/{id}" {
		t.Errorf("%q, route %q", told.Exchange.HTTP.Path, told.Name.Route)
	}
}

// Whatever is thrown at it: nothing is lost, nothing is given twice, all is bounded.
func TestBookBounds(t *testing.T) {
	r := newRig(t, Config{})
	given, exchanges := uint64(0), uint64(0)
	r.book.give = func(told *Told) {
		if told.Exchange != nil {
			exchanges++
		} else {
			given += told.Tally.Count
		}
	}
	sent := uint64(0)
	for i := range 3 * maxNames {
		at := after(time.Duration(i) * 50 * time.Microsecond)
		r.book.Advance(at)
		x := get(flow.Operation(i+1), fmt.Sprintf("/%c%c/%x-/z%d-", 'g'+i%17, 'g'+i%5, i/3, i%1000))
		x.Remote = netip.AddrFrom4([4]byte{10, 1, byte(i >> 6), byte(i)})
		if i%3 > 0 {
			tally := &flow.Tally{Counted: x.Counted, Count: 1, Status: 200}
			r.book.Tally(at, tally)
			sent++
		}
		if i%3 < 2 {
			r.book.Exchange(at, x)
		}
		b := r.book
		if len(b.names.entries) > maxNames || len(b.names.index) != len(b.names.entries) || b.stats.Held > maxHeld ||
			len(b.waiting) > maxHeld || len(b.sites) > maxSites || b.forest > maxForest+maxNodes || len(b.routes) > maxRoutes {
			t.Fatalf("after %d: %d names, %d held, %d wait, %d sites, %d segments, %d routes",
				i, len(b.names.entries), b.stats.Held, len(b.waiting), len(b.sites), b.forest, len(b.routes))
		}
	}
	r.book.Drain()
	forest := 0
	for _, s := range r.book.sites {
		forest += s.nodes
		s.check(t)
	}
	if forest != r.book.forest {
		t.Errorf("%d segments, noted %d", forest, r.book.forest)
	}
	if s := r.book.Stats(); given != sent || s.Tallied != sent || s.Held != 0 || exchanges != s.Exchanges {
		t.Errorf("%d of %d and %d exchanges given; %+v", given, sent, exchanges, s)
	}
}

// Too much that waits goes without its name, at once.
func TestHeldIsBounded(t *testing.T) {
	r := newRig(t, Config{})
	for i := range maxHeld + 10 {
		r.book.Tally(base, tallied(flow.HTTP, flow.Operation(1+i%50), 1))
	}
	if n := len(r.take()); n != 10 || r.book.Stats().Held != maxHeld {
		t.Errorf("%d given, %+v", n, r.book.Stats())
	}
}

func TestBookHostile(t *testing.T) {
	r := newRig(t, Config{})
	for p := range flow.L7Protocol(8) {
		r.book.Exchange(base, &flow.Exchange{Counted: counted(p, 1)})
		r.book.Tally(base, tallied(p, 1, 1))
	}
	r.book.Drain()
	if n := len(r.take()); n != 16 {
		t.Errorf("%d given", n)
	}
}

func TestNoAllocations(t *testing.T) {
	book := NewBook(Config{}, func(*Told) {})
	x, tally := get(1, "/users/42/posts"), tallied(flow.HTTP, 1, 1)
	book.Exchange(base, x)
	if n := testing.AllocsPerRun(1000, func() {
		book.Exchange(base, x)
		book.Tally(base, tally)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkBookExchange(b *testing.B) {
	book := NewBook(Config{}, func(*Told) {})
	var xs [256]*flow.Exchange
	for i := range xs {
		xs[i] = get(flow.Operation(i%64+1), fmt.Sprintf("/api/v1/thing%c/%d", 'a'+i%64/8, i))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		book.Exchange(base, xs[i%len(xs)])
	}
}
