package baseline

import (
	"bytes"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/internal/flowtest"
)

// learn is what a Learner makes of the records.
func learn(t testing.TB, records []flow.Record) *Baseline {
	t.Helper()
	tk := newTaker(newBaseline())
	for i := range records {
		tk.take(&records[i])
	}
	return copied(t, tk.Baseline)
}

func copied(t testing.TB, b *Baseline) *Baseline {
	t.Helper()
	c, err := parse(encoded(t, b))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func encoded(t testing.TB, b *Baseline) []byte {
	t.Helper()
	data, err := b.encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// is a fatal mistake where the contact or its service is not there.
func traffic(t *testing.T, b *Baseline, k Key, egress bool, p Peer, s Service) *Traffic {
	t.Helper()
	pr := b.Profiles[k]
	if pr == nil {
		t.Fatalf("no workload %v among %v", k, b.Keys())
	}
	c := pr.contacts(egress)[p]
	if c == nil {
		t.Fatalf("%v has no peer %v", k, p)
	}
	if c.Services[s] == nil {
		t.Fatalf("%v: no service %v with %v", k, s, p)
	}
	return c.Services[s]
}

var (
	web  = Key{"ComposeService", "shop", "web"}
	db   = Key{"ComposeService", "shop", "db"}
	host = Key{"Host", "", "host"}
)

func local(k Key) Peer        { return Peer{Kind: PeerWorkload, Workload: k} }
func tcp(port uint16) Service { return Service{Protocol: flow.TCP, Port: port} }

func TestBothEndsLearn(t *testing.T) {
	w1, w2, d := flowtest.Service(11, "shop", "web", 1), flowtest.Service(12, "shop", "web", 2), flowtest.Service(13, "shop", "db", 1)
	b := learn(t, slices.Concat(
		flowtest.Flow(1, flow.TCP, flowtest.Local(w1, 40000), flowtest.Local(d, 3306)),
		flowtest.Flow(2, flow.TCP, flowtest.Local(w2, 40001), flowtest.Local(d, 3306)),
	))
	if got := b.Keys(); !slices.Equal(got, []Key{db, web}) {
		t.Fatalf("workloads %v: replicas are one", got)
	}
	out, in := traffic(t, b, web, true, local(db), tcp(3306)), traffic(t, b, db, false, local(web), tcp(3306))
	want := Traffic{
		Seen:    Seen{flowtest.Epoch + int64(time.Second), flowtest.Epoch + 3*int64(time.Second)},
		Started: 2, Ended: 2, Sent: 1000, Received: 18000,
	}
	if *out != want || *in != want {
		t.Errorf("got %+v and %+v, want %+v at both ends", *out, *in, want)
	}
	for _, l := range b.Profiles[web].Labels {
		if l.Key == "name" || l.Key == "id" {
			t.Errorf("label %v is of one replica", l)
		}
	}
	if !slices.Contains(b.Profiles[web].Labels, flow.Label{Source: "container", Key: "com.docker.compose.service", Value: "web"}) {
		t.Errorf("labels %v do not have what all replicas have", b.Profiles[web].Labels)
	}
}

func TestPeers(t *testing.T) {
	w := flowtest.Service(11, "shop", "web", 1)
	pending := flowtest.Container(90, "x")
	pending.Pending = true
	self := flowtest.Local(w, 40000)
	for _, tc := range []struct {
		name     string
		far      flow.Endpoint
		out      Peer
		in       Peer
		nameless uint64
	}{
		{"a name", flowtest.Remote("198.51.100.7", 443, "api.example.com"), Peer{Kind: PeerName, Name: "api.example.com"}, Peer{Kind: PeerAddress, Addr: netip.MustParseAddr("198.51.100.7")}, 0},
		{"a name that no policy can have", flowtest.Remote("198.51.100.7", 443, "a\nb", "x..y"), Peer{Kind: PeerAddress, Addr: netip.MustParseAddr("198.51.100.7")}, Peer{Kind: PeerAddress, Addr: netip.MustParseAddr("198.51.100.7")}, 0},
		{"a mapped address", flowtest.Remote("::ffff:198.51.100.7", 443), Peer{Kind: PeerAddress, Addr: netip.MustParseAddr("198.51.100.7")}, Peer{Kind: PeerAddress, Addr: netip.MustParseAddr("198.51.100.7")}, 0},
		{"a link-local address", flowtest.Remote("fe80::1%eth0", 443), Peer{Kind: PeerAddress, Addr: netip.MustParseAddr("fe80::1")}, Peer{Kind: PeerAddress, Addr: netip.MustParseAddr("fe80::1")}, 0},
		{"a workload still without a name", flowtest.Local(pending, 443), Peer{Kind: PeerUnnamed}, Peer{Kind: PeerUnnamed}, 4},
		{"the host", flowtest.Local(flowtest.Host(), 443), local(host), local(host), 0},
		{"nobody", flow.Endpoint{}, Peer{Kind: PeerUnnamed}, Peer{Kind: PeerUnnamed}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := learn(t, slices.Concat(flowtest.Flow(1, flow.UDP, self, tc.far), flowtest.Flow(2, flow.UDP, tc.far, self)))
			traffic(t, b, web, true, tc.out, Service{Protocol: flow.UDP, Port: tc.far.Addr.Port()})
			traffic(t, b, web, false, tc.in, Service{Protocol: flow.UDP, Port: 40000})
			if got := b.Missed[MissedNameless]; got != tc.nameless {
				t.Errorf("%d records without a name, want %d", got, tc.nameless)
			}
		})
	}
}

func TestPortsBehindNAT(t *testing.T) {
	w, d := flowtest.Service(11, "shop", "web", 1), flowtest.Service(13, "shop", "db", 1)
	records := flowtest.Flow(1, flow.TCP, flowtest.Local(w, 40000), flowtest.Local(d, 8080))
	for i := range records {
		records[i].Flow.ServerXlated = netip.MustParseAddrPort("172.18.0.13:80")
	}
	b := learn(t, records)
	traffic(t, b, web, true, local(db), tcp(8080))
	traffic(t, b, db, false, local(web), tcp(80))
}

func TestAttemptsAreNoServices(t *testing.T) {
	w, d := flowtest.Service(11, "shop", "web", 1), flowtest.Service(13, "shop", "db", 1)
	b := learn(t, flowtest.Refused(1, flowtest.Local(w, 40000), flowtest.Local(d, 22)))
	c := b.Profiles[web].Egress[local(db)]
	if len(c.Services) != 0 || c.Attempts[tcp(22)] == nil || c.Attempts[tcp(22)].Failed != 1 {
		t.Errorf("services %v, attempts %v: want one attempt that failed", c.Services, c.Attempts)
	}
	dropped := flowtest.Flow(2, flow.UDP, flowtest.Local(w, 40000), flowtest.Local(d, 53))[:1]
	dropped[0].Kind, dropped[0].Verdict = flow.RecordDrop, flow.VerdictDropped
	c = learn(t, dropped).Profiles[web].Egress[local(db)]
	if a := c.Attempts[Service{Protocol: flow.UDP, Port: 53}]; len(c.Services) != 0 || a == nil || a.Dropped != 1 {
		t.Errorf("services %v, attempts %v: want one dropped attempt", c.Services, c.Attempts)
	}
}

func TestExchanges(t *testing.T) {
	w, d := flowtest.Service(11, "shop", "web", 1), flowtest.Service(13, "shop", "db", 1)
	c, s := flowtest.Local(w, 40000), flowtest.Local(d, 8080)
	tally := flowtest.Tally(flow.HTTP, "GET", "/users/{id}", 5, c, s)
	failed := flowtest.Tally(flow.HTTP, "GET", "/users/{id}", 2, c, s)
	failed.L7.Error = true
	told := flowtest.Tally(flow.HTTP, "GET", "/users/{id}", 0, c, s)
	told.L7.Exchange, told.L7.Tally = &flow.Exchange{Counted: told.L7.Tally.Counted}, nil
	b := learn(t, []flow.Record{tally, failed, told, {Kind: flow.RecordL7}, {Kind: flow.RecordL7, L7: &flow.L7{}}})
	for _, c := range []*Contact{b.Profiles[web].Egress[local(db)], b.Profiles[db].Ingress[local(web)]} {
		got := c.Operations[Operation{flow.HTTP, 8080, "GET", "/users/{id}"}]
		if len(c.Operations) != 1 || got == nil || got.Count != 7 || got.Errors != 2 {
			t.Errorf("operations %v: want 7 with 2 errors; one told in full is counted by its tally", c.Operations)
		}
	}
}

func TestManyArePutTogether(t *testing.T) {
	w := flowtest.Local(flowtest.Service(11, "shop", "web", 1), 80)
	var records []flow.Record
	for i := range uint64(maxAddresses + 50) {
		a := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
		records = append(records, flowtest.Flow(i, flow.TCP, flow.Endpoint{Addr: netip.AddrPortFrom(a, 50000)}, w)...)
	}
	in := learn(t, records).Profiles[web].Ingress
	if len(in) != 1 || in[Peer{Kind: PeerWorld}].Services[tcp(80)].Flows() != maxAddresses+50 {
		t.Errorf("%d peers: want the world alone, with all flows", len(in))
	}
	records = nil
	for i := range uint64(maxServices + 9) {
		w.Addr = netip.AddrPortFrom(w.Addr.Addr(), uint16(1000+i))
		records = append(records, flowtest.Flow(i, flow.TCP, flowtest.Remote("203.0.113.9", 50000), w)...)
	}
	in = learn(t, records).Profiles[web].Ingress
	services := in[Peer{Kind: PeerAddress, Addr: netip.MustParseAddr("203.0.113.9")}].Services
	if len(services) != 1 || services[Service{Protocol: flow.TCP, Any: true}].Flows() != maxServices+9 {
		t.Errorf("services %v: want any port, with all flows", services)
	}
}

func TestBoundsAreSaid(t *testing.T) {
	tk := newTaker(newBaseline())
	for i := range uint64(maxProfiles + 3) {
		w := flowtest.Container(i+10, "c"+string(rune('a'+i%26))+time.Duration(i).String())
		for _, r := range flowtest.Flow(i, flow.UDP, flowtest.Local(w, 1), flowtest.Remote("203.0.113.9", 53)) {
			tk.take(&r)
		}
	}
	if len(tk.Profiles) != maxProfiles || tk.Missed[MissedProfiles] != 6 {
		t.Errorf("%d workloads, %d records missed: want %d and 6", len(tk.Profiles), tk.Missed[MissedProfiles], maxProfiles)
	}
	tk.room.left = 0
	r := flowtest.Flow(1, flow.UDP, flowtest.Local(flowtest.Container(10, "ca0s"), 1), flowtest.Remote("203.0.113.10", 53))[0]
	tk.take(&r)
	if tk.Missed[MissedContacts] != 1 || tk.lost[MissedContacts] != 1 {
		t.Errorf("missed %v: want one peer", tk.Missed)
	}
	if c := tk.Completeness(); c.Complete() || len(c.Gaps()) == 0 {
		t.Error("a baseline that missed something says that it is complete")
	}
}

// TestOrder shows that a baseline depends on what was seen alone.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		records := flowtest.Any().Draw(rt, "records")
		shuffled := slices.Clone(records)
		seed := rapid.Uint64().Draw(rt, "seed")
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		a, b := encoded(t, learn(t, records)), encoded(t, learn(t, shuffled))
		if !bytes.Equal(a, b) {
			rt.Fatalf("in order:\n%s\nshuffled:\n%s", a, b)
		}
	})
}

// TestOrderBeyondBounds is the same for what is put together: addresses, ports, and
// the ports of addresses, one of which has too many by itself.
func TestOrderBeyondBounds(t *testing.T) {
	w := flowtest.Local(flowtest.Service(11, "shop", "web", 1), 40000)
	for _, ports := range []uint64{10, 100} {
		var records []flow.Record
		to := func(a [4]byte, port uint64) {
			server := flow.Endpoint{Addr: netip.AddrPortFrom(netip.AddrFrom4(a), uint16(port))}
			records = append(records, flowtest.Flow(uint64(len(records)), flow.TCP, w, server)...)
		}
		for i := range uint64(2 * maxAddresses) {
			to([4]byte{203, 0, byte(i >> 8), byte(i)}, 1+i%ports)
		}
		for i := range uint64(maxServices + 5) {
			to([4]byte{203, 1, 0, 0}, 2000+i)
		}
		want := encoded(t, learn(t, records))
		for seed := range uint64(5) {
			if slices.Reverse(records); seed > 0 { // at first the one with too many comes first
				rand.New(rand.NewPCG(seed, 1)).Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
			}
			if got := encoded(t, learn(t, records)); !bytes.Equal(got, want) {
				t.Fatalf("%d ports, seed %d:\n%s\nwant\n%s", ports, seed, got, want)
			}
		}
	}
}

// A port that is any takes the others in, whichever came first.
func TestAnyTakesOthersIn(t *testing.T) {
	w, unit := flowtest.Local(flowtest.Service(11, "shop", "web", 1), 1), flowtest.Unit(41, "docker.service")
	own := flow.Endpoint{Addr: netip.MustParseAddrPort("127.0.0.11:53"), Workload: unit, Seen: true}
	resolver := flowtest.Flow(1, flow.UDP, w, own)
	for i := range resolver {
		resolver[i].Flow.ServerXlated = netip.MustParseAddrPort("127.0.0.11:41234")
	}
	clock := flowtest.Flow(2, flow.UDP, w, flowtest.Local(unit, 123))
	want := encoded(t, learn(t, slices.Concat(resolver, clock)))
	if got := encoded(t, learn(t, slices.Concat(clock, resolver))); !bytes.Equal(got, want) {
		t.Errorf("the clock first:\n%s\nthe resolver first:\n%s", got, want)
	}
}

// TestFullCanBeRead fills a baseline with the longest that anybody may send: what it
// takes on disk is within what is reckoned with, so that it can be read again.
func TestFullCanBeRead(t *testing.T) {
	const budget = 1 << 20
	tk := newTaker(newBaseline())
	tk.room.left = budget
	long := strings.Repeat("\x01", 2*maxText)
	for i := 0; tk.Missed[MissedContacts]+tk.Missed[MissedProfiles] == 0; i++ {
		w := flowtest.Container(uint64(i%20+10), "c"+strconv.Itoa(i%20))
		w.Labels[0].Value = long
		server := flowtest.Remote("203.0.113.9", uint16(i%60), strconv.Itoa(i)+".example.com")
		for _, r := range flowtest.Flow(uint64(i), flow.TCP, flowtest.Local(w, 1), server) {
			r.Delta.Sent.Payload, r.Delta.Received.Payload = math.MaxUint64, math.MaxUint64
			tk.take(&r)
		}
		r := flowtest.Tally(flow.HTTP, "GET", strconv.Itoa(i)+long, math.MaxUint64, flowtest.Local(w, 1), server)
		tk.take(&r)
	}
	data := encoded(t, tk.Baseline)
	spent := budget - tk.room.left
	if len(data) < budget/3 || len(data) > spent+1024 {
		t.Errorf("%d bytes, %d were reckoned with", len(data), spent)
	}
	if got := tk.cost(); got != spent {
		t.Errorf("%d bytes by the account, %d by counting", spent, got)
	}
	if _, err := parse(data); err != nil {
		t.Error(err)
	}
}

// TestReasonsAreFew holds windows to their bound, whatever a recording names.
func TestReasonsAreFew(t *testing.T) {
	w := Window{Start: 1, Alive: 1}
	for i := range 2 * maxReasons {
		a := accountOf(&collector.Health{
			Lost:   map[flow.Loss]uint64{{Stage: "kernel", Reason: strconv.Itoa(i) + strings.Repeat("\xff", 200)}: 1},
			Source: flow.SourceStats{Unseen: []flow.Unseen{{Reason: strconv.Itoa(i) + strings.Repeat("\x00", 200), Stretches: 1}}},
		})
		a.since(account{}, &w)
	}
	if len(w.Lost) != maxReasons+1 || len(w.Unseen) != maxReasons+1 || total(w.Lost) != 2*maxReasons {
		t.Errorf("%d and %d reasons, %d lost", len(w.Lost), len(w.Unseen), total(w.Lost))
	}
	b := newBaseline()
	b.open(w)
	if _, err := parse(encoded(t, b)); err != nil {
		t.Error(err)
	}
}
