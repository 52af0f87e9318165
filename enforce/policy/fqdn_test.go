package policy

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNameMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		// Cilium's own examples.
		{"*.cilium.io", "www.cilium.io", true}, {"*.cilium.io", "cilium.io", false}, {"*.cilium.io", "a.b.cilium.io", false},
		{"*cilium.io", "cilium.io", true}, {"*cilium.io", "sub-cilium.io", true}, {"*cilium.io", "www.cilium.io", false},
		{"sub*.cilium.io", "sub.cilium.io", true}, {"sub*.cilium.io", "subdomain.cilium.io", true}, {"sub*.cilium.io", "www.cilium.io", false},
		{"**.cilium.io", "app.cilium.io", true}, {"**.cilium.io", "test.app.cilium.io", true}, {"**.cilium.io", "cilium.io", false},
		{"*", "a.b.c", true}, {"**", "a", true}, {"*", "", false},
		{"a.b", "A.B.", true}, {"a.b", "axb", false}, {"a.b", "a.b.c", false}, {"*.b", "a.b\x00", false}, {"*.*.b", "x.y.b", true}, {"a*b*c", "aXbXbc", true},
		{"", "a", false},
	} {
		if got := (Name{Pattern: tt.pattern}).Matches(tt.name); got != tt.want {
			t.Errorf("%q %q: %v", tt.pattern, tt.name, got)
		}
	}
}

// reference makes the regular expression that Cilium does (pkg/fqdn/matchpattern).
func reference(pattern string) *regexp.Regexp {
	const chars = "[-a-zA-Z0-9_]"
	if regexp.MustCompile(`^[*]+$`).MatchString(pattern) {
		return regexp.MustCompile("^(" + chars + "+[.])+$")
	}
	p := strings.ReplaceAll(pattern+".", ".", "[.]")
	p = regexp.MustCompile(`^[*]{2,}\[\.\]`).ReplaceAllLiteralString(p, "("+chars+"+([.]"+chars+"+){0,})[.]")
	p = regexp.MustCompile("[*]{1,}").ReplaceAllLiteralString(p, chars+"*")
	return regexp.MustCompile("^" + p + "$")
}

func TestNameMatchesAsCiliumDoes(t *testing.T) {
	label := func(chars string) *rapid.Generator[string] { return rapid.StringMatching("[" + chars + "]{1,4}") }
	rapid.Check(t, func(t *rapid.T) {
		pattern := strings.Join(rapid.SliceOfN(label("ab*"), 1, 4).Draw(t, "pattern"), ".")
		name := strings.Join(rapid.SliceOfN(label("ab"), 1, 4).Draw(t, "name"), ".")
		if got, want := (Name{Pattern: pattern}).Matches(name), reference(pattern).MatchString(name+"."); got != want {
			t.Fatalf("%q %q: %v, want %v (%s)", pattern, name, got, want, reference(pattern))
		}
	})
}
