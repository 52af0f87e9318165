package shop

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Without a database every answer says so, and the export works on.
func TestOrdersWithoutDatabase(t *testing.T) {
	db, err := openOrders("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	h := ordersHandler(db, 100, 1<<20)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/orders", `{"customer":"u1","items":1}`, http.StatusServiceUnavailable},
		{"POST", "/orders", `no`, http.StatusBadRequest},
		{"GET", "/orders/1", "", http.StatusServiceUnavailable},
		{"GET", "/orders/x", "", http.StatusBadRequest},
		{"GET", "/export", "", http.StatusOK},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
		if w.Code != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, w.Code, w.Body, c.status)
		}
	}
}
