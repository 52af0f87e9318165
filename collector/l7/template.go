package l7

import (
	"slices"
	"strings"
)

// Rules by which a template was made, as in flow.L7's Rule. RuleOther is that of
// OtherRoute: the paths of a server for which there was no room.
const (
	RuleCollapsed = "collapsed"
	RuleLearned   = "learned"
	RuleOther     = "other"
)

// OtherRoute is the route of all operations of a protocol for which there is no
// room. RuleOther tells it from a route of that name.
const OtherRoute = "other"

const (
	maxSegments = 16   // of a path, before its rest is cut
	maxChildren = 32   // distinct segments behind one prefix; with more they are one of many
	maxAbsent   = 128  // segments of one server that no successful answer had
	maxNodes    = 1024 // segments of one server
)

// site is the paths of one server, as a tree of their segments.
//
// Segments that the kernel collapses, and those that look like secrets, are
// parameters from the start ("collapsed"). Where more than maxChildren others
// stand behind one prefix, all of them become one parameter ("learned"), for good:
// a path's template changes seldom, and never back.
//
// Whoever asks for many paths that do not exist must not make one parameter of
// those that do: only segments that had a successful answer count as children of
// a prefix. Of the others a few are kept, then no more.
type site struct {
	root    node
	nodes   int
	absent  int    // nodes that had no successful answer
	version uint32 // grows when templates may have changed
	used    int64  // when it was last asked, for whoever bounds the sites
}

// node is a segment behind the segments above it.
type node struct {
	segment  string // of a literal; for a learned one its placeholder
	shape    shape
	exists   bool // it had a successful answer
	existing int  // literal children that had one
	children []*node
	route    string // of a path that ends here, as of version
	rule     string
	version  uint32
}

func newSite() *site { return &site{version: 1} }

// route is the template of a path and the rule that made it. exists says that the
// server answered successfully. It allocates only what is new.
func (s *site) route(path string, cut, exists bool, scratch *[]*node) (route, rule string) {
	trail := (*scratch)[:0]
	n := &s.root
	left := strings.TrimPrefix(path, "/")
	for more := true; more; {
		var segment string
		segment, left, more = strings.Cut(left, "/")
		name := plain(segment)
		kind := shapeOf(name)
		if cut && !more || len(trail) == maxSegments {
			name, kind, more = "", rest, false // part of a segment tells nothing
		}
		if n = s.step(n, kind, name, exists); n == nil {
			*scratch = trail
			return OtherRoute, RuleOther
		}
		trail = append(trail, n)
	}
	*scratch = trail
	if exists && s.settle(trail) {
		// The path now leads elsewhere.
		return s.route(path, cut, exists, scratch)
	}
	if n.version != s.version {
		n.write(trail)
		n.version = s.version
	}
	return n.route, n.rule
}

// step is the child of n for a segment, made where there is room; else nil.
func (s *site) step(n *node, kind shape, segment string, exists bool) *node {
	if kind == literal {
		if many := n.child(learned, ""); many != nil {
			return many
		}
	} else {
		segment = ""
	}
	c := n.child(kind, segment)
	if c != nil {
		return c
	}
	if s.nodes >= maxNodes || !exists && s.absent >= maxAbsent {
		return nil
	}
	c = &node{segment: strings.Clone(segment), shape: kind}
	n.children = append(n.children, c)
	s.nodes++
	s.absent++
	return c
}

func (n *node) child(kind shape, segment string) *node {
	for _, c := range n.children {
		if c.shape == kind && (kind == learned || c.segment == segment) {
			return c
		}
	}
	return nil
}

// settle notes that all of the trail exists, and makes parameters of what turned
// out to be one of many. It tells whether it did.
func (s *site) settle(trail []*node) (changed bool) {
	parent := &s.root
	for _, n := range trail {
		if !n.exists {
			n.exists = true
			s.absent--
			if n.shape == literal {
				parent.existing++
			}
		}
		if parent.existing > maxChildren {
			s.tidy(parent)
			s.version++
			return true // the rest of the trail is another's now
		}
		parent = n
	}
	return false
}

// generalize makes one parameter of a node's literal children.
func (s *site) generalize(n *node) {
	many := n.child(learned, "")
	var names []*node
	n.children = slices.DeleteFunc(n.children, func(c *node) bool {
		if c.shape == literal {
			names = append(names, c)
			return true
		}
		return false
	})
	if len(names) == 0 {
		return
	}
	if many == nil {
		many = &node{shape: learned, segment: parameterOf(names)}
		n.children = append(n.children, many)
		s.nodes++
		s.absent++
	}
	n.existing = 0
	for _, c := range names {
		s.absorb(many, c)
	}
}

// absorb takes src's subtree into dst, and src's node away.
func (s *site) absorb(dst, src *node) {
	s.nodes--
	if !src.exists || !dst.exists {
		s.absent-- // one of the two, or of both the one that stays
	}
	dst.exists = dst.exists || src.exists
	for _, c := range src.children {
		if d := dst.child(c.shape, c.segment); d != nil {
			existed := d.exists
			if c.shape == learned && c.segment != d.segment {
				d.segment = nameless
			}
			s.absorb(d, c)
			if d.shape == literal && d.exists && !existed {
				dst.existing++
			}
			continue
		}
		dst.children = append(dst.children, c)
		if c.shape == literal && c.exists {
			dst.existing++
		}
	}
}

// tidy makes true of a node, and of all below it, that literal children are not
// too many, and that there are none beside a learned parameter.
func (s *site) tidy(n *node) {
	if n.existing > maxChildren || n.child(learned, "") != nil {
		s.generalize(n)
	}
	for _, c := range n.children {
		s.tidy(c)
	}
}

// nameless is the parameter of which nothing is known but that there are many.
const nameless = "{name}"

// parameterOf names what stands for segments: after what all of them look like.
func parameterOf(segments []*node) string {
	hex, numbered := true, true
	for _, n := range segments {
		digits := 0
		for i := range len(n.segment) {
			c := n.segment[i]
			if digit(c) {
				digits++
			} else if c |= 0x20; c < 'a' || c > 'f' {
				hex = false
			}
		}
		hex = hex && len(n.segment) > 0
		numbered = numbered && digits > 0
	}
	switch {
	case hex && numbered:
		return placeholders[hexadecimal]
	case numbered:
		return placeholders[number]
	}
	return nameless
}

// write makes the template of the path that ends at the last node of a trail.
func (n *node) write(trail []*node) {
	size := 0
	n.rule = ""
	for _, t := range trail {
		size += 1 + len(t.text())
		switch t.shape {
		case literal, rest:
		case learned:
			n.rule = RuleLearned
		default:
			if n.rule == "" {
				n.rule = RuleCollapsed
			}
		}
	}
	var b strings.Builder
	b.Grow(size)
	for _, t := range trail {
		b.WriteByte('/')
		if t.shape != literal || !strings.ContainsAny(t.segment, "{}") {
			b.WriteString(t.text())
			continue
		}
		braces.WriteString(&b, t.segment)
	}
	n.route = b.String()
}

// braces escapes what a peer could forge a parameter with. Clients encode them.
var braces = strings.NewReplacer("{", "%7B", "}", "%7D")

func (n *node) text() string {
	if n.shape == literal || n.shape == learned {
		return n.segment
	}
	return placeholders[n.shape]
}
