package prom

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// scrape answers who asks for OpenMetrics, as promhttp would: what it gathers is
// shown also where some of it fails, and its failures are counted.
type scrape struct {
	gatherer prometheus.TransactionalGatherer
	failures *prometheus.CounterVec
	quick    map[string]bool // the families that omText can write
	others   http.Handler    // answers in all other formats
}

func (s *scrape) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	if format.FormatType() != expfmt.TypeOpenMetrics {
		s.others.ServeHTTP(w, r)
		return
	}
	families, done, err := s.gatherer.Gather()
	defer done()
	if err != nil {
		s.failures.WithLabelValues("gathering").Inc()
		if len(families) == 0 {
			http.Error(w, "An error has occurred while serving metrics:\n\n"+err.Error(), http.StatusInternalServerError)
			return
		}
	}
	w.Header().Add("Vary", "Accept")
	w.Header().Set("Content-Type", string(format))
	text := newOMText(w)
	library := expfmt.NewEncoder(text, format)
	wanted := map[string]bool{}
	for _, name := range r.URL.Query()["name[]"] {
		wanted[name] = true
	}
	for _, f := range families {
		if len(wanted) > 0 && !wanted[f.GetName()] {
			continue
		}
		encode := library.Encode
		if s.quick[f.GetName()] {
			encode = text.family
		}
		// A family that fails does not hide the rest; to a client that is gone nothing more is said.
		if s.failed(encode(f)) && text.err != nil {
			return
		}
	}
	if _, err := expfmt.FinalizeOpenMetrics(text); !s.failed(err) {
		s.failed(text.Flush())
	}
}

// failed counts what did not get out.
func (s *scrape) failed(err error) bool {
	if err != nil {
		s.failures.WithLabelValues("encoding").Inc()
	}
	return err != nil
}

// atMost answers n requests at once, and refuses further ones.
func atMost(n int, h http.Handler) http.Handler {
	running := make(chan struct{}, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case running <- struct{}{}:
			defer func() { <-running }()
			h.ServeHTTP(w, r)
		default:
			http.Error(w, fmt.Sprintf("Limit of concurrent requests reached (%d), try again later.", n), http.StatusServiceUnavailable)
		}
	})
}
