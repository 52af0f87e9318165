package whole

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
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

// A receiver that is killed while a hundred thousand requests are made, and started
// again later, has at the end every count, and every span but those for which the
// queue had no room, which are counted.
func TestReceiverRestartsUnderLoad(t *testing.T) {
	require(t, nginxPath)
	r := startReceiver(t)
	h := newDockerHost(t)
	const queue, batch = 128, 32 // requests, each of two spans
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", strconv.Itoa(queue))
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", strconv.Itoa(batch))
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "500")
	d := start(t, "--otlp-endpoint", "http://"+r.address, "--otlp-protocol", "grpc", "--otlp-traces-budget", "0")
	nginx := h.nginx("", manyRequests)
	client := h.idle("client", nil)
	done := make(chan error, 1)
	go func() {
		_, err := client.run(actorPath, "load", nginx.at(8080), "/hello", strconv.Itoa(aHundredThousand), "8")
		done <- err
	}()
	r.awaitAny(t, nginx.name)
	r.kill()
	for deadline := time.Now().Add(patience); d.lostOf(t, "otel", "spans_queue_full") == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the queue never was full: this test tests nothing")
		}
	}
	r.start(t)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	d.await(t, func(families map[string]*dto.MetricFamily) string {
		if n := counted(t, series(families, httpServed, between(client.name, nginx.name)...)).total(); n != aHundredThousand {
			return fmt.Sprintf("%d requests were counted", n)
		}
		return ""
	})
	// What the killed process had taken and not yet told is gone with it: no more than
	// a message at each end of its pipe.
	const gone = 2 * 2 * batch
	var told, arrived, full int
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		told = 0
		for _, m := range series(d.scrape(t), "weir_exchanges_shown_total", between(client.name, nginx.name)...) {
			told += 2 * int(m.GetCounter().GetValue())
		}
		arrived, full = r.spansOf(t, client.name, nginx.name), int(d.lostOf(t, "otel", "spans_queue_full"))
		if arrived+full >= told-gone && r.served(t, nginx.name) == aHundredThousand {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d spans arrived, %d had no room, %d requests were counted: %s", arrived, told, full, r.served(t, nginx.name), d.log.String())
		}
	}
	t.Logf("%d spans: %d arrived, %d had no room", told, arrived, full)
	// Whatever else this machine asks meanwhile may be among what had no room.
	if missing := told - arrived - full; arrived > told || missing > gone {
		t.Errorf("%d spans are missing and not counted", missing)
	}
	for _, reason := range []string{"spans_rejected", "spans_stopped", "queue_full", "sink_failed", "points_rejected"} {
		if n := d.lostOf(t, "otel", reason); n != 0 {
			t.Errorf("%d lost as %s", n, reason)
		}
	}
	d.stop(t)
}

const guardNginx = `apiVersion: weir.dev/v1alpha1
kind: Guard
metadata:
  name: nginx
spec:
  toCIDR: [%s/32]
  toPorts:
    - ports: [{port: "8080", protocol: TCP}]
  allowedFrom:
    - matchLabels: {weir.test/role: friend}
`

// Only one container may reach another: what else tries is told to a real receiver as
// an event and as a count, with the policy and its rule.
func TestDenialsAreToldOverOTLP(t *testing.T) {
	require(t, nginxPath, curlPath)
	r := startReceiver(t)
	h := newDockerHost(t)
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "500")
	d := startRuled(t, "--otlp-endpoint", "http://"+r.address, "--otlp-protocol", "grpc")
	nginx := h.nginx("", "")
	stranger := h.idle("stranger", nil)
	file := filepath.Join(t.TempDir(), "nginx.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, guardNginx, nginx.ip), 0o600); err != nil {
		t.Fatal(err)
	}
	d.must("policy", "audit", file)
	curl := []string{curlPath, "--silent", "--show-error", "--max-time", "2", "-o", "/dev/null", "http://" + nginx.at(8080) + "/"}
	stranger.must(curl...)
	d.seen(false, stranger.name)
	d.must("policy", "enforce", "nginx", "--yes", "--force")
	if out, err := stranger.run(curl...); err == nil {
		t.Fatalf("an answer in spite of the policy: %s", out)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		records, counted := r.verdicts(stranger.name)
		told := func(begin, end string) bool {
			return slices.ContainsFunc(records, func(s string) bool { return strings.HasPrefix(s, begin+" tcp ") && strings.Contains(s, end) })
		}
		if counted["audit"] && counted["dropped"] && told("INFO", "audited by nginx: deny everyone else") && told("WARN", "denied by nginx: deny everyone else") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("records %q, counts %v: %s", records, counted, d.log.String())
		}
	}
	d.stop(t)
}

// lostOf is one of the daemon's losses.
func (d *daemon) lostOf(t *testing.T, stage, reason string) (n uint64) {
	t.Helper()
	for _, m := range series(d.scrape(t), "weir_lost_total", "stage", stage, "reason", reason) {
		n += uint64(m.GetCounter().GetValue())
	}
	return n
}
