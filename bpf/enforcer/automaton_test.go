package enforcer

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed79351815/weir/enforce/policy"
)

// accepted walks the automaton as the kernel does.
func accepted(states []enforceNameState, name string) []policy.Identity {
	at := uint32(enforceNameBegin)
	for i := range len(name) {
		c := strings.IndexByte(characters, name[i])
		if c < 0 || int(at) >= len(states) {
			return nil
		}
		at = states[at].Next[c]
	}
	if int(at) >= len(states) || name == "" {
		return nil
	}
	var found []policy.Identity
	for _, identity := range states[at].Identity[:states[at].Names] {
		found = append(found, policy.Identity(identity))
	}
	slices.Sort(found)
	return found
}

func matching(names []policy.Name, name string) []policy.Identity {
	var found []policy.Identity
	for _, n := range names {
		if n.Matches(name) {
			found = append(found, n.Identity)
		}
	}
	slices.Sort(found)
	return found
}

func namesOf(patterns ...string) []policy.Name {
	var names []policy.Name
	for i, p := range patterns {
		names = append(names, policy.Name{Identity: policy.FirstIdentity + policy.Identity(i), Pattern: p})
	}
	return names
}

// patternCases are patterns with names that they may or may not match: here, and
// in the kernel.
var patternCases = []struct {
	patterns []string
	names    []string
}{
	{[]string{"a.test"}, []string{"a.test", "b.test", "a.test.a.test", "x.a.test", "a", "test", "a-test"}},
	{[]string{"*.a.test"}, []string{"x.a.test", "a.test", "y.x.a.test", "xa.test", "-.a.test"}},
	{[]string{"**.a.test"}, []string{"x.a.test", "a.test", "y.x.a.test", "a.a.test", "a.test.a.test", "z.xa.test"}},
	{[]string{"***.a.test"}, []string{"x.a.test", "a.test", "y.x.a.test"}},
	{[]string{"*"}, []string{"a", "a.test", "x_1.a-b.test"}},
	{[]string{"**"}, []string{"a", "a.b.c.d.e"}},
	{[]string{"api-*.test", "*-eu.test", "a*-*u.test"}, []string{"api-.test", "api-eu.test", "api-x-eu.test", "a-u.test", "api-x.eu.test", "x-eu.test"}},
	{[]string{"*a*b*.test", "a**b.test"}, []string{"ab.test", "aab.test", "xaxbx.test", "ba.test", "a.b.test", "abab.test"}},
	{[]string{"a.*.test", "a.*", "*.*.test", "*.*"}, []string{"a.b.test", "a.test", "a.b.c.test", "b.a.test", "a.b"}},
	{[]string{"x.test", "*.test", "**.test", "x*.test", "*x.test", "*"}, []string{"x.test", "y.test", "y.x.test", "xx.test"}},
	{nil, []string{"a.test"}},
}

func TestAutomatonMatchesAsPoliciesDo(t *testing.T) {
	for _, c := range patternCases {
		names := namesOf(c.patterns...)
		states, err := compileNames(names)
		if err != nil {
			t.Fatalf("%q: %v", c.patterns, err)
		}
		for _, name := range c.names {
			if got, want := accepted(states, name), matching(names, name); !slices.Equal(got, want) {
				t.Errorf("%q of %q: %v, want %v", name, c.patterns, got, want)
			}
		}
	}
}

func FuzzAutomaton(f *testing.F) {
	for _, c := range patternCases {
		for _, name := range c.names {
			f.Add(strings.Join(c.patterns, " "), name)
		}
	}
	f.Fuzz(func(t *testing.T, patterns, name string) {
		name = strings.ToLower(name)
		if name != "" && slices.Contains(strings.Split(name, "."), "") {
			return // no name has an empty label: a message cannot say it
		}
		var list []string
		for p := range strings.FieldsSeq(strings.ToLower(patterns)) {
			// What policies may say.
			if strings.Trim(p, characters+"*") == "" && !strings.Contains("."+p+".", "..") {
				list = append(list, p)
			}
		}
		if list = list[:min(len(list), 8)]; len(patterns) > 120 {
			return
		}
		names := namesOf(list...)
		states, err := compileNames(names)
		if err != nil {
			t.Fatal(err) // eight short patterns always fit
		}
		if got, want := accepted(states, name), matching(names, name); !slices.Equal(got, want) {
			t.Errorf("%q of %q: %v, want %v", name, list, got, want)
		}
	})
}

func TestAutomatonRefusesWhatTheKernelCannotHold(t *testing.T) {
	crowd := namesOf("*", "**.test", "*.test", "a*.test", "*a.test", "a.*", "*.*", "*a*.test", "a.test")
	if _, err := compileNames(crowd); err == nil || !strings.Contains(err.Error(), `more than 8 patterns of DNS names match the same name; one of them is "a.test"`) {
		t.Errorf("nine patterns of one name: %v", err)
	}
	var wild []string
	for _, c := range characters[:26] {
		wild = append(wild, fmt.Sprintf("*%c%c*.%c.test", c, c, c))
	}
	if _, err := compileNames(namesOf(wild...)); err == nil || !strings.Contains(err.Error(), "26 patterns of DNS names: together they are too many") {
		t.Errorf("patterns that multiply: %v", err)
	}
}

// As many as a plan may have, of the usual kinds.
func TestAutomatonOfManyNames(t *testing.T) {
	var patterns []string
	for i := range 4000 {
		patterns = append(patterns, fmt.Sprintf("service-%d.region-%d.example.com", i, i%7))
	}
	for i := range 96 {
		patterns = append(patterns, fmt.Sprintf("*.zone-%d.example.net", i), fmt.Sprintf("**.deep-%d.example.org", i))
	}
	names := namesOf(patterns...)
	states, err := compileNames(names)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"service-1234.region-2.example.com", "service-1234.region-3.example.com", "x.zone-7.example.net", "a.b.deep-95.example.org"} {
		if got, want := accepted(states, name), matching(names, name); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
	t.Logf("%d states", len(states))
}
