package policy

import (
	"strings"
)

// describe is a rule in words: "allow from app=web to 80/TCP".
func (r *RuleSpec) describe(dir Direction, deny bool) string {
	verb, side := "allow", " from "
	if deny {
		verb = "deny"
	}
	if dir == Egress {
		side = " to "
	}
	if r.Peers.absent() && len(r.Ports)+len(r.ICMPs) == 0 {
		return verb + " nothing"
	}
	return verb + side + r.Peers.String() + onPorts(r.Ports, r.ICMPs)
}

func (g *Guard) describe() string { return g.To.String() + onPorts(g.Ports, nil) }

// onPorts is " on 80/TCP, 443/TCP", or empty for everything.
func onPorts(ports []PortRule, icmps []ICMPRule) string {
	var parts []string
	for _, r := range ports {
		for _, p := range r.Ports {
			parts = append(parts, p.String())
		}
		if r.Rules != nil {
			if of := r.Rules.patterns(); len(of) > 0 {
				parts = append(parts, "asking for "+short(of))
			} else {
				parts = append(parts, "with "+r.Rules.protocol()+" rules")
			}
		}
		if len(r.ServerNames) > 0 {
			parts = append(parts, "with server names "+strings.Join(r.ServerNames, ", "))
		}
	}
	for _, r := range icmps {
		for _, f := range r.Fields {
			parts = append(parts, f.String())
		}
	}
	switch {
	case parts != nil:
		return " on " + short(parts)
	case len(ports)+len(icmps) > 0:
		return " on no port"
	}
	return ""
}

// String is the peers in words.
func (p *Peers) String() string {
	if p.absent() {
		return "everyone"
	}
	var parts []string
	for i := range p.Endpoints {
		parts = append(parts, p.Endpoints[i].String())
	}
	for _, c := range p.CIDRs {
		parts = append(parts, c.String())
	}
	for _, c := range p.CIDRSets {
		s := c.CIDR.String()
		for _, e := range c.Except {
			s += " without " + e.String()
		}
		parts = append(parts, s)
	}
	for _, e := range p.Entities {
		parts = append(parts, string(e))
	}
	for _, f := range p.FQDNs {
		parts = append(parts, f.pattern())
	}
	if parts == nil {
		return "nobody"
	}
	return short(parts)
}

// short lists some and counts the rest.
func short(parts []string) string {
	const most = 6
	if rest := len(parts) - most; rest > 0 {
		parts = append(parts[:most:most], "and "+decimal(uint16(min(rest, 65535)))+" more")
	}
	return strings.Join(parts, ", ")
}
