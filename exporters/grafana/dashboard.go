package grafana

import (
	"encoding/json"
	"strings"
)

// The dashboards' identifiers, which links and bookmarks depend on.
const (
	uidOverview     = "weir-overview"
	uidWorkload     = "weir-workload"
	uidDependencies = "weir-dependencies"
	uidProtocols    = "weir-protocols"
	uidDNS          = "weir-dns"
	uidPolicy       = "weir-policy"
	uidHealth       = "weir-health"
)

// schemaVersion is one that every Grafana since 10.4 takes; newer ones migrate it.
const schemaVersion = 39

// dashboard is a page of panels.
type dashboard struct {
	uid, title, description string
	variables               []object
	rows                    []row
}

// row is panels below a headline, from left to right; what finds no place in a
// line goes to the next.
type row struct {
	title  string
	panels []panel
}

// here is the scope of dashboards: what the variables at the top choose.
var here = scope{[]string{`job=~"$job"`, `instance=~"$instance"`}, "$__rate_interval"}

// json is what Grafana reads.
func (d *dashboard) json() ([]byte, error) {
	var panels []object
	id, y := 0, 0
	next := func() int { id++; return id }
	for _, r := range d.rows {
		panels = append(panels, object{
			"id": next(), "type": "row", "title": r.title, "collapsed": false, "panels": []any{},
			"gridPos": object{"x": 0, "y": y, "w": 24, "h": 1},
		})
		y++
		x, tallest := 0, 0
		for i := range r.panels {
			p := &r.panels[i]
			if x+p.width > 24 {
				x, y, tallest = 0, y+tallest, 0
			}
			panels = append(panels, p.json(next(), x, y))
			x, tallest = x+p.width, max(tallest, p.height)
		}
		y += tallest
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(object{
		"id": nil, "uid": d.uid, "title": d.title, "description": d.description, "tags": []string{"weir"},
		"schemaVersion": schemaVersion, "editable": false, "graphTooltip": 1, "refresh": "30s",
		"time": object{"from": "now-1h", "to": "now"}, "timezone": "browser",
		"links": []object{{
			"type": "dashboards", "title": "weir", "tags": []string{"weir"}, "asDropdown": true,
			"includeVars": true, "keepTime": true, "targetBlank": false,
		}},
		"templating": object{"list": d.variables},
		"panels":     panels,
	})
	return []byte(b.String()), err
}

// scoped are the variables that every dashboard has, and its own behind them.
func scoped(own ...object) []object {
	return append([]object{
		{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"},
		choice("job", "Job", "label_values(weir_build_info, job)", ".+", true),
		choice("instance", "Host", `label_values(weir_build_info{job=~"$job"}, instance)`, ".+", true),
	}, own...)
}

// namespace chooses whom traffic goes to. Most workloads of a plain host have none,
// so that all of them must match the empty one too.
func namespace() object {
	return choice("namespace", "Namespace", "label_values("+here.metric("weir_flows_total").selector("")+", destination_namespace)", ".*", true)
}

// choice is a variable that is filled by a query.
func choice(name, label, query, all string, many bool) object {
	v := object{
		"name": name, "label": label, "type": "query", "datasource": datasource, "refresh": 2, "sort": 1,
		"query": object{"query": query, "refId": name}, "definition": query, "includeAll": many, "multi": many,
	}
	if many {
		v["allValue"], v["current"] = all, object{"text": "All", "value": []string{"$__all"}}
	}
	return v
}
