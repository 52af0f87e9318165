package otel

import (
	"context"
	"crypto/tls"
	"time"

	logcollectorpb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metriccollectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracecollectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// Protocol is how OTLP is carried.
type Protocol string

// The protocols of OTEL_EXPORTER_OTLP_PROTOCOL that weir speaks.
const (
	GRPC Protocol = "grpc"
	HTTP Protocol = "http/protobuf"
)

// Endpoint is where one signal is sent, and how.
type Endpoint struct {
	URL      string // http or https, host and port; for HTTP with the whole path
	Protocol Protocol
	Headers  map[string]string // secrets as a rule: they are never shown
	Timeout  time.Duration     // of one attempt
	Gzip     bool
	TLS      *tls.Config // nil for the system's authorities and no certificate
}

// signal is what OTLP calls a kind of telemetry.
type signal struct {
	name   string // of the signal, as settings write it
	unit   string // of what is lost
	path   string
	method string // of the gRPC service
	answer func() proto.Message
}

var (
	traceSignal = signal{"traces", "spans", "/v1/traces", tracecollectorpb.TraceService_Export_FullMethodName,
		func() proto.Message { return new(tracecollectorpb.ExportTraceServiceResponse) }}
	metricSignal = signal{"metrics", "points", "/v1/metrics", metriccollectorpb.MetricsService_Export_FullMethodName,
		func() proto.Message { return new(metriccollectorpb.ExportMetricsServiceResponse) }}
	logSignal = signal{"logs", "logs", "/v1/logs", logcollectorpb.LogsService_Export_FullMethodName,
		func() proto.Message { return new(logcollectorpb.ExportLogsServiceResponse) }}
)

// transport carries one signal's messages. It is used by one goroutine.
type transport interface {
	// send tries once, and fills answer where the receiver took the message, which
	// may be held on to for as long as it needs (mem.Buffer).
	send(ctx context.Context, message mem.Buffer, answer proto.Message) *failure
	close()
}

// newTransport connects to nothing yet.
func newTransport(s *signal, e *Endpoint, agent string) transport {
	if e.Protocol == GRPC {
		return newGRPC(s, e, agent)
	}
	return newHTTP(e, agent)
}

// partial is what a receiver took a message without.
type partial struct {
	rejected uint64
	message  string // also where it took everything, as a warning
}

func partialOf(answer proto.Message) partial {
	var n int64
	var text string
	switch a := answer.(type) {
	case *tracecollectorpb.ExportTraceServiceResponse:
		n, text = a.GetPartialSuccess().GetRejectedSpans(), a.GetPartialSuccess().GetErrorMessage()
	case *metriccollectorpb.ExportMetricsServiceResponse:
		n, text = a.GetPartialSuccess().GetRejectedDataPoints(), a.GetPartialSuccess().GetErrorMessage()
	case *logcollectorpb.ExportLogsServiceResponse:
		n, text = a.GetPartialSuccess().GetRejectedLogRecords(), a.GetPartialSuccess().GetErrorMessage()
	}
	return partial{uint64(max(n, 0)), clean(text)}
}
