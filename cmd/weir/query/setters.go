package query

import (
	"fmt"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

func setVerdict(f *filter, v string) error {
	n, ok := flowpb.Verdict_value[strings.ToUpper(v)]
	if !ok {
		return fmt.Errorf("expected forwarded, dropped, error or audit")
	}
	f.Verdict = append(f.Verdict, flowpb.Verdict(n))
	return nil
}

func setDirection(f *filter, v string) error {
	n, ok := flowpb.TrafficDirection_value[strings.ToUpper(v)]
	if !ok || n == 0 {
		return fmt.Errorf("expected ingress or egress")
	}
	f.TrafficDirection = append(f.TrafficDirection, flowpb.TrafficDirection(n))
	return nil
}

func setDropReason(f *filter, v string) error {
	n, ok := flowpb.DropReason_value[strings.ToUpper(v)]
	if !ok {
		return fmt.Errorf("expected one of Hubble's drop reasons, such as POLICY_DENIED")
	}
	f.DropReasonDesc = append(f.DropReasonDesc, flowpb.DropReason(n))
	return nil
}

func setIPVersion(f *filter, v string) error {
	versions := map[string]flowpb.IPVersion{
		"4": flowpb.IPVersion_IPv4, "v4": flowpb.IPVersion_IPv4, "ipv4": flowpb.IPVersion_IPv4,
		"6": flowpb.IPVersion_IPv6, "v6": flowpb.IPVersion_IPv6, "ipv6": flowpb.IPVersion_IPv6,
		"none": flowpb.IPVersion_IP_NOT_USED,
	}
	n, ok := versions[strings.ToLower(v)]
	if !ok {
		return fmt.Errorf("expected v4, v6 or none")
	}
	f.IpVersion = append(f.IpVersion, n)
	return nil
}

func setHeader(f *filter, v string) error {
	key, val, ok := strings.Cut(v, ":")
	if !ok {
		return fmt.Errorf("expected name:value")
	}
	f.HttpHeader = append(f.HttpHeader, &flowpb.HTTPHeader{Key: key, Value: val})
	return nil
}

func setTCPFlags(f *filter, v string) error {
	var flags flowpb.TCPFlags
	known := map[string]*bool{
		"SYN": &flags.SYN, "FIN": &flags.FIN, "RST": &flags.RST, "PSH": &flags.PSH, "ACK": &flags.ACK,
		"URG": &flags.URG, "ECE": &flags.ECE, "CWR": &flags.CWR, "NS": &flags.NS,
	}
	for name := range strings.SplitSeq(v, ",") {
		p := known[strings.ToUpper(name)]
		if p == nil {
			return fmt.Errorf("%q is no TCP flag", name)
		}
		*p = true
	}
	f.TcpFlags = append(f.TcpFlags, &flags)
	return nil
}

// eventTypes are Cilium's monitor message types that weir's flows can have.
var eventTypes = map[string]int32{"drop": 1, "trace": 4, "policy-verdict": 5, "trace-sock": 7, "l7": 129}

// tracePoints are the subtypes of trace that weir's flows can have.
var tracePoints = map[string]int32{"to-endpoint": 0, "to-stack": 3}

func setType(f *filter, v string) error {
	name, sub, hasSub := strings.Cut(v, ":")
	n, ok := number(name, eventTypes)
	if !ok {
		return fmt.Errorf("expected trace, drop, l7, policy-verdict, trace-sock or a number")
	}
	e := &flowpb.EventTypeFilter{Type: n, MatchSubType: hasSub}
	if hasSub {
		var points map[string]int32
		if n == eventTypes["trace"] {
			points = tracePoints
		}
		if e.SubType, ok = number(sub, points); !ok {
			return fmt.Errorf("subtype %q is unknown", sub)
		}
	}
	f.EventType = append(f.EventType, e)
	return nil
}

func number(s string, names map[string]int32) (int32, bool) {
	if n, ok := names[strings.ToLower(s)]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(s, 10, 31)
	return int32(n), err == nil
}
