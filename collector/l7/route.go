package l7

import (
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// serverOf is whose paths a count's are: known from the kernel alone, so that it
// is the same for an exchange and its tally, however well the ends are named.
func serverOf(c *flow.Counted) server {
	switch {
	case c.Role == flow.RoleServer:
		return server{cgroup: c.Cgroup, port: c.Port}
	case c.Peer != 0:
		return server{cgroup: c.Peer, port: c.Port}
	}
	return server{addr: c.Remote, port: c.Port}
}

// name is an operation in words, for one server.
func (b *Book) name(c *flow.Counted, w words, status uint16) Name {
	if !templatable(c.Protocol, w.path) {
		return plainName(w)
	}
	exists := !absent(status)
	key := routeKey{serverOf(c), c.Operation}
	t, ok := b.routes[key]
	if ok && t.version == t.site.version && (t.exists || !exists) && c.Operation != 0 {
		b.tick++
		t.site.used = b.tick
		return Name{w.method, t.route, t.rule}
	}
	site, n := b.template(key.server, w, exists)
	if len(b.routes) >= maxRoutes && !ok {
		clear(b.routes) // they are made again as they are asked for
	}
	if c.Operation != 0 && n.Rule != RuleOther {
		b.routes[key] = templated{site, n.Route, n.Rule, site.version, exists || ok && t.exists}
	}
	return n
}

// unkept is the name of an exchange whose operation's number does not say it.
func (b *Book) unkept(c *flow.Counted, w words, status uint16) Name {
	if !templatable(c.Protocol, w.path) {
		return plainName(w.kept())
	}
	_, n := b.template(serverOf(c), w, !absent(status))
	return n
}

// templatable tells paths from names and from "*".
func templatable(p flow.L7Protocol, path string) bool {
	return p == flow.HTTP && strings.HasPrefix(path, "/")
}

func plainName(w words) Name { return Name{Method: w.method, Route: w.path} }

// template asks the server's tree, and makes one where there is none.
func (b *Book) template(k server, w words, exists bool) (*site, Name) {
	s := b.sites[k]
	if s == nil {
		if len(b.sites) >= maxSites {
			b.forget(nil)
		}
		s = newSite()
		b.sites[k] = s
	}
	b.tick++
	s.used = b.tick
	before := s.nodes
	route, rule := s.route(w.path, w.cut, exists, &b.scratch)
	b.forest += s.nodes - before
	for b.forest > maxForest && len(b.sites) > 1 {
		b.forget(s)
	}
	return s, Name{w.method, route, rule}
}

// forget drops the site that was not asked for the longest, but not keep.
func (b *Book) forget(keep *site) {
	var oldest *site
	var key server
	for k, s := range b.sites {
		if s != keep && (oldest == nil || s.used < oldest.used) {
			oldest, key = s, k
		}
	}
	b.forest -= oldest.nodes
	oldest.root = node{} // routes at hand may point to it still
	oldest.version++     // and are void
	delete(b.sites, key)
}
