package layers

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// pkg is what `go list -json` tells of a package.
type pkg struct {
	ImportPath                                                   string
	Dir                                                          string
	GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
	Imports, TestImports, XTestImports, Deps                     []string
}

// path is the package's path within the module: "" for the root.
func (p pkg) path() string { return strings.TrimPrefix(p.ImportPath, module) }

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-json"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		t.Fatal("go list found no packages")
	}
	return all
}

// within tells whether a path is the tree's root or below it.
func within(path, tree string) bool {
	rest, ok := strings.CutPrefix(path, tree)
	return ok && (rest == "" || rest[0] == '/')
}

// layerOf is the longest tree that holds the path.
func layerOf(path string) (layer, bool) {
	var best layer
	for _, l := range layers {
		if within(path, l.tree) && len(l.tree) > len(best.tree) {
			best = l
		}
	}
	return best, best.tree != ""
}

func (l layer) allows(path string) bool {
	return within(path, l.tree) || slices.Contains(l.imports, "all") || slices.Contains(l.imports, path)
}

func TestImports(t *testing.T) {
	for _, p := range list(t, "./...") {
		l, ok := layerOf(p.path())
		if !ok {
			t.Errorf("%s belongs to no layer: add it to the table", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			checkImport(t, p, l, imp, false)
		}
		for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
			checkImport(t, p, l, imp, true)
		}
	}
}

func checkImport(t *testing.T, p pkg, l layer, imp string, test bool) {
	t.Helper()
	if own, ok := strings.CutPrefix(imp, module); ok {
		if !l.allows(own) {
			t.Errorf("%s imports %s: %s", p.path(), own, l.why)
		}
		return
	}
	if l.tree == "collector/flow" && !test && strings.Contains(strings.Split(imp, "/")[0], ".") {
		t.Errorf("%s imports %s: %s", p.path(), imp, l.why)
	}
	for _, lib := range libraries {
		if !within(imp, lib.prefix) || test && lib.prefix == "testing" {
			continue
		}
		if !slices.ContainsFunc(lib.trees, func(tree string) bool { return within(p.path(), tree) }) {
			t.Errorf("%s imports %s: %s", p.path(), imp, lib.why)
		}
	}
}

func TestIsolation(t *testing.T) {
	for _, p := range list(t, "./...") {
		for _, rule := range isolated {
			if !within(p.path(), rule.tree) {
				continue
			}
			for _, dep := range p.Deps {
				if within(dep, rule.never) {
					t.Errorf("%s depends on %s by way of others: %s", p.path(), dep, rule.why)
					break
				}
			}
		}
	}
}

// TestTablesNameWhatExists keeps the tables from outliving what they speak of.
func TestTablesNameWhatExists(t *testing.T) {
	packages := list(t, "./...")
	exists := func(tree string) bool {
		return slices.ContainsFunc(packages, func(p pkg) bool { return within(p.path(), tree) })
	}
	for _, l := range layers {
		for _, tree := range append(l.imports, l.tree) {
			if tree != "all" && !exists(tree) {
				t.Errorf("layer %s names %s, which does not exist", l.tree, tree)
			}
		}
	}
	for _, lib := range libraries {
		used := false
		for _, p := range packages {
			for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
				used = used || within(imp, lib.prefix)
			}
		}
		// A library that is not there yet may be spoken for.
		for _, tree := range lib.trees {
			if used && !exists(tree) {
				t.Errorf("library %s names %s, which does not exist", lib.prefix, tree)
			}
		}
	}
}

func TestWithin(t *testing.T) {
	for _, tc := range []struct {
		path, tree string
		want       bool
	}{
		{"bpf", "bpf", true}, {"bpf/lab", "bpf", true}, {"bpfx", "bpf", false}, {"collector", "collector/flow", false},
		{"github.com/cilium/ebpf/link", "github.com/cilium/ebpf", true}, {"github.com/cilium/ebpf2", "github.com/cilium/ebpf", false},
	} {
		if got := within(tc.path, tc.tree); got != tc.want {
			t.Errorf("within(%q, %q) = %v", tc.path, tc.tree, got)
		}
	}
	if l, _ := layerOf("collector/flow/x"); l.tree != "collector/flow" {
		t.Errorf("layer of collector/flow/x is %s", l.tree)
	}
	if _, ok := layerOf("util"); ok {
		t.Error("util has a layer")
	}
}
