package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// part is a program that the image holds besides the demo's own binary.
type part struct {
	name     string
	packages []string // Debian packages that bring it, best first
	program  string   // what must be there then
	optional bool     // the shop does without
}

func imageParts() []part {
	return []part{
		{name: "nginx", packages: []string{"nginx"}, program: "/usr/sbin/nginx"},
		{name: "redis", packages: []string{"redis-server"}, program: "/usr/bin/redis-server"},
		{name: "mariadb", packages: []string{"mariadb-server-core", "mariadb-server"}, program: "/usr/sbin/mariadbd", optional: true},
		{name: "iptables", packages: []string{"iptables"}, program: "/usr/sbin/xtables-nft-multi", optional: true},
	}
}

// recipe changes when the same packages give another image.
const recipe = "1"

// cacheKey names the image that these parts make on this kind of host.
func cacheKey(parts []part, osRelease string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s\n%s\n", recipe, runtime.GOARCH, osRelease)
	for _, p := range parts {
		fmt.Fprintf(h, "%s %s\n", p.name, strings.Join(p.packages, ","))
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// apt asks the host's apt about a machine on which nothing is installed. It
// works in a folder of its own and leaves the host's packages, lists and caches
// as they are.
type apt struct {
	dir      string
	ownLists bool // after update: lists of its own instead of the host's
	log      io.Writer
}

func newApt(dir string, log io.Writer) (*apt, error) {
	if err := os.MkdirAll(filepath.Join(dir, "archives", "partial"), 0o755); err != nil {
		return nil, fmt.Errorf("package folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "status"), nil, 0o644); err != nil {
		return nil, fmt.Errorf("package folder: %w", err)
	}
	return &apt{dir: dir, log: log}, nil
}

func (a *apt) run(ctx context.Context, args ...string) error {
	all := []string{
		"-o", "Dir::State::status=" + filepath.Join(a.dir, "status"),
		"-o", "Dir::Cache::archives=" + filepath.Join(a.dir, "archives"),
		"-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
		"-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root",
		"-o", "Acquire::Retries=2", "-o", "Acquire::Languages=none",
		"-qq", "-y", "--no-install-recommends"}
	if a.ownLists {
		all = append(all, "-o", "Dir::State::lists="+filepath.Join(a.dir, "lists"))
	}
	cmd := exec.CommandContext(ctx, "apt-get", append(all, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	fmt.Fprintf(a.log, "apt-get %s\n%s\n", strings.Join(args, " "), out)
	if err == nil {
		return nil
	}
	return fmt.Errorf("apt-get %s: %w: %s", args[0], err, lastLine(string(out)))
}

// update fetches fresh lists of the host's sources. One source of many that
// fails is no reason to stop: what is missing shows when packages are asked for.
func (a *apt) update(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(a.dir, "lists", "partial"), 0o755); err != nil {
		return fmt.Errorf("package lists: %w", err)
	}
	a.ownLists = true
	err := a.run(ctx, "update")
	if ctx.Err() != nil {
		return err
	}
	return nil
}

// fetch downloads the packages of the parts with all that they depend on. It
// returns the files and the parts that can be had.
func (a *apt) fetch(ctx context.Context, parts []part) (debs []string, have []part, err error) {
	var names []string
	for _, p := range parts {
		name, err := a.choose(ctx, p)
		if err != nil {
			if p.optional {
				continue
			}
			return nil, nil, err
		}
		names, have = append(names, name), append(have, p)
	}
	if err := a.run(ctx, append([]string{"install", "--download-only"}, names...)...); err != nil {
		return nil, nil, err
	}
	debs, err = filepath.Glob(filepath.Join(a.dir, "archives", "*.deb"))
	return debs, have, err
}

// choose is the first of the part's packages that apt can resolve.
func (a *apt) choose(ctx context.Context, p part) (string, error) {
	var errs error
	for _, name := range p.packages {
		err := a.run(ctx, "install", "--print-uris", name)
		if err == nil {
			return name, nil
		}
		errs = errors.Join(errs, fmt.Errorf("package %s: %w", name, err))
	}
	return "", errs
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
