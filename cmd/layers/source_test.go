package layers

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const longest = 600 // lines of one file

var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

func TestSourceFiles(t *testing.T) {
	for _, p := range list(t, "./...") {
		var docs []string
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.TestGoFiles, p.XTestGoFiles, p.IgnoredGoFiles) {
			path := filepath.Join(p.Dir, name)
			file := parse(t, path)
			if ast.IsGenerated(file) {
				continue
			}
			checkText(t, path)
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
					t.Errorf("%s: func init: what runs at import cannot be seen, ordered or tested", relative(path))
				}
			}
			if file.Doc != nil && !strings.HasSuffix(name, "_test.go") {
				docs = append(docs, name)
			}
		}
		if len(p.GoFiles) > 0 && len(docs) != 1 {
			t.Errorf("%s: package comment in %q, want it in one file", p.path(), docs)
		}
	}
}

func TestCSourceFiles(t *testing.T) {
	err := filepath.WalkDir("../../bpf", func(path string, d fs.DirEntry, err error) error {
		ext := filepath.Ext(path)
		// vmlinux.h is the kernel's, generated.
		if err == nil && (ext == ".c" || ext == ".h") && d.Name() != "vmlinux.h" {
			checkText(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func checkText(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\n")); n > longest {
		t.Errorf("%s: %d lines, at most %d are read by anybody", relative(path), n, longest)
	}
	if filepath.Base(path) == "source_test.go" {
		return // names the words
	}
	if found := unfinished.Find(text); found != nil {
		t.Errorf("%s: %s: finish it, or file an issue", relative(path), found)
	}
}

func relative(path string) string {
	root, err := filepath.Abs("../..")
	if err != nil {
		return path
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	return strings.TrimPrefix(abs, root+"/")
}
