package enforce

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// fakeKernel holds the last plan that it was given. It outlives managers, as the
// kernel does.
type fakeKernel struct {
	plan     *kernel.Plan
	applies  int
	beats    int
	verdicts []kernel.Verdict
	refuse   error
	half     error // what Apply says after it has taken a plan
	opened   bool
	nameless bool // it holds no rules of names
	tables   kernel.Tables
	looks    int // at devices
	late     []kernel.LateDevice
	old      int   // plans that left something
	untidy   error // why that stays
	tries    int   // to take it out
}

func (k *fakeKernel) open() (Kernel, error) { k.opened = true; return k, nil }

func (k *fakeKernel) Apply(p *kernel.Plan) (kernel.Report, error) {
	if k.refuse != nil {
		return kernel.Report{}, k.refuse
	}
	if k.plan != nil {
		k.old++
	}
	k.plan = p
	k.applies++
	return kernel.Report{Workloads: len(p.Tables.Workloads)}, k.half
}

func (k *fakeKernel) Alive() { k.beats++ }

func (k *fakeKernel) Verdicts(fn func(*kernel.Verdict)) (uint64, error) {
	for i := range k.verdicts {
		fn(&k.verdicts[i])
	}
	k.verdicts = nil
	return 0, nil
}

func (k *fakeKernel) EnforcesNames() bool { return !k.nameless }

func (k *fakeKernel) NameLosses() (map[string]uint64, error) {
	return map[string]uint64{"full": 2, "none": 0}, nil
}

func (k *fakeKernel) Tables() (kernel.Tables, error) { return k.tables, nil }

func (k *fakeKernel) Devices() (kernel.Devices, error) {
	k.looks++
	return kernel.Devices{Namespaces: 1, Devices: 2, Cables: 3, Early: 4, Uncovered: []string{"ppp0"}, Late: k.late}, nil
}

func (k *fakeKernel) Tidy() error {
	k.tries++
	if k.untidy != nil {
		return k.untidy
	}
	k.old = 0
	return nil
}

func (k *fakeKernel) Off() error   { k.plan = nil; return nil }
func (k *fakeKernel) Close() error { k.opened = false; return nil }

// fakeHost is a host's workloads.
type fakeHost struct {
	live, coming []*flow.Workload
	unsettled    bool
	changes      chan struct{}
}

func (h *fakeHost) Roster() (live, coming []*flow.Workload) { return h.live, h.coming }
func (h *fakeHost) Settled() bool                           { return !h.unsettled }
func (h *fakeHost) OwnNetwork(w *flow.Workload) bool        { return w.Container != "" }
func (h *fakeHost) Workload(cgroup uint64) *flow.Workload {
	for _, w := range h.live {
		if w.CgroupID == cgroup {
			return w
		}
	}
	return &flow.Workload{CgroupID: cgroup, Name: "unknown"}
}

func (h *fakeHost) changed() {
	select {
	case h.changes <- struct{}{}:
	default:
	}
}

func containerNamed(cgroup uint64, name string, addr string) *flow.Workload {
	w := &flow.Workload{CgroupID: cgroup, Name: name, Runtime: flow.RuntimeDocker, Container: strings.Repeat(name[:1], 64),
		Labels: []flow.Label{{Source: "container", Key: "app", Value: name}}}
	if addr != "" {
		w.Addrs = []netip.Addr{netip.MustParseAddr(addr)}
	}
	return w
}

const webPolicy = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: web}
spec:
  endpointSelector: {matchLabels: {app: web}}
  egress:
    - toEndpoints: [{matchLabels: {app: db}}]
      toPorts: [{ports: [{port: "3306", protocol: TCP}]}]
`

// world is a manager on a host of its own.
type world struct {
	t      *testing.T
	dir    string
	kernel *fakeKernel
	host   *fakeHost
	told   []flow.Event
	ended  []Connection
	flows  []flow.Record
	links  chan time.Time
	*Manager
	stop func()
}

func newWorld(t *testing.T) *world {
	return &world{t: t, dir: t.TempDir(), kernel: &fakeKernel{}, links: make(chan time.Time, 1), host: &fakeHost{changes: make(chan struct{}, 1), live: []*flow.Workload{
		containerNamed(10, "web", "172.17.0.2"), containerNamed(11, "db", "172.17.0.3"),
	}}}
}

// start runs a manager in the place of one that ended.
func (w *world) start() {
	w.t.Helper()
	m, err := New(Config{
		Dir: w.dir, Open: w.kernel.open, Pinned: func() bool { return w.kernel.plan != nil }, Workloads: w.host, Changes: w.host.changes, Links: w.links,
		Living: func(yield func(*flow.Record) bool) {
			for i := range w.flows {
				if !yield(&w.flows[i]) {
					return
				}
			}
		},
		Sever:  func(c []Connection) []error { w.ended = append(w.ended, c...); return nil },
		Tell:   func(e []flow.Event) { w.told = append(w.told, e...) },
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Manager = m
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
	<-m.Started()
}

func (w *world) audit(text string) Applied {
	w.t.Helper()
	done, err := w.Audit([]Text{{"web.yaml", []byte(text)}})
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

func (w *world) mode(name string) policy.Mode {
	p, err := Find(w.Manager.state.current().Policies, name)
	if err != nil {
		return ""
	}
	return p.Mode
}

// denies asks the plan in the kernel.
func (w *world) denies() policy.Result {
	return w.kernel.plan.Tables.Decide(policy.Query{Workload: 10, Direction: policy.Egress, Addr: netip.MustParseAddr("192.0.2.1"), Protocol: 6, Port: 80}).Result
}

func TestFromAuditToEnforceAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		if w.kernel.opened {
			t.Error("without policies the kernel was opened")
		}
		w.audit(webPolicy)
		if w.denies() != policy.Audited || !w.kernel.plan.Hold || !w.kernel.plan.OwnNetwork[10] {
			t.Errorf("audit: %v, %+v", w.denies(), w.kernel.plan)
		}
		w.kernel.verdicts = []kernel.Verdict{{Cgroup: 10, Peer: netip.MustParseAddrPort("192.0.2.1:80"), Port: 80, Protocol: 6, Direction: policy.Egress, Count: 3}}
		var denies *DeniesError
		if _, err := w.Enforce("web", 0, false); !errors.As(err, &denies) || denies.Count != 3 || !strings.Contains(err.Error(), "--force") {
			t.Fatalf("enforced against what audit saw: %v", err)
		}
		if len(w.told) != 1 || w.told[0].Judged.Denied || w.told[0].Judged.By[0].Name != "web" {
			t.Fatalf("told %+v", w.told)
		}
		if _, err := w.Enforce("web", 10*time.Minute, true); err != nil {
			t.Fatal(err)
		}
		if w.denies() != policy.Denied {
			t.Errorf("enforced: %v", w.denies())
		}
		time.Sleep(9 * time.Minute)
		if w.mode("web") != policy.ModeEnforce || w.kernel.beats < 500 {
			t.Errorf("before its time: %v, %d heartbeats", w.mode("web"), w.kernel.beats)
		}
		time.Sleep(2 * time.Minute)
		if w.mode("web") != policy.ModeAudit || w.denies() != policy.Audited {
			t.Errorf("after its time: %v, %v", w.mode("web"), w.denies())
		}
		w.stop()
	})
}

// What held goes on while no manager runs; the next one takes it over, and a time
// limit that passed meanwhile has passed.
func TestAnotherManagerTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.audit(webPolicy)
		if _, err := w.Enforce("web", time.Hour, false); err != nil {
			t.Fatal(err)
		}
		w.stop()
		if w.denies() != policy.Denied {
			t.Fatal("the end of a manager ended enforcement")
		}
		w.start()
		if w.denies() != policy.Denied || w.mode("web") != policy.ModeEnforce {
			t.Error("another manager does not enforce")
		}
		w.stop()
		time.Sleep(2 * time.Hour)
		w.start()
		if w.denies() != policy.Audited {
			t.Error("a time limit that passed while no manager ran does not count")
		}
		w.stop()
	})
}

func TestRollbackGoesBackStepByStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		defer w.stop()
		w.audit(webPolicy)
		if _, err := w.Enforce("web", 0, false); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Off(""); err != nil || w.kernel.plan != nil || w.kernel.opened {
			t.Fatalf("off: %v, %v", err, w.kernel.plan)
		}
		for i, want := range []policy.Mode{policy.ModeEnforce, policy.ModeAudit, ""} {
			if _, err := w.Rollback(""); err != nil || w.mode("web") != want {
				t.Fatalf("rollback %d: mode %q, want %q: %v", i, w.mode("web"), want, err)
			}
		}
		if _, err := w.Rollback(""); !errors.Is(err, ErrNothingBefore) {
			t.Errorf("beyond the beginning: %v", err)
		}
		if w.kernel.plan != nil {
			t.Error("something is left in the kernel")
		}
	})
}

// What the kernel refuses changes nothing, now or after a restart.
func TestRefusedPlanChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.audit(webPolicy)
		w.kernel.refuse = errors.New("no room")
		if _, err := w.Enforce("web", 0, false); err == nil {
			t.Error("a refusal is no error")
		}
		if w.mode("web") != policy.ModeAudit || w.denies() != policy.Audited {
			t.Errorf("after a refusal: %v", w.mode("web"))
		}
		w.kernel.refuse = nil
		w.stop()
		w.start()
		if w.mode("web") != policy.ModeAudit {
			t.Error("the next manager has what was refused")
		}
		w.stop()
	})
}

// Workloads that come and go are in the next plan; a container is there before it
// has a cgroup, and one without a name is not.
func TestPlansFollowTheRoster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		defer w.stop()
		w.audit(webPolicy)
		before := w.kernel.applies
		w.host.changed()
		time.Sleep(time.Second)
		if w.kernel.applies != before {
			t.Error("a change of nothing was applied")
		}
		late := containerNamed(0, "web", "")
		late.Container = strings.Repeat("e", 64)
		w.host.coming = []*flow.Workload{late}
		pending := containerNamed(12, "pending", "")
		pending.Pending = true
		w.host.live = append(w.host.live, pending)
		w.host.changed()
		time.Sleep(time.Second)
		key, ok := w.kernel.plan.Containers[late.Container]
		if !ok || w.kernel.plan.Tables.Workloads[key].Set != w.kernel.plan.Tables.Workloads[10].Set {
			t.Errorf("a container that is to come has no rules: %+v", w.kernel.plan)
		}
		if _, ok := w.kernel.plan.Tables.Workloads[12]; ok {
			t.Error("a container without a name has rules")
		}
		w.host.live = w.host.live[:1]
		w.host.changed()
		time.Sleep(time.Second)
		if _, ok := w.kernel.plan.Tables.Workloads[11]; ok {
			t.Error("a workload that is gone is in the plan")
		}
	})
}

// The first plan waits for names, but not for ever; until then what was held holds.
func TestFirstPlanWaitsForNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.audit(webPolicy)
		w.stop()
		applies := w.kernel.applies
		w.host.unsettled = true
		begun := time.Now()
		w.start()
		if took := time.Since(begun); took != settle {
			t.Errorf("the first plan came after %s, want %s", took, settle)
		}
		if w.kernel.applies != applies+1 {
			t.Errorf("%d plans were applied", w.kernel.applies-applies)
		}
		w.stop()
	})
}

func TestConnectionsThatAreNoLongerAllowedEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		defer w.stop()
		client := func(to string, cookie uint64) flow.Record {
			return flow.Record{Flow: flow.Flow{Protocol: flow.TCP,
				Client: flow.Endpoint{Addr: netip.MustParseAddrPort("172.17.0.2:4000"), Workload: w.host.live[0], Seen: true, Cookie: cookie},
				Server: flow.Endpoint{Addr: netip.MustParseAddrPort(to)}}}
		}
		w.flows = []flow.Record{client("192.0.2.1:80", 1), client("172.17.0.3:3306", 2), client("127.0.0.1:80", 3)}
		w.audit(webPolicy)
		if len(w.ended) != 0 {
			t.Errorf("audit ended %+v", w.ended)
		}
		done, err := w.Enforce("web", 0, false)
		if err != nil || done.Ended != 1 || len(w.ended) != 1 || w.ended[0].Cookie != 1 {
			t.Errorf("ended %+v, %+v, %v", done, w.ended, err)
		}
		if n := len(w.told); n != 1 || !w.told[0].Judged.Ended || w.told[0].Judged.By[0].Mode != "enforce" {
			t.Errorf("told %+v", w.told)
		}
	})
}

const namePolicy = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: names}
spec:
  endpointSelector: {matchLabels: {app: web}}
  egress:
    - toFQDNs: [{matchName: example.org}]
`

// A kernel's side without names refuses to enforce them, and audits with a warning.
func TestNamesWantAKernelThatHasThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.kernel.nameless = true
		w.start()
		defer w.stop()
		if done := w.audit(namePolicy); len(done.Warnings) == 0 || !strings.Contains(done.Warnings[0], "toFQDNs") {
			t.Errorf("audited without a warning: %+v", done)
		}
		if _, err := w.Enforce("names", 0, false); err == nil || !strings.Contains(err.Error(), "toFQDNs") {
			t.Errorf("enforced: %v", err)
		}
		w.kernel.nameless = false
		if _, err := w.Enforce("names", 0, false); err != nil {
			t.Error(err)
		}
		// Which names an address has is not known here: what a name may open is left alone.
		w.flows = []flow.Record{{Flow: flow.Flow{Protocol: flow.TCP,
			Client: flow.Endpoint{Addr: netip.MustParseAddrPort("172.17.0.2:4000"), Workload: w.host.live[0], Seen: true, Cookie: 1},
			Server: flow.Endpoint{Addr: netip.MustParseAddrPort("192.0.2.1:80")}}}}
		w.audit(webPolicy)
		if _, err := w.Enforce("web", 0, false); err != nil || len(w.ended) != 0 {
			t.Errorf("ended %+v, %v", w.ended, err)
		}
	})
}

func TestStatusTellsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.kernel.plan = &kernel.Plan{} // another daemon's
		w.start()
		defer w.stop()
		if s := w.Status(); !s.Foreign || !s.Attached {
			t.Errorf("what another daemon left: %+v", s)
		}
		w.audit(webPolicy)
		time.Sleep(2 * time.Second)
		s := w.Status()
		if s.Foreign || s.Workloads != 2 || s.Devices != 2 || len(s.Uncovered) != 1 || len(s.Policies) != 1 || len(s.Policies[0].Selected) != 1 || s.Policies[0].Selected[0] != "web" {
			t.Errorf("status %+v", s)
		}
		if lost := w.Lost(); lost[flow.Loss{Stage: "names", Reason: "full"}] != 2 || len(lost) != 1 {
			t.Errorf("lost %v", lost)
		}
		if p, text, err := w.Text("web"); err != nil || string(text) != webPolicy || p.File != "web.yaml" {
			t.Errorf("text of %+v: %q, %v", p, text, err)
		}
		e, err := w.Explain(policy.Question{From: "web", To: "192.0.2.1", Protocol: policy.ProtoTCP, Port: 80})
		if err != nil || e.Result != policy.Audited {
			t.Errorf("explained: %+v, %v", e, err)
		}
		if h := w.History(); len(h) != 1 || h[0].Change != "audit web" {
			t.Errorf("history %+v", h)
		}
	})
}
