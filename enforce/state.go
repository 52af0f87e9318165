package enforce

import (
	"slices"
	"time"

	"github.com/seed79351815/weir/enforce/policy"
)

// Stored is a policy as it is kept: where its text is, and what was decided about
// it. Its mode stands here alone; the one in its text does not count.
type Stored struct {
	Name   string      `json:"name"` // "namespace/name"
	Kind   policy.Kind `json:"kind"`
	Mode   policy.Mode `json:"mode"`
	Since  time.Time   `json:"since"`           // in this mode, with this text
	Until  *time.Time  `json:"until,omitempty"` // when it goes back to audit by itself
	File   string      `json:"file"`            // as it was called when it was given
	Source string      `json:"source"`          // digest of the text that it is in
}

// Revision is all policies as they were after one change.
type Revision struct {
	Number   uint64    `json:"number"`
	Time     time.Time `json:"time"`
	Change   string    `json:"change"` // what was done, in words
	Policies []Stored  `json:"policies"`
}

// state is everything that outlives the daemon but the texts.
type state struct {
	Version int        `json:"version"`
	History []Revision `json:"history"` // the last one holds
	// Forgotten says that there were revisions before those: else there was nothing.
	Forgotten bool `json:"forgotten,omitempty"`
}

const (
	stateVersion = 1
	maxHistory   = 100 // revisions
	maxPolicies  = 4096
)

func (s *state) current() *Revision {
	if len(s.History) == 0 {
		return &Revision{}
	}
	return &s.History[len(s.History)-1]
}

// next is the state after a change. s stays as it is.
func (s *state) next(now time.Time, change string, policies []Stored) *state {
	slices.SortFunc(policies, compareStored)
	history := append(slices.Clone(s.History), Revision{s.current().Number + 1, now.UTC(), change, policies})
	over := max(0, len(history)-maxHistory)
	return &state{stateVersion, history[over:], s.Forgotten || over > 0}
}

func compareStored(a, b Stored) int {
	switch {
	case a.Name < b.Name:
		return -1
	case a.Name > b.Name:
		return 1
	}
	return 0
}

// Find gives a policy by its name, or by its name without the namespace where only
// one has it. The error is an *UnknownError or an *AmbiguousError.
func Find(policies []Stored, name string) (Stored, error) {
	at, err := find(policies, name)
	if err != nil {
		return Stored{}, err
	}
	return policies[at], nil
}

func find(policies []Stored, name string) (int, error) {
	found := -1
	for i := range policies {
		full := policies[i].Name
		if full == name {
			return i, nil
		}
		if bare(full) == name {
			if found >= 0 {
				return -1, &AmbiguousError{name, policies[found].Name, full}
			}
			found = i
		}
	}
	if found < 0 {
		return -1, &UnknownError{name}
	}
	return found, nil
}

func bare(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '/' {
			return name[i+1:]
		}
	}
	return name
}

// expired are those whose time is over, put back into audit; nil where none is.
func (r *Revision) expired(now time.Time) (policies []Stored, names []string) {
	for i := range r.Policies {
		p := &r.Policies[i]
		if p.Until != nil && !now.Before(*p.Until) {
			names = append(names, p.Name)
		}
	}
	if names == nil {
		return nil, nil
	}
	policies = slices.Clone(r.Policies)
	for i := range policies {
		if p := &policies[i]; p.Until != nil && !now.Before(*p.Until) {
			p.Mode, p.Since, p.Until = policy.ModeAudit, now.UTC(), nil
		}
	}
	return policies, names
}
