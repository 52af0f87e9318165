package enforcer

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

func TestMain(m *testing.M) { lab.Main(m) }

// town is a lab of hosts with an enforcer over them.
type town struct {
	t     testing.TB
	lab   *lab.Lab
	hosts map[string]*lab.Host
	with  Config // what is not the same for all tests
	*Enforcer
}

func pinDir(t testing.TB) string {
	return filepath.Join("/sys/fs/bpf", fmt.Sprintf("weir-test-%d", os.Getpid()), filepath.Base(t.Name()))
}

// removeStale takes out what tests that were killed left at work.
func removeStale(t testing.TB) {
	dirs, _ := filepath.Glob("/sys/fs/bpf/weir-test-*")
	for _, dir := range dirs {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), "weir-test-"))
		if err != nil || syscall.Kill(pid, 0) == nil {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}
}

func newTown(t testing.TB, hosts ...string) *town { return newTownWith(t, Config{}, hosts...) }

func newTownWith(t testing.TB, with Config, hosts ...string) *town {
	lab.RequireRoot(t)
	removeStale(t)
	w := &town{t: t, lab: lab.New(t), hosts: map[string]*lab.Host{}, with: with}
	for _, name := range hosts {
		w.hosts[name] = w.lab.Host(name)
	}
	w.open()
	t.Cleanup(func() {
		w.Close()
		if err := Remove(pinDir(t)); err != nil {
			t.Error(err)
		}
		os.Remove(pinDir(t))
		os.Remove(filepath.Dir(pinDir(t)))
	})
	return w
}

func (w *town) open() {
	w.t.Helper()
	cfg := w.with
	cfg.CgroupRoot, cfg.PinDir = lab.CgroupRoot(w.t), pinDir(w.t)
	e, err := Open(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Enforcer = e
}

// identity of a host of the town.
func (w *town) identity(name string) policy.Identity {
	return policy.FirstIdentity + policy.Identity(w.hosts[name].CgroupID&0xffff)
}

// plan has every host with its addresses; sets[""] is everyone's, the others are
// those of the hosts with that name.
func (w *town) plan(sets map[string]policy.Set) *kernel.Plan {
	t := &policy.Tables{
		Workloads: map[uint64]policy.WorkloadEntry{},
		Sets:      []policy.Set{sets[""]},
		Prefixes:  map[netip.Prefix]policy.Identity{},
		Rules:     []policy.Rule{{Policy: "first"}, {Policy: "second"}},
	}
	p := &kernel.Plan{Tables: t, OwnNetwork: map[uint64]bool{}}
	for name, h := range w.hosts {
		entry := policy.WorkloadEntry{Identity: w.identity(name)}
		if s, ok := sets[name]; ok {
			entry.Set = len(t.Sets)
			t.Sets = append(t.Sets, s)
		}
		t.Workloads[h.CgroupID] = entry
		p.OwnNetwork[h.CgroupID] = true
	}
	for name, h := range w.hosts {
		// An address that is shared is whose it was first.
		for owner, o := range w.hosts {
			if o.V4 == h.V4 && o.CgroupID < w.hosts[name].CgroupID {
				name = owner
			}
		}
		t.Prefixes[netip.PrefixFrom(h.V4, 32)] = w.identity(name)
		t.Prefixes[netip.PrefixFrom(h.V6, 128)] = w.identity(name)
	}
	return p
}

func (w *town) apply(sets map[string]policy.Set) kernel.Report {
	w.t.Helper()
	r, err := w.Apply(w.plan(sets))
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

const (
	tcp    = 6
	udp    = 17
	icmp   = 1
	icmpv6 = 58
)

// both is an entry that audit and enforcement agree on.
func both(d policy.Direction, peer policy.Identity, protocol uint8, port uint16, v policy.Verdict) policy.Entry {
	e := policy.Entry{Direction: d, Peer: peer, Protocol: protocol, Port: port}
	if port != 0 {
		e.PortBits = 16
	}
	e.Enforced, e.Audited = policy.Decision{Verdict: v, Rule: 1}, policy.Decision{Verdict: v, Rule: 1}
	return e
}

var enforced = policy.Posture{Enforce: true, Audit: true}

// reach tells what became of one attempt of a client: "" is that it got through.
func (w *town) reach(from string, spec role.Spec) string {
	w.t.Helper()
	if spec.Timeout == 0 {
		spec.Timeout = 700e6
	}
	r := w.hosts[from].Account(spec)
	for reason := range r.Failed {
		return reason
	}
	return ""
}

// verdicts are what was told since the last call, by host and direction.
func (w *town) verdicts() map[string]*kernel.Verdict {
	w.t.Helper()
	told := map[string]*kernel.Verdict{}
	if _, err := w.Verdicts(func(v *kernel.Verdict) {
		name := fmt.Sprint(v.Cgroup)
		for n, h := range w.hosts {
			if h.CgroupID == v.Cgroup {
				name = n
			}
		}
		told[fmt.Sprintf("%s %s", name, v.Direction)] = v
	}); err != nil {
		w.t.Fatal(err)
	}
	return told
}
