// Package filter decides which flows a client of Hubble's API asked for, and
// makes such filters of command line flags named as Hubble's.
package filter

import (
	"errors"
	"fmt"
	"slices"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Limits on what a client may ask for: every flow is held against all of it.
const (
	maxFilters = 128  // in one list
	maxValues  = 1024 // in one field
	maxPattern = 1024 // bytes of one pattern or selector
)

// Match tells whether a flow is one that was asked for. It is safe for many
// goroutines.
type Match func(*flowpb.Flow) bool

// FieldError says which field of a filter weir cannot take, and why.
type FieldError struct {
	Field string
	Err   error
}

func (e *FieldError) Error() string { return fmt.Sprintf("filter field %s: %v", e.Field, e.Err) }

// Unwrap gives the cause.
func (e *FieldError) Unwrap() error { return e.Err }

// Set is a request's filters, ready to use. It is safe for many goroutines.
type Set struct{ allow, deny []Match }

// Compile reads a request's two lists of filters. A flow passes when one of
// allow matches, or allow is empty, and none of deny does. In one filter all
// fields must match; in one field, any of its values. The error is a
// *FieldError where a filter has a field that weir cannot evaluate: none is
// ignored.
func Compile(allow, deny []*flowpb.FlowFilter) (*Set, error) {
	var s Set
	for _, l := range []struct {
		name string
		in   []*flowpb.FlowFilter
		out  *[]Match
	}{{"allowlist", allow, &s.allow}, {"denylist", deny, &s.deny}} {
		if len(l.in) > maxFilters {
			return nil, fmt.Errorf("%s: %d filters, at most %d", l.name, len(l.in), maxFilters)
		}
		for _, ff := range l.in {
			m, err := compile(ff)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", l.name, err)
			}
			*l.out = append(*l.out, m)
		}
	}
	return &s, nil
}

// Match tells whether f passes.
func (s *Set) Match(f *flowpb.Flow) bool {
	return (len(s.allow) == 0 || anyMatch(s.allow, f)) && !anyMatch(s.deny, f)
}

// Empty tells whether every flow passes, so that nobody need ask.
func (s *Set) Empty() bool { return len(s.allow) == 0 && len(s.deny) == 0 }

func anyMatch(list []Match, f *flowpb.Flow) bool {
	return slices.ContainsFunc(list, func(m Match) bool { return m(f) })
}

func compile(ff *flowpb.FlowFilter) (Match, error) {
	if err := check(ff.ProtoReflect()); err != nil {
		return nil, err
	}
	var all []Match
	for _, fd := range fields {
		m, err := fd.build(ff)
		if err != nil {
			return nil, &FieldError{fd.name, err}
		}
		if m != nil {
			all = append(all, m)
		}
	}
	return func(f *flowpb.Flow) bool {
		return !slices.ContainsFunc(all, func(m Match) bool { return !m(f) })
	}, nil
}

// check refuses every field that is set and that the table of fields does not
// hold, also one that a newer client knows and this program does not.
func check(m protoreflect.Message) (err error) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := string(fd.Name())
		switch {
		case name == "experimental":
			err = &FieldError{"experimental.cel_expression", errors.New("weir does not evaluate CEL; use the other filter fields")}
		case !slices.ContainsFunc(fields, func(f field) bool { return f.name == name }):
			err = &FieldError{name, errors.New("weir cannot evaluate it")}
		case fd.IsList() && v.List().Len() > maxValues:
			err = &FieldError{name, fmt.Errorf("%d values, at most %d", v.List().Len(), maxValues)}
		case fd.IsList() && fd.Kind() == protoreflect.StringKind:
			for i := range v.List().Len() {
				if n := len(v.List().Get(i).String()); n > maxPattern {
					err = &FieldError{name, fmt.Errorf("a value of %d bytes, at most %d", n, maxPattern)}
				}
			}
		}
		return err == nil
	})
	if err == nil && len(m.GetUnknown()) > 0 {
		err = &FieldError{"(unknown)", errors.New("the client knows a filter that this weir does not")}
	}
	return err
}
