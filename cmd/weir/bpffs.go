package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// systemBPFFS is where every distribution mounts the BPF file system.
const systemBPFFS = "/sys/fs/bpf"

// prepareBPFFS makes the directory for pins. Where the host has no BPF file system
// it is mounted at the usual place; anywhere else it must be there already.
func prepareBPFFS(dir string) error {
	if strings.HasPrefix(filepath.Clean(dir)+"/", systemBPFFS+"/") && !isBPFFS(systemBPFFS) {
		if err := unix.Mount("bpf", systemBPFFS, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=700"); err != nil {
			return fmt.Errorf("mount the BPF file system at %s: %w", systemBPFFS, err)
		}
	}
	if !isBPFFS(filepath.Dir(filepath.Clean(dir))) && !isBPFFS(dir) {
		return fmt.Errorf("%s is on no BPF file system: nothing can be pinned there; mount one, or choose another with --bpf-fs", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("directory for pins: %w", err)
	}
	return nil
}

func isBPFFS(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.BPF_FS_MAGIC
}
