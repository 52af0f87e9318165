package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/seed79351815/weir/bpf"
	"github.com/seed79351815/weir/collector/flow"
)

// packetChoice says whose packets are captured, and which of them.
type packetChoice struct {
	workloads  []string
	containers []string
	ports      []uint16
	ranges     []netip.Prefix
	protocol   flow.Protocol

	said []string // the flags as they were given
}

func (c *packetChoice) flags(fs *pflag.FlagSet) {
	add := func(name, usage string, set func(string) error) {
		fs.Var(value{set: func(s string) error {
			if err := set(s); err != nil {
				return err
			}
			c.said = append(c.said, "--"+name+" "+s)
			return nil
		}, typ: name}, name, usage)
	}
	add("workload", "of this workload: the name of a container, pod, unit, service or deployment, as NAME, NAMESPACE/NAME or KIND/NAME; may be repeated",
		text(&c.workloads))
	add("container", "of this container, by name or id (12 digits or more); may be repeated", text(&c.containers))
	add("port", "from or to this port; may be repeated", func(s string) error {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("expected a port from 1 to 65535")
		}
		c.ports = append(c.ports, uint16(n))
		return atMost(len(c.ports))
	})
	add("ip", "from or to this address or range (10.0.0.0/8); may be repeated", func(s string) error {
		r, err := parseRange(s)
		if err != nil {
			return err
		}
		c.ranges = append(c.ranges, r)
		return atMost(len(c.ranges))
	})
	add("protocol", "of this protocol: tcp, udp, icmp, icmpv6, sctp, or its number", func(s string) error {
		for _, p := range []flow.Protocol{flow.TCP, flow.UDP, flow.ICMP, flow.ICMPv6, flow.SCTP, flow.IGMP} {
			if strings.EqualFold(s, p.String()) {
				c.protocol = p
				return nil
			}
		}
		n, err := strconv.ParseUint(s, 10, 8)
		if err != nil || n == 0 {
			return fmt.Errorf("expected tcp, udp, icmp, icmpv6, sctp, igmp or a number from 1 to 255")
		}
		c.protocol = flow.Protocol(n)
		return nil
	})
}

func text(to *[]string) func(string) error {
	return func(s string) error {
		if s == "" {
			return fmt.Errorf("expected a name")
		}
		*to = append(*to, s)
		return nil
	}
}

func atMost(n int) error {
	if n > bpf.MaxPacketFilter {
		return fmt.Errorf("at most %d of them", bpf.MaxPacketFilter)
	}
	return nil
}

func parseRange(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	r, err := netip.ParsePrefix(s)
	if err != nil || r.Addr().Is4In6() {
		return r, fmt.Errorf("expected an address or a range, such as 10.0.0.1 or 10.0.0.0/8")
	}
	return r, nil
}

// String is the flags.
func (c *packetChoice) String() string { return strings.Join(c.said, " ") }

// all tells whether every workload is wanted.
func (c *packetChoice) all() bool { return len(c.workloads) == 0 && len(c.containers) == 0 }

// name is what is captured, in a word.
func (c *packetChoice) name() string {
	if c.all() {
		return "all"
	}
	return append(slices.Clone(c.workloads), c.containers...)[0]
}

// matches tells whether a workload is one whose packets are wanted.
func (c *packetChoice) matches(w *flow.Workload) bool {
	if c.all() {
		return true
	}
	named := len(c.workloads) == 0 || slices.ContainsFunc(c.workloads, func(s string) bool {
		kind, name, qualified := strings.Cut(s, "/")
		if qualified && strings.EqualFold(kind, w.Owner.Kind) && name == w.Owner.Name {
			return true
		}
		return s == w.Name || s == w.String() || s == w.Owner.Name
	})
	contained := len(c.containers) == 0 || w.Container != "" && slices.ContainsFunc(c.containers, func(s string) bool {
		return s == w.Name || len(s) >= 12 && strings.HasPrefix(w.Container, s)
	})
	return named && contained
}
