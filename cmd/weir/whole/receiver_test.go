package whole

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// receiver is the OpenTelemetry Collector's own, as exporters/otel builds it.
type receiver struct {
	path    string
	address string // of gRPC
	cmd     *exec.Cmd
	read    chan struct{} // closed when all that it said is read

	mu   sync.Mutex
	said [][]byte // a line of JSON for each message
}

// span is what the receiver made of one.
type span struct {
	TraceID string `json:"traceId"`
	SpanID  string `json:"spanId"`
	Parent  string `json:"parentSpanId"`
	Kind    int    `json:"kind"`

	container string
}

// message is a line of what it said, as far as the tests look at it.
type message struct {
	ResourceSpans []struct {
		Resource   resource
		ScopeSpans []struct{ Spans []span }
	}
	ResourceMetrics []struct {
		Resource     resource
		ScopeMetrics []struct {
			Metrics []struct {
				Name                 string
				ExponentialHistogram struct{ DataPoints []struct{ Count string } }
				Sum                  struct{ DataPoints []resource }
			}
		}
	}
	ResourceLogs []struct {
		Resource  resource
		ScopeLogs []struct {
			LogRecords []struct {
				EventName, SeverityText string
				Body                    struct{ StringValue string }
			}
		}
	}
}

// resource is anything that has attributes.
type resource struct {
	Attributes []struct {
		Key   string
		Value struct{ StringValue string }
	}
}

func (r resource) container() string { return r.text("container.name") }

func (r resource) text(key string) string {
	for _, a := range r.Attributes {
		if a.Key == key {
			return a.Value.StringValue
		}
	}
	return ""
}

// receiverBinary builds it, beside weir, once.
var receiverBinary = sync.OnceValues(func() (string, error) {
	weir, err := binary()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(weir), "receiver")
	if out, err := exec.Command("go", "build", "-C", "../../../exporters/otel/testdata/receiver", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build receiver: %w: %s", err, out)
	}
	return path, nil
})

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	if os.Getenv("WEIR_TEST_OTEL_RECEIVER") != "1" {
		t.Skip("builds the OpenTelemetry Collector's receiver, which takes a minute: set WEIR_TEST_OTEL_RECEIVER=1")
	}
	path, err := receiverBinary()
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{path: path, address: free(t)}
	r.start(t)
	t.Cleanup(r.kill)
	return r
}

// start runs it, at the same address again.
func (r *receiver) start(t *testing.T) {
	t.Helper()
	r.cmd = exec.Command(r.path, r.address, free(t))
	r.cmd.Stderr = os.Stderr
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.read = make(chan struct{})
	go func(read chan struct{}) {
		defer close(read)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			r.mu.Lock()
			r.said = append(r.said, bytes.Clone(lines.Bytes()))
			r.mu.Unlock()
		}
	}(r.read)
}

func (r *receiver) kill() {
	_ = r.cmd.Process.Kill() // it may have ended by itself, which the test will have noticed
	<-r.read
	_ = r.cmd.Wait()
}

func free(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (r *receiver) all() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Join(r.said, []byte("\n"))
}

// messages are what it said until now. A killed one may have left half a line.
func (r *receiver) messages() (out []message) {
	for line := range bytes.Lines(r.all()) {
		var m message
		if json.Unmarshal(line, &m) == nil {
			out = append(out, m)
		}
	}
	return out
}

// spans are those that keep takes, once each: a message may come twice.
func (r *receiver) spans(keep func(*span) bool) map[string]span {
	out := map[string]span{}
	for _, m := range r.messages() {
		for _, x := range m.ResourceSpans {
			for _, y := range x.ScopeSpans {
				for _, s := range y.Spans {
					if s.container = x.Resource.container(); keep(&s) {
						out[s.TraceID+s.SpanID] = s
					}
				}
			}
		}
	}
	return out
}

// spansOf counts those of containers.
func (r *receiver) spansOf(t *testing.T, containers ...string) int {
	t.Helper()
	return len(r.spans(func(s *span) bool { return slices.Contains(containers, s.container) }))
}

// awaitAny waits for a span of a container.
func (r *receiver) awaitAny(t *testing.T, container string) {
	t.Helper()
	for deadline := time.Now().Add(patience); r.spansOf(t, container) == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no span of %s came", container)
		}
	}
}

// await waits for n spans of a trace; they are found by kind and container.
func (r *receiver) await(t *testing.T, trace string, n int) map[string]span {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		out := map[string]span{}
		for _, s := range r.spans(func(s *span) bool { return s.TraceID == trace }) {
			out[fmt.Sprint(s.Kind, s.container)] = s
		}
		if len(out) >= n {
			return out
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d spans, want %d: %+v", len(out), n, out)
		}
	}
}

// served is how many requests to a container its newest metrics count.
func (r *receiver) served(t *testing.T, container string) (n int) {
	t.Helper()
	for _, m := range r.messages() {
		for _, x := range m.ResourceMetrics {
			for _, y := range x.ScopeMetrics {
				for _, z := range y.Metrics {
					if z.Name != "http.server.request.duration" || x.Resource.container() != container {
						continue
					}
					n = 0
					for _, p := range z.ExponentialHistogram.DataPoints {
						count, err := strconv.Atoi(p.Count)
						if err != nil {
							t.Fatalf("%s: %v", z.Name, err)
						}
						n += count
					}
				}
			}
		}
	}
	return n
}

// verdicts are the records of what policies said to a container, and the verdicts
// that the metrics count of it.
func (r *receiver) verdicts(container string) (records []string, counted map[string]bool) {
	counted = map[string]bool{}
	for _, m := range r.messages() {
		for _, x := range m.ResourceLogs {
			for _, y := range x.ScopeLogs {
				for _, z := range y.LogRecords {
					if z.EventName == "weir.policy.verdict" && x.Resource.container() == container {
						records = append(records, z.SeverityText+" "+z.Body.StringValue)
					}
				}
			}
		}
		for _, x := range m.ResourceMetrics {
			for _, y := range x.ScopeMetrics {
				for _, z := range y.Metrics {
					for _, p := range z.Sum.DataPoints {
						if z.Name == "weir.policy.verdicts" && p.text("weir.source.workload") == container && p.text("weir.policy") == "nginx" {
							counted[p.text("weir.verdict")] = true
						}
					}
				}
			}
		}
	}
	return records, counted
}
