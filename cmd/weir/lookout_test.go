package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
)

func TestLookout(t *testing.T) {
	root := t.TempDir()
	var told []string
	paths := map[uint64]string{}
	l := lookout{root: root, tell: func(e *flow.Event) {
		if e.Kind == flow.KindCgroupCreated {
			paths[e.Cgroup.ID] = e.Cgroup.Path
		}
		told = append(told, fmt.Sprint(e.Kind == flow.KindCgroupRemoved, paths[e.Cgroup.ID]))
	}}
	expect := func(want ...string) {
		t.Helper()
		l.look()
		if !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		told = nil
	}
	web := filepath.Join(root, "docker", "web")
	if err := os.MkdirAll(web, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(web, "cgroup.procs"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect("false/", "false/docker", "false/docker/web")
	expect()
	if err := os.RemoveAll(web); err != nil {
		t.Fatal(err)
	}
	expect("true/docker/web")
	if len(l.seen) != 2 {
		t.Errorf("%d are remembered, want those that are there", len(l.seen))
	}
}
