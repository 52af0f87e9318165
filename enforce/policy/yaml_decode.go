package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/seed79351815/weir/collector/spelling"
)

// Bounds of one file. Aliases make a small file large: what is counted is what
// is visited, not what is written.
const (
	maxFile     = 4 << 20
	maxVisits   = 2_000_000
	maxRules    = 50_000
	maxProblems = 100
)

// decoder turns YAML nodes into policies, strictly. It collects what is wrong
// and goes on, so that one reading tells of everything.
type decoder struct {
	file     string
	problems Problems
	visits   int
	rules    int
	stopped  bool // a bound was met: nothing more is read
}

func (d *decoder) pos(n *yaml.Node) Pos { return Pos{d.file, max(n.Line, 1), max(n.Column, 1)} }

func (d *decoder) errorf(n *yaml.Node, format string, args ...any) {
	d.problem(Error, n, format, args...)
}

func (d *decoder) warnf(n *yaml.Node, format string, args ...any) {
	d.problem(Warning, n, format, args...)
}

func (d *decoder) problem(s Severity, n *yaml.Node, format string, args ...any) {
	if d.stopped {
		return
	}
	d.problems = append(d.problems, Problem{Severity: s, Pos: d.pos(n), Text: fmt.Sprintf(format, args...)})
	if len(d.problems) == maxProblems {
		d.stop(n, fmt.Sprintf("more than %d problems: the rest of the file was not read", maxProblems-1))
	}
}

func (d *decoder) stop(n *yaml.Node, why string) {
	if !d.stopped {
		d.problems = append(d.problems, Problem{Severity: Error, Pos: d.pos(n), Text: why})
		d.stopped = true
	}
}

// resolve follows an alias and counts the visit. It is nil when the file is too
// large to go on.
func (d *decoder) resolve(n *yaml.Node) *yaml.Node {
	if d.visits++; d.visits > maxVisits {
		d.stop(n, "the file has too many values, counting aliases as what they stand for")
	}
	if d.stopped {
		return nil
	}
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// fields says how the fields of an object are read.
type fields map[string]func(v *yaml.Node)

// object reads a mapping. Fields in refused are errors with the reason given
// there. It tells whether n is a mapping at all.
func (d *decoder) object(n *yaml.Node, what string, known fields, refused map[string]string) bool {
	pairs := d.mapping(n, what)
	if pairs == nil {
		return false
	}
	for i := 0; i+1 < len(pairs) && !d.stopped; i += 2 {
		k, v := pairs[i], pairs[i+1]
		if read, ok := known[k.Value]; ok {
			read(v)
		} else if why, ok := refused[k.Value]; ok {
			d.errorf(k, "unsupported field %q: %s", k.Value, why)
		} else {
			d.errorf(k, "unknown field %q%s", k.Value, spelling.DidYouMean(k.Value, keys(known), ""))
		}
	}
	return true
}

// mapping gives the keys and values of n in turn, each key once; nil when n is
// none.
func (d *decoder) mapping(n *yaml.Node, what string) []*yaml.Node {
	at := n
	if n = d.resolve(n); n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode || n.ShortTag() != "!!map" {
		d.errorf(at, "%s must be an object, not %s", what, kindOf(n))
		return nil
	}
	first := map[string]int{}
	pairs := make([]*yaml.Node, 0, len(n.Content))
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode || k.ShortTag() == "!!merge" || k.ShortTag() == "!!null" {
			d.errorf(k, "a field's name must be plain text")
			continue
		}
		if line, twice := first[k.Value]; twice {
			d.errorf(k, "duplicate field %q, first in line %d", k.Value, line)
			continue
		}
		first[k.Value] = k.Line
		pairs = append(pairs, k, n.Content[i+1])
	}
	return pairs
}

// list reads a sequence. It is not nil, also where the sequence is empty or
// wrong: what was written there is not the same as nothing.
func list[T any](d *decoder, n *yaml.Node, what string, one func(*yaml.Node) T) []T {
	at := n
	out := []T{}
	if n = d.resolve(n); n == nil {
		return out
	}
	if n.Kind != yaml.SequenceNode || n.ShortTag() != "!!seq" {
		d.errorf(at, "%s must be a list, not %s", what, kindOf(n))
		return out
	}
	for _, c := range n.Content {
		if d.stopped {
			break
		}
		out = append(out, one(c))
	}
	return out
}

// text reads a string without control characters.
func (d *decoder) text(n *yaml.Node, what string) string {
	at := n
	if n = d.resolve(n); n == nil {
		return ""
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		hint := ""
		if n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" {
			hint = fmt.Sprintf("; write %q in quotes", n.Value)
		}
		d.errorf(at, "%s must be text, not %s%s", what, kindOf(n), hint)
		return ""
	}
	if strings.ContainsFunc(n.Value, misleads) {
		d.errorf(at, "%s has control characters in it", what)
		return ""
	}
	return n.Value
}

// misleads tells whether a character does something to a screen: names and
// labels are shown.
func misleads(r rune) bool {
	return (unicode.IsControl(r) && r != '\n' && r != '\t') || unicode.Is(unicode.Bidi_Control, r)
}

// word reads a string that is one of some.
func word[T ~string](d *decoder, n *yaml.Node, what string, of ...T) T {
	s := T(d.text(n, what))
	if slices.Contains(of, s) || (s == "" && n.Value != "") { // the latter was no text
		return s
	}
	names := make([]string, len(of))
	for i, o := range of {
		names[i] = string(o)
	}
	hint := spelling.DidYouMean(string(s), names, "")
	if hint == "" {
		hint = "; it is one of " + strings.Join(names, ", ")
	}
	d.errorf(n, "unknown %s %q%s", what, s, hint)
	return ""
}

func (d *decoder) boolean(n *yaml.Node, what string) *bool {
	at := n
	if n = d.resolve(n); n == nil {
		return nil
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
		d.errorf(at, "%s must be true or false, not %s", what, kindOf(n))
		return nil
	}
	b := strings.EqualFold(n.Value, "true")
	return &b
}

// integer reads a number from 0 to most.
func (d *decoder) integer(n *yaml.Node, what string, most uint16) uint16 {
	at := n
	if n = d.resolve(n); n == nil {
		return 0
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		if i, err := strconv.ParseUint(n.Value, 10, 16); err == nil && uint16(i) <= most {
			return uint16(i)
		}
		d.errorf(at, "%s must be a number from 0 to %d, not %q", what, most, n.Value)
		return 0
	}
	d.errorf(at, "%s must be a number, not %s", what, kindOf(n))
	return 0
}

// labels reads names with texts.
func (d *decoder) labels(n *yaml.Node, what string) map[string]string {
	out := map[string]string{}
	pairs := d.mapping(n, what)
	for i := 0; i+1 < len(pairs); i += 2 {
		out[d.text(pairs[i], "a name in "+what)] = d.text(pairs[i+1], fmt.Sprintf("%s %q", what, pairs[i].Value))
	}
	return out
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "an object"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty; leave the field out, or write [] or {} for an empty one"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!str":
		return "text"
	}
	return n.ShortTag()
}
