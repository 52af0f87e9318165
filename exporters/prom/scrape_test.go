package prom

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func scraped(h http.Handler, target string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest("GET", target, nil)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// Who can read gzip gets it, in each format, and the same in it.
func TestCompression(t *testing.T) {
	h, err := everything(t).Handler(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	const ours = "/metrics?name[]=weir_flows_total&name[]=weir_tcp_rtt_seconds&name[]=weir_flow_bytes_total"
	for _, f := range formats[:6] {
		plain := scraped(h, ours, "Accept", f.accept)
		for _, none := range []string{"identity", "gzip;q=0", "br"} {
			w := scraped(h, ours, "Accept", f.accept, "Accept-Encoding", none)
			if w.Header().Get("Content-Encoding") != "" || !bytes.Equal(w.Body.Bytes(), plain.Body.Bytes()) {
				t.Errorf("%s for %q: encoding %q", f.name, none, w.Header().Get("Content-Encoding"))
			}
		}
		w := scraped(h, ours, "Accept", f.accept, "Accept-Encoding", "gzip")
		vary := strings.Join(w.Header().Values("Vary"), ",")
		if w.Header().Get("Content-Encoding") != "gzip" || !strings.Contains(vary, "Accept-Encoding") || !strings.Contains(vary+",", "Accept,") {
			t.Fatalf("%s: headers %v", f.name, w.Header())
		}
		r, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain.Body.Bytes()) {
			t.Errorf("%s: %v, %d bytes in gzip, %d without", f.name, err, len(got), plain.Body.Len())
		}
	}
}

// Only the metrics asked for by name, however they are written.
func TestScrapeByName(t *testing.T) {
	e, _ := newExporter(t, 0)
	fill(t, e)
	h, err := e.Handler(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	body := scraped(h, "/metrics?name[]=weir_flows_total&name[]=go_goroutines", "Accept", formats[0].accept).Body.String()
	if strings.Count(body, "# HELP") != 2 || !strings.Contains(body, "\nweir_flows_total{") || !strings.Contains(body, "\ngo_goroutines ") {
		t.Errorf("not what was asked for:\n%s", body)
	}
	if !strings.HasSuffix(body, "# EOF\n") {
		t.Error("no end")
	}
}

// gone is a client that does not read.
type gone struct{ http.ResponseWriter }

func (gone) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestClientGone(t *testing.T) {
	h, err := everything(t).Handler(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest("GET", "/metrics", nil)
	req.Header.Set("Accept", formats[0].accept)
	h.ServeHTTP(gone{httptest.NewRecorder()}, req)
	body := scraped(h, "/metrics").Body.String()
	if want := `promhttp_metric_handler_errors_total{cause="encoding"} 1`; !strings.Contains(body, want) {
		t.Errorf("no %s", want)
	}
}

func TestTooManyScrapes(t *testing.T) {
	begun, end := make(chan struct{}, 3), make(chan struct{})
	h := atMost(2, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { begun <- struct{}{}; <-end }))
	var two sync.WaitGroup
	for range 2 {
		two.Go(func() { scraped(h, "/metrics") })
		<-begun
	}
	if w := scraped(h, "/metrics"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "(2)") {
		t.Errorf("a third scrape at once: %d %s", w.Code, w.Body)
	}
	close(end)
	two.Wait()
	if w := scraped(h, "/metrics"); w.Code != http.StatusOK {
		t.Errorf("a scrape after those: %d", w.Code)
	}
}
