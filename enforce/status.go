package enforce

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed79351815/weir/enforce/policy"
)

// Status is what is enforced and audited at one moment. Its JSON is what `weir
// policy status -o json` prints: names are never changed.
type Status struct {
	Revision  uint64     `json:"revision"`
	Changed   *time.Time `json:"changed,omitempty"` // when that revision was made
	Change    string     `json:"change,omitempty"`
	Attached  bool       `json:"attached"`            // programs are at work
	Foreign   bool       `json:"foreign,omitempty"`   // they are, by policies that are not kept here
	Failure   string     `json:"failure,omitempty"`   // why the policies do not hold as they should
	SetAside  *SetAside  `json:"set_aside,omitempty"` // a damaged account of policies
	Workloads int        `json:"workloads"`           // that rules were compiled for
	Policies  []Entry    `json:"policies"`
	Devices   int        `json:"devices"`                // network devices where frames are judged
	Uncovered []string   `json:"uncovered,omitempty"`    // where they are not, and why
	Late      []string   `json:"late_devices,omitempty"` // of workloads, where frames are judged only some time after the device came
	Cables    int        `json:"cables"`                 // of containers, where they are judged at the host's end too
	Early     uint64     `json:"early_frames"`           // frames that new cables had carried before they were covered, at most
	CoverMS   float64    `json:"cover_ms"`               // the longest that new devices waited for their programs
	Lost      uint64     `json:"lost"`                   // verdicts that the kernel had no room for
	Homeless  uint64     `json:"homeless,omitempty"`     // cgroups that it had no room for, ever
	Shut      bool       `json:"shut,omitempty"`         // for that nothing passes of cgroups without a place
}

// Entry is one policy.
type Entry struct {
	Stored
	Selected []string `json:"selected"` // workloads
	Audited  uint64   `json:"audited"`  // attempts that it would deny, in this mode
	Denied   uint64   `json:"denied"`
	Tallies  []Tally  `json:"tallies,omitempty"` // the most frequent
}

const maxShown = 20 // tallies of a policy in a status

// Status never waits for the kernel longer than it takes to read its verdicts.
func (m *Manager) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.collect()
	r := m.state.current()
	s := Status{Revision: r.Number, Change: r.Change, Lost: m.lost, Policies: []Entry{}}
	if !r.Time.IsZero() {
		t := r.Time
		s.Changed = &t
	}
	s.Attached = m.applied != nil || m.cfg.Pinned()
	s.Devices, s.Uncovered = m.devices.Devices, m.devices.Uncovered
	s.Late = m.late()
	s.Homeless, s.Shut = m.tables.Homeless, m.tables.Shut
	s.Cables, s.Early, s.CoverMS = m.devices.Cables, m.devices.Early, float64(m.lag.Microseconds())/1000
	s.Foreign = s.Attached && len(r.Policies) == 0
	if m.failure != nil {
		s.Failure = m.failure.Error()
	}
	s.SetAside = m.store.aside()
	if m.applied != nil {
		s.Workloads = len(m.applied.workloads)
	}
	for _, p := range r.Policies {
		e := Entry{Stored: p, Selected: m.selected(p)}
		e.Tallies, e.Audited, e.Denied = m.tallies.of(p.Name)
		e.Tallies = e.Tallies[:min(len(e.Tallies), maxShown)]
		s.Policies = append(s.Policies, e)
	}
	return s
}

// late names the devices that come late: "container web: macvlan eth0".
func (m *Manager) late() (out []string) {
	for _, d := range m.devices.Late {
		whose := "some process"
		if m.applied != nil {
			var names []string
			for i := range m.applied.workloads {
				if w := &m.applied.workloads[i]; slices.Contains(d.Cgroups, w.Cgroup) {
					names = append(names, w.String())
				}
			}
			if slices.Sort(names); len(names) > 0 {
				whose = strings.Join(slices.Compact(names), ", ")
			}
		}
		out = append(out, fmt.Sprintf("%s: %s %s", whose, d.Kind, d.Name))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// selected names the workloads whose rules a policy makes.
func (m *Manager) selected(p Stored) []string {
	out := []string{}
	if m.applied == nil {
		return out
	}
	at := slices.IndexFunc(m.applied.policies, func(o *policy.Policy) bool { return o.String() == p.Name })
	if at < 0 {
		return out
	}
	for i := range m.applied.workloads {
		w := &m.applied.workloads[i]
		if policy.Selects(m.applied.policies[at], w) {
			out = append(out, w.String())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Text gives the text that a policy is in, as it was given.
func (m *Manager) Text(name string) (Stored, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, err := find(m.state.current().Policies, name)
	if err != nil {
		return Stored{}, nil, err
	}
	p := m.state.current().Policies[at]
	text, err := m.store.source(p.Source)
	return p, text, err
}

// Policies gives the policies that hold, each in its mode. They are not to be
// changed.
func (m *Manager) Policies() ([]*policy.Policy, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.policies(m.state.current().Policies)
}

// Known gives the workloads of this moment as policies see them.
func (m *Manager) Known() []policy.Workload {
	live, _ := m.cfg.Workloads.Roster()
	out := make([]policy.Workload, 0, len(live))
	for _, w := range live {
		out = append(out, policy.FromFlow(w))
	}
	return out
}

// Explain says what becomes of a connection, by the policies that hold.
func (m *Manager) Explain(q policy.Question) (policy.Explanation, error) {
	policies, err := m.Policies()
	if err != nil {
		return policy.Explanation{}, err
	}
	return policy.Explain(policies, m.Known(), q)
}

// History gives the revisions that are remembered, the newest first.
func (m *Manager) History() []Revision {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := slices.Clone(m.state.History)
	slices.Reverse(out)
	return out
}
