package baseline

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/seed79351815/weir/collector/flow"
)

// Service is what a peer is reached by. It can be compared.
type Service struct {
	Protocol flow.Protocol
	Port     uint16 // for ICMP and ICMPv6 the type; 0 for protocols without ports
	Any      bool   // all ports: there were too many to keep each
}

// String is "tcp/80", "icmp/8", "udp/any" or "ip-47".
func (s Service) String() string {
	switch {
	case s.Any:
		return s.Protocol.String() + "/any"
	case !s.Protocol.HasPorts() && s.Protocol != flow.ICMP && s.Protocol != flow.ICMPv6:
		return s.Protocol.String()
	}
	return s.Protocol.String() + "/" + strconv.Itoa(int(s.Port))
}

// Compare orders services by protocol and port.
func (s Service) Compare(o Service) int {
	any := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(s.Protocol, o.Protocol), cmp.Compare(s.Port, o.Port), any(s.Any)-any(o.Any))
}

// MarshalText is "protocol/port" in numbers, or "protocol/any".
func (s Service) MarshalText() ([]byte, error) {
	port := strconv.Itoa(int(s.Port))
	if s.Any {
		port = "any"
	}
	return []byte(strconv.Itoa(int(s.Protocol)) + "/" + port), nil
}

// UnmarshalText is the inverse of MarshalText.
func (s *Service) UnmarshalText(b []byte) error {
	protocol, port, _ := strings.Cut(string(b), "/")
	p, err := strconv.ParseUint(protocol, 10, 8)
	if err != nil {
		return fmt.Errorf("service %q: %w", b, err)
	}
	*s = Service{Protocol: flow.Protocol(p)}
	if port == "any" {
		s.Any = true
		return nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("service %q: %w", b, err)
	}
	s.Port = uint16(n)
	return nil
}

// Operation is what was asked for, as flow.L7 names it. It can be compared.
type Operation struct {
	Protocol flow.L7Protocol
	Port     uint16 // the server's, as the workload names it
	Method   string // HTTP method, DNS type; hostile
	Route    string // path template, DNS name, TLS server name; "" when unknown; hostile
}

// Compare orders operations by port, protocol, route and method.
func (o Operation) Compare(p Operation) int {
	return cmp.Or(cmp.Compare(o.Port, p.Port), cmp.Compare(o.Protocol, p.Protocol), cmp.Compare(o.Route, p.Route), cmp.Compare(o.Method, p.Method))
}

// MarshalText is "protocol/port/method/route", numbers first, each of the others
// escaped as in a URL.
func (o Operation) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%d/%d/%s/%s", o.Protocol, o.Port, url.PathEscape(o.Method), url.PathEscape(o.Route)), nil
}

// UnmarshalText is the inverse of MarshalText.
func (o *Operation) UnmarshalText(b []byte) error {
	parts, err := unescape(string(b), 4)
	if err != nil {
		return fmt.Errorf("operation %w", err)
	}
	protocol, err := strconv.ParseUint(parts[0], 10, 8)
	if err != nil {
		return fmt.Errorf("operation %q: %w", b, err)
	}
	port, err := strconv.ParseUint(parts[1], 10, 16)
	if err != nil {
		return fmt.Errorf("operation %q: %w", b, err)
	}
	*o = Operation{flow.L7Protocol(protocol), uint16(port), parts[2], parts[3]}
	return nil
}
