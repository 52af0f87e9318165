package prom

import (
	"compress/gzip"
	"net/http"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler serves /metrics, /healthz (the process answers) and /readyz (ready
// returned nil: what is asked of weir works). It fails only when e is broken.
func (e *Exporter) Handler(ready func() error) (http.Handler, error) {
	scrapes, err := e.scrapes()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", scrapes)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			answer(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	return mux, nil
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the client is gone when this fails
}

// maxScrapes bounds how many scrapes are answered at once.
const maxScrapes = 8

// scrapes serves all metrics in the format that the client likes best, compressed
// where it can read that. The quickest compression is a quarter of the time of the
// usual one, for a quarter more bytes.
func (e *Exporter) scrapes() (http.Handler, error) {
	reg := prometheus.NewRegistry()
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "promhttp_metric_handler_errors_total", // the library's own, which it looks for
		Help: "Total number of internal errors encountered by the promhttp metric handler.",
	}, []string{"cause"})
	for _, cause := range []string{"gathering", "encoding"} {
		failures.WithLabelValues(cause)
	}
	for _, c := range []prometheus.Collector{
		healthCollector{e},
		failures,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	all := prometheus.NewMultiTRegistry(
		prometheus.ToTransactionalGatherer(newGatherer(e)), prometheus.ToTransactionalGatherer(reg))
	s := &scrape{gatherer: all, failures: failures, quick: map[string]bool{}}
	for m := range recordMetrics {
		s.quick[metrics[m].name] = true
	}
	s.others = promhttp.HandlerForTransactional(all, promhttp.HandlerOpts{
		Registry:           reg,
		EnableOpenMetrics:  true,
		DisableCompression: true, // is done here
		CoalesceGather:     true,
		// promhttp's timeout would hold each answer in memory as a whole; Serve has one.
		// One bad series must not hide the rest.
		ErrorHandling: promhttp.ContinueOnError,
	})
	compress, err := gzhttp.NewWrapper(gzhttp.CompressionLevel(gzip.BestSpeed), gzhttp.EnableZstd(false))
	if err != nil {
		return nil, err
	}
	return atMost(maxScrapes, compress(s)), nil
}
