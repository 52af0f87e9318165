package grafana

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed79351815/weir/exporters/prom"
)

// shown is a dashboard as Grafana reads it, as far as the tests look.
type shown struct {
	UID, Title, Description string
	Editable                bool
	Tags                    []string
	Links                   []any
	Templating              struct{ List []variable }
	Panels                  []shownPanel
}

type variable struct {
	Name, Type, AllValue string
	Datasource           map[string]string
	Query                any
}

type shownPanel struct {
	ID                       int
	Type, Title, Description string
	Datasource               map[string]string
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct {
		Defaults struct {
			Unit  string
			Links []struct{ URL string }
		}
		Overrides []struct {
			Matcher struct{ Options string }
		}
	}
	Targets []struct {
		RefID, Expr, LegendFormat, Format string
		Datasource                        map[string]string
		Instant, Range                    bool
	}
}

func shownDashboards(t *testing.T) []shown {
	t.Helper()
	var out []shown
	for _, f := range defaultFiles(t) {
		if !strings.HasPrefix(f.Path, "dashboards/") {
			continue
		}
		var d shown
		if err := json.Unmarshal(f.Data, &d); err != nil {
			t.Fatalf("%s: %v", f.Path, err)
		}
		if f.Path != "dashboards/"+d.UID+".json" {
			t.Errorf("%s has the uid %s", f.Path, d.UID)
		}
		out = append(out, d)
	}
	return out
}

// TestLint holds dashboards to the rules of Grafana's dashboard-linter, and to some more.
func TestLint(t *testing.T) {
	titles, uids := map[string]bool{}, map[string]bool{}
	dashboards := shownDashboards(t)
	for _, d := range dashboards {
		uids[d.UID] = true
	}
	for _, d := range dashboards {
		if titles[d.Title] || !strings.HasPrefix(d.Title, "weir / ") || d.Description == "" || d.Editable || len(d.Links) == 0 || !slices.Contains(d.Tags, "weir") {
			t.Errorf("%s: title %q, description %q, editable %v, links %v, tags %v", d.UID, d.Title, d.Description, d.Editable, d.Links, d.Tags)
		}
		titles[d.Title] = true
		var names []string
		for _, v := range d.Templating.List {
			names = append(names, v.Name)
			if v.Type == "query" && v.Datasource["uid"] != "${datasource}" {
				t.Errorf("%s: the variable %s has the datasource %v", d.UID, v.Name, v.Datasource)
			}
		}
		if !slices.Equal(names[:3], []string{"datasource", "job", "instance"}) {
			t.Errorf("%s: variables %v", d.UID, names)
		}
		ids := map[int]bool{}
		for _, p := range d.Panels {
			where := fmt.Sprintf("%s, %q", d.UID, p.Title)
			if ids[p.ID] || p.Title == "" {
				t.Errorf("%s: id %d, without a title or twice", where, p.ID)
			}
			ids[p.ID] = true
			if p.Type != "row" {
				lintPanel(t, where, p, names, uids)
			}
		}
		lintPlaces(t, d)
	}
}

var (
	ranged = regexp.MustCompile(`(\w+)\(([a-z0-9_]+)\{[^}]*\}\[([^\]]+)\]\)`)
	began  = regexp.MustCompile(`sum by \([^)]*\) \(\w+\{[^}]*\}\) unless sum by \([^)]*\) \(\w+\{[^}]*\} offset \$__range\)`)
	named  = regexp.MustCompile(`\$\{?(\w+)`)
)

func lintPanel(t *testing.T, where string, p shownPanel, variables []string, uids map[string]bool) {
	if len(p.Description) < 10 || !strings.HasSuffix(p.Description, ".") || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
		t.Errorf("%s: description %q, unit %q, %d queries", where, p.Description, p.FieldConfig.Defaults.Unit, len(p.Targets))
	}
	if p.Datasource["uid"] != "${datasource}" {
		t.Errorf("%s: datasource %v", where, p.Datasource)
	}
	for _, l := range p.FieldConfig.Defaults.Links {
		uid := strings.TrimPrefix(strings.SplitN(l.URL, "?", 2)[0], "/d/")
		if !uids[uid] {
			t.Errorf("%s: a link to %s, which there is not", where, l.URL)
		}
	}
	known := append([]string{"__rate_interval", "__range"}, variables...)
	for _, q := range p.Targets {
		if q.Datasource["uid"] != "${datasource}" || q.RefID == "" || q.Instant == q.Range {
			t.Errorf("%s: query %+v", where, q)
		}
		if p.Type == "timeseries" && q.LegendFormat == "" {
			t.Errorf("%s: a query without a legend", where)
		}
		if strings.Count(q.Expr, `job=~"$job",instance=~"$instance"`) < strings.Count(q.Expr, "{") {
			t.Errorf("%s: a selector without job or instance: %s", where, q.Expr)
		}
		for _, m := range named.FindAllStringSubmatch(q.Expr, -1) {
			if m[1] != "1" && !slices.Contains(known, m[1]) {
				t.Errorf("%s: $%s is no variable", where, m[1])
			}
		}
		for _, m := range ranged.FindAllStringSubmatch(q.Expr, -1) {
			if want := map[string]string{"rate": "$__rate_interval", "increase": "$__range"}[m[1]]; m[3] != want {
				t.Errorf("%s: %s over %s, want %s", where, m[1], m[3], want)
			}
		}
		lintCounters(t, where, q.Expr)
	}
}

// lintCounters finds counters whose value itself is drawn, which says nothing.
func lintCounters(t *testing.T, where, expr string) {
	bare := began.ReplaceAllString(ranged.ReplaceAllString(expr, ""), "")
	for _, m := range prom.Table() {
		if m.Type != "gauge" && strings.Contains(bare, m.Name+"{") {
			t.Errorf("%s: %s without a rate: %s", where, m.Name, expr)
		}
	}
}

// lintPlaces finds panels that lie over each other or beyond the page.
func lintPlaces(t *testing.T, d shown) {
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		g := p.GridPos
		if g.X+g.W > 24 || g.W == 0 || g.H == 0 {
			t.Errorf("%s, %q: place %+v", d.UID, p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s: %q lies over %q", d.UID, p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestEveryMetricIsShown: what is worth to be exported is worth to be seen.
func TestEveryMetricIsShown(t *testing.T) {
	var all strings.Builder
	for _, f := range defaultFiles(t) {
		if strings.HasPrefix(f.Path, "dashboards/") {
			all.Write(f.Data)
		}
	}
	hidden := []string{"weir_flow_wire_bytes_total", "weir_flow_packets_total"} // alerts and people ask for these
	for _, m := range prom.Table() {
		if got := strings.Contains(all.String(), m.Name); got == slices.Contains(hidden, m.Name) {
			t.Errorf("%s on a dashboard: %v", m.Name, got)
		}
	}
}
