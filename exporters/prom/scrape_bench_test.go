package prom

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/collector/flow"
)

// busy is an exporter with as many series, as Prometheus counts them (each bucket
// is one), as there are on a host of many services.
func busy(b *testing.B, series int) *Exporter {
	e := New(Config{})
	var batch []flow.Record
	// One round makes 7 series of flows, 14 + 2 + 1 of a histogram in classic form.
	const round = 7 + 17
	for i := range series/round + 1 {
		w := workload("shop", fmt.Sprint("w", i%200))
		r := record(flow.RecordStart, w, workload("shop", fmt.Sprint("s", i/200)))
		n := flow.Counters{Packets: 1, Payload: 1, Wire: 1}
		r.Delta = flow.Delta{Sent: n, Received: n}
		call := tally(flow.HTTP, "GET", fmt.Sprint("/", i), 200, 9, time.Duration(i)*time.Millisecond)
		call.L7.Client.Workload = w
		batch = append(batch, r, call)
	}
	if err := e.Consume(b.Context(), batch); err != nil {
		b.Fatal(err)
	}
	return e
}

// BenchmarkScrape is one answer to Prometheus. The goal is 50 ms for 10,000 series, and
// that all of an exporter's work adds no more than a tenth to that of weir.
func BenchmarkScrape(b *testing.B) {
	const series = 10_000
	h, err := busy(b, series).Handler(func() error { return nil })
	if err != nil {
		b.Fatal(err)
	}
	const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8"
	for _, format := range []struct{ name, accept, encoding string }{
		{"text", "text/plain", ""},
		{"openmetrics", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8", ""},
		{"openmetrics,gzip", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8", "gzip"}, // as Prometheus asks
		{"protobuf", protobuf, ""},
		{"protobuf,gzip", protobuf, "gzip"}, // as it asks for native histograms
	} {
		b.Run(format.name, func(b *testing.B) {
			req := httptest.NewRequest("GET", "/metrics", nil)
			req.Header.Set("Accept", format.accept)
			req.Header.Set("Accept-Encoding", format.encoding)
			runtime.GC()
			before := processorTime(b)
			for b.Loop() {
				w := &counting{header: http.Header{}}
				h.ServeHTTP(w, req)
				if w.n < series {
					b.Fatalf("only %d bytes", w.n)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(b.N), "ms/scrape")
			b.ReportMetric((processorTime(b)-before).Seconds()*1e3/float64(b.N), "cpu-ms/scrape")
		})
	}
}

// processorTime is what a busy machine tells apart from waiting, garbage collection included.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// counting is a client that reads and keeps nothing.
type counting struct {
	header http.Header
	n      int
}

func (c *counting) Header() http.Header { return c.header }
func (c *counting) WriteHeader(int)     {}
func (c *counting) Write(p []byte) (int, error) {
	n, err := io.Discard.Write(p)
	c.n += n
	return n, err
}
