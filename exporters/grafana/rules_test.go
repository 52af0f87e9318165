package grafana

import (
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// promtool runs Prometheus' own checks on the exported files, or on what it reads.
func promtool(t *testing.T, dir string, stdin io.Reader, args ...string) {
	t.Helper()
	cmd := exec.Command(need(t, "promtool"), args...)
	cmd.Dir, cmd.Stdin = dir, stdin
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPromtool(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, defaultFiles(t)); err != nil {
		t.Fatal(err)
	}
	promtool(t, dir, nil, "check", "rules", "--lint=all", "--lint-fatal", "rules/weir.yaml")
	promtool(t, dir, nil, "check", "config", "--lint=all", "--lint-fatal", "prometheus.yaml")
	// What fires when, and what is recorded: testdata/rules_test.yaml.
	text, err := os.ReadFile(filepath.Join("testdata", "rules_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rules_test.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, dir, nil, "test", "rules", "rules_test.yaml")
}

// TestPromtoolMetrics holds what is scraped to Prometheus' conventions.
func TestPromtoolMetrics(t *testing.T) {
	w := httptest.NewRecorder()
	endpoint(t).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	promtool(t, "", w.Body, "check", "metrics")
}

// TestAlertsAreTested: each alert fires in rules_test.yaml, and says something there.
func TestAlertsAreTested(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "rules_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tests []struct {
			Alerts []struct {
				Name  string `yaml:"alertname"`
				Fires []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	fires := map[string]bool{}
	for _, test := range file.Tests {
		for _, a := range test.Alerts {
			fires[a.Name] = fires[a.Name] || len(a.Fires) > 0
		}
	}
	names := map[string]bool{}
	for _, g := range allRules(DefaultJob).Groups {
		for _, r := range g.Rules {
			name := r.Record + r.Alert
			if names[name] {
				t.Errorf("%s is there twice", name)
			}
			names[name] = true
			if r.Alert != "" && !fires[r.Alert] {
				t.Errorf("%s fires in no test", r.Alert)
			}
			if r.Alert != "" && (r.Annotations["summary"] == "" || !strings.HasSuffix(r.Annotations["description"], ".")) {
				t.Errorf("%s: annotations %v", r.Alert, r.Annotations)
			}
		}
	}
}
