package grafana

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write files/ anew")

// generated is where the files lie that people take without building weir.
const generated = "files"

func defaultFiles(t *testing.T) []File {
	t.Helper()
	files, err := Files(DefaultJob)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestFiles keeps files/ the same as the code.
func TestFiles(t *testing.T) {
	files := defaultFiles(t)
	if *update {
		if err := os.RemoveAll(generated); err != nil {
			t.Fatal(err)
		}
		if err := Write(generated, files); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]bool{}
	for _, f := range files {
		want[f.Path] = true
		got, err := os.ReadFile(filepath.Join(generated, f.Path))
		if err != nil || !bytes.Equal(got, f.Data) {
			t.Errorf("%s differs from what is made: go test ./exporters/grafana -update (%v)", f.Path, err)
		}
	}
	err := filepath.WalkDir(generated, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !want[strings.TrimPrefix(filepath.ToSlash(path), generated+"/")] {
			t.Errorf("%s is no longer made", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestJob(t *testing.T) {
	files, err := Files("flows/eu-1")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		switch {
		case f.Path == "prometheus.yaml" && !strings.Contains(string(f.Data), `job_name: "flows/eu-1"`),
			f.Path == "rules/weir.yaml" && !strings.Contains(string(f.Data), `up{job="flows/eu-1"} == 0`),
			strings.Contains(string(f.Data), "{{job}}"):
			t.Errorf("%s does not name the job", f.Path)
		}
	}
	for _, job := range []string{"", "a b", `a"b`, "a\nb", strings.Repeat("a", 129), "{{job}}"} {
		if _, err := Files(job); err == nil {
			t.Errorf("job %q is taken", job)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "dir")
	files := []File{{"a/b.json", []byte("{}")}, {"c.yaml", []byte("c")}}
	for range 2 { // the second time they are replaced
		if err := Write(dir, files); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a", "b.json")); err != nil || string(got) != "{}" {
		t.Errorf("%q, %v", got, err)
	}
	if err := Write(filepath.Join(dir, "c.yaml"), files); err == nil || !strings.Contains(err.Error(), "c.yaml") {
		t.Errorf("below a file: %v, want an error that names it", err)
	}
}
