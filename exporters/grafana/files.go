package grafana

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// DefaultJob is the name under which Prometheus is told to scrape weir.
const DefaultJob = "weir"

// File is one of those that are exported.
type File struct {
	Path string // below the directory, with slashes
	Data []byte
}

// label is what a job may be called: it stands in queries and in YAML.
var label = regexp.MustCompile(`^[A-Za-z0-9_.:/-]{1,128}$`)

// Files are the dashboards, the rules of a job, and what makes Prometheus, Grafana
// and Tempo take them. The order is always the same.
func Files(job string) ([]File, error) {
	if !label.MatchString(job) {
		return nil, fmt.Errorf("job %q: expected letters, digits and _.:/-, at most 128", job)
	}
	var out []File
	for _, d := range dashboards() {
		data, err := d.json()
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", d.uid, err)
		}
		out = append(out, File{"dashboards/" + d.uid + ".json", data})
	}
	data, err := ruleFile(job)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	out = append(out, File{"rules/weir.yaml", data})
	return append(out, provisioning(job)...), nil
}

// dashboards are all, the one to begin with first.
func dashboards() []*dashboard {
	return []*dashboard{overview(), workload(), dependencies(), protocols(), dns(), policy(), health()}
}

// Write puts files below dir, which it makes; files of the same names are replaced.
func Write(dir string, files []File) error {
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
