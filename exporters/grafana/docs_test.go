package grafana

import (
	"os"
	"strings"
	"testing"
)

// TestDocs keeps docs/grafana.md complete.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../../docs/grafana.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, d := range dashboards() {
		if !strings.Contains(text, "| `"+d.title+"` |") {
			t.Errorf("the dashboard %s is missing", d.title)
		}
	}
	for _, g := range allRules(DefaultJob).Groups {
		for _, r := range g.Rules {
			if r.Alert != "" && !strings.Contains(text, "| `"+r.Alert+"` | "+r.Labels["severity"]+" |") {
				t.Errorf("the alert %s with its severity is missing", r.Alert)
			}
		}
	}
	if n := strings.Count(text, "| `Weir"); n != len(trafficAlerts(jobs("weir")))+len(healthAlerts(jobs("weir"))) {
		t.Errorf("%d alerts are described, among them some that there are not", n)
	}
}
