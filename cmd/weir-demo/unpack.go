package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"
)

// unpackDeb puts the files of a package under root. The package's scripts are not run.
func unpackDeb(ctx context.Context, root *os.Root, deb string) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("dpkg-deb: %w", err)
	}
	err = unpackTar(root, out)
	// dpkg-deb pads the archive's end: let it write all.
	_, _ = io.Copy(io.Discard, out)
	return errors.Join(err, cmd.Wait())
}

// unpackTar writes an archive's folders, files and links under root. os.Root
// keeps whatever a link says inside it. Set-id bits are not taken over: the
// tree may lie in a user's checkout.
func unpackTar(root *os.Root, in io.Reader) error {
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		name := mergedUsr(h.Name)
		if name == "." || !wanted(name) {
			continue
		}
		if err := unpackEntry(root, name, h, r); err != nil {
			return fmt.Errorf("archive entry %s: %w", name, err)
		}
	}
}

func unpackEntry(root *os.Root, name string, h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeDir {
		return root.MkdirAll(name, 0o755)
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		// Never by the header's mode alone: the process's umask would cut it.
		mode := fs.FileMode(h.Mode) & 0o755
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Chmod(mode), f.Close())
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return root.Link(mergedUsr(h.Linkname), name)
	}
	return nil // devices and the like: packages hold none that the shop needs
}

// mergedUsr cleans an entry's name and moves /bin, /sbin and /lib* below /usr,
// where all current systems have them.
func mergedUsr(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return "."
	}
	first, _, _ := strings.Cut(name, "/")
	switch first {
	case "bin", "sbin", "lib", "lib32", "lib64", "libx32":
		return "usr/" + name
	}
	return name
}

// wanted leaves out what no server needs at run time; it is half of the size.
func wanted(name string) bool {
	for _, p := range []string{
		"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian",
		"usr/share/bug", "usr/share/perl", "usr/share/perl5", "usr/lib/modules-load.d", "usr/share/zoneinfo",
	} {
		if name == p || strings.HasPrefix(name, p+"/") {
			return false
		}
	}
	if rest, ok := strings.CutPrefix(name, "usr/lib/"); ok {
		_, rest, _ = strings.Cut(rest, "/") // the architecture's folder
		for _, p := range []string{"gconv", "perl", "perl5", "perl-base"} {
			if rest == p || strings.HasPrefix(rest, p+"/") {
				return false
			}
		}
	}
	return true
}
