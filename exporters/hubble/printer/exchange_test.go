package printer_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"

	observerpb "github.com/cilium/cilium/api/v1/observer"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/hubble/printer"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

func exchange(p flow.L7Protocol, change func(*flow.L7)) *observerpb.GetFlowsResponse {
	r := recordtest.Exchange(0, p)
	if change != nil {
		change(r.L7)
	}
	c := convert.New("node-1", "1")
	f := c.Flow(&r)
	c.Extend(f, &r)
	return response(f)
}

// As "hubble observe" prints them: cli_test.go compares with the real one.
func TestExchanges(t *testing.T) {
	http, dns, tls := exchange(flow.HTTP, nil), exchange(flow.DNS, nil), exchange(flow.TLS, nil)
	unanswered := exchange(flow.HTTP, func(l *flow.L7) { l.Exchange.Status = flow.NoAnswer })
	for _, tt := range []struct {
		name string
		o    printer.Options
		in   []*observerpb.GetFlowsResponse
		want string
	}{
		{"compact", printer.Options{}, []*observerpb.GetFlowsResponse{http, dns, tls, unanswered},
			"Jun  1 12:00:00.000: shop/shop-web-1:40000 (ID:WEB) <- db.example.com:8080 (world) http-response FORWARDED (HTTP/1.1 200 3ms (GET http://db.example.com:8080/users/17))\n" +
				"Jun  1 12:00:00.000: shop/shop-web-1:40000 (ID:WEB) <- db.example.com:8080 (world) dns-response kernel FORWARDED (DNS Answer \"192.0.2.7,192.0.2.8\" TTL: 30 (Query cart.shop.example. A))\n" +
				"Jun  1 12:00:00.000: shop/shop-web-1:40000 (ID:WEB) <- db.example.com:8080 (world) l7-response FORWARDED (TLS 1.3 3ms (api.example.com, TLS_AES_128_GCM_SHA256))\n" +
				"Jun  1 12:00:00.000: shop/shop-web-1:40000 (ID:WEB) -> db.example.com:8080 (world) http-request FORWARDED (HTTP/1.1 GET http://db.example.com:8080/users/17; no answer)\n"},
		{"dict", printer.Options{Format: printer.FormatDict}, []*observerpb.GetFlowsResponse{http},
			"  TIMESTAMP: Jun  1 12:00:00.000\n" +
				"     SOURCE: db.example.com:8080\n" +
				"DESTINATION: shop/shop-web-1:40000\n" +
				"       TYPE: http-response\n" +
				"    VERDICT: FORWARDED\n" +
				"    SUMMARY: HTTP/1.1 200 3ms (GET http://db.example.com:8080/users/17)\n"},
		{"table", printer.Options{Format: printer.FormatTable}, []*observerpb.GetFlowsResponse{tls},
			"TIMESTAMP             SOURCE                DESTINATION             TYPE          VERDICT     SUMMARY\n" +
				"Jun  1 12:00:00.000   db.example.com:8080   shop/shop-web-1:40000   l7-response   FORWARDED   TLS 1.3 3ms (api.example.com, TLS_AES_128_GCM_SHA256)\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := http.GetFlow().GetDestination().GetIdentity()
			got := strings.ReplaceAll(render(t, tt.o, tt.in...), fmt.Sprintf("ID:%d", id), "ID:WEB")
			if got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
	js := render(t, printer.Options{Format: printer.FormatJSON}, http, tls)
	for _, want := range []string{
		`"l7":{"type":"RESPONSE","latency_ns":"3200000","http":{"code":200,"method":"GET","url":"http://db.example.com:8080/users/17","protocol":"HTTP/1.1"}}`,
		`"Type":"L7"`, `"event_type":{"type":129}`, `"is_reply":true`, `"route":"/users/{id}"`, `"why":"sample"`, `"ja4":"t13d1516h2_8daaf6152771_e5627efa2ab1"`,
		`"trace_context":{"parent":{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}}`,
	} {
		if !strings.Contains(js, want) {
			t.Errorf("no %s in %s", want, js)
		}
	}
}

// Nothing that a client or a server sends brings the terminal a character that
// is not printable.
func TestHostileExchanges(t *testing.T) {
	for _, p := range []flow.L7Protocol{flow.HTTP, flow.DNS, flow.TLS} {
		for _, status := range []uint16{0, 40, flow.NoAnswer} {
			in := exchange(p, func(l *flow.L7) {
				l.Method, l.Route, l.TraceID, l.Server.Names = hostile, hostile, hostile, []string{hostile}
				x := l.Exchange
				x.Status = status
				switch {
				case x.HTTP != nil:
					*x.HTTP = flow.HTTPExchange{Method: hostile, Path: "/" + hostile, Upgrade: hostile, Traceparent: hostile}
				case x.DNS != nil:
					x.DNS.Name = hostile
				case x.TLS != nil:
					x.TLS.ServerName, x.TLS.ALPN, x.TLS.Chosen, x.TLS.JA4 = hostile, []string{hostile}, hostile, hostile
				}
			})
			for _, f := range []printer.Format{printer.FormatCompact, printer.FormatDict, printer.FormatTable, printer.FormatJSON} {
				out := render(t, printer.Options{Format: f}, in)
				for _, r := range out {
					if r != '\n' && !unicode.IsPrint(r) {
						t.Errorf("%v, format %d lets %q through: %q", p, f, r, out)
						break
					}
				}
				want := map[printer.Format]int{printer.FormatCompact: 1, printer.FormatDict: 6, printer.FormatTable: 2, printer.FormatJSON: 1}[f]
				if n := strings.Count(out, "\n"); n != want {
					t.Errorf("%v, format %d: %d lines, want %d", p, f, n, want)
				}
				if f == printer.FormatJSON && !json.Valid([]byte(out)) {
					t.Errorf("%v: no JSON: %s", p, out)
				}
			}
		}
	}
}
