package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// initSpec is what the first process of a container without a runtime must set
// up. It travels as JSON in the argument of this same binary.
type initSpec struct {
	Root       string
	Hostname   string
	User       string // "uid:gid", empty: root
	Argv       []string
	Tmpfs      []string
	Binds      map[string]string // path inside → path outside, both files, read-only
	Nameserver string
}

// containerInit runs in fresh mount, pid, uts and ipc namespaces. It makes the
// container's view of the file system and becomes the service; it returns only
// to say why it could not.
func containerInit(text string) error {
	var spec initSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return fmt.Errorf("container description: %w", err)
	}
	if err := unix.Sethostname([]byte(spec.Hostname)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if err := enterRoot(spec); err != nil {
		return fmt.Errorf("file system: %w", err)
	}
	if err := becomeUser(spec.User); err != nil {
		return fmt.Errorf("user %s: %w", spec.User, err)
	}
	return fmt.Errorf("%s: %w", spec.Argv[0], syscall.Exec(spec.Argv[0], spec.Argv, os.Environ()))
}

// enterRoot mounts everything over the shared root, read-only but for the given
// folders, and makes it the only file system in sight.
func enterRoot(spec initSpec) error {
	// Nothing of this may spread to the host.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	if err := bind(spec.Root, spec.Root); err != nil {
		return err
	}
	inside := func(path string) string { return filepath.Join(spec.Root, path) }
	if err := mountAll([]mountPoint{
		{"proc", inside("/proc"), "proc", ""},
		{"tmpfs", inside("/dev"), "tmpfs", "mode=755,size=64k"},
		{"tmpfs", inside(ownBin), "tmpfs", "mode=755,size=64k"},
		{"tmpfs", inside("/etc/shop"), "tmpfs", "mode=755,size=64k"},
	}); err != nil {
		return err
	}
	for _, dir := range spec.Tmpfs {
		if err := mountAll([]mountPoint{{"tmpfs", inside(dir), "tmpfs", "mode=1777,size=512m"}}); err != nil {
			return err
		}
	}
	for _, dev := range []string{"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"} {
		if err := bindFile(dev, inside(dev)); err != nil {
			return err
		}
	}
	for to, from := range spec.Binds {
		if err := bindFile(from, inside(to)); err != nil {
			return err
		}
	}
	resolv := inside("/etc/shop/resolv.conf")
	if err := os.WriteFile(resolv, []byte("nameserver "+spec.Nameserver+"\n"), 0o644); err != nil {
		return err
	}
	if err := bind(resolv, inside("/etc/resolv.conf")); err != nil {
		return err
	}
	if err := unix.Mount("", spec.Root, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("read-only root: %w", err)
	}
	return pivot(spec.Root)
}

type mountPoint struct{ source, target, kind, options string }

func mountAll(points []mountPoint) error {
	for _, m := range points {
		if err := unix.Mount(m.source, m.target, m.kind, unix.MS_NOSUID, m.options); err != nil {
			return fmt.Errorf("mount of %s: %w", m.target, err)
		}
	}
	return nil
}

func bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount of %s on %s: %w", from, to, err)
	}
	return nil
}

// bindFile makes an empty file to mount on: its folder is a tmpfs by now.
func bindFile(from, to string) error {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), bind(from, to))
}

// pivot makes root the root of this mount namespace and takes the old one away.
func pivot(root string) error {
	if err := unix.PivotRoot(root, filepath.Join(root, "old")); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/old", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount of the host's files: %w", err)
	}
	return nil
}

func becomeUser(user string) error {
	if user == "" {
		return nil
	}
	var uid, gid int
	if _, err := fmt.Sscanf(strings.TrimSpace(user), "%d:%d", &uid, &gid); err != nil {
		return err
	}
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setgid(gid); err != nil {
		return err
	}
	return syscall.Setuid(uid)
}
