package prom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// kind is what Prometheus calls a metric's type.
type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	histogram kind = "histogram"
)

// metric is one line of the table below. Names, types and labels are an
// interface that dashboards and alerts depend on: they are never changed.
type metric struct {
	name    string
	kind    kind
	unit    string // base unit, empty for plain numbers
	labels  []string
	help    string
	buckets []float64 // of the classic histogram; the native one goes beside it
}

// id is a metric's place in the table.
type id uint8

// Those below recordMetrics are made of records: of flows first, then of
// exchanges. The rest is made of the pipeline's Health.
const (
	mFlows id = iota
	mBytes
	mWireBytes
	mPackets
	mFailures
	mDrops
	mPolicy
	mRetransmits
	mRTT
	mConnect
	mHTTPServer
	mHTTPClient
	mDNS
	mTLS
	mL7Bytes
	mShown
	recordMetrics
)

const (
	mOverflow = recordMetrics + iota
	mUnseenBytes
	mUnseenStretches
	mLive
	mEvicted
	mEvents
	mRecords
	mLost
	mProduced
	mDelivered
	mRingLost
	mRingSize
	mRingUnread
	mTableEntries
	mTableMax
	mCapturing
	mCaptureStart
	mBuild
	metricCount
)

// The labels that say between whom. The source is the client: who opened the
// connection or sent the first packet.
var ends = []string{"source_workload", "source_namespace", "destination_workload", "destination_namespace"}

func with(labels ...string) []string { return append(append([]string{}, ends...), labels...) }

var withHTTP = with("http_request_method", "http_response_status_code", "http_route", "error_type")

// seconds are the classic buckets that OpenTelemetry advises for durations.
var seconds = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}

// metrics is the table of everything that weir exports, beside the Go
// runtime's and the process's own metrics. It is never changed.
var metrics = [metricCount]metric{
	mFlows:     {"weir_flows_total", counter, "", with("protocol", "verdict"), "Flows that began, or that weir found when it started.", nil},
	mBytes:     {"weir_flow_bytes_total", counter, "bytes", with("protocol", "direction"), "Transport payload of flows, retransmissions not counted. Direction sent is from source to destination.", nil},
	mWireBytes: {"weir_flow_wire_bytes_total", counter, "bytes", with("protocol", "direction"), "IP packets of flows, headers and retransmissions counted.", nil},
	mPackets:   {"weir_flow_packets_total", counter, "", with("protocol", "direction"), "IP packets of flows.", nil},
	mFailures:  {"weir_connection_failures_total", counter, "", with("protocol", "cause"), "Flows that ended because something went wrong.", nil},
	mDrops:     {"weir_drops_total", counter, "", with("protocol", "reason"), "Packets that the kernel dropped, with its reason.", nil},
	mPolicy: {"weir_policy_verdicts_total", counter, "", with("protocol", "direction", "match", "action", "policy", "rule", "mode"),
		"What policies decided, in attempts as the kernel saw them: one connection may be several, most of all in audit.", nil},
	mRetransmits: {"weir_tcp_retransmits_total", counter, "", ends, "TCP segments sent again, by both sides.", nil},
	mRTT: {"weir_tcp_rtt_seconds", histogram, "seconds", ends, "Smoothed round trip time of TCP flows, one reading for each report in which packets arrived.",
		[]float64{.0001, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1}},
	mConnect: {"weir_tcp_connect_duration_seconds", histogram, "seconds", ends, "Time from SYN to established, at the client.",
		[]float64{.0001, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}},

	mHTTPServer: {l7.Of(flow.HTTP).ServerMetric, histogram, "seconds", withHTTP, "HTTP requests that a workload of this host served, from the first byte of the request to the last of the answer.", seconds},
	mHTTPClient: {l7.Of(flow.HTTP).ClientMetric, histogram, "seconds", withHTTP, "HTTP requests that a workload of this host made, from the first byte of the request to the last of the answer.", seconds},
	mDNS:        {l7.Of(flow.DNS).ClientMetric, histogram, "seconds", with("dns_question_name", "dns_question_type", "dns_response_code", "error_type"), "DNS lookups, from question to answer.", seconds},
	mTLS:        {l7.Of(flow.TLS).ClientMetric, histogram, "seconds", with("server_name", "outcome"), "TLS handshakes, from the client's hello to the server's.", seconds},
	mL7Bytes:    {"weir_l7_bytes_total", counter, "bytes", with("protocol", "direction"), "Heads and bodies of exchanges. Direction sent is requests, received is answers.", nil},
	mShown:      {"weir_exchanges_shown_total", counter, "", with("protocol", "why"), "Exchanges that were told in full. The others were only counted, in the histograms.", nil},

	mOverflow:        {"weir_metrics_overflow_total", counter, "", []string{"metric"}, "Observations counted in a series labelled other, because the metric's budget of series was used up.", nil},
	mUnseenBytes:     {"weir_l7_unseen_bytes_total", counter, "bytes", []string{"protocol", "reason"}, "Bytes that were not read of connections whose protocol is read.", nil},
	mUnseenStretches: {"weir_l7_unseen_stretches_total", counter, "", []string{"protocol", "reason"}, "Stretches that those bytes lay in.", nil},
	mLive:            {"weir_live_flows", gauge, "", nil, "Flows in the flow table: living ones and those that ended lately.", nil},
	mEvicted:         {"weir_flows_evicted_total", counter, "", nil, "Flows that had to leave the full flow table before their time.", nil},
	mEvents:          {"weir_events_total", counter, "", nil, "Events that reached the aggregator.", nil},
	mRecords:         {"weir_records_total", counter, "", nil, "Records that the aggregator made for its sinks.", nil},
	mLost:            {"weir_lost_total", counter, "", []string{"stage", "reason"}, "Observations lost, by the stage that lost them and why.", nil},
	mProduced:        {"weir_kernel_events_produced_total", counter, "", []string{"cpu"}, "Events that the kernel's programs wanted to send.", nil},
	mDelivered:       {"weir_kernel_events_delivered_total", counter, "", []string{"cpu"}, "Events that were read out of the ring buffer.", nil},
	mRingLost:        {"weir_kernel_events_lost_total", counter, "", []string{"cpu"}, "Events for which the ring buffer had no room. Produced = delivered + lost + what waits.", nil},
	mRingSize:        {"weir_ring_size_bytes", gauge, "bytes", nil, "Size of the ring buffer.", nil},
	mRingUnread:      {"weir_ring_unread_bytes", gauge, "bytes", nil, "Bytes that wait in the ring buffer.", nil},
	mTableEntries:    {"weir_kernel_table_entries", gauge, "", []string{"table"}, "Entries in a kernel table.", nil},
	mTableMax:        {"weir_kernel_table_max_entries", gauge, "", []string{"table"}, "Entries that a kernel table can hold.", nil},
	mCapturing:       {"weir_capturing", gauge, "", nil, "1 where weir captures, 0 where it cannot and only holds policies.", nil},
	mCaptureStart:    {"weir_capture_start_time_seconds", gauge, "seconds", nil, "When the capture began, since the Unix epoch.", nil},
	mBuild:           {"weir_build_info", gauge, "", []string{"version", "revision", "goversion"}, "Always 1; its labels say which weir this is.", nil},
}

// descs makes the table's descriptors, in its order.
func descs(labels *Labels) (d [metricCount]*prometheus.Desc) {
	for i, m := range metrics {
		d[i] = prometheus.NewDesc(m.name, m.help, labels.of(id(i)), nil)
	}
	return d
}

// valueType is for metrics that are no histograms.
func (m metric) valueType() prometheus.ValueType {
	if m.kind == counter {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}
