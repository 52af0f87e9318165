package grafana

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// server is a real Prometheus that scrapes some traffic by the exported files.
type server struct{ url string }

// need skips where a program of Debian's package prometheus is missing.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed: apt-get install prometheus", program)
	}
	return path
}

// endpoint is weir's, on a host where something happens before each scrape.
func endpoint(t *testing.T) http.Handler {
	t.Helper()
	happening := newTraffic()
	metrics, err := happening.exporter.Handler(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := happening.round(r.Context()); err != nil {
			t.Error(err)
		}
		metrics.ServeHTTP(w, r)
	})
}

// scrapedServer starts everything and waits until query has a result.
func scrapedServer(t *testing.T, features, query string) *server {
	t.Helper()
	program := need(t, "prometheus")
	weir := httptest.NewServer(endpoint(t))
	t.Cleanup(weir.Close)

	dir := t.TempDir()
	files := defaultFiles(t)
	for i := range files {
		if files[i].Path == "prometheus.yaml" {
			text := strings.ReplaceAll(string(files[i].Data), "15s", "1s")
			files[i].Data = []byte(strings.ReplaceAll(text, "127.0.0.1:9934", weir.Listener.Addr().String()))
		}
	}
	if err := Write(dir, files); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yaml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--enable-feature="+features, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { defer close(exited); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-exited
		if text, _ := os.ReadFile(log.Name()); t.Failed() && len(text) > 0 {
			t.Logf("Prometheus said:\n%s", text)
		}
		log.Close()
	})
	s := &server{"http://" + address}
	s.await(t, exited, query)
	return s
}

// freeAddress is one that nobody listens at. Prometheus cannot be asked which it took.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (s *server) await(t *testing.T, exited <-chan struct{}, query string) {
	t.Helper()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	late := time.After(2 * time.Minute)
	for {
		if values, err := s.query(query); err == nil && len(values) > 0 {
			return
		}
		select {
		case <-ticker.C:
		case <-exited:
			t.Fatal("Prometheus ended by itself")
		case <-late:
			t.Fatalf("there is no data after two minutes: %s", query)
		}
	}
}

// sample is one series of an answer at one moment.
type sample struct {
	labels map[string]string
	value  float64
}

// query asks for this moment.
func (s *server) query(expr string) ([]sample, error) { return s.queryAt(time.Now(), expr) }

// queryAt asks for one moment.
func (s *server) queryAt(at time.Time, expr string) ([]sample, error) {
	var data struct {
		ResultType string
		Result     []struct {
			Metric map[string]string
			Value  [2]any
		}
	}
	if err := s.get("/api/v1/query", url.Values{"query": {expr}, "time": {at.Format(time.RFC3339Nano)}}, &data); err != nil {
		return nil, err
	}
	var out []sample
	for _, r := range data.Result {
		v, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		if err != nil {
			return nil, err
		}
		if !math.IsNaN(v) {
			out = append(out, sample{r.Metric, v})
		}
	}
	return out, nil
}

func (s *server) get(path string, args url.Values, data any) error {
	resp, err := http.Get(s.url + path + "?" + args.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s", answer.Error)
	}
	return nil
}
