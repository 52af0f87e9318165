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
	"sync"
	"testing"
	"time"
)

// A request through three services, each in a container, is one trace at a real
// OpenTelemetry receiver, every span below the one that caused it. nginx hands a
// traceparent on as it came.
func TestThreeServicesAreOneTrace(t *testing.T) {
	require(t, nginxPath, curlPath)
	r := startReceiver(t)
	h := newDockerHost(t)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "2000") // the inner requests wait for the outer
	d := start(t, "--otlp-endpoint", "http://"+r.address, "--otlp-protocol", "grpc")
	back := h.nginx("", "")
	middle := h.nginx("location /chain/ { proxy_pass http://"+back.at(8080)+"; }", "")
	front := h.nginx("location /chain/ { proxy_pass http://"+middle.at(8080)+"; }", "")
	client := h.idle("curl", nil)
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	client.must(curlPath, "--silent", "--show-error", "--max-time", "20", "-o", "/dev/null", "-H", "traceparent: 00-"+trace+"-"+parent+"-01",
		"http://"+front.at(8080)+"/chain/users/17?password=secret")

	spans := r.await(t, trace, 6)
	below := parent
	for _, want := range []struct {
		kind int // OTLP's: 2 a server's, 3 a client's
		of   *container
	}{{3, client}, {2, front}, {3, front}, {2, middle}, {3, middle}, {2, back}} {
		s, ok := spans[fmt.Sprint(want.kind, want.of.name)]
		if !ok || s.Parent != below {
			t.Errorf("the span of kind %d of %s is below %q, want %q, in %+v", want.kind, want.of.name, s.Parent, below, spans)
		}
		below = s.SpanID
	}
	if bytes.Contains(r.all(), []byte("secret")) {
		t.Error("a query was sent")
	}
	d.stop(t)
	for _, what := range []string{"weir.flow.start", "weir.flow.end", "http.server.request.duration", "weir.flow.bytes"} {
		if !bytes.Contains(r.all(), []byte(what)) {
			t.Errorf("no %s came", what)
		}
	}
}

// receiver is the OpenTelemetry Collector's own, as exporters/otel builds it.
type receiver struct {
	address string
	mu      sync.Mutex
	said    [][]byte // a line of JSON for each message
}

// span is what the receiver made of one.
type span struct {
	TraceID string `json:"traceId"`
	SpanID  string `json:"spanId"`
	Parent  string `json:"parentSpanId"`
	Kind    int    `json:"kind"`
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	if os.Getenv("WEIR_TEST_OTEL_RECEIVER") != "1" {
		t.Skip("builds the OpenTelemetry Collector's receiver, which takes a minute: set WEIR_TEST_OTEL_RECEIVER=1")
	}
	path := filepath.Join(t.TempDir(), "receiver")
	if out, err := exec.Command("go", "build", "-C", "../../../exporters/otel/testdata/receiver", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	r := &receiver{address: free(t)}
	cmd := exec.Command(path, r.address, free(t))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			r.mu.Lock()
			r.said = append(r.said, bytes.Clone(lines.Bytes()))
			r.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself, which the test will have noticed
		<-read
		_ = cmd.Wait()
	})
	return r
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

// await waits for n spans of a trace; they are found by kind and container.
func (r *receiver) await(t *testing.T, trace string, n int) map[string]span {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		spans := r.spans(t, trace)
		if len(spans) >= n {
			return spans
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d spans, want %d: %+v", len(spans), n, spans)
		}
	}
}

func (r *receiver) spans(t *testing.T, trace string) map[string]span {
	t.Helper()
	out := map[string]span{}
	for line := range bytes.Lines(r.all()) {
		var m struct {
			ResourceSpans []struct {
				Resource struct {
					Attributes []struct {
						Key   string
						Value struct{ StringValue string }
					}
				}
				ScopeSpans []struct{ Spans []span }
			}
		}
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for _, x := range m.ResourceSpans {
			name := ""
			for _, a := range x.Resource.Attributes {
				if a.Key == "container.name" {
					name = a.Value.StringValue
				}
			}
			for _, y := range x.ScopeSpans {
				for _, s := range y.Spans {
					if s.TraceID == trace {
						out[fmt.Sprint(s.Kind, name)] = s
					}
				}
			}
		}
	}
	return out
}
