package filter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/spf13/pflag"
)

// Flags are the filter flags of a command, named and meant as those of "hubble
// observe". The order of flags matters, for --not.
type Flags struct {
	PrintRaw bool // --print-raw-filters: show the filters instead of flows

	allow, deny       *tracker
	negate            bool // the next filter goes into deny
	rawAllow, rawDeny []string
}

// Register adds the flags to fs. Flags that parse nothing change nothing.
func (f *Flags) Register(fs *pflag.FlagSet) {
	f.allow, f.deny = newTracker(), newTracker()
	not := fs.VarPF(value{"bool", f.setNot}, "not", "", "Reverse the next filter: --not --from-ip 2.2.2.2 hides what comes from there")
	not.NoOptDefVal = "true"
	for _, d := range definitions {
		fl := fs.VarPF(value{"filter", func(s string) error { return f.set(d, s) }}, d.name, d.short, d.usage)
		if d.bare {
			fl.NoOptDefVal = "true"
		}
	}
	fs.StringArrayVar(&f.rawAllow, "allowlist", nil, "Show only flows that match these FlowFilters, written as JSON")
	fs.StringArrayVar(&f.rawDeny, "denylist", nil, "Hide flows that match these FlowFilters, written as JSON")
	fs.BoolVar(&f.PrintRaw, "print-raw-filters", false, "Print the filters as allowlist and denylist, and do nothing else")
}

// Completions are the values that a shell may offer, by flag.
func (f *Flags) Completions() map[string][]string {
	out := make(map[string][]string)
	for _, d := range definitions {
		if d.values != nil {
			out[d.name] = d.values()
		}
	}
	return out
}

func (f *Flags) setNot(string) error {
	if f.negate {
		return errors.New("two --not in a row")
	}
	f.negate = true
	return nil
}

func (f *Flags) set(d definition, s string) error {
	t := f.allow
	if f.negate {
		t, f.negate = f.deny, false
	}
	if err := t.touch(d.name); err != nil {
		return err
	}
	return d.set(t, s)
}

// Lists are the filters that the flags gave. It is called once, after all
// flags were parsed.
func (f *Flags) Lists() (allow, deny []*flowpb.FlowFilter, err error) {
	if f.negate {
		return nil, nil, errors.New("--not without a filter after it")
	}
	for _, l := range []struct {
		name string
		t    *tracker
		raw  []string
		out  *[]*flowpb.FlowFilter
	}{{"allowlist", f.allow, f.rawAllow, &allow}, {"denylist", f.deny, f.rawDeny, &deny}} {
		list, err := l.t.list()
		if err != nil {
			return nil, nil, err
		}
		for _, text := range l.raw {
			more, err := parseRaw(text)
			if err != nil {
				return nil, nil, fmt.Errorf("--%s %s: %w", l.name, text, err)
			}
			list = append(list, more...)
		}
		*l.out = list
	}
	return allow, deny, nil
}

// parseRaw reads FlowFilters, one JSON object after the other.
func parseRaw(text string) (out []*flowpb.FlowFilter, err error) {
	dec := json.NewDecoder(strings.NewReader(text))
	for {
		var ff flowpb.FlowFilter
		switch err := dec.Decode(&ff); {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err
		}
		out = append(out, &ff)
	}
}

// Raw writes the filters as the YAML that "hubble observe --print-raw-filters"
// prints.
func Raw(w io.Writer, allow, deny []*flowpb.FlowFilter) error {
	for _, l := range []struct {
		name string
		list []*flowpb.FlowFilter
	}{{"allowlist", allow}, {"denylist", deny}} {
		if len(l.list) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s:\n", l.name); err != nil {
			return fmt.Errorf("print filters: %w", err)
		}
		for _, ff := range l.list {
			// By way of encoding/json: it takes out the spaces that protojson
			// puts in at random. Its lines hold no control characters.
			js, err := json.Marshal(ff)
			if err != nil {
				return fmt.Errorf("print filters: %w", err)
			}
			if _, err := fmt.Fprintf(w, "    - '%s'\n", strings.ReplaceAll(string(js), "'", "''")); err != nil {
				return fmt.Errorf("print filters: %w", err)
			}
		}
	}
	return nil
}

// value makes a function a pflag.Value.
type value struct {
	typ string
	set func(string) error
}

func (v value) Set(s string) error { return v.set(s) }
func (v value) Type() string       { return v.typ }
func (v value) String() string     { return "" }
