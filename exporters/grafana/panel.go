package grafana

import "fmt"

// object is a JSON object. Grafana's schema is wide and weir uses little of it.
type object = map[string]any

// panel is one panel of a dashboard, before it has a place.
type panel struct {
	kind        string // timeseries, stat, table, heatmap or nodeGraph
	title       string
	description string
	unit        string // Grafana's: s, Bps, reqps, percentunit, short
	width       int    // of 24 columns
	height      int
	steps       []step // thresholds, above the base's green
	stacked     bool
	ceiling     float64 // of the axis; 0 for none
	queries     []query
	link        *link
	columns     []column // of a table
}

// column is what a table calls a label, or the value of a query: "Value #A".
type column struct{ from, name, unit string }

// query is one of a panel's. Tables and the node graph ask for one moment.
type query struct {
	ref    string // A, B, … where it is empty
	expr   string
	legend string
	traces bool // with exemplars
}

// step is a threshold: from value on, what is drawn has the colour.
type step struct {
	value float64
	color string
}

// link goes from a series or a row to another dashboard.
type link struct{ title, url string }

var datasource = object{"type": "prometheus", "uid": "${datasource}"}

// json is the panel at its place.
func (p *panel) json(id, x, y int) object {
	out := object{
		"id": id, "type": p.kind, "title": p.title, "description": p.description, "datasource": datasource,
		"gridPos":     object{"x": x, "y": y, "w": p.width, "h": p.height},
		"fieldConfig": object{"defaults": p.defaults(), "overrides": p.overrides()},
		"options":     p.options(),
		"targets":     p.targets(),
	}
	if t := p.transformations(); len(t) > 0 {
		out["transformations"] = t
	}
	return out
}

func (p *panel) defaults() object {
	steps := []object{{"color": "green", "value": nil}}
	for _, s := range p.steps {
		steps = append(steps, object{"color": s.color, "value": s.value})
	}
	d := object{"unit": p.unit, "thresholds": object{"mode": "absolute", "steps": steps}, "color": object{"mode": "thresholds"}}
	if p.link != nil {
		d["links"] = []object{{"title": p.link.title, "url": p.link.url}}
	}
	if p.kind != "timeseries" {
		return d
	}
	custom := object{"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
	if p.stacked {
		custom["stacking"] = object{"mode": "normal", "group": "A"}
		custom["fillOpacity"] = 40
	}
	if len(p.steps) > 0 {
		custom["thresholdsStyle"] = object{"mode": "dashed"}
	}
	d["color"], d["custom"], d["min"] = object{"mode": "palette-classic-by-name"}, custom, 0
	if p.ceiling > 0 {
		d["max"] = p.ceiling
	}
	return d
}

func (p *panel) options() object {
	switch p.kind {
	case "stat":
		return object{"colorMode": "value", "graphMode": "area", "reduceOptions": object{"calcs": []string{"lastNotNull"}}}
	case "timeseries":
		return object{
			"legend":  object{"displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": []string{"mean", "max"}},
			"tooltip": object{"mode": "multi", "sort": "desc"},
		}
	case "heatmap":
		return object{
			"calculate": false, "color": object{"mode": "scheme", "scheme": "Oranges", "steps": 64},
			"yAxis": object{"unit": p.unit}, "cellGap": 1, "tooltip": object{"mode": "single", "yHistogram": true},
		}
	case "nodeGraph":
		return object{"nodes": object{"mainStatUnit": p.unit}, "edges": object{"mainStatUnit": p.unit}}
	}
	return object{"showHeader": true, "cellHeight": "sm"}
}

func (p *panel) targets() []object {
	var out []object
	for i, q := range p.queries {
		ref := q.ref
		if ref == "" {
			ref = string(rune('A' + i))
		}
		t := object{"refId": ref, "datasource": datasource, "expr": q.expr, "editorMode": "code", "legendFormat": q.legend, "range": true, "instant": false}
		switch p.kind {
		case "table", "nodeGraph":
			t["format"], t["instant"], t["range"] = "table", true, false
		case "heatmap":
			t["format"] = "heatmap"
		case "stat":
			t["instant"], t["range"] = false, true
		}
		if q.traces {
			t["exemplar"] = true
		}
		out = append(out, t)
	}
	return out
}

// overrides give columns their units.
func (p *panel) overrides() []object {
	out := []object{}
	for _, c := range p.columns {
		if c.unit != "" {
			out = append(out, object{
				"matcher":    object{"id": "byName", "options": c.name},
				"properties": []object{{"id": "unit", "value": c.unit}},
			})
		}
	}
	return out
}

// transformations make frames of what Prometheus answers at one moment: of a table's
// queries one row for each set of labels, with the columns in their order; of the
// node graph's values the field that it looks for. To rename that is not enough there:
// https://github.com/grafana/grafana/issues/54844.
func (p *panel) transformations() []object {
	switch p.kind {
	case "nodeGraph":
		return []object{{"id": "calculateField", "options": object{
			"mode": "reduceRow", "reduce": object{"reducer": "sum"}, "alias": "mainstat", "replaceFields": false,
		}}}
	case "table":
		names, order := object{}, object{}
		for i, c := range p.columns {
			names[c.from], order[c.from] = c.name, i
			if c.from == "Value #A" { // what it is called where there is one query
				names["Value"], order["Value"] = c.name, i
			}
		}
		organize := object{"renameByName": names, "indexByName": order, "excludeByName": object{"Time": true}}
		return []object{{"id": "merge", "options": object{}}, {"id": "organize", "options": organize}}
	}
	return nil
}

// workloadLink goes to the page of the workload that a label or column names.
func workloadLink(label string) *link {
	return &link{"Workload", fmt.Sprintf("/d/%s?${datasource:queryparam}&${job:queryparam}&${__url_time_range}&var-workload=%s", uidWorkload, label)}
}
