package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// errNoPackages says that this host cannot make the image out of packages.
var errNoPackages = errors.New("no apt-get and dpkg-deb on this host")

// rootfs is an unpacked file system for the shop's containers, read-only from
// then on and shared by all of them.
type rootfs struct {
	dir string
	key string // changes with the content's recipe
}

// has says whether the part's program is in it.
func (r rootfs) has(p part) bool {
	_, err := os.Lstat(filepath.Join(r.dir, p.program))
	return err == nil
}

// missing lists the parts that could not be had.
func (r rootfs) missing(parts []part) []part {
	var none []part
	for _, p := range parts {
		if !r.has(p) {
			none = append(none, p)
		}
	}
	return none
}

// buildRootfs makes the file system from the distribution's packages, or takes
// the one that an earlier call left in cache. It returns errNoPackages where
// the host has no such packages.
func buildRootfs(ctx context.Context, cache string, parts []part, say *progress) (rootfs, error) {
	release, _ := os.ReadFile("/etc/os-release") // only names the cache entry
	r := rootfs{key: cacheKey(parts, string(release))}
	r.dir = filepath.Join(cache, "rootfs-"+r.key)
	if _, err := os.Stat(r.dir); err == nil {
		return r, nil
	}
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return rootfs{}, errNoPackages
		}
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return rootfs{}, fmt.Errorf("cache folder: %w", err)
	}
	work, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return rootfs{}, fmt.Errorf("cache folder: %w", err)
	}
	defer os.RemoveAll(work)
	debs, err := fetchPackages(ctx, cache, work, parts, say)
	if err != nil {
		return rootfs{}, err
	}
	done := say.step("unpacking %d packages", len(debs))
	tmp := filepath.Join(work, "root")
	if err := unpackAll(ctx, tmp, debs); err != nil {
		return rootfs{}, fmt.Errorf("file system of the containers: %w", err)
	}
	done()
	// In one step, so that an interrupted build never counts as a finished one.
	if err := os.Rename(tmp, r.dir); err != nil {
		return rootfs{}, fmt.Errorf("cache folder: %w", err)
	}
	return r, nil
}

// fetchPackages downloads by the host's package lists, and once more by fresh
// ones where these are missing or too old.
func fetchPackages(ctx context.Context, cache, work string, parts []part, say *progress) ([]string, error) {
	log, err := os.Create(filepath.Join(cache, "apt.log"))
	if err != nil {
		return nil, fmt.Errorf("cache folder: %w", err)
	}
	defer log.Close()
	a, err := newApt(work, log)
	if err != nil {
		return nil, err
	}
	done := say.step("fetching the packages of nginx, redis, mariadb and iptables (35 MB, once)")
	debs, have, err := a.fetch(ctx, parts)
	if err == nil && len(have) == len(parts) {
		done()
		return debs, nil
	}
	done = say.step("fetching newer package lists")
	if err := a.update(ctx); err != nil {
		return nil, err
	}
	if debs, _, err = a.fetch(ctx, parts); err != nil {
		return nil, fmt.Errorf("packages for the demo (%s has all of apt's words): %w", log.Name(), err)
	}
	done()
	return debs, nil
}

func unpackAll(ctx context.Context, dir string, debs []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, deb := range debs {
		if err := unpackDeb(ctx, root, deb); err != nil {
			return fmt.Errorf("package %s: %w", filepath.Base(deb), err)
		}
	}
	return finishRoot(root)
}

// finishRoot adds what the packages' scripts would have: links of a merged
// /usr, users, and the folders that containers mount on.
func finishRoot(root *os.Root) error {
	for _, d := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := root.MkdirAll("usr/"+d, 0o755); err != nil {
			return err
		}
		if err := root.Symlink("usr/"+d, d); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for _, d := range []string{"proc", "sys", "dev", "tmp", "run", "old", "etc/shop", "usr/local/bin", "var/lib/mysql", "var/log"} {
		if err := root.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	// runc gives a tmpfs the mode of the folder that it covers.
	if err := root.Chmod("tmp", 0o777|fs.ModeSticky); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nmysql:x:101:101::/var/lib/mysql:/bin/false\nnobody:x:65534:65534::/:/bin/false\n",
		"etc/group":  "root:x:0:\nmysql:x:101:\nnogroup:x:65534:\n",
		"etc/hosts":  "127.0.0.1 localhost\n::1 localhost\n", "etc/resolv.conf": "",
		"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
	} {
		if err := root.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
