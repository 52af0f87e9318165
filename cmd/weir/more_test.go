package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
)

func TestMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := newMore(&out)
		said := func() string { // since the last call
			m.mu.Lock()
			defer m.mu.Unlock()
			defer out.Reset()
			return out.String()
		}
		m.add(&flow.L7{Protocol: flow.HTTP, Method: "GET", Route: "/users/{id}"}, 900)
		time.Sleep(moreEvery / 2)
		m.add(&flow.L7{Protocol: flow.DNS, Method: "A", Route: "db.example"}, 280)
		m.add(&flow.L7{Protocol: flow.TLS, Route: "x.example"}, 20)
		m.add(&flow.L7{Protocol: flow.HTTP}, 3)
		m.add(&flow.L7{Protocol: flow.HTTP, Method: "PUT", Route: "/a"}, 1)
		m.add(&flow.L7{Protocol: flow.HTTP, Method: "GET", Route: "/b"}, 0)
		if s := said(); s != "" {
			t.Errorf("said within the second: %s", s)
		}
		time.Sleep(10 * moreEvery)
		want := "weir: 1,204 more like these: 900 GET /users/{id}, 280 A db.example, 20 TLS x.example, 4 others\n"
		if s := said(); s != want {
			t.Errorf("got %swant %s", s, want)
		}
		m.add(&flow.L7{Protocol: flow.HTTP, Method: "GET", Route: "/users/{id}"}, 1)
		m.close()
		m.close()
		time.Sleep(10 * moreEvery)
		if s, want := said(), "weir: 1 more like these: 1 GET /users/{id}\n"; s != want {
			t.Errorf("at the end got %swant %s", s, want)
		}
	})
}

// Peers choose the names: neither the terminal nor the memory is theirs.
func TestMoreHostile(t *testing.T) {
	var out bytes.Buffer
	m := newMore(&out)
	for i := range 3 * moreKinds {
		m.add(&flow.L7{Protocol: flow.HTTP, Method: "\x1b[2J", Route: fmt.Sprintf("/%d\u009b\u202e\n%s", i, strings.Repeat("x", 1000))}, uint64(1+3*moreKinds-i))
	}
	if len(m.like) > moreKinds+1 {
		t.Errorf("%d kinds are kept", len(m.like))
	}
	m.close()
	line := out.String()
	if len(line) > 400 || strings.Count(line, "\n") != 1 {
		t.Errorf("%q", line)
	}
	for _, r := range strings.TrimSuffix(line, "\n") {
		if !unicode.IsPrint(r) {
			t.Fatalf("%q gets through: %q", r, line)
		}
	}
}

// Of a daemon's answer, tallies are counted and all else is printed.
func TestMoreTakesTallies(t *testing.T) {
	var out bytes.Buffer
	m := newMore(&out)
	printed := 0
	take := m.takeOut(func(*observerpb.GetFlowsResponse) error { printed++; return nil })
	get, c := exchange(2, 7), convert.New("node", "1")
	for _, r := range append(flows(1), get, tallyOf(get, 1204)) {
		f := c.Flow(&r)
		c.Extend(f, &r)
		if err := take(&observerpb.GetFlowsResponse{ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: f}}); err != nil {
			t.Fatal(err)
		}
	}
	lost := &observerpb.GetFlowsResponse{ResponseTypes: &observerpb.GetFlowsResponse_LostEvents{LostEvents: &flowpb.LostEvent{}}}
	if err := take(lost); err != nil {
		t.Fatal(err)
	}
	m.close()
	if want := "weir: 1,204 more like these: 1,204 GET /users/{id}\n"; printed != 4 || out.String() != want {
		t.Errorf("%d printed, said %q", printed, &out)
	}
}
