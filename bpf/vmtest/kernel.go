package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// kernel is an unpacked kernel package.
type kernel struct {
	name    string // of the package
	image   string // the file to boot
	modules string // directory of its modules
}

// findKernel gives the newest kernel of a series: of the archive where apt knows
// one, else of the cache.
func findKernel(ctx context.Context, cache, series string) (kernel, error) {
	pattern := `^linux-image-` + regexp.QuoteMeta(series) + `\..*cloud-amd64$`
	out, err := exec.CommandContext(ctx, "apt-cache", "search", "--names-only", pattern).Output()
	if err != nil && !errors.Is(err, exec.ErrNotFound) {
		return kernel{}, fmt.Errorf("search kernel %s: %w", series, err)
	}
	names := packages(string(out), pattern)
	if len(names) == 0 {
		if names, err = cached(cache, pattern); err != nil {
			return kernel{}, err
		}
	}
	if len(names) == 0 {
		return kernel{}, fmt.Errorf("kernel %s: apt knows none; run `apt-get update` on a Debian 12 machine, as root", series)
	}
	name := slices.MaxFunc(names, compareVersions)
	dir := filepath.Join(cache, name)
	if _, err := os.Stat(dir); err != nil {
		if err := unpack(ctx, name, dir); err != nil {
			return kernel{}, fmt.Errorf("kernel %s: %w", series, err)
		}
	}
	image, err := one(filepath.Join(dir, "boot", "vmlinuz-*"))
	if err != nil {
		return kernel{}, fmt.Errorf("kernel %s: %w", series, err)
	}
	modules, err := one(filepath.Join(dir, "lib", "modules", "*"))
	if err != nil {
		return kernel{}, fmt.Errorf("kernel %s: %w", series, err)
	}
	return kernel{name: name, image: image, modules: modules}, nil
}

// packages takes the names out of apt-cache's "name - description" lines.
func packages(out, pattern string) []string {
	match := regexp.MustCompile(pattern)
	var names []string
	for line := range strings.Lines(out) {
		name, _, _ := strings.Cut(line, " ")
		if match.MatchString(name) {
			names = append(names, name)
		}
	}
	return names
}

func cached(cache, pattern string) ([]string, error) {
	entries, err := os.ReadDir(cache)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("kernel cache: %w", err)
	}
	var all strings.Builder
	for _, e := range entries {
		fmt.Fprintln(&all, e.Name(), "")
	}
	return packages(all.String(), pattern), nil
}

// unpack downloads a package and lays out its files in dir, all or nothing.
func unpack(ctx context.Context, name, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("kernel cache: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".unpack-")
	if err != nil {
		return fmt.Errorf("kernel cache: %w", err)
	}
	defer os.RemoveAll(work)

	fmt.Printf("fetching %s\n", name)
	// apt would otherwise complain that its own user cannot write here.
	get := exec.CommandContext(ctx, "apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", name)
	get.Dir = work
	if out, err := get.CombinedOutput(); err != nil {
		return fmt.Errorf("download: %w: %s", err, out)
	}
	deb, err := one(filepath.Join(work, "*.deb"))
	if err != nil {
		return err
	}
	files := filepath.Join(work, "files")
	if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, files).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack: %w: %s", err, out)
	}
	if err := os.Rename(files, dir); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return nil
}

func one(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("%s: %d files, want one", pattern, len(found))
	}
	return found[0], nil
}

// compareVersions orders names by their numbers: 6.12.99 before 6.12.107.
func compareVersions(a, b string) int {
	return slices.Compare(numbers(a), numbers(b))
}

func numbers(s string) []int {
	var all []int
	for _, digits := range strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		n, _ := strconv.Atoi(digits)
		all = append(all, n)
	}
	return all
}
