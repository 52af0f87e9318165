package main

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMergedUsr(t *testing.T) {
	for in, want := range map[string]string{
		"./":                        ".",
		"./bin/sh":                  "usr/bin/sh",
		"/lib/x86_64-linux-gnu/x":   "usr/lib/x86_64-linux-gnu/x",
		"./lib64/ld.so":             "usr/lib64/ld.so",
		"./usr/bin/x":               "usr/bin/x",
		"./libexec/x":               "libexec/x",
		"../../etc/passwd":          "etc/passwd",
		"./usr/../../../etc/a/../b": "etc/b",
	} {
		if got := mergedUsr(in); got != want {
			t.Errorf("mergedUsr(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestWanted(t *testing.T) {
	for name, want := range map[string]bool{
		"usr/share/doc":                           false,
		"usr/share/doc/nginx/copyright":           false,
		"usr/share/docile":                        true,
		"usr/share/mysql/mysql_system_tables.sql": true,
		"usr/lib/x86_64-linux-gnu/perl-base/x":    false,
		"usr/lib/aarch64-linux-gnu/gconv":         false,
		"usr/lib/x86_64-linux-gnu/libc.so.6":      true,
	} {
		if got := wanted(name); got != want {
			t.Errorf("wanted(%q) = %v", name, got)
		}
	}
}

func archive(t *testing.T, headers ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := "content of " + h.Name
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			w.Write([]byte(content))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func openRoot(t *testing.T) (*os.Root, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir
}

func TestUnpackTar(t *testing.T) {
	root, dir := openRoot(t)
	err := unpackTar(root, archive(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "./bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "./bin/su", Typeflag: tar.TypeReg, Mode: 0o4755},
		tar.Header{Name: "./bin/hard", Typeflag: tar.TypeLink, Linkname: "./bin/su"},
		tar.Header{Name: "./usr/lib/x.so", Typeflag: tar.TypeSymlink, Linkname: "/etc/absolute"},
		tar.Header{Name: "./usr/share/doc/readme", Typeflag: tar.TypeReg, Mode: 0o644},
		tar.Header{Name: "./etc/twice", Typeflag: tar.TypeSymlink, Linkname: "../bin/su"},
		tar.Header{Name: "./etc/twice", Typeflag: tar.TypeReg, Mode: 0o600},
		tar.Header{Name: "./dev/null", Typeflag: tar.TypeChar},
	))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "usr/bin/su"))
	if err != nil || info.Mode() != 0o755 {
		t.Errorf("set-id program: %v, %v", info.Mode(), err)
	}
	hard, err := os.Stat(filepath.Join(dir, "usr/bin/hard"))
	if err != nil || !os.SameFile(info, hard) {
		t.Errorf("hard link: %v", err)
	}
	if link, err := os.Readlink(filepath.Join(dir, "usr/lib/x.so")); err != nil || link != "/etc/absolute" {
		t.Errorf("link to %q, %v", link, err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "etc/twice")); err != nil || string(text) != "content of ./etc/twice" {
		t.Errorf("replaced entry: %q, %v", text, err)
	}
	for _, name := range []string{"usr/share/doc", "dev/null"} {
		if fileExists(filepath.Join(dir, name)) {
			t.Errorf("%s was unpacked", name)
		}
	}
}

func TestUnpackTarStaysInside(t *testing.T) {
	for name, entries := range map[string][]tar.Header{
		"file behind a link": {
			{Name: "./etc", Typeflag: tar.TypeSymlink, Linkname: "../outside"},
			{Name: "./etc/file", Typeflag: tar.TypeReg, Mode: 0o644}},
		"file behind an absolute link": {
			{Name: "./etc", Typeflag: tar.TypeSymlink, Linkname: "/"},
			{Name: "./etc/weir-demo-escaped", Typeflag: tar.TypeReg, Mode: 0o644}},
		"hard link to outside": {
			{Name: "./etc", Typeflag: tar.TypeSymlink, Linkname: "../outside"},
			{Name: "./x", Typeflag: tar.TypeLink, Linkname: "./etc/secret"}},
	} {
		root, dir := openRoot(t)
		outside := filepath.Join(filepath.Dir(dir), "outside")
		if err := os.Mkdir(outside, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(outside, "secret"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := unpackTar(root, archive(t, entries...)); err == nil {
			t.Errorf("%s: no error", name)
		}
		if left, _ := os.ReadDir(outside); len(left) != 1 || fileExists("/weir-demo-escaped") {
			t.Errorf("%s: written outside: %v", name, left)
		}
	}
}

func TestTarTreeRoundTrip(t *testing.T) {
	root, dir := openRoot(t)
	if err := finishRoot(root); err != nil {
		t.Fatal(err)
	}
	if err := root.WriteFile("usr/bin/tool", []byte("x"), 0o755); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := tarTree(dir, &b); err != nil {
		t.Fatal(err)
	}
	seen := map[string]*tar.Header{}
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		if h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s belongs to %d %s", h.Name, h.Uid, h.Uname)
		}
		seen[strings.TrimSuffix(h.Name, "/")] = h
	}
	if h := seen["bin"]; h == nil || h.Linkname != "usr/bin" {
		t.Errorf("bin: %+v", h)
	}
	if h := seen["usr/bin/tool"]; h == nil || h.FileInfo().Mode().Perm() != 0o755 || h.Size != 1 {
		t.Errorf("usr/bin/tool: %+v", h)
	}
	if h := seen["tmp"]; h == nil || h.FileInfo().Mode()&fs.ModeSticky == 0 {
		t.Errorf("tmp: %+v", h)
	}
}
