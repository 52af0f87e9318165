package filter

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// labels takes label selectors in Kubernetes' syntax, the keys with an optional
// source before them: "k8s:app=web,tier in (front,back),!debug". Without a
// source, or with "any:", a label of any source matches.
func labels(list []string, get func(*flowpb.Flow) []string) (Match, error) {
	if len(list) == 0 {
		return nil, nil
	}
	selectors := make([][]requirement, len(list))
	for i, s := range list {
		sel, err := parseSelector(s)
		if err != nil {
			return nil, fmt.Errorf("label selector %q: %w", s, err)
		}
		selectors[i] = sel
	}
	return func(f *flowpb.Flow) bool {
		have := get(f)
		return slices.ContainsFunc(selectors, func(sel []requirement) bool {
			return !slices.ContainsFunc(sel, func(r requirement) bool { return !r.matches(have) })
		})
	}, nil
}

type operator uint8

const (
	opExists operator = iota
	opAbsent
	opIn
	opNotIn
	opGreater
	opLess
)

// requirement is one term of a selector.
type requirement struct {
	source, key string // source "" is any
	op          operator
	values      []string
	bound       int64
}

func (r requirement) matches(have []string) bool {
	holds := slices.ContainsFunc(have, func(l string) bool {
		source, rest, ok := strings.Cut(l, ":")
		if !ok {
			source, rest = "", l
		}
		key, value, _ := strings.Cut(rest, "=")
		if key != r.key || r.source != "" && r.source != source {
			return false
		}
		switch r.op {
		case opIn, opNotIn:
			return slices.Contains(r.values, value)
		case opGreater, opLess:
			n, err := strconv.ParseInt(value, 10, 64)
			return err == nil && (r.op == opGreater && n > r.bound || r.op == opLess && n < r.bound)
		}
		return true
	})
	// An absent label is not in any set of values.
	return holds != (r.op == opAbsent || r.op == opNotIn)
}

// parseSelector reads terms until the end. An empty selector has none, and
// matches all.
func parseSelector(s string) (out []requirement, err error) {
	p := selectorParser{rest: s}
	if p.space(); p.rest == "" {
		return nil, nil
	}
	for {
		r, err := p.term()
		if err != nil {
			return nil, err
		}
		out = append(out, r)
		if p.space(); p.rest == "" {
			return out, nil
		}
		if !p.take(",") {
			return nil, fmt.Errorf("%q where a comma should be", p.rest)
		}
	}
}

// selectorParser walks over a selector; rest shrinks with every step.
type selectorParser struct{ rest string }

func (p *selectorParser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

func (p *selectorParser) take(token string) (ok bool) {
	p.space()
	p.rest, ok = strings.CutPrefix(p.rest, token)
	return ok
}

// word takes what is no punctuation; stop are the characters that end it.
func (p *selectorParser) word(stop string) string {
	p.space()
	i := strings.IndexAny(p.rest, stop)
	if i < 0 {
		i = len(p.rest)
	}
	w := p.rest[:i]
	p.rest = p.rest[i:]
	return w
}

func (p *selectorParser) term() (r requirement, err error) {
	absent := p.take("!")
	key := p.word(" \t\r\n=!,()<>")
	if key == "" {
		return r, errors.New("a label's key is missing")
	}
	r.key = key
	if source, rest, ok := strings.Cut(key, ":"); ok {
		r.source, r.key = source, rest
		if source == "any" {
			r.source = ""
		}
		if rest == "" {
			return r, errors.New("a label's key is missing")
		}
	}
	if absent {
		r.op = opAbsent
		return r, nil
	}
	switch {
	case p.take("=="), p.take("="):
		r.op, r.values = opIn, []string{p.word(" \t\r\n,()")}
	case p.take("!="):
		r.op, r.values = opNotIn, []string{p.word(" \t\r\n,()")}
	case p.take(">"):
		r.op = opGreater
		r.bound, err = p.number()
	case p.take("<"):
		r.op = opLess
		r.bound, err = p.number()
	case p.take("notin"):
		r.op = opNotIn
		r.values, err = p.set()
	case p.take("in"):
		r.op = opIn
		r.values, err = p.set()
	}
	return r, err
}

func (p *selectorParser) number() (int64, error) {
	w := p.word(" \t\r\n,()")
	n, err := strconv.ParseInt(w, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", w)
	}
	return n, nil
}

func (p *selectorParser) set() (out []string, err error) {
	if !p.take("(") {
		return nil, errors.New("a list in parentheses is missing")
	}
	for {
		out = append(out, p.word(" \t\r\n,()"))
		switch {
		case p.take(")"):
			return out, nil
		case !p.take(","):
			return nil, errors.New("the closing parenthesis is missing")
		}
	}
}
