package filter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// Verdicts are the names that --verdict takes.
func Verdicts() []string {
	return []string{"FORWARDED", "DROPPED", "AUDIT", "REDIRECTED", "ERROR", "TRACED", "TRANSLATED"}
}

func parseVerdict(s string) (flowpb.Verdict, error) {
	v, ok := flowpb.Verdict_value[strings.ToUpper(s)]
	if !ok {
		return 0, errors.New(unknown("verdict", s, Verdicts()))
	}
	return flowpb.Verdict(v), nil
}

func parseDropReason(s string) (flowpb.DropReason, error) {
	v, ok := flowpb.DropReason_value[strings.ToUpper(s)]
	if !ok {
		return 0, errors.New(unknown("drop reason", s, dropReasonNames()))
	}
	return flowpb.DropReason(v), nil
}

func dropReasonNames() []string { return slices.Sorted(maps.Keys(flowpb.DropReason_value)) }

func parseProtocol(s string) (string, error) {
	if !slices.Contains(protocolList, strings.ToLower(s)) {
		return "", errors.New(unknown("protocol", s, protocolList))
	}
	return strings.ToLower(s), nil
}

func protocolNames() []string { return protocolList }

func parseDirection(s string) (flowpb.TrafficDirection, error) {
	switch strings.ToLower(s) {
	case "ingress":
		return flowpb.TrafficDirection_INGRESS, nil
	case "egress":
		return flowpb.TrafficDirection_EGRESS, nil
	}
	return 0, errors.New(unknown("traffic direction", s, directionNames()))
}

func directionNames() []string { return []string{"ingress", "egress"} }

func parseIPVersion(s string) (flowpb.IPVersion, error) {
	switch strings.ToLower(s) {
	case "4", "v4", "ipv4", "ip4":
		return flowpb.IPVersion_IPv4, nil
	case "6", "v6", "ipv6", "ip6":
		return flowpb.IPVersion_IPv6, nil
	case "none":
		return flowpb.IPVersion_IP_NOT_USED, nil
	}
	return 0, errors.New(unknown("IP version", s, versionNames()))
}

func versionNames() []string { return []string{"none", "v4", "v6"} }

// parseFlags reads TCP flags that a packet must have all, as "syn,ack".
func parseFlags(s string) (*flowpb.TCPFlags, error) {
	out := &flowpb.TCPFlags{}
	set := map[string]*bool{
		"SYN": &out.SYN, "FIN": &out.FIN, "RST": &out.RST, "PSH": &out.PSH, "ACK": &out.ACK, "URG": &out.URG, "ECE": &out.ECE,
		"CWR": &out.CWR, "NS": &out.NS,
	}
	for name := range strings.SplitSeq(s, ",") {
		p, ok := set[strings.ToUpper(name)]
		if !ok {
			return nil, errors.New(unknown("TCP flag", name, tcpFlagNames()))
		}
		*p = true
	}
	return out, nil
}

func tcpFlagNames() []string {
	return []string{"SYN", "FIN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS"}
}

// Cilium's reserved identities: pkg/identity/numericidentity.go.
var reserved = []string{
	0: "unknown", 1: "host", 2: "world", 3: "unmanaged", 4: "health", 5: "init", 6: "remote-node", 7: "kube-apiserver",
	8: "ingress", 9: "world-ipv4", 10: "world-ipv6",
}

// ReservedIdentity is the name of a reserved identity, empty for others.
func ReservedIdentity(n uint32) string {
	if n < uint32(len(reserved)) {
		return reserved[n]
	}
	return ""
}

func parseIdentity(s string) (uint32, error) {
	if i := slices.Index(reserved, s); i >= 0 {
		return uint32(i), nil
	}
	n, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		return 0, errors.New(unknown("identity", s, reserved) + ", or a number")
	}
	return uint32(n), nil
}

func identityNames() []string { return reserved }

// The event types of flows: pkg/monitor/api/types.go.
var eventTypeNumbers = map[string]int32{"drop": 1, "capture": 3, "trace": 4, "policy-verdict": 5, "trace-sock": 7, "l7": eventL7}

// The observation points of trace events, by sub-type.
var tracePoints = []string{
	"to-endpoint", "to-proxy", "to-host", "to-stack", "to-overlay", "from-endpoint", "from-proxy", "from-host", "from-stack",
	"from-overlay", "from-network", "to-network", "from-crypto", "to-crypto",
}

// TracePoint names a trace event's sub-type.
func TracePoint(sub int32) string {
	if sub >= 0 && int(sub) < len(tracePoints) {
		return tracePoints[sub]
	}
	return strconv.Itoa(int(sub))
}

// parseType reads TYPE[:SUBTYPE], each a name or a number.
func parseType(s string) (*flowpb.EventTypeFilter, error) {
	name, sub, hasSub := strings.Cut(s, ":")
	n, ok := eventTypeNumbers[name]
	if !ok {
		v, err := strconv.ParseUint(name, 10, 31)
		if err != nil {
			return nil, errors.New(unknown("event type", name, typeNames()))
		}
		n = int32(v)
	}
	out := &flowpb.EventTypeFilter{Type: n}
	if !hasSub {
		return out, nil
	}
	out.MatchSubType = true
	if i := slices.Index(tracePoints, sub); i >= 0 && n == eventTypeNumbers["trace"] {
		out.SubType = int32(i)
		return out, nil
	}
	v, err := strconv.ParseUint(sub, 10, 31)
	if err != nil {
		if n == eventTypeNumbers["trace"] {
			return nil, errors.New(unknown("sub-type", sub, tracePoints))
		}
		return nil, fmt.Errorf("sub-type %q of event type %s: not a number", sub, name)
	}
	out.SubType = int32(v)
	return out, nil
}

func typeNames() []string {
	names := slices.Sorted(maps.Keys(eventTypeNumbers))
	for _, p := range tracePoints {
		names = append(names, "trace:"+p)
	}
	return names
}

func parseHeader(s string) (*flowpb.HTTPHeader, error) {
	key, value, ok := strings.Cut(s, ":")
	if !ok {
		return nil, fmt.Errorf("HTTP header %q: write name:value", s)
	}
	return &flowpb.HTTPHeader{Key: key, Value: value}, nil
}

func parseTraceID(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("IP trace ID %q: not a number above 0", s)
	}
	return n, nil
}
