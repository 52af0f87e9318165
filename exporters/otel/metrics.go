package otel

import (
	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/seed79351815/weir/collector/flow"
)

// metricKind is what OpenTelemetry calls an instrument.
type metricKind uint8

const (
	counter metricKind = iota
	gauge
	histogram
)

// maxKeys is how many attributes a point has at most.
const maxKeys = 7

// metric is a line of the table: names, units and attributes are an interface that
// dashboards depend on. Those that begin with weir. become, where a receiver writes
// them for Prometheus, the very names that weir serves at /metrics.
type metric struct {
	name, unit string
	kind       metricKind
	help       string
	keys       []string // of its points' attributes
}

// metricID is a metric's place in the table.
type metricID uint8

const (
	mHTTPServer metricID = iota
	mHTTPClient
	mDNS
	mTLS
	mL7Bytes
	mFlows
	mBytes
	mWireBytes
	mPackets
	mFailures
	mDrops
	mVerdicts
	mRetransmits
	mRTT
	mConnect
	mEvents
	mRecords
	mLost
	mLive
	metricCount
)

// between are the attributes that say between whom, of metrics that are of no one
// workload's.
var between = []string{keySource, keySourceNS, keyDest, keyDestNS}

func ofBoth(keys ...string) []string { return append(append([]string{}, between...), keys...) }

// metrics is the table of all that weir sends. It is never changed.
var metrics = [metricCount]metric{
	// Of the workload that is their resource.
	mHTTPServer: {"http.server.request.duration", "s", histogram, "Duration of HTTP server requests.",
		[]string{keyHTTPMethod, keyHTTPStatus, keyHTTPRoute, keyErrorType, keyURLScheme, keyPeerName, keyPeerNamespace}},
	mHTTPClient: {"http.client.request.duration", "s", histogram, "Duration of HTTP client requests.",
		[]string{keyHTTPMethod, keyHTTPStatus, keyURLTemplate, keyErrorType, keyServerAddress, keyServerPort, keyPeerNamespace}},
	mDNS: {"dns.lookup.duration", "s", histogram, "Measures the time taken to perform a DNS lookup.",
		[]string{keyDNSQuestion, keyDNSType, keyDNSCode, keyErrorType}},
	mTLS: {"weir.tls.handshake.duration", "s", histogram, "Duration of TLS handshakes, from hello to hello.",
		[]string{keyServerAddress, keyTLSOutcome}},

	// Of the host: their resource is weir.
	mL7Bytes:     {"weir.l7.bytes", "By", counter, "Heads and bodies of exchanges; transmit is requests, receive is answers.", ofBoth(keyL7Protocol, keyNetDirection)},
	mFlows:       {"weir.flows", "{flow}", counter, "Flows that began, or that weir found when it started.", ofBoth(keyNetTransport, keyVerdict)},
	mBytes:       {"weir.flow.bytes", "By", counter, "Transport payload of flows; transmit is from source to destination.", ofBoth(keyNetTransport, keyNetDirection)},
	mWireBytes:   {"weir.flow.wire_bytes", "By", counter, "IP packets of flows, headers and retransmissions counted.", ofBoth(keyNetTransport, keyNetDirection)},
	mPackets:     {"weir.flow.packets", "{packet}", counter, "IP packets of flows.", ofBoth(keyNetTransport, keyNetDirection)},
	mFailures:    {"weir.connection.failures", "{flow}", counter, "Flows that ended because something went wrong.", ofBoth(keyNetTransport, keyCause)},
	mDrops:       {"weir.drops", "{packet}", counter, "Packets that the kernel dropped, with its reason.", ofBoth(keyNetTransport, keyReason)},
	mVerdicts:    {"weir.policy.verdicts", "{attempt}", counter, "Attempts that policies refused, or would have refused where they only audit.", ofBoth(keyVerdict, keyPolicy, keyRule)},
	mRetransmits: {"weir.tcp.retransmits", "{segment}", counter, "TCP segments sent again, by both sides.", between},
	mRTT:         {"weir.tcp.rtt", "s", histogram, "Smoothed round trip time of TCP flows, one reading for each report in which packets arrived.", between},
	mConnect:     {"weir.tcp.connect.duration", "s", histogram, "Time from SYN to established, at the client.", between},

	// Of weir itself, from the pipeline's health.
	mEvents:  {"weir.events", "{event}", counter, "Events that reached the aggregator.", nil},
	mRecords: {"weir.records", "{record}", counter, "Records that the aggregator made for its sinks.", nil},
	mLost:    {"weir.lost", "{observation}", counter, "Observations lost, by the stage that lost them and why.", []string{keyStage, keyReason}},
	mLive:    {"weir.live_flows", "{flow}", gauge, "Flows in the flow table.", nil},
}

// l7Metrics are the histograms of a protocol's latencies, as its clients and its
// servers see them. Where both are one, an exchange is in it once.
var l7Metrics = [flow.L7Protocols]struct{ client, server metricID }{
	flow.HTTP: {mHTTPClient, mHTTPServer}, flow.DNS: {mDNS, mDNS}, flow.TLS: {mTLS, mTLS},
}

// Temporality is how counts go on from message to message.
type Temporality = metricpb.AggregationTemporality

// Cumulative counts go on since the series began, Delta ones since the message before.
const (
	Cumulative = metricpb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	Delta      = metricpb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
)
