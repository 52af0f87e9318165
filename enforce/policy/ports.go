package policy

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seed79351815/weir/collector/spelling"
)

// protocols gives the IANA numbers. The second group has no ports.
var protocols = map[Proto]uint8{
	ProtoTCP: 6, ProtoUDP: 17, ProtoSCTP: 132,
	ProtoVRRP: 112, ProtoIGMP: 2, ProtoGRE: 47, ProtoIPIP: 4, ProtoIPv6: 41, ProtoESP: 50, ProtoAH: 51,
}

// ICMP types are told apart by these two, like ports by their protocol.
const (
	protocolICMP   uint8 = 1
	protocolICMPv6 uint8 = 58
)

func (p Proto) any() bool { return p == "" || p == ProtoAny }

// hasPorts tells whether packets of the protocol have ports.
func (p Proto) hasPorts() bool {
	return p.any() || p == ProtoTCP || p == ProtoUDP || p == ProtoSCTP
}

// numbers are the protocols that p stands for.
func (p Proto) numbers() []uint8 {
	if p.any() {
		return []uint8{protocols[ProtoTCP], protocols[ProtoUDP], protocols[ProtoSCTP]}
	}
	return []uint8{protocols[p]}
}

func (d *decoder) portRule(n *yaml.Node, dir Direction) PortRule {
	r := PortRule{Pos: d.pos(n)}
	isObject := d.object(n, "an element of toPorts", fields{
		"ports":       func(v *yaml.Node) { r.Ports = list(d, v, "ports", d.port) },
		"serverNames": func(v *yaml.Node) { r.ServerNames = list(d, v, "serverNames", d.serverName) },
		"rules":       func(v *yaml.Node) { r.Rules = d.l7Rules(v) },
	}, refusedInPort)
	if !isObject {
		return r
	}
	if len(r.Ports) == 0 {
		d.warnf(n, "toPorts without ports selects nothing")
	}
	if r.Rules != nil {
		d.checkL7(n, &r, dir)
	}
	return r
}

// checkL7 has Cilium's conditions for rules beside ports.
func (d *decoder) checkL7(n *yaml.Node, r *PortRule, dir Direction) {
	if len(r.Rules.DNS) > 0 && dir == Ingress {
		d.errorf(n, "dns rules are not allowed in ingress")
	}
	for _, p := range r.Ports {
		switch {
		case len(r.Rules.DNS) > 0 && p.End != 0:
			d.errorf(n, "dns rules need single ports")
		case p.Port == 0 && p.Name == "":
			d.errorf(n, "rules need a port, not every port")
		case len(r.Rules.DNS) == 0 && p.Protocol != ProtoTCP:
			d.errorf(n, "rules other than dns are for TCP: write %q at port %s", "protocol: TCP", p)
		}
	}
}

// serviceName is RFC 6335, section 5.1, as Cilium reads it.
var serviceName = regexp.MustCompile(`^([a-zA-Z0-9]-?)*[a-zA-Z](-?[a-zA-Z0-9])*$`).MatchString

func (d *decoder) port(n *yaml.Node) Port {
	var p Port
	var end *yaml.Node
	there := false
	isObject := d.object(n, "a port", fields{
		"port":     func(v *yaml.Node) { there = true; d.portNumber(v, &p) },
		"endPort":  func(v *yaml.Node) { end = v; p.End = d.integer(v, "endPort", 65535) },
		"protocol": func(v *yaml.Node) { p.Protocol = d.proto(v) },
	}, nil)
	if !isObject {
		return p
	}
	switch {
	case !there && p.Protocol.hasPorts():
		d.errorf(n, "no port: write %q for every port", `port: "0"`)
	case !p.Protocol.hasPorts() && (p.Port != 0 || p.Name != "" || p.End != 0):
		d.errorf(n, "%s has no ports", p.Protocol)
	case end != nil:
		d.checkRange(end, &p)
	}
	return p
}

func (d *decoder) checkRange(n *yaml.Node, p *Port) {
	switch {
	case p.End == 0: // said already, or Cilium's way to say that there is none
	case p.Name != "":
		d.errorf(n, "endPort needs a port number, not the name %q", p.Name)
	case p.End < p.Port:
		d.errorf(n, "endPort %d is below port %d", p.End, p.Port)
	case p.Port == 0:
		d.errorf(n, "endPort needs a port other than 0")
	case p.End == p.Port:
		p.End = 0
	}
}

// portNumber reads a number, also as text, or a service's name.
func (d *decoder) portNumber(n *yaml.Node, p *Port) {
	r := d.resolve(n)
	if r == nil {
		return
	}
	if r.Kind == yaml.ScalarNode && r.ShortTag() == "!!int" {
		p.Port = d.integer(n, "port", 65535)
		return
	}
	s := d.text(n, "port")
	number, err := strconv.ParseUint(s, 10, 16)
	switch {
	case err == nil && (s == "0" || s[0] != '0'):
		p.Port = uint16(number)
	case len(s) <= 15 && serviceName(s):
		p.Name = strings.ToLower(s)
	case s != "" || r.Value == "" && r.Kind == yaml.ScalarNode && r.ShortTag() == "!!str":
		d.errorf(n, "port %q is neither a number from 0 to 65535 nor a name of at most 15 letters, digits and \"-\"", s)
	}
}

func (d *decoder) proto(n *yaml.Node) Proto {
	s := Proto(strings.ToUpper(d.text(n, "protocol")))
	if s == "ICMP" || s == "ICMPV6" {
		d.errorf(n, "protocol %s has no ports: use icmps", s)
		return ""
	}
	if _, ok := protocols[s]; ok || s.any() {
		return s
	}
	names := keys(protocolNames())
	hint := spelling.DidYouMean(string(s), names, "")
	if hint == "" {
		hint = "; it is one of " + strings.Join(names, ", ")
	}
	d.errorf(n, "unknown protocol %q%s", s, hint)
	return ""
}

func protocolNames() map[string]uint8 {
	names := map[string]uint8{string(ProtoAny): 0}
	for p, number := range protocols {
		names[string(p)] = number
	}
	return names
}

// String is "3306/TCP", "8000-8080/TCP", "http/TCP", "every port/UDP" or "GRE".
func (p Port) String() string {
	proto := p.Protocol
	if proto == "" {
		proto = ProtoAny
	}
	switch {
	case !proto.hasPorts():
		return string(proto)
	case p.Name != "":
		return p.Name + "/" + string(proto)
	case p.End > p.Port:
		return strconv.Itoa(int(p.Port)) + "-" + strconv.Itoa(int(p.End)) + "/" + string(proto)
	case p.Port == 0:
		return "every port/" + string(proto)
	}
	return strconv.Itoa(int(p.Port)) + "/" + string(proto)
}

// A block is a range of ports that have their leading bits in common.
type block struct {
	port uint16
	bits uint8
}

// blocks are the fewest blocks that make up first to last.
func blocks(first, last uint16) []block {
	var out []block
	for at, end := uint32(first), uint32(last); at <= end; {
		size, bits := uint32(1), uint8(16)
		for bits > 0 && at&(size<<1-1) == 0 && at+(size<<1)-1 <= end {
			size, bits = size<<1, bits-1
		}
		out = append(out, block{uint16(at), bits})
		at += size
	}
	return out
}

// blocks of the ports that p stands for; a named port's number is given.
func (p Port) blocks(named uint16) []block {
	switch {
	case p.Name != "":
		return []block{{named, 16}}
	case p.End > p.Port:
		return blocks(p.Port, p.End)
	case p.Port == 0:
		return []block{{}}
	}
	return []block{{p.Port, 16}}
}

// portOf reads the port that a label gives.
func portOf(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n > 0
}
