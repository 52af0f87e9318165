package main

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// module is a kernel module ready to load.
type module struct {
	name string
	code []byte // ELF, not compressed
}

// resolveModules reads modules and what they depend on, in the order to load
// them in. The package's own list of dependencies is made at installation only,
// so they are read from the modules themselves.
func resolveModules(ctx context.Context, k kernel, names []string) ([]module, error) {
	if len(names) == 0 {
		return nil, nil
	}
	paths, err := indexModules(k.modules)
	if err != nil {
		return nil, err
	}
	r := resolver{paths: paths, seen: make(map[string]bool)}
	for _, name := range names {
		if err := r.add(ctx, name); err != nil {
			return nil, fmt.Errorf("modules of %s: %w", k.name, err)
		}
	}
	return r.order, nil
}

// indexModules finds every module file by the module's name.
func indexModules(dir string) (map[string]string, error) {
	paths := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _, ok := strings.Cut(d.Name(), ".ko")
		if err == nil && ok {
			paths[canonical(name)] = path
		}
		return err
	})
	return paths, err
}

// canonical: a file's name may have dashes where the module's has underscores.
func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

type resolver struct {
	paths map[string]string
	seen  map[string]bool
	order []module
}

func (r *resolver) add(ctx context.Context, name string) error {
	name = canonical(name)
	if r.seen[name] {
		return nil
	}
	r.seen[name] = true
	path, ok := r.paths[name]
	if !ok {
		return fmt.Errorf("%s: not in the package", name)
	}
	code, err := readModule(ctx, path)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	needs, err := dependencies(code)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, need := range needs {
		if err := r.add(ctx, need); err != nil {
			return err
		}
	}
	r.order = append(r.order, module{name: name, code: code})
	return nil
}

func readModule(ctx context.Context, path string) ([]byte, error) {
	if strings.HasSuffix(path, ".xz") {
		return exec.CommandContext(ctx, "xz", "-dc", path).Output()
	}
	return os.ReadFile(path)
}

// dependencies reads "depends=a,b" from a module's .modinfo section.
func dependencies(code []byte) ([]string, error) {
	file, err := elf.NewFile(bytes.NewReader(code))
	if err != nil {
		return nil, err
	}
	section := file.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("no .modinfo section")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for entry := range strings.SplitSeq(string(info), "\x00") {
		if names, ok := strings.CutPrefix(entry, "depends="); ok {
			return slices.DeleteFunc(strings.Split(names, ","), func(s string) bool { return s == "" }), nil
		}
	}
	return nil, nil
}
