package filter

import (
	"errors"
	"slices"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// field is one field of FlowFilter: build gives nil when the filter does not
// set it.
type field struct {
	name  string
	build func(*flowpb.FlowFilter) (Match, error)
}

// fields are all that weir evaluates: every one of FlowFilter but CEL. HTTP
// headers are known too, in order to say that there are none.
var fields = []field{
	{"uuid", func(f *flowpb.FlowFilter) (Match, error) { return oneOf(f.Uuid, (*flowpb.Flow).GetUuid), nil }},
	{"source_ip", func(f *flowpb.FlowFilter) (Match, error) { return ips(f.SourceIp, sourceIP) }},
	{"source_ip_xlated", func(f *flowpb.FlowFilter) (Match, error) { return ips(f.SourceIpXlated, sourceXlated) }},
	{"source_pod", func(f *flowpb.FlowFilter) (Match, error) { return names(f.SourcePod, sourcePod) }},
	{"source_fqdn", func(f *flowpb.FlowFilter) (Match, error) { return fqdns(f.SourceFqdn, (*flowpb.Flow).GetSourceNames) }},
	{"source_label", func(f *flowpb.FlowFilter) (Match, error) { return labels(f.SourceLabel, sourceLabels) }},
	{"source_service", func(f *flowpb.FlowFilter) (Match, error) { return names(f.SourceService, sourceService) }},
	{"source_workload", func(f *flowpb.FlowFilter) (Match, error) {
		return workloads(f.SourceWorkload, (*flowpb.Flow).GetSource), nil
	}},
	{"source_cluster_name", func(f *flowpb.FlowFilter) (Match, error) {
		return clusters(f.SourceClusterName, (*flowpb.Flow).GetSource)
	}},
	{"source_port", func(f *flowpb.FlowFilter) (Match, error) { return portList(f.SourcePort, sourcePort) }},
	{"source_identity", func(f *flowpb.FlowFilter) (Match, error) {
		return identities(f.SourceIdentity, (*flowpb.Flow).GetSource), nil
	}},
	{"destination_ip", func(f *flowpb.FlowFilter) (Match, error) { return ips(f.DestinationIp, destinationIP) }},
	{"destination_pod", func(f *flowpb.FlowFilter) (Match, error) { return names(f.DestinationPod, destinationPod) }},
	{"destination_fqdn", func(f *flowpb.FlowFilter) (Match, error) {
		return fqdns(f.DestinationFqdn, (*flowpb.Flow).GetDestinationNames)
	}},
	{"destination_label", func(f *flowpb.FlowFilter) (Match, error) { return labels(f.DestinationLabel, destinationLabels) }},
	{"destination_service", func(f *flowpb.FlowFilter) (Match, error) { return names(f.DestinationService, destinationService) }},
	{"destination_workload", func(f *flowpb.FlowFilter) (Match, error) {
		return workloads(f.DestinationWorkload, (*flowpb.Flow).GetDestination), nil
	}},
	{"destination_cluster_name", func(f *flowpb.FlowFilter) (Match, error) {
		return clusters(f.DestinationClusterName, (*flowpb.Flow).GetDestination)
	}},
	{"destination_port", func(f *flowpb.FlowFilter) (Match, error) { return portList(f.DestinationPort, destinationPort) }},
	{"destination_identity", func(f *flowpb.FlowFilter) (Match, error) {
		return identities(f.DestinationIdentity, (*flowpb.Flow).GetDestination), nil
	}},
	{"traffic_direction", func(f *flowpb.FlowFilter) (Match, error) {
		return oneOf(f.TrafficDirection, (*flowpb.Flow).GetTrafficDirection), nil
	}},
	{"verdict", func(f *flowpb.FlowFilter) (Match, error) { return oneOf(f.Verdict, (*flowpb.Flow).GetVerdict), nil }},
	{"drop_reason_desc", func(f *flowpb.FlowFilter) (Match, error) { return dropReasons(f.DropReasonDesc), nil }},
	{"interface", func(f *flowpb.FlowFilter) (Match, error) { return interfaces(f.Interface), nil }},
	{"event_type", func(f *flowpb.FlowFilter) (Match, error) { return eventTypes(f.EventType), nil }},
	{"protocol", func(f *flowpb.FlowFilter) (Match, error) { return protocols(f.Protocol) }},
	{"tcp_flags", func(f *flowpb.FlowFilter) (Match, error) { return tcpFlags(f.TcpFlags), nil }},
	{"reply", func(f *flowpb.FlowFilter) (Match, error) { return replies(f.Reply), nil }},
	{"ip_version", func(f *flowpb.FlowFilter) (Match, error) { return oneOf(f.IpVersion, ipVersion), nil }},
	{"encrypted", func(f *flowpb.FlowFilter) (Match, error) { return oneOf(f.Encrypted, encrypted), nil }},
	{"node_name", func(f *flowpb.FlowFilter) (Match, error) { return nodeNames(f.NodeName) }},
	{"node_labels", func(f *flowpb.FlowFilter) (Match, error) { return labels(f.NodeLabels, (*flowpb.Flow).GetNodeLabels) }},
	{"trace_id", func(f *flowpb.FlowFilter) (Match, error) { return oneOf(f.TraceId, traceID), nil }},
	{"ip_trace_id", func(f *flowpb.FlowFilter) (Match, error) { return oneOf(f.IpTraceId, ipTraceID), nil }},
	{"dns_query", func(f *flowpb.FlowFilter) (Match, error) { return dnsQueries(f.DnsQuery) }},
	{"http_status_code", func(f *flowpb.FlowFilter) (Match, error) { return httpField(f, f.HttpStatusCode, httpStatus) }},
	{"http_method", func(f *flowpb.FlowFilter) (Match, error) { return httpField(f, f.HttpMethod, httpMethod) }},
	{"http_path", func(f *flowpb.FlowFilter) (Match, error) { return httpField(f, f.HttpPath, httpPath) }},
	{"http_url", func(f *flowpb.FlowFilter) (Match, error) { return httpField(f, f.HttpUrl, httpURL) }},
	{"http_header", func(f *flowpb.FlowFilter) (Match, error) { return nil, refused(f.HttpHeader, "weir keeps no headers") }},
}

// refused is the error for a field that is set, and that no flow could match.
func refused[T any](list []T, why string) error {
	if len(list) == 0 {
		return nil
	}
	return errors.New(why)
}

// oneOf matches flows whose value is among list.
func oneOf[T comparable](list []T, get func(*flowpb.Flow) T) Match {
	if len(list) == 0 {
		return nil
	}
	return func(f *flowpb.Flow) bool { return slices.Contains(list, get(f)) }
}
