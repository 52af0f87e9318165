package shop

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestMainRefuses(t *testing.T) {
	for _, args := range [][]string{nil, {"cashier"}, {"dns", "-hosts", "x"}, {"load", "-rate", "0"}, {"web", "-color"}} {
		if err := Main(t.Context(), args); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}

func TestMainEndsQuietlyWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{
		{"search", "-listen", "127.0.0.1:0"},
		{"statsd", "-listen", "127.0.0.1:0"},
		{"dns", "-listen", "127.0.0.1:0"},
		{"refused", "-addr", "127.0.0.1:1"},
		{"load", "-url", "http://127.0.0.1:1"},
	} {
		if err := Main(ctx, args); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestWebRelays(t *testing.T) {
	var asked []string
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.RequestURI()+" "+string(body))
		w.WriteHeader(http.StatusTeapot)
	}))
	defer backend.Close()
	s := &web{cart: backend.URL, orders: backend.URL, search: backend.URL,
		products: catalogue(), client: newClient(), stats: newStats("web", "")}
	h := s.handler()
	for _, c := range []struct {
		method, path, body string
		status             int
		asks               string
	}{
		{"GET", "/api/products/3", "", 200, ""},
		{"GET", "/api/products/41", "", 404, ""},
		{"GET", "/api/products/x", "", 404, ""},
		{"GET", "/api/search?q=a%20b", "", 418, "GET /search?q=a+b "},
		{"POST", "/api/cart/u1/7", "", 418, "POST /cart/u1/7 "},
		{"GET", "/api/cart/..%2Fadmin", "", 418, "GET /cart/..%2Fadmin "},
		{"POST", "/api/orders", `{"customer":"u1","items":2}`, 418, `POST /orders {"id":0,"customer":"u1","items":2}`},
		{"POST", "/api/orders", `{`, 400, ""},
	} {
		asked = nil
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
		if w.Code != c.status || strings.Join(asked, "|") != c.asks {
			t.Errorf("%s %s: %d, asked %q; want %d, %q", c.method, c.path, w.Code, asked, c.status, c.asks)
		}
	}
	s.search = "http://127.0.0.1:1"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/api/search?q=x", nil))
	if w.Code != http.StatusBadGateway {
		t.Errorf("status %d for a backend that is down", w.Code)
	}
	if got := s.stats.flush(); !strings.Contains(got, "web.requests:9|c\n") || !strings.Contains(got, "web.orders:1|c\n") {
		t.Errorf("counters %q", got)
	}
	if got := s.stats.flush(); got != "" {
		t.Errorf("counters sent twice: %q", got)
	}
}

func TestAddCounters(t *testing.T) {
	totals := map[string]int{}
	addCounters(totals, "a:1|c\nb:2|c\na:4|c\nc:1|g\nno\n:3|c\nd:x|c\n")
	if len(totals) != 2 || totals["a"] != 5 || totals["b"] != 2 {
		t.Errorf("%v", totals)
	}
	for i := range 2000 {
		addCounters(totals, "n"+strings.Repeat("x", i)+":1|c")
	}
	if len(totals) != 1000 {
		t.Errorf("%d names kept", len(totals))
	}
}

func TestSlowness(t *testing.T) {
	const from, to = 300 * time.Millisecond, 800 * time.Millisecond
	for _, c := range []struct {
		dice, spot float64
		want       time.Duration
	}{{0.25, 0.5, 0}, {0.9, 0, 0}, {0.1, 0, from}, {0.1, 0.5, 550 * time.Millisecond}} {
		if got := slowness(c.dice, c.spot, 0.25, from, to); got != c.want {
			t.Errorf("slowness(%v, %v) = %v, want %v", c.dice, c.spot, got, c.want)
		}
	}
}

func TestSearchWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		h := searchHandler(catalogue(), func() time.Duration { return 500 * time.Millisecond })
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/search?q=night", nil))
		if took := time.Since(began); took != 500*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if n := strings.Count(w.Body.String(), `"id"`); n != 10 {
			t.Errorf("%d products found", n)
		}
	})
}

func TestChooseMakesNoOrdersWithoutDatabase(t *testing.T) {
	kinds := map[string]bool{}
	for dice := range 100 {
		kinds[choose(dice, 1, 2, true).path] = true
		if c := choose(dice, 1, 2, false); strings.Contains(c.path, "orders") {
			t.Errorf("dice %d: %s", dice, c.path)
		}
	}
	for _, want := range []string{"/", "/api/products", "/api/products/2", "/api/search?q=night", "/api/cart/u1/2", "/api/cart/u1", "/api/orders", "/api/orders/2"} {
		if !kinds[want] {
			t.Errorf("no shopper ever asks for %s", want)
		}
	}
}

func TestExportKeepsToItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w := httptest.NewRecorder()
		export(w, httptest.NewRequest("GET", "/export", nil), 1_000_010, 500_000)
		if w.Body.Len() != 1_000_010 {
			t.Errorf("%d bytes", w.Body.Len())
		}
		if took := time.Since(began); took < 2*time.Second || took > 2200*time.Millisecond {
			t.Errorf("took %v at half a million bytes a second", took)
		}
	})
}

func TestHangUpResets(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	got := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			defer c.Close()
			_, err = io.Copy(io.Discard, c)
		}
		got <- err
	}()
	if err := hangUp(t.Context(), ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server saw %v, want a reset", err)
	}
}

func TestBootstrapSQL(t *testing.T) {
	dir := t.TempDir()
	// One file under MariaDB 11's name, the others under the older ones.
	for _, name := range []string{"mariadb_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("-- "+name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := bootstrapSQL("/nonexistent:" + dir)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(r)
	last := -1
	for _, want := range []string{"USE mysql", "mariadb_system_tables", "mysql_performance", "tables_data", "FLUSH PRIVILEGES", "CREATE DATABASE shop", "GRANT ALL ON shop.* TO 'shop'@'%'"} {
		at := strings.Index(string(text), want)
		if at <= last {
			t.Errorf("%q is missing or too early in\n%s", want, text)
		}
		last = at
	}
	if _, err := bootstrapSQL("/nonexistent"); err == nil {
		t.Error("a server without its SQL files was accepted")
	}
}
