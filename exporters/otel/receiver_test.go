package otel

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	logcollectorpb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metriccollectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracecollectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// inbox is what a receiver took, however often it was restarted.
type inbox struct {
	mu       sync.Mutex
	spans    map[string]int // how often each came, by trace and span id
	records  int
	metrics  map[string]int
	headers  http.Header
	refuse   func() error // asked before each message; nil takes all
	rejects  int64        // told of each message of spans
	messages int
	changed  chan struct{}
}

func newInbox() *inbox {
	return &inbox{spans: map[string]int{}, metrics: map[string]int{}, headers: http.Header{}, changed: make(chan struct{}, 1)}
}

func (i *inbox) take(headers map[string][]string, message proto.Message) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	defer func() {
		select {
		case i.changed <- struct{}{}:
		default:
		}
	}()
	i.messages++
	for k, v := range headers {
		i.headers[http.CanonicalHeaderKey(k)] = v
	}
	if i.refuse != nil {
		if err := i.refuse(); err != nil {
			return err
		}
	}
	switch m := message.(type) {
	case *tracecollectorpb.ExportTraceServiceRequest:
		for _, r := range m.ResourceSpans {
			for _, s := range r.ScopeSpans[0].Spans {
				i.spans[string(s.TraceId)+string(s.SpanId)]++
			}
		}
	case *metriccollectorpb.ExportMetricsServiceRequest:
		for _, r := range m.ResourceMetrics {
			for _, x := range r.ScopeMetrics[0].Metrics {
				i.metrics[x.Name]++
			}
		}
	case *logcollectorpb.ExportLogsServiceRequest:
		for _, r := range m.ResourceLogs {
			i.records += len(r.ScopeLogs[0].LogRecords)
		}
	}
	return nil
}

// wait blocks until what came is enough.
func (i *inbox) wait(t *testing.T, enough func() bool) {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		i.mu.Lock()
		done := enough()
		i.mu.Unlock()
		if done {
			return
		}
		select {
		case <-i.changed:
		case <-late:
			i.mu.Lock()
			defer i.mu.Unlock()
			t.Fatalf("not enough came: %d spans, %d records, metrics %v, in %d messages", len(i.spans), i.records, i.metrics, i.messages)
		}
	}
}

// Three services in one type: each has its method's name, so they are embedded.
type (
	traceService struct {
		tracecollectorpb.UnimplementedTraceServiceServer
		*inbox
	}
	metricService struct {
		metriccollectorpb.UnimplementedMetricsServiceServer
		*inbox
	}
	logService struct {
		logcollectorpb.UnimplementedLogsServiceServer
		*inbox
	}
)

func incoming(ctx context.Context) map[string][]string {
	md, _ := metadata.FromIncomingContext(ctx)
	return md
}

func (s traceService) Export(ctx context.Context, m *tracecollectorpb.ExportTraceServiceRequest) (*tracecollectorpb.ExportTraceServiceResponse, error) {
	res := &tracecollectorpb.ExportTraceServiceResponse{}
	if s.rejects > 0 {
		res.PartialSuccess = &tracecollectorpb.ExportTracePartialSuccess{RejectedSpans: s.rejects, ErrorMessage: "too old"}
	}
	return res, s.take(incoming(ctx), m)
}

func (s metricService) Export(ctx context.Context, m *metriccollectorpb.ExportMetricsServiceRequest) (*metriccollectorpb.ExportMetricsServiceResponse, error) {
	return &metriccollectorpb.ExportMetricsServiceResponse{}, s.take(incoming(ctx), m)
}

func (s logService) Export(ctx context.Context, m *logcollectorpb.ExportLogsServiceRequest) (*logcollectorpb.ExportLogsServiceResponse, error) {
	return &logcollectorpb.ExportLogsServiceResponse{}, s.take(incoming(ctx), m)
}

// serveGRPC is a receiver at an address; kill ends it at once.
func serveGRPC(t *testing.T, i *inbox, addr string, cfg *tls.Config) (at string, kill func()) {
	t.Helper()
	l := listen(t, addr)
	var options []grpc.ServerOption
	if cfg != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(cfg)))
	}
	srv := grpc.NewServer(options...)
	tracecollectorpb.RegisterTraceServiceServer(srv, traceService{inbox: i})
	metriccollectorpb.RegisterMetricsServiceServer(srv, metricService{inbox: i})
	logcollectorpb.RegisterLogsServiceServer(srv, logService{inbox: i})
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	kill = sync.OnceFunc(func() { srv.Stop(); <-done })
	t.Cleanup(kill)
	return l.Addr().String(), kill
}

// serveHTTP is a receiver of OTLP/HTTP.
func serveHTTP(t *testing.T, i *inbox, addr string) (at string, kill func()) {
	t.Helper()
	srv := httptest.NewUnstartedServer(i)
	srv.Listener.Close()
	srv.Listener = listen(t, addr)
	srv.Start()
	kill = sync.OnceFunc(func() { srv.CloseClientConnections(); srv.Close() })
	t.Cleanup(kill)
	return srv.Listener.Addr().String(), kill
}

// ServeHTTP takes what OTLP/HTTP says.
func (i *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	message := map[string]proto.Message{
		"/v1/traces": &tracecollectorpb.ExportTraceServiceRequest{}, "/v1/metrics": &metriccollectorpb.ExportMetricsServiceRequest{},
		"/v1/logs": &logcollectorpb.ExportLogsServiceRequest{},
	}[r.URL.Path]
	if message == nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != protobufType {
		http.Error(w, "no such thing", http.StatusNotFound)
		return
	}
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	raw, err := io.ReadAll(body)
	if err == nil {
		err = proto.Unmarshal(raw, message)
	}
	if err == nil {
		err = i.take(r.Header, message)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", protobufType)
}

// listen waits for an address that a receiver has just left.
func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	for try := 0; ; try++ {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return l
		}
		if try == 50 {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// running is an exporter at work; stop ends it, and returns when it has flushed.
func running(t *testing.T, e *Exporter) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}
