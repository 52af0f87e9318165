package policy

import "go.yaml.in/yaml/v3"

// guard reads the spec of a Guard.
func (d *decoder) guard(n *yaml.Node) *Guard {
	g := &Guard{Mode: ModeAudit, Pos: d.pos(n)}
	allowed := false
	known := fields{
		"mode":        func(v *yaml.Node) { g.Mode = d.mode(v) },
		"description": func(v *yaml.Node) { g.Description = d.text(v, "description") },
		"toPorts": func(v *yaml.Node) {
			g.Ports = list(d, v, "toPorts", func(c *yaml.Node) PortRule { return d.portRule(c, Egress) })
		},
		"allowedFrom": func(v *yaml.Node) {
			allowed = true
			g.AllowedFrom = list(d, v, "allowedFrom", func(c *yaml.Node) Selector { return *d.selector(c) })
		},
	}
	d.peers(known, "to", &g.To)
	delete(known, "toEntities")
	if !d.object(n, "spec", known, map[string]string{
		"toEntities": "a Guard has one destination; name it by toCIDR, toFQDNs or toEndpoints",
	}) {
		return g
	}
	to := &g.To
	if len(to.Endpoints)+len(to.CIDRs)+len(to.CIDRSets)+len(to.FQDNs) == 0 {
		d.errorf(n, "no destination: a Guard needs toCIDR, toCIDRSet, toFQDNs or toEndpoints")
	}
	if !allowed {
		d.errorf(n, "no allowedFrom: write %q where nobody may reach the destination", "allowedFrom: []")
	}
	return g
}
