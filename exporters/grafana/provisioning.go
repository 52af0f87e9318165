package grafana

import (
	"embed"
	"strings"
)

// templates are the files that say where the others lie.
//
//go:embed provisioning/*.yaml
var templates embed.FS

// provisioning makes Prometheus scrape weir, and Grafana find Prometheus, Tempo and
// the dashboards.
func provisioning(job string) []File {
	var out []File
	for _, f := range []struct{ path, template string }{
		{"compose.yaml", "compose.yaml"},
		{"prometheus.yaml", "prometheus.yaml"},
		{"tempo.yaml", "tempo.yaml"},
		{"provisioning/dashboards/weir.yaml", "dashboards.yaml"},
		{"provisioning/datasources/weir.yaml", "datasources.yaml"},
	} {
		text, err := templates.ReadFile("provisioning/" + f.template)
		if err != nil {
			panic(err) // it is in the program, or the program was not built
		}
		out = append(out, File{f.path, []byte(strings.ReplaceAll(string(text), "{{job}}", job))})
	}
	return out
}
