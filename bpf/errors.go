package bpf

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
)

// Why capture cannot start. The text of an error that wraps one of them says
// what was tried, on what, and what to do.
var (
	ErrPermission   = errors.New("not permitted")
	ErrNoBTF        = errors.New("no BTF")
	ErrNoCgroup2    = errors.New("no cgroup v2")
	ErrKernelTooOld = errors.New("kernel too old")
)

// explain turns what the kernel said into an error of the kinds above.
func explain(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s: %w (%w): run weir as root, or give it CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; inside a container also check seccomp and lockdown", what, ErrPermission, err)
	case errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Errorf("%s: %w (%w): weir needs Linux 6.1 or newer; `weir doctor` lists what is missing", what, ErrKernelTooOld, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// checkBTF tells whether the kernel describes its own types, without which no
// program can be fitted to it.
func checkBTF(path string) error {
	_, err := os.Stat(path)
	if err == nil {
		return nil
	}
	return fmt.Errorf("kernel types %s: %w (%w): weir needs a kernel built with CONFIG_DEBUG_INFO_BTF=y, as the distributions' kernels since 2021 are", path, ErrNoBTF, err)
}
