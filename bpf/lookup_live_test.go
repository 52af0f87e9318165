package bpf

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/collector/flow"
)

// resolver is a dnsmasq on a host, and what it logged.
type resolver struct {
	t   testing.TB
	mu  sync.Mutex
	log bytes.Buffer
}

func (r *resolver) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *resolver) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// zone is what the resolver knows; it refuses what is not below test.
var zone = []string{
	"--host-record=a.test,10.1.2.3,fd00::3,61", "--cname=c1.test,c2.test,62", "--cname=c2.test,a.test,60", "--local=/test/",
	"--address=/many.test/10.0.0.1", "--txt-record=txt.test,hello", "--server=/broken.test/127.0.0.1#9",
}

// resolve starts dnsmasq and returns when it listens.
func resolve(t testing.TB, h *lab.Host, options ...string) *resolver {
	t.Helper()
	lab.RequireTool(t, "dig")
	args := append([]string{"--keep-in-foreground", "--conf-file=/dev/null", "--log-queries", "--log-facility=-", "--no-resolv", "--no-hosts",
		"--user=root", "--pid-file="}, append(slices.Clone(zone), options...)...)
	cmd := h.Command(lab.RequireTool(t, "dnsmasq"), args...)
	r := &resolver{t: t}
	cmd.Stdout, cmd.Stderr = r, r
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(r.text())
		}
	})
	r.wait("started, version")
	return r
}

// wait waits until the log has this text.
func (r *resolver) wait(text string) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(r.text(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("dnsmasq did not log %q: %s", text, r.text())
		}
	}
}

var logged = regexp.MustCompile(`query\[(\w+)\] (.+) from (\S+)`)

// queries are the questions from a client, "A a.test" in lower case, sorted; dnsmasq does not print every name.
func (r *resolver) queries(client netip.Addr) []string {
	var list []string
	for _, m := range logged.FindAllStringSubmatch(r.text(), -1) {
		if m[3] == client.String() {
			list = append(list, m[1]+" "+strings.ToLower(m[2]))
		}
	}
	slices.Sort(list)
	return list
}

// resolvers is a lab of two hosts under a capture that tells of every lookup, whatever
// else the machine does.
func resolvers(t testing.TB) (c *Capture, r *recorder, server, client *lab.Host) {
	t.Helper()
	l := lab.New(t)
	server, client = l.Host("server"), l.Host("client")
	c, r = watch(t)
	return c, r, server, client
}

// watch is a capture that tells of every lookup.
func watch(t testing.TB) (*Capture, *recorder) {
	t.Helper()
	cfg := quiet(t)
	cfg.tellAll = flow.DNS
	return capture(t, cfg)
}

// dig asks, and returns what it printed; it ends with an error where nobody answers.
func dig(t testing.TB, h *lab.Host, args ...string) string {
	t.Helper()
	out, err := h.Command("dig", append([]string{"+tries=1", "+timeout=3"}, args...)...).Output()
	if err != nil && !strings.Contains(string(out), "timed out") {
		t.Fatalf("dig %v: %v: %s", args, err, out)
	}
	return string(out)
}

// lookups are the exchanges that a cgroup's sockets had.
func lookups(cgroup uint64) func(*flow.Event) bool {
	return func(ev *flow.Event) bool {
		return ev.Kind == flow.KindExchange && ev.Exchange.Protocol == flow.DNS && ev.Exchange.Cgroup == cgroup
	}
}

// tallied adds the tallies of a cgroup's lookups by status.
func tallied(r *recorder, cgroup uint64) map[uint16]int {
	sum := map[uint16]int{}
	for _, ev := range r.all(func(ev *flow.Event) bool {
		return ev.Kind == flow.KindTally && ev.Tally.Protocol == flow.DNS && ev.Tally.Cgroup == cgroup
	}) {
		sum[ev.Tally.Status] += int(ev.Tally.Count)
	}
	return sum
}

func names(events []flow.Event) []string {
	var list []string
	for _, ev := range events {
		list = append(list, dns.TypeToString[ev.Exchange.DNS.Type]+" "+ev.Exchange.DNS.Name)
	}
	slices.Sort(list)
	return list
}

// settle waits until no lookup waits any more and what was counted was read.
func settle(t testing.TB, c *Capture, r *recorder) {
	t.Helper()
	reading := c.cfg.Interval + c.cfg.Poll
	time.Sleep(4 * reading)
	for deadline := time.Now().Add(patience); c.lookups.entries.Load() > 0; time.Sleep(reading) {
		if time.Now().After(deadline) {
			t.Fatalf("%d lookups wait", c.lookups.entries.Load())
		}
	}
	time.Sleep(2 * reading)
}

func TestLookupsAreWhatTheResolverLogged(t *testing.T) {
	c, r, server, client := resolvers(t)
	dns := resolve(t, server)
	v4, v6 := "@"+server.V4.String(), "@"+server.V6.String()
	for _, tc := range []struct {
		args   []string
		status uint16
		name   string
		typ    uint16
		addrs  string
		cnames uint16
		ttl    uint32
		said   string // by dig
	}{
		{args: []string{v4, "a.test", "A"}, name: "a.test", typ: 1, addrs: "[10.1.2.3]", ttl: 61, said: "10.1.2.3"},
		{args: []string{v6, "a.test", "AAAA"}, name: "a.test", typ: 28, addrs: "[fd00::3]", ttl: 61, said: "fd00::3"},
		{args: []string{v4, "+noedns", "c1.test", "A"}, name: "c1.test", typ: 1, addrs: "[10.1.2.3]", cnames: 2, ttl: 60, said: "c2.test"},
		{args: []string{v4, "A.TesT", "A"}, name: "a.test", typ: 1, addrs: "[10.1.2.3]", ttl: 61, said: "10.1.2.3"},
		{args: []string{v4, "none.test", "A"}, status: 3, name: "none.test", typ: 1, addrs: "[]", said: "NXDOMAIN"},
		{args: []string{v6, "a.test", "MX"}, name: "a.test", typ: 15, addrs: "[]", said: "NOERROR"},
		{args: []string{v4, "txt.test", "TXT"}, name: "txt.test", typ: 16, addrs: "[]", said: "hello"},
		{args: []string{v4, "example.org", "A"}, status: 5, name: "example.org", typ: 1, addrs: "[]", said: "REFUSED"},
		{args: []string{v4, `b\.c\007d.many.test`, "A"}, name: `b\.c\007d.many.test`, typ: 1, addrs: "[10.0.0.1]", said: "10.0.0.1"},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			before := len(r.all(lookups(client.CgroupID)))
			said := dig(t, client, tc.args...)
			if !strings.Contains(said, tc.said) {
				t.Fatalf("dig said %s", said)
			}
			x := r.wait(t, "lookup", before+1, lookups(client.CgroupID))[before].Exchange
			got := fmt.Sprint(x.DNS.Addrs)
			if x.Status != tc.status || x.DNS.Name != tc.name || x.DNS.Type != tc.typ || got != tc.addrs || x.DNS.CNAMEs != tc.cnames ||
				x.DNS.TTL != tc.ttl || int(x.DNS.Addresses) != len(x.DNS.Addrs) {
				t.Errorf("got %+v of %+v, want %+v", x.DNS, x, tc)
			}
			if x.Role != flow.RoleClient || x.Peer != server.CgroupID || x.Transport != flow.UDP || x.Port != 53 || x.RemotePort != 53 ||
				"@"+x.Remote.String() != tc.args[0] || uint64(x.NetNS) != client.NetNS || x.Comm.String() != "dig" || x.PID == 0 {
				t.Errorf("ends: %+v", x)
			}
			if size := fmt.Sprintf("MSG SIZE  rcvd: %d\n", x.ResponseBytes); !strings.Contains(said, size) ||
				x.Latency <= 0 || x.Latency > int64(time.Second) || x.RequestBytes < 17 || x.RequestBytes > 60 {
				t.Errorf("measures: %+v", x)
			}
			if since := time.Since(time.Unix(0, x.Start)); since < 0 || since > patience {
				t.Errorf("it began %v ago", since)
			}
		})
	}
	settle(t, c, r)
	if got, want := names(r.all(lookups(client.CgroupID))), dns.queries(client.V4); len(got) != 9 || len(got) != len(want)+len(dns.queries(client.V6)) {
		t.Errorf("weir told of %q, dnsmasq logged %q and %q", got, want, dns.queries(client.V6))
	}
	if got := tallied(r, client.CgroupID); got[0] != 7 || got[3] != 1 || got[5] != 1 {
		t.Errorf("tallies %v", got)
	}
	// The resolver's end of these is the client's.
	if got := tallied(r, server.CgroupID); len(got) > 0 {
		t.Errorf("the resolver's tallies: %v", got)
	}
}
