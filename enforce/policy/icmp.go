package policy

import (
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/seed79351815/weir/collector/spelling"
)

// icmpTypes and icmpv6Types are the names that Cilium has for types (pkg/policy/api/icmp.go).
var (
	icmpTypes = map[string]uint8{
		"EchoReply": 0, "DestinationUnreachable": 3, "Redirect": 5, "Echo": 8, "EchoRequest": 8,
		"RouterAdvertisement": 9, "RouterSelection": 10, "TimeExceeded": 11, "ParameterProblem": 12,
		"Timestamp": 13, "TimestampReply": 14, "Photuris": 40, "ExtendedEchoRequest": 42, "ExtendedEchoReply": 43,
	}
	icmpv6Types = map[string]uint8{
		"DestinationUnreachable": 1, "PacketTooBig": 2, "TimeExceeded": 3, "ParameterProblem": 4,
		"EchoRequest": 128, "EchoReply": 129, "MulticastListenerQuery": 130, "MulticastListenerReport": 131,
		"MulticastListenerDone": 132, "RouterSolicitation": 133, "RouterAdvertisement": 134,
		"NeighborSolicitation": 135, "NeighborAdvertisement": 136, "RedirectMessage": 137, "RouterRenumbering": 138,
		"ICMPNodeInformationQuery": 139, "ICMPNodeInformationResponse": 140,
		"InverseNeighborDiscoverySolicitation": 141, "InverseNeighborDiscoveryAdvertisement": 142,
		"HomeAgentAddressDiscoveryRequest": 144, "HomeAgentAddressDiscoveryReply": 145,
		"MobilePrefixSolicitation": 146, "MobilePrefixAdvertisement": 147,
		"DuplicateAddressRequestCodeSuffix": 157, "DuplicateAddressConfirmationCodeSuffix": 158,
		"ExtendedEchoRequest": 160, "ExtendedEchoReply": 161,
	}
)

func (d *decoder) icmpRule(n *yaml.Node) ICMPRule {
	var r ICMPRule
	if d.object(n, "an element of icmps", fields{
		"fields": func(v *yaml.Node) { r.Fields = list(d, v, "fields", d.icmpField) },
	}, nil) && len(r.Fields) == 0 {
		d.warnf(n, "icmps without fields selects nothing")
	}
	return r
}

func (d *decoder) icmpField(n *yaml.Node) ICMPField {
	var f ICMPField
	var kind *yaml.Node
	if !d.object(n, "a field of icmps", fields{
		"family": func(v *yaml.Node) { f.IPv6 = word(d, v, "family", "IPv4", "IPv6") == "IPv6" },
		"type":   func(v *yaml.Node) { kind = v },
	}, nil) {
		return f
	}
	if kind == nil {
		d.errorf(n, "no type")
		return f
	}
	if r := d.resolve(kind); r != nil && r.Kind == yaml.ScalarNode && r.ShortTag() == "!!int" {
		f.Type = uint8(d.integer(kind, "type", 255))
		return f
	}
	names, family := icmpTypes, "IPv4"
	if f.IPv6 {
		names, family = icmpv6Types, "IPv6"
	}
	name := d.text(kind, "type")
	t, ok := names[name]
	if !ok && name != "" {
		if t, ok = number8(name); !ok {
			d.errorf(kind, "unknown ICMP type %q in %s%s", name, family, spelling.DidYouMean(name, keys(names), ""))
		}
	}
	f.Type = t
	return f
}

// number8 reads a type that was written as text.
func number8(s string) (uint8, bool) {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > 25 {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return uint8(n), s != "" && n <= 255
}

// String is "ICMP EchoRequest" or "ICMPv6 200".
func (f ICMPField) String() string {
	proto, names := "ICMP ", icmpTypes
	if f.IPv6 {
		proto, names = "ICMPv6 ", icmpv6Types
	}
	return proto + typeName(names, f.Type)
}

// typeName is the type's longest name, or its number.
func typeName(names map[string]uint8, t uint8) string {
	best := ""
	for _, n := range slices.Sorted(maps.Keys(names)) {
		if names[n] == t && len(n) > len(best) {
			best = n
		}
	}
	if best == "" {
		return decimal(uint16(t))
	}
	return best
}
