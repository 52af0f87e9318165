package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/printer"
)

// flows are n starts with an update after each; the i-th is at second i, from
// port i.
func flows(n int) (out []flow.Record) {
	for i := 1; i <= n; i++ {
		r := flow.Record{Kind: flow.RecordStart, Time: int64(i) * int64(time.Second), Verdict: flow.VerdictForwarded, Flow: flow.Flow{
			ID: uint64(i), Protocol: flow.TCP,
			Client: flow.Endpoint{Addr: netip.MustParseAddrPort(fmt.Sprintf("10.0.0.1:%d", i))},
			Server: flow.Endpoint{Addr: netip.MustParseAddrPort("10.0.0.2:80")},
		}}
		out = append(out, r)
		r.Kind = flow.RecordUpdate
		out = append(out, r)
	}
	return out
}

// ports are the source ports in compact output, in its order.
func ports(s string) string {
	var out []string
	for line := range strings.Lines(s) {
		_, rest, _ := strings.Cut(line, "10.0.0.1:")
		port, _, _ := strings.Cut(rest, " ")
		out = append(out, port)
	}
	return strings.Join(out, " ")
}

func TestPrintSink(t *testing.T) {
	at := func(sec int64) *timestamppb.Timestamp { return timestamppb.New(time.Unix(sec, 0)) }
	for _, tc := range []struct {
		name    string
		req     *observerpb.GetFlowsRequest
		want    string
		stopped bool
	}{
		{"all", &observerpb.GetFlowsRequest{Number: math.MaxUint64}, "1 2 3 4 5 6", false},
		{"last", &observerpb.GetFlowsRequest{Number: 2}, "5 6", false},
		{"more than there are", &observerpb.GetFlowsRequest{Number: 10}, "1 2 3 4 5 6", false},
		{"last that follows", &observerpb.GetFlowsRequest{Number: 2, Follow: true}, "1 2 3 4 5 6", false},
		{"first", &observerpb.GetFlowsRequest{Number: 2, First: true}, "1 2", true},
		{"since", &observerpb.GetFlowsRequest{Number: math.MaxUint64, Since: at(5)}, "5 6", false},
		{"until", &observerpb.GetFlowsRequest{Number: math.MaxUint64, Until: at(2)}, "1 2", false},
		{"the first since", &observerpb.GetFlowsRequest{Number: 1, First: true, Since: at(3)}, "3", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			stopped := false
			p, err := newPrintSink(tc.req, printer.Options{Out: &out}, "node", func() { stopped = true })
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Consume(t.Context(), flows(6)); err != nil {
				t.Fatal(err)
			}
			if err := p.finish(); err != nil {
				t.Fatal(err)
			}
			if got := ports(out.String()); got != tc.want || stopped != tc.stopped {
				t.Errorf("printed %s, stopped %v; want %s, %v", got, stopped, tc.want, tc.stopped)
			}
		})
	}
}

type brokenPipe struct{ left int }

func (b *brokenPipe) Write(p []byte) (int, error) {
	if b.left--; b.left < 0 {
		return 0, errPipeClosed
	}
	return len(p), nil
}

// A reader that went away ends the capture, and is no error.
func TestPrintSinkPipe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := newPrintSink(&observerpb.GetFlowsRequest{Number: math.MaxUint64}, printer.Options{Out: &brokenPipe{left: 2}}, "", cancel)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Consume(ctx, flows(6)); err != nil {
			t.Fatalf("the pipeline would log it: %v", err)
		}
	}
	if ctx.Err() == nil {
		t.Error("the capture goes on for nobody")
	}
	if err := p.finish(); !errors.Is(err, errPipeClosed) || exitStatus(err) != statusDone {
		t.Errorf("got %v, exit status %d", err, exitStatus(err))
	}
}

func TestPrintSinkBound(t *testing.T) {
	if _, err := newPrintSink(&observerpb.GetFlowsRequest{Number: 1 << 40}, printer.Options{}, "", nil); err == nil {
		t.Error("any number of flows would be kept")
	}
}

// exchange is one of n GETs from port n, of the operation op.
func exchange(n int, op flow.Operation) flow.Record {
	x := &flow.Exchange{
		Counted: flow.Counted{Protocol: flow.HTTP, Role: flow.RoleClient, Operation: op}, Transport: flow.TCP, Status: 200, Why: flow.WhySample,
		HTTP: &flow.HTTPExchange{Method: "GET", Path: "/users/17", Version: 11},
	}
	return flow.Record{Kind: flow.RecordL7, Time: int64(n) * int64(time.Second), Verdict: flow.VerdictForwarded, L7: &flow.L7{
		Protocol: flow.HTTP, Seen: flow.RoleClient, Method: "GET", Route: "/users/{id}", Exchange: x,
		Client: flow.Endpoint{Addr: netip.MustParseAddrPort(fmt.Sprintf("10.0.0.1:%d", n))}, Server: flow.Endpoint{Addr: netip.MustParseAddrPort("10.0.0.2:80")},
	}}
}

func tallyOf(x flow.Record, n uint64) flow.Record {
	l := *x.L7
	l.Tally = &flow.Tally{Counted: l.Exchange.Counted, Status: l.Exchange.Status, Count: n}
	l.Exchange = nil
	x.L7 = &l
	return x
}

// Exchanges are printed among flows; what was only counted of those like them
// is said on standard error, and nowhere in JSON.
func TestPrintSinkExchanges(t *testing.T) {
	get, other := exchange(2, 7), exchange(3, 8)
	other.L7.Exchange.HTTP = &flow.HTTPExchange{Method: "PUT", Path: "/x", Version: 11}
	batch := append(flows(1), get, other, tallyOf(get, 1205), tallyOf(other, 40), flow.Record{Kind: flow.RecordL7}, flow.Record{Kind: flow.RecordL7, L7: &flow.L7{}})
	gets := []*flowpb.FlowFilter{{HttpMethod: []string{"GET"}}}
	for _, tc := range []struct {
		name         string
		format       printer.Format
		allow        []*flowpb.FlowFilter
		lines        int
		want, errors string
	}{
		{"all", printer.FormatCompact, nil, 3, "10.0.0.1:2 (world) <- 10.0.0.2:80 (world) http-response FORWARDED (HTTP/1.1 200 0ms (GET http://10.0.0.2/users/17))",
			"weir: 1,243 more like these: 1,243 GET /users/{id}\n"},
		{"filtered", printer.FormatCompact, gets, 1, "(GET http://10.0.0.2/users/17)", "weir: 1,204 more like these: 1,204 GET /users/{id}\n"},
		{"none pass", printer.FormatCompact, []*flowpb.FlowFilter{{HttpStatusCode: []string{"5+"}}}, 0, "", ""},
		{"json", printer.FormatJSON, gets, 1, `"why":"sample"`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			req := &observerpb.GetFlowsRequest{Number: math.MaxUint64, Whitelist: tc.allow}
			p, err := newPrintSink(req, printer.Options{Format: tc.format, Out: &out, Err: &errs}, "node", func() {})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(p.Consume(t.Context(), batch), p.finish()); err != nil {
				t.Fatal(err)
			}
			if strings.Count(out.String(), "\n") != tc.lines || !strings.Contains(out.String(), tc.want) {
				t.Errorf("printed %s", &out)
			}
			if errs.String() != tc.errors {
				t.Errorf("said %q, want %q", &errs, tc.errors)
			}
		})
	}
}
