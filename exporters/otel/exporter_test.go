package otel

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seed79351815/weir/collector/flow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick is a configuration that does not wait for more to send.
func quick(url string, p Protocol) Config {
	to := &Endpoint{URL: url, Protocol: p, Timeout: 5 * time.Second}
	traces, metrics, logs := *to, *to, *to
	if p == HTTP {
		traces.URL, metrics.URL, logs.URL = url+"/v1/traces", url+"/v1/metrics", url+"/v1/logs"
	}
	fast := Limits{Delay: time.Millisecond}
	return Config{Traces: &traces, Metrics: &metrics, Logs: &logs, Spans: fast, Records: fast, Interval: 10 * time.Millisecond}
}

// journal keeps what is logged.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// losses are those that are not 0.
func losses(e *Exporter) map[string]uint64 {
	out := map[string]uint64{}
	for l, n := range e.Lost() {
		if n > 0 {
			out[l.Reason] = n
		}
	}
	return out
}

// All three signals arrive, by both protocols, compressed and not, with headers.
func TestSend(t *testing.T) {
	for _, p := range []Protocol{GRPC, HTTP} {
		for _, zip := range []bool{false, true} {
			t.Run(string(p), func(t *testing.T) {
				in := newInbox()
				serve := func() (string, func()) { return serveGRPC(t, in, "127.0.0.1:0", nil) }
				if p == HTTP {
					serve = func() (string, func()) { return serveHTTP(t, in, "127.0.0.1:0") }
				}
				addr, _ := serve()
				cfg := quick("http://"+addr, p)
				for _, to := range []*Endpoint{cfg.Traces, cfg.Metrics, cfg.Logs} {
					to.Gzip, to.Headers = zip, map[string]string{"x-token": "secret"}
				}
				e := exporter(t, cfg)
				stop := running(t, e)
				r := request(front, back, 0, time.Millisecond)
				consume(t, e, r, tally(r, 3), connection(flow.RecordStart, front, back), connection(flow.RecordUpdate, front, back), connection(flow.RecordEnd, front, back))
				in.wait(t, func() bool {
					return len(in.spans) == 2 && in.records == 2 && in.metrics["http.server.request.duration"] > 0 && in.metrics["weir.flows"] > 0
				})
				stop()
				if got := losses(e); len(got) > 0 {
					t.Errorf("lost %v", got)
				}
				in.mu.Lock()
				defer in.mu.Unlock()
				if in.headers.Get("X-Token") != "secret" || !strings.HasPrefix(in.headers.Get("User-Agent"), "weir/1.0.0") {
					t.Errorf("headers %v", in.headers)
				}
			})
		}
	}
}

// A receiver that is killed and started again under load gets all that the queue
// had room for, and what it had none for is counted.
func TestRestartUnderLoad(t *testing.T) {
	for _, p := range []Protocol{GRPC, HTTP} {
		t.Run(string(p), func(t *testing.T) {
			in := newInbox()
			serve := func(at string) (string, func()) { return serveGRPC(t, in, at, nil) }
			if p == HTTP {
				serve = func(at string) (string, func()) { return serveHTTP(t, in, at) }
			}
			addr, kill := serve("127.0.0.1:0")
			cfg := quick("http://"+addr, p)
			cfg.Spans.Queue, cfg.Spans.Batch, cfg.Metrics, cfg.Logs = 500, 50, nil, nil
			var j journal
			cfg.Logger = j.logger()
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
			load(100)
			in.wait(t, func() bool { return len(in.spans) > 0 })
			kill()
			load(2000) // four times what the queue holds
			if n := e.Lost()[flow.Loss{Stage: "otel", Reason: "spans_queue_full"}]; n == 0 {
				t.Fatal("a full queue lost nothing: this test tests nothing")
			}
			for deadline := time.Now().Add(10 * time.Second); !strings.Contains(j.String(), "receiver cannot be reached"); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("nobody noticed that the receiver is gone")
				}
			}
			serve(addr)
			load(100)
			in.wait(t, func() bool {
				return uint64(len(in.spans))+e.Lost()[flow.Loss{Stage: "otel", Reason: "spans_queue_full"}] == uint64(2*sent)
			})
			stop()
			in.mu.Lock()
			defer in.mu.Unlock()
			got := losses(e)
			if full := got["spans_queue_full"]; uint64(len(in.spans))+full != uint64(2*sent) || len(got) != 1 {
				t.Errorf("%d spans arrived of %d, lost %v: the sum does not add up", len(in.spans), 2*sent, got)
			}
			if s := j.String(); !strings.Contains(s, "receiver cannot be reached") || !strings.Contains(s, "receiver is there again") {
				t.Errorf("log:\n%s", s)
			}
		})
	}
}

// A receiver that never answers holds nobody up, and neither does the end.
func TestStuckReceiver(t *testing.T) {
	in := newInbox()
	free := make(chan struct{})
	in.refuse = func() error { <-free; return nil }
	addr, kill := serveGRPC(t, in, "127.0.0.1:0", nil)
	defer kill()
	defer close(free)
	cfg := quick("http://"+addr, GRPC)
	cfg.Spans.Queue, cfg.Records.Queue, cfg.Flush = 10, 10, 50*time.Millisecond
	e := exporter(t, cfg)
	stop := running(t, e)
	const n = 1000
	for i := range n { // returns: Consume does not wait
		consume(t, e, request(front, back, time.Duration(i), time.Millisecond), connection(flow.RecordStart, front, back))
	}
	stop() // returns: Run does not wait for long
	got := losses(e)
	if got["spans_queue_full"]+got["spans_stopped"] != 2*n || got["logs_queue_full"]+got["logs_stopped"] != n {
		t.Errorf("lost %v of %d requests: every span and record must be counted", got, n)
	}
}

// The rest is sent at the end.
func TestFlush(t *testing.T) {
	in := newInbox()
	addr, _ := serveGRPC(t, in, "127.0.0.1:0", nil)
	cfg := quick("http://"+addr, GRPC)
	cfg.Spans.Delay, cfg.Records.Delay, cfg.Interval, cfg.Spans.Batch = time.Hour, time.Hour, time.Hour, 3
	e := exporter(t, cfg)
	stop := running(t, e)
	for i := range 10 {
		consume(t, e, with(request(front, back, time.Duration(i), time.Millisecond), traceparent(aParent)), connection(flow.RecordEnd, front, back))
	}
	stop()
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.spans) != 20 || in.records != 10 || in.metrics["weir.flow.bytes"] == 0 || len(losses(e)) > 0 {
		t.Errorf("%d spans, %d records, metrics %v, lost %v", len(in.spans), in.records, in.metrics, losses(e))
	}
}

// What a receiver refuses for good is counted and not tried again; nor is what it
// took only in part.
func TestRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		set  func(*inbox)
		want map[string]uint64
		says string
	}{
		"for good": {func(i *inbox) {
			i.refuse = func() error { return status.Error(codes.Unauthenticated, "who are you?\x1b[2J") }
		},
			map[string]uint64{"spans_rejected": 2}, "Unauthenticated: who are you??[2J"},
		"exhausted, without a time to come again": {func(i *inbox) { i.refuse = func() error { return status.Error(codes.ResourceExhausted, "full") } },
			map[string]uint64{"spans_rejected": 2}, "ResourceExhausted: full"},
		"in part":               {func(i *inbox) { i.rejects = 1 }, map[string]uint64{"spans_rejected": 1}, "too old"},
		"more than it was sent": {func(i *inbox) { i.rejects = 99 }, map[string]uint64{"spans_rejected": 2}, "too old"},
	} {
		t.Run(name, func(t *testing.T) {
			in := newInbox()
			tc.set(in)
			addr, _ := serveGRPC(t, in, "127.0.0.1:0", nil)
			var j journal
			cfg := quick("http://"+addr, GRPC)
			cfg.Logger = j.logger()
			e := exporter(t, cfg)
			e.metrics, e.records = nil, nil
			stop := running(t, e)
			consume(t, e, request(front, back, 0, time.Millisecond))
			in.wait(t, func() bool { return in.messages > 0 })
			stop()
			if got := losses(e); !maps.Equal(got, tc.want) || in.messages != 1 {
				t.Errorf("lost %v in %d messages, want %v in one", got, in.messages, tc.want)
			}
			if s := j.String(); !strings.Contains(s, tc.says) {
				t.Errorf("log %s: no word of %q", s, tc.says)
			}
		})
	}
}

// A receiver that is overloaded says when to come again.
func TestRetryAfter(t *testing.T) {
	calls := 0
	in := newInbox()
	first := make(chan struct{})
	gate := newGate(t, func(w http.ResponseWriter, r *http.Request) bool {
		calls++
		if calls > 1 {
			return true
		}
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		close(first)
		return false
	}, in)
	cfg := quick(gate, HTTP)
	e := exporter(t, cfg)
	e.metrics, e.records = nil, nil
	running(t, e)
	consume(t, e, request(front, back, 0, time.Millisecond))
	<-first
	told := time.Now()
	in.wait(t, func() bool { return len(in.spans) == 2 })
	if waited := time.Since(told); waited < time.Second {
		t.Errorf("came again after %v, but was asked to wait for 1s", waited)
	}
}

// Everything at once, under the race detector.
func TestConcurrent(t *testing.T) {
	in := newInbox()
	flaky := 0
	in.refuse = func() error {
		if flaky++; flaky%5 == 0 {
			return status.Error(codes.Unavailable, "a moment")
		}
		return nil
	}
	addr, _ := serveGRPC(t, in, "127.0.0.1:0", nil)
	e := exporter(t, quick("http://"+addr, GRPC))
	stop := running(t, e)
	var g sync.WaitGroup
	g.Go(func() {
		for i := range 300 {
			consume(t, e, with(request(front, back, time.Duration(i), time.Millisecond), ""), tally(request(front, back, 0, 0), 1))
		}
	})
	g.Go(func() {
		for range 100 {
			_, _ = e.Lost(), e.String()
		}
	})
	g.Wait()
	in.wait(t, func() bool { return len(in.spans) == 600 })
	stop()
	if err := e.Consume(context.Background(), nil); err != nil || errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
