package ui

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed79351815/weir/collector/aggregate"
	"github.com/seed79351815/weir/collector/flow"
)

func TestFilterOperations(t *testing.T) {
	operations := newShop().operations()
	for _, c := range []struct {
		filter string
		want   []int // places in the fixture
	}{
		{"", []int{0, 1, 2, 3, 4, 5, 6}},
		{"orders", []int{1, 2, 3, 4}},
		{"pay.example", []int{3, 4}},
		{"PAY.example !tls", []int{3}},
		{`/^\/users\/\{id\}$/`, []int{2}},
		{"protocol:http", []int{0, 1, 2, 5, 6}},
		{"protocol:d", []int{3}},
		{"!protocol:http", []int{3, 4}},
		{"method:GET", []int{0, 2}},
		{"method:a", nil},
		{"method:aaaa,post", []int{1, 3}},
		{"path:/Users", []int{2}},
		{"path:customers/77/", []int{1}}, // of an example
		{"path:example.com", []int{3, 4}},
		{"status:503", []int{1}},
		{"status:5xx", []int{1}},
		{"status:200-299 dst:orders", []int{1, 2}},
		{"status:404,nxdomain", []int{1, 3}},
		{"status:3", []int{3}},
		{"status:no_answer", []int{1}},
		{"status:65535", nil},
		{"status:unknown_ca", []int{4}},
		{"status:error", []int{1, 3}},
		{"status:error status:5xx", []int{1}},
		{"src:client.example.net", []int{0}},
		{"src:world", []int{0, 6}},
		{"dst:10.0.0.53", []int{3}},
		{"dst:web !src:client", []int{5}},
		{"container:nginx", []int{0, 1, 2, 5}},
		{"ns:shop container:orders", []int{1, 2, 3, 4}},
		{"port:443", nil},
		{"!port:443 path:users", []int{2}},
	} {
		f, err := parseFilter(c.filter)
		if err != nil {
			t.Errorf("%q: %v", c.filter, err)
			continue
		}
		var got []int
		m := matcher{filter: f}
		for i := range operations {
			if m.operation(&operations[i]) {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q selects %v, want %v", c.filter, got, c.want)
		}
	}
}

func TestFilterExchanges(t *testing.T) {
	s := newShop().snapshot()
	all := exchangesOf(s, func(*aggregate.OperationRow) bool { return true })
	for _, c := range []struct {
		filter string
		want   string // statuses
	}{
		{"", "503 201 no_answer SERVFAIL unknown_ca"},
		{"status:error", "503 no_answer SERVFAIL unknown_ca"},
		{"status:2xx", "201"},
		{"path:orders/4711", "503"},
		{"path:{id} !status:503", "201 no_answer"},
		{"src:172.18.0.2:40110 dst:nobody", ""},
		{"process:nginx", ""},
		{"dst:orders-1:8080 protocol:dns", "SERVFAIL"},
		{"method:post /items$/", "503 201 no_answer"},
		{"日本", "no_answer"},
	} {
		f, err := parseFilter(c.filter)
		if err != nil {
			t.Errorf("%q: %v", c.filter, err)
			continue
		}
		var got []string
		m := matcher{filter: f}
		for i := range all {
			if m.exchange(&all[i]) {
				got = append(got, string(statusText(all[i].Protocol, all[i].Status)))
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q selects %v, want %s", c.filter, got, c.want)
		}
	}
}

// What can never hold for the rows of a view is said, not only shown as nothing.
func TestMisfit(t *testing.T) {
	for _, c := range []struct {
		filter string
		on     subject
		want   string
	}{
		{"path:/x", ofFlow, "path"},
		{"web status:500", ofFlow, "status"},
		{"web port:80", ofOperation, "port"},
		{"!port:80 src:web ns:shop", ofOperation, ""},
		{"src:web path:/x", ofOperation, ""},
		{"port:80 path:/x", 0, ""},
		{"", ofFlow, ""},
	} {
		f, err := parseFilter(c.filter)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.misfit(c.on); got != c.want {
			t.Errorf("%q on %d: %q, want %q", c.filter, c.on, got, c.want)
		}
	}
}

func TestExamplesWithoutExchange(t *testing.T) {
	s := &aggregate.Snapshot{Operations: []aggregate.OperationRow{{Examples: []*flow.L7{nil, {}, {Tally: &flow.Tally{}}}}}}
	if got := exchangesOf(s, func(*aggregate.OperationRow) bool { return true }); len(got) != 0 {
		t.Errorf("%d examples of nothing", len(got))
	}
	f, _ := parseFilter("path:x")
	if (&matcher{filter: f}).operation(&s.Operations[0]) {
		t.Error("matches nothing")
	}
}
