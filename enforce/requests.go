package enforce

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seed79351815/weir/enforce/policy"
)

// Text is a file of policies as it was given.
type Text struct {
	Name string `json:"name"`
	Text []byte `json:"text"`
}

// Audit takes policies in, all of them in mode audit, or none. Those of the same
// name that are there are replaced: one that was enforced is audited from then on.
func (m *Manager) Audit(texts []Text) (Applied, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	policies := slices.Clone(m.state.current().Policies)
	var names []string
	for _, t := range texts {
		all, problems := policy.Parse(t.Name, t.Text)
		if err := problems.Err(); err != nil {
			return Applied{}, err
		}
		if len(all) == 0 {
			return Applied{}, fmt.Errorf("%s: no policy in it", t.Name)
		}
		source, err := m.store.keep(t.Text)
		if err != nil {
			return Applied{}, err
		}
		for _, p := range all {
			if slices.Contains(names, p.String()) {
				return Applied{}, fmt.Errorf("%s: policy %q is there twice", t.Name, p)
			}
			names = append(names, p.String())
			next := Stored{Name: p.String(), Kind: p.Kind, Mode: policy.ModeAudit, Since: m.cfg.Now().UTC(), File: filepath.Base(t.Name), Source: source}
			at := slices.IndexFunc(policies, func(s Stored) bool { return s.Name == next.Name })
			switch {
			case at < 0:
				policies = append(policies, next)
			case policies[at].Kind != next.Kind:
				return Applied{}, fmt.Errorf("%s: policy %q is a %s, and there is a %s of that name: take that one out first with `weir policy off %s`",
					t.Name, next.Name, next.Kind, policies[at].Kind, next.Name)
			case policies[at].Source == next.Source && policies[at].Mode == next.Mode:
				// It is as it was: what audit saw of it still counts.
			default:
				policies[at] = next
			}
		}
	}
	if len(policies) > maxPolicies {
		return Applied{}, fmt.Errorf("%d policies: there is room for %d", len(policies), maxPolicies)
	}
	done, err := m.change(m.state.next(m.cfg.Now(), "audit "+strings.Join(names, ", "), policies))
	done.Changed = names
	return done, err
}

// Enforce puts a policy into mode enforce, for a time or, where d is 0, for good.
// It is a *DeniesError where audit has seen what it would deny, unless forced.
func (m *Manager) Enforce(name string, d time.Duration, force bool) (Applied, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	policies := slices.Clone(m.state.current().Policies)
	at, err := find(m.state.current().Policies, name)
	if err != nil {
		return Applied{}, err
	}
	p := &policies[at]
	m.collect()
	if all, audited, _ := m.tallies.of(p.Name); p.Mode == policy.ModeAudit && audited > 0 && !force {
		const most = 10
		e := &DeniesError{Name: p.Name, Count: audited}
		for i := range all {
			if len(e.Lines) < most && !all[i].Denied {
				e.Lines = append(e.Lines, all[i].String())
			}
		}
		return Applied{}, e
	}
	now := m.cfg.Now().UTC()
	change := "enforce " + p.Name
	if p.Mode != policy.ModeEnforce {
		p.Mode, p.Since = policy.ModeEnforce, now
	}
	p.Until = nil
	if d > 0 {
		until := now.Add(d)
		p.Until = &until
		change += " for " + d.String()
	}
	done, err := m.change(m.state.next(m.cfg.Now(), change, policies))
	done.Changed = []string{p.Name}
	return done, err
}

// Rollback undoes: without a name the last change, with one that policy's last
// change. It is ErrNothingBefore where there is nothing to go back to.
func (m *Manager) Rollback(name string) (Applied, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if name != "" {
		return m.rollbackOne(name)
	}
	current := m.state.current()
	var before []Stored
	switch n := len(m.state.History); {
	case n > 1:
		before = m.state.History[n-2].Policies
	case m.state.Forgotten || len(current.Policies) == 0:
		return Applied{}, ErrNothingBefore
	}
	changed := differences(current.Policies, before)
	next := m.state.next(m.cfg.Now(), "roll back: "+current.Change, m.restored(before))
	// What is undone is gone: another rollback goes one further back.
	undone := next.History[:0:0]
	undone = append(undone, next.History[:max(0, len(next.History)-3)]...)
	next.History = append(undone, next.History[len(next.History)-1])
	done, err := m.change(next)
	done.Changed = changed
	return done, err
}

// restored are policies that hold again: what audit sees of them counts anew, and
// a time limit that has passed meanwhile has done so.
func (m *Manager) restored(before []Stored) []Stored {
	out := slices.Clone(before)
	for i := range out {
		p := &out[i]
		if at, err := find(m.state.current().Policies, p.Name); err == nil && m.state.current().Policies[at] == *p {
			continue
		}
		p.Since = m.cfg.Now().UTC()
	}
	if policies, names := (&Revision{Policies: out}).expired(m.cfg.Now()); names != nil {
		return policies
	}
	return out
}

func (m *Manager) rollbackOne(name string) (Applied, error) {
	current := m.state.current()
	policies := slices.Clone(current.Policies)
	at, err := find(current.Policies, name)
	var unknown *UnknownError
	if err != nil && !errors.As(err, &unknown) {
		return Applied{}, err
	}
	var now *Stored
	if at >= 0 {
		now = &current.Policies[at]
		name = now.Name
	}
	for i := len(m.state.History) - 2; i >= 0; i-- {
		old := &m.state.History[i]
		was, err := find(old.Policies, name)
		if now != nil && err == nil && old.Policies[was].Mode == now.Mode && old.Policies[was].Source == now.Source {
			continue
		}
		switch {
		case err == nil && now != nil:
			policies[at] = m.restored(old.Policies[was : was+1])[0]
		case err == nil:
			policies = append(policies, m.restored(old.Policies[was : was+1])[0])
		case now != nil:
			policies = slices.Delete(policies, at, at+1)
		default:
			continue
		}
		done, err := m.change(m.state.next(m.cfg.Now(), "roll back "+name, policies))
		done.Changed = []string{name}
		return done, err
	}
	switch {
	case now == nil:
		return Applied{}, err
	case m.state.Forgotten:
		return Applied{}, fmt.Errorf("policy %q: %w", name, ErrNothingBefore)
	}
	done, err := m.change(m.state.next(m.cfg.Now(), "roll back "+name, slices.Delete(policies, at, at+1)))
	done.Changed = []string{name}
	return done, err
}

// differences names what is not the same in two sets of policies.
func differences(a, b []Stored) (names []string) {
	in := map[string]Stored{}
	for _, p := range a {
		in[p.Name] = p
	}
	for _, p := range b {
		if o, ok := in[p.Name]; !ok || o.Mode != p.Mode || o.Source != p.Source || o.Until != p.Until {
			names = append(names, p.Name)
		}
		delete(in, p.Name)
	}
	for name := range in {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Off takes a policy out, or without a name all of them, and with the last one
// everything that weir has in the kernel for them. Rollback brings them back.
func (m *Manager) Off(name string) (Applied, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	current := m.state.current()
	if name == "" {
		if len(current.Policies) == 0 {
			return Applied{}, m.release() // what another daemon left
		}
		done, err := m.change(m.state.next(m.cfg.Now(), "off", nil))
		done.Changed = differences(current.Policies, nil)
		return done, err
	}
	at, err := find(current.Policies, name)
	if err != nil {
		return Applied{}, err
	}
	name = current.Policies[at].Name
	done, err := m.change(m.state.next(m.cfg.Now(), "off "+name, slices.Delete(slices.Clone(current.Policies), at, at+1)))
	done.Changed = []string{name}
	return done, err
}
