package l7

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func routed(s *site, path string, exists bool) (string, string) {
	var scratch []*node
	return s.route(path, false, exists, &scratch)
}

func TestTemplates(t *testing.T) {
	for _, tt := range []struct{ path, route, rule string }{
		{"/", "/", ""},
		{"/users", "/users", ""},
		{"/users/", "/users/", ""},
		{"/users/42", "/users/{id}", RuleCollapsed},
		{"/users/42/posts/7", "/users/{id}/posts/{id}", RuleCollapsed},
		{"/blob/0123abcd", "/blob/{hex}", RuleCollapsed},
		{"/blob/abcdefab", "/blob/abcdefab", ""}, // a word: no digit
		{"/blob/0123abc", "/blob/0123abc", ""},   // too short
		{"/o/123e4567-e89b-12d3-a456-426614174000", "/o/{uuid}", RuleCollapsed},
		{"/o/123e4567-e89b-12d3-a456-42661417400g", "/o/{token}", RuleCollapsed},
		{"/u/bob@example.com/x", "/u/{email}/x", RuleCollapsed},
		{"/u/bob%40example.com", "/u/{email}", RuleCollapsed},
		{"/reset/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2ln", "/reset/{token}", RuleCollapsed},
		{"/a;jsessionid=0A1B/b", "/a/b", ""},
		{"/users/{id}", "/users/%7Bid%7D", ""}, // no parameter can be forged
		{"//x", "//x", ""},
		{strings.Repeat("/a", 40), strings.Repeat("/a", maxSegments) + "/…", ""},
		{"/article/top-10-things-to-do-in-2024", "/article/top-10-things-to-do-in-2024", ""},
	} {
		if route, rule := routed(newSite(), tt.path, true); route != tt.route || rule != tt.rule {
			t.Errorf("%s: %q by %q, want %q by %q", tt.path, route, rule, tt.route, tt.rule)
		}
	}
	var scratch []*node
	if route, _ := newSite().route("/a/b/secr", true, true, &scratch); route != "/a/b/…" {
		t.Errorf("cut: %q", route)
	}
}

func TestLearned(t *testing.T) {
	for _, tt := range []struct{ format, route string }{
		{"/shop/item-%c/price", "/shop/{name}/price"},
		{"/shop/sku%d/price", "/shop/{id}/price"},
		{"/shop/ab%x/price", "/shop/{hex}/price"},
	} {
		s := newSite()
		first := ""
		for i := range maxChildren + 1 {
			path := fmt.Sprintf(tt.format, 'A'+i)
			if first == "" {
				first = path
			}
			if route, _ := routed(s, path, true); i < maxChildren && route != path {
				t.Fatalf("%s: %q after %d", path, route, i)
			}
		}
		for _, path := range []string{first, fmt.Sprintf(tt.format, 'A'+90)} {
			if route, rule := routed(s, path, true); route != tt.route || rule != RuleLearned {
				t.Errorf("%s: %q by %q, want %q", path, route, rule, tt.route)
			}
		}
		if route, _ := routed(s, "/shop/42/price", true); route != "/shop/{id}/price" {
			t.Errorf("a number is %q", route)
		}
	}
}

// Two positions at once: the children of what became one are joined, and counted
// again.
func TestLearnedTwice(t *testing.T) {
	s := newSite()
	for i := range maxChildren + 1 {
		for j := range 3 {
			routed(s, fmt.Sprintf("/t%c-x/y%c-%c", 'A'+i, 'A'+i, 'a'+j), true)
		}
	}
	if route, _ := routed(s, "/tB-x/yB-b", true); route != "/{name}/{name}" {
		t.Errorf("%q", route)
	}
	if s.nodes > 3*maxChildren {
		t.Errorf("%d nodes are left", s.nodes)
	}
}

// A scan for what does not exist must not make a parameter of what does, nor
// take its room.
func TestScan(t *testing.T) {
	s := newSite()
	routed(s, "/login", true)
	others := 0
	for i := range 10_000 {
		route, rule := routed(s, fmt.Sprintf("/wp-%c%c%c.php", 'a'+i%26, 'a'+i/26%26, 'a'+i/676), false)
		if rule == RuleOther && route == OtherRoute {
			others++
		}
	}
	if others != 10_000-maxAbsent {
		t.Errorf("%d of the scan's paths are other", others)
	}
	for _, path := range []string{"/login", "/cart", "/cart/add"} {
		if route, _ := routed(s, path, true); route != path {
			t.Errorf("%s: %q", path, route)
		}
	}
	if route, _ := routed(s, "/cart", false); route != "/cart" {
		t.Errorf("what exists may fail: %q", route)
	}
}

// count walks a tree and wants its bookkeeping to be right.
func (s *site) check(t interface{ Fatalf(string, ...any) }) {
	nodes, absent := 0, 0
	var walk func(n *node, depth int)
	walk = func(n *node, depth int) {
		existing, many := 0, 0
		seen := map[string]bool{}
		for _, c := range n.children {
			nodes++
			if !c.exists {
				absent++
			}
			key := fmt.Sprint(c.shape, c.segment)
			if seen[key] {
				t.Fatalf("two children %q", key)
			}
			seen[key] = true
			switch c.shape {
			case literal:
				if c.exists {
					existing++
				}
			case learned:
				many++
			}
			walk(c, depth+1)
		}
		if existing != n.existing || existing > maxChildren || many > 1 || many == 1 && seen["0"] {
			t.Fatalf("%d literals that exist, noted %d, %d learned", existing, n.existing, many)
		}
		if many == 1 {
			for _, c := range n.children {
				if c.shape == literal {
					t.Fatalf("literal %q beside a learned parameter", c.segment)
				}
			}
		}
		if depth > maxSegments+1 {
			t.Fatalf("depth %d", depth)
		}
	}
	walk(&s.root, 0)
	if nodes != s.nodes || absent != s.absent {
		t.Fatalf("%d nodes, %d absent; noted %d and %d", nodes, absent, s.nodes, s.absent)
	}
	if s.nodes > maxNodes+maxSegments {
		t.Fatalf("%d nodes", s.nodes)
	}
}

// Whatever comes: the tree is bounded, a path has one template at a time, and the
// template has as many segments as the path.
func TestTemplateProperties(t *testing.T) {
	segment := rapid.OneOf(
		rapid.StringMatching(`[a-z]{0,2}`), rapid.StringMatching(`[a-zA-Z0-9._~;=@{}%-]{1,24}`), rapid.StringMatching(`[0-9a-f]{1,12}`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 8), func(b []byte) string { return strings.ReplaceAll(string(b), "/", "") }),
		rapid.SampledFrom([]string{"users", "{id}", "…", "", "123e4567-e89b-12d3-a456-426614174000"}),
	)
	path := rapid.Map(rapid.SliceOfN(segment, 1, 6), func(s []string) string { return "/" + strings.Join(s, "/") })
	rapid.Check(t, func(t *rapid.T) {
		s := newSite()
		wide := rapid.IntRange(0, 200).Draw(t, "wide")
		for i := range wide {
			routed(s, fmt.Sprintf("/w%c%c/%c%c/z", 'a'+i%26, 'a'+i/26, 'a'+i%7, 'a'+i%5), i%4 != 0)
		}
		for _, p := range rapid.SliceOfN(path, 1, 60).Draw(t, "paths") {
			exists := rapid.Bool().Draw(t, "exists")
			a, ruleA := routed(s, p, exists)
			s.check(t)
			b, ruleB := routed(s, p, false)
			if a != b || ruleA != ruleB {
				t.Fatalf("%q: %q by %q, then %q by %q", p, a, ruleA, b, ruleB)
			}
			if ruleA != RuleOther && strings.Count(a, "/") != strings.Count(p, "/") {
				t.Fatalf("%q: template %q", p, a)
			}
			if n := len(a); n > 2*len(p)+maxSegments*len("{token}") {
				t.Fatalf("%q: template of %d bytes", p, n)
			}
		}
	})
}

// A parameter never becomes a literal again.
func TestTemplatesStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSite()
		probe := "/api/aa/bb"
		params := func() int { r, _ := routed(s, probe, true); return strings.Count(r, "{") }
		had := params()
		for range rapid.IntRange(1, 300).Draw(t, "n") {
			p := fmt.Sprintf("/api/%s/%s", rapid.StringMatching(`[a-c]{1,4}`).Draw(t, "a"), rapid.StringMatching(`[a-c]{1,3}`).Draw(t, "b"))
			routed(s, p, rapid.IntRange(0, 3).Draw(t, "exists") > 0)
			if now := params(); now < had {
				t.Fatalf("%d parameters, had %d", now, had)
			} else {
				had = now
			}
		}
		s.check(t)
	})
}
