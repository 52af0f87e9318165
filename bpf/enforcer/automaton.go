package enforcer

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/seed79351815/weir/enforce/policy"
)

// characters are those of names, in the order of enforceNameState.Next.
const characters = "abcdefghijklmnopqrstuvwxyz0123456789-_."

// maxStates bounds the automaton: 25 MB of the kernel's memory.
const maxStates = 1 << 17

// position is how far a name has come in a pattern. While under is set it has
// met only labels that "**." stands for, and pattern begins behind that.
type position struct {
	name  int // of the names
	at    int // in the pattern's text
	under bool
}

// automaton is what all patterns of a plan come to, in the kernel's form: one
// state for each set of positions that some name leads to. What it accepts is
// what policy.Name.Matches says.
type automaton struct {
	names  []policy.Name
	texts  []string // the patterns, without "**."
	states []enforceNameState
	sets   [][]position // of each state
	known  map[string]uint32
}

// compileNames makes the automaton of the names. It is an error when there would be
// too many states, or when one name is matched by more patterns than the kernel
// keeps of an address.
func compileNames(names []policy.Name) ([]enforceNameState, error) {
	a := &automaton{names: names, states: make([]enforceNameState, 1), sets: make([][]position, 1), known: map[string]uint32{}}
	var first []position
	for i, n := range names {
		text, under := n.Pattern, false
		if strings.Trim(text, "*") == "" {
			text = strings.TrimRight(text, "*")
			under = true // any number of labels, and nothing behind them
		} else if stars, rest, ok := strings.Cut(text, "."); ok && len(stars) >= 2 && strings.Trim(stars, "*") == "" {
			text, under = rest, true
		}
		a.texts = append(a.texts, text)
		first = append(first, position{name: i, under: under})
	}
	if _, err := a.state(first); err != nil {
		return nil, err
	}
	for s := int(enforceNameBegin); s < len(a.states); s++ {
		if err := a.leave(s); err != nil {
			return nil, err
		}
		a.sets[s] = nil
	}
	return a.states, nil
}

// leave says where each character leads from a state: all those that no pattern
// has next lead to the same one.
func (a *automaton) leave(s int) error {
	set := a.sets[s]
	var distinct [256]bool
	distinct['.'] = true
	for _, p := range set {
		text := strings.TrimLeft(a.texts[p.name][p.at:], "*")
		if !p.under && text != "" {
			distinct[text[0]] = true
		}
	}
	var others uint32
	met := false
	for i := range len(characters) {
		c := characters[i]
		if met && !distinct[c] {
			a.states[s].Next[i] = others
			continue
		}
		next, err := a.state(a.step(set, c))
		if err != nil {
			return err
		}
		a.states[s].Next[i] = next
		if !distinct[c] {
			others, met = next, true
		}
	}
	return nil
}

// enforceNameBegin is NAME_BEGIN of c/wire_name.h.
const enforceNameBegin = 1

// step is where one character leads from the positions.
func (a *automaton) step(from []position, c byte) []position {
	var to []position
	for _, p := range from {
		text := a.texts[p.name]
		if p.under {
			to = append(to, p)
			if c == '.' && text != "" {
				to = append(to, position{name: p.name})
			}
			continue
		}
		// A star may take the character, or nothing.
		for ; p.at < len(text) && text[p.at] == '*'; p.at++ {
			if c != '.' {
				to = append(to, p)
			}
		}
		if p.at < len(text) && text[p.at] == c {
			p.at++
			to = append(to, p)
		}
	}
	return to
}

// state gives the number of the state with these positions, 0 for none.
func (a *automaton) state(set []position) (uint32, error) {
	set = a.normal(set)
	if len(set) == 0 {
		return 0, nil
	}
	var key []byte
	for _, p := range set {
		at := p.at << 1
		if p.under {
			at |= 1
		}
		key = binary.AppendUvarint(binary.AppendUvarint(key, uint64(p.name)), uint64(at))
	}
	if s, ok := a.known[string(key)]; ok {
		return s, nil
	}
	if len(a.states) >= maxStates {
		return 0, fmt.Errorf("%d patterns of DNS names: together they are too many, or have too many \"*\" within labels", len(a.names))
	}
	state := enforceNameState{}
	for _, p := range set {
		text := a.texts[p.name]
		accepts := strings.Trim(text[p.at:], "*") == "" && (!p.under || text == "")
		if !accepts || (state.Names > 0 && state.Identity[state.Names-1] == uint32(a.names[p.name].Identity)) {
			continue
		}
		if int(state.Names) == len(state.Identity) {
			return 0, fmt.Errorf("more than %d patterns of DNS names match the same name; one of them is %q", len(state.Identity), a.names[p.name].Pattern)
		}
		state.Identity[state.Names] = uint32(a.names[p.name].Identity)
		state.Names++
	}
	s := uint32(len(a.states))
	a.known[string(key)] = s
	a.states, a.sets = append(a.states, state), append(a.sets, set)
	return s, nil
}

// normal sorts the positions and leaves out those that say nothing of their own:
// of one pattern and one label of it, what the last star can still match is all
// that an earlier position can.
func (a *automaton) normal(set []position) []position {
	slices.SortFunc(set, func(p, q position) int {
		if p.name != q.name {
			return p.name - q.name
		}
		if p.under != q.under {
			if p.under {
				return -1
			}
			return 1
		}
		return p.at - q.at
	})
	set = slices.Compact(set)
	kept := set[:0]
	for i, p := range set {
		if !p.under && a.dominated(p, set[i+1:]) {
			continue
		}
		kept = append(kept, p)
	}
	return kept
}

// dominated tells whether a later position of the same pattern is at a star of the
// same label.
func (a *automaton) dominated(p position, later []position) bool {
	text := a.texts[p.name]
	for _, q := range later {
		if q.name != p.name || strings.Contains(text[p.at:q.at], ".") {
			return false
		}
		if q.at < len(text) && text[q.at] == '*' {
			return true
		}
	}
	return false
}
