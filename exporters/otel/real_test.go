package otel

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// collectorReceiver is the OpenTelemetry Collector's own OTLP receiver, in a process
// of its own; see testdata/receiver.
type collectorReceiver struct {
	t          *testing.T
	path       string
	grpc, http string // addresses
	cmd        *exec.Cmd
	read       chan struct{} // closed when all that it said is read

	mu      sync.Mutex
	spans   map[string]realSpan
	metrics map[string]int
	events  map[string]int
	changed chan struct{}
}

// realSpan is what the receiver made of a span.
type realSpan struct {
	TraceID string `json:"traceId"`
	SpanID  string `json:"spanId"`
	Parent  string `json:"parentSpanId"`
	Name    string `json:"name"`
	Kind    int    `json:"kind"`
	service string
}

// said is a line of the receiver's output, as far as the tests look at it.
type said struct {
	ResourceSpans []struct {
		Resource   realResource
		ScopeSpans []struct{ Spans []realSpan }
	}
	ResourceMetrics []struct {
		ScopeMetrics []struct{ Metrics []struct{ Name string } }
	}
	ResourceLogs []struct {
		ScopeLogs []struct {
			LogRecords []struct{ EventName string }
		}
	}
}

type realResource struct {
	Attributes []struct {
		Key   string
		Value struct{ StringValue string }
	}
}

func buildReceiver(t *testing.T) *collectorReceiver {
	t.Helper()
	if os.Getenv("WEIR_TEST_OTEL_RECEIVER") != "1" {
		t.Skip("builds the OpenTelemetry Collector's receiver, which takes a minute: set WEIR_TEST_OTEL_RECEIVER=1")
	}
	r := &collectorReceiver{
		t: t, path: filepath.Join(t.TempDir(), "receiver"), grpc: freeAddr(t), http: freeAddr(t),
		spans: map[string]realSpan{}, metrics: map[string]int{}, events: map[string]int{}, changed: make(chan struct{}, 1),
	}
	if out, err := exec.Command("go", "build", "-C", "testdata/receiver", "-o", r.path, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return r
}

func freeAddr(t *testing.T) string {
	l := listen(t, "127.0.0.1:0")
	defer l.Close()
	return l.Addr().String()
}

// start runs it until kill, and returns when it listens.
func (r *collectorReceiver) start() {
	r.t.Helper()
	r.cmd = exec.Command(r.path, r.grpc, r.http)
	r.cmd.Stderr = os.Stderr
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.read = make(chan struct{})
	go func() {
		defer close(r.read)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			r.take(lines.Bytes())
		}
	}()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", r.http)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the receiver does not listen: %v", err)
		}
	}
}

func (r *collectorReceiver) kill() {
	_ = r.cmd.Process.Kill() // it may have ended by itself, which the test will notice
	<-r.read
	_ = r.cmd.Wait()
}

func (r *collectorReceiver) take(line []byte) {
	var m said
	if err := json.Unmarshal(line, &m); err != nil {
		r.t.Errorf("receiver said %q: %v", line, err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range m.ResourceSpans {
		service := ""
		for _, a := range x.Resource.Attributes {
			if a.Key == keyServiceName {
				service = a.Value.StringValue
			}
		}
		for _, y := range x.ScopeSpans {
			for _, s := range y.Spans {
				s.service = service
				r.spans[s.TraceID+s.SpanID] = s
			}
		}
	}
	for _, x := range m.ResourceMetrics {
		for _, y := range x.ScopeMetrics {
			for _, z := range y.Metrics {
				r.metrics[z.Name]++
			}
		}
	}
	for _, x := range m.ResourceLogs {
		for _, y := range x.ScopeLogs {
			for _, z := range y.LogRecords {
				r.events[z.EventName]++
			}
		}
	}
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *collectorReceiver) wait(enough func() bool) {
	r.t.Helper()
	late := time.After(60 * time.Second)
	for {
		r.mu.Lock()
		done := enough()
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-r.changed:
		case <-late:
			r.t.Fatalf("not enough came: %d spans, metrics %v, events %v", len(r.spans), r.metrics, r.events)
		}
	}
}

// The real receiver gets a request through three services as one trace with the
// right parents, and metrics and flow records beside it.
func TestRealReceiver(t *testing.T) {
	r := buildReceiver(t)
	for _, p := range []Protocol{GRPC, HTTP} {
		t.Run(string(p), func(t *testing.T) {
			r.t = t
			clear(r.spans)
			clear(r.metrics)
			clear(r.events)
			r.start()
			defer r.kill()
			url := "http://" + map[Protocol]string{GRPC: r.grpc, HTTP: r.http}[p]
			cfg := quick(url, p)
			cfg.Spans.Delay = 2 * time.Second // the inner requests wait for the outer
			e := exporter(t, cfg)
			stop := running(t, e)
			records := chain(func(int) string { return traceparent(aParent) })
			// One by one, as they come: the outer request is told after the inner ones.
			for _, rec := range records {
				consume(t, e, rec, tally(rec, 3))
			}
			consume(t, e, tally(lookup(), 1), connection(flow.RecordStart, front, back), connection(flow.RecordEnd, front, back))
			r.wait(func() bool {
				return len(r.spans) == 5 && r.metrics["http.server.request.duration"] > 0 && r.metrics["dns.lookup.duration"] > 0 &&
					r.events["weir.flow.start"] == 1 && r.events["weir.flow.end"] == 1
			})
			stop()
			if got := losses(e); len(got) > 0 {
				t.Errorf("lost %v", got)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			by := map[string]realSpan{}
			for _, s := range r.spans {
				by[fmt.Sprint(s.service, s.Kind)] = s
				if s.TraceID != aTrace {
					t.Errorf("%s is of trace %s", s.service, s.TraceID)
				}
			}
			parent := aParent
			for _, name := range []string{"front2", "front3", "middle2", "middle3", "back2"} { // 2 is a server's, 3 a client's
				if s := by[name]; s.Parent != parent || s.Name != "GET /users/{id}" {
					t.Errorf("%s: %+v, want parent %s", name, s, parent)
				}
				parent = by[name].SpanID
			}
		})
	}
	t.Run("restarts", r.restarts)
}

// restarts kills it and starts it again under load: nothing is lost that is not
// counted. A receiver may have taken a message and died before it said so: then the
// message comes twice, with the same ids.
func (r *collectorReceiver) restarts(t *testing.T) {
	r.t = t
	clear(r.spans)
	r.start()
	cfg := quick("http://"+r.grpc, GRPC)
	cfg.Spans.Queue, cfg.Spans.Batch = 500, 50
	e := exporter(t, cfg)
	e.metrics, e.records = nil, nil
	stop := running(t, e)
	sent := 0
	load := func(n int) {
		for range n {
			consume(t, e, request(front, back, time.Duration(sent), time.Millisecond))
			sent++
		}
	}
	for range 3 {
		load(200)
		r.wait(func() bool { return len(r.spans) > 0 })
		r.kill()
		load(1500)
		r.start()
		load(100)
	}
	full := func() uint64 { return e.Lost()[flow.Loss{Stage: "otel", Reason: "spans_queue_full"}] }
	// What the killed process had taken and not yet said is gone with it, but no
	// more than a message at each end of its pipe.
	r.wait(func() bool { return uint64(len(r.spans))+full() >= uint64(2*sent)-3*2*50 })
	stop()
	r.kill()
	r.mu.Lock()
	defer r.mu.Unlock()
	missing := 2*sent - len(r.spans) - int(full())
	t.Logf("%d spans: %d arrived, %d had no room, %d died with the receiver", 2*sent, len(r.spans), full(), missing)
	if got := losses(e); missing < 0 || missing > 3*2*50 || len(got) != 1 {
		t.Errorf("%d missing, lost %v", missing, got)
	}
}
