package enforce

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/internal/disk"
)

// Tally is how often a policy denied something, or would have.
type Tally struct {
	Rule      string    `json:"rule,omitempty"` // in words; empty where no rule allows it
	Direction string    `json:"direction"`
	Workload  string    `json:"workload"` // whose policy it is
	Peer      string    `json:"peer"`
	Protocol  string    `json:"protocol"`
	Port      uint16    `json:"port"`
	Denied    bool      `json:"denied"` // else audited
	Count     uint64    `json:"count"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
}

type tallyKey struct {
	rule, direction, workload, peer, protocol string
	port                                      uint16
	denied                                    bool
}

func (t *Tally) key() tallyKey {
	return tallyKey{t.Rule, t.Direction, t.Workload, t.Peer, t.Protocol, t.Port, t.Denied}
}

// account is one policy's tallies since it came into its mode.
type account struct {
	since   time.Time
	tallies map[tallyKey]*Tally
	rest    [2]uint64 // audited and denied ones that there was no room for
}

// tallies are those of all policies, by name.
type tallies struct {
	accounts map[string]*account
	dirty    bool
}

const maxTallies = 512 // of one policy

func (t *tallies) add(j *flow.Judged, workload, peer string, now time.Time) {
	one := Tally{
		Rule: j.Rule, Direction: "egress", Workload: workload, Peer: peer, Protocol: j.Protocol.String(), Port: j.Port,
		Denied: j.Denied, Count: j.Count, First: now.UTC(), Last: now.UTC(),
	}
	if j.Ingress {
		one.Direction = "ingress"
	}
	for _, by := range j.By {
		a := t.accounts[by.String()]
		if a == nil {
			continue // it is gone
		}
		t.dirty = true
		if known := a.tallies[one.key()]; known != nil {
			known.Count += one.Count
			known.Last = one.Last
			continue
		}
		if len(a.tallies) >= maxTallies {
			if j.Denied {
				a.rest[1] += j.Count
			} else {
				a.rest[0] += j.Count
			}
			continue
		}
		c := one
		a.tallies[c.key()] = &c
	}
}

// keep leaves the accounts of these policies, and begins anew where one changed.
func (t *tallies) keep(policies []Stored) {
	accounts := make(map[string]*account, len(policies))
	for _, p := range policies {
		a := t.accounts[p.Name]
		if a == nil || !a.since.Equal(p.Since) {
			a = &account{since: p.Since, tallies: map[tallyKey]*Tally{}}
		}
		accounts[p.Name] = a
	}
	t.accounts, t.dirty = accounts, true
}

// of gives a policy's tallies, the most frequent first, and sums.
func (t *tallies) of(name string) (out []Tally, audited, denied uint64) {
	a := t.accounts[name]
	if a == nil {
		return nil, 0, 0
	}
	audited, denied = a.rest[0], a.rest[1]
	for _, one := range a.tallies {
		out = append(out, *one)
		if one.Denied {
			denied += one.Count
		} else {
			audited += one.Count
		}
	}
	slices.SortFunc(out, func(a, b Tally) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Workload, b.Workload), cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.Port, b.Port))
	})
	return out, audited, denied
}

// String is "shop/web → 10.0.0.5:3306/TCP, 12 times: deny everyone else to …".
func (t *Tally) String() string {
	from, to := t.Workload, t.Peer
	if t.Direction == "ingress" {
		from, to = to, from
	}
	rule := t.Rule
	if rule == "" {
		rule = "no rule allows it"
	}
	return fmt.Sprintf("%s → %s port %d/%s, %d times: %s", from, to, t.Port, t.Protocol, t.Count, rule)
}

// savedAccount is an account on disk.
type savedAccount struct {
	Name    string    `json:"name"`
	Since   time.Time `json:"since"`
	Tallies []Tally   `json:"tallies"`
	Rest    [2]uint64 `json:"rest"`
}

func (t *tallies) encode() (data []byte, changed bool) {
	if !t.dirty {
		return nil, false
	}
	t.dirty = false
	var out []savedAccount
	for name, a := range t.accounts {
		s := savedAccount{Name: name, Since: a.since, Rest: a.rest}
		s.Tallies, _, _ = t.of(name)
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b savedAccount) int { return cmp.Compare(a.Name, b.Name) })
	data, err := json.Marshal(out)
	return data, err == nil
}

func (s *store) tallyPath() string { return filepath.Join(s.dir, "verdicts.json") }

func (s *store) writeTallies(data []byte) error { return disk.Replace(s.tallyPath(), data) }

// readTallies reads what was counted. It is no reason not to enforce: what cannot
// be read is said, and counted anew.
func (s *store) readTallies(log *slog.Logger) *tallies {
	t := &tallies{accounts: map[string]*account{}}
	data, err := readBounded(s.tallyPath(), maxState)
	var saved []savedAccount
	if err == nil {
		err = json.Unmarshal(data, &saved)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			log.Warn("counts of verdicts begin anew", "error", err)
		}
		return t
	}
	for _, one := range saved[:min(len(saved), maxPolicies)] {
		a := &account{since: one.Since, tallies: map[tallyKey]*Tally{}, rest: one.Rest}
		for _, c := range one.Tallies[:min(len(one.Tallies), maxTallies)] {
			a.tallies[c.key()] = &c
		}
		t.accounts[one.Name] = a
	}
	return t
}
