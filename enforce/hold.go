package enforce

import (
	"errors"
	"fmt"

	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// Applied says what a change came to.
type Applied struct {
	Revision uint64        `json:"revision"`
	Changed  []string      `json:"changed"` // policies
	Warnings []string      `json:"warnings,omitempty"`
	Report   kernel.Report `json:"report"`
	Ended    int           `json:"ended"`            // connections that are no longer allowed
	Failed   []string      `json:"failed,omitempty"` // that could not be ended; nothing passes on them
}

// change makes a new state hold and keeps it. Where it cannot hold, the old one
// stays. The caller has the lock.
func (m *Manager) change(next *state) (Applied, error) {
	before := m.state
	if err := m.store.save(next); err != nil {
		return Applied{}, err
	}
	done, err := m.hold(next, true)
	if err != nil {
		m.nudge()
		return Applied{}, errors.Join(err, m.store.save(before))
	}
	m.state, m.failure = next, nil
	m.tallies.keep(next.current().Policies)
	done.Revision = next.current().Number
	return done, nil
}

// hold makes the kernel hold a state's policies.
func (m *Manager) hold(s *state, again bool) (Applied, error) {
	stored := s.current().Policies
	if len(stored) == 0 {
		return Applied{}, m.release()
	}
	policies, err := m.policies(stored)
	if err != nil {
		return Applied{}, err
	}
	foreign := m.kernel == nil && len(m.state.current().Policies) == 0 && m.cfg.Pinned()
	if m.kernel == nil {
		if m.kernel, err = m.cfg.Open(); err != nil {
			m.kernel = nil
			return Applied{}, err
		}
	}
	next, problems := m.plan(policies)
	if err := problems.Err(); err != nil {
		return Applied{}, err
	}
	done := Applied{Warnings: lines(problems)}
	if foreign {
		done.Warnings = append(done.Warnings, "what was enforced until now is not kept here, and these policies took its place")
	}
	if m.applied.same(next) {
		m.applied.policies = policies
		return done, nil
	}
	m.collect() // by the rules that spoke
	if done.Report, err = m.kernel.Apply(next.plan); err != nil {
		m.unsure() // it may have come half way
		return Applied{}, err
	}
	next.before = m.applied
	if next.before != nil {
		next.before.before = nil
	}
	m.applied = next
	m.cfg.Logger.Debug("policies applied", "workloads", done.Report.Workloads, "rules", done.Report.Rules, "took", done.Report.Took)
	if again {
		m.sever(next, &done)
	}
	return done, nil
}

// release takes everything out of the kernel: nobody has rules any more.
func (m *Manager) release() error {
	if m.kernel == nil {
		if !m.cfg.Pinned() {
			return nil
		}
		var err error
		if m.kernel, err = m.cfg.Open(); err != nil {
			m.kernel = nil
			return err
		}
	}
	m.collect()
	if err := m.kernel.Off(); err != nil {
		return fmt.Errorf("take policies out of the kernel: %w", err)
	}
	err := m.kernel.Close()
	m.kernel, m.applied = nil, nil
	return err
}

func lines(problems policy.Problems) (out []string) {
	for _, p := range problems {
		out = append(out, p.String())
	}
	return out
}
