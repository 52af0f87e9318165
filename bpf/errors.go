package bpf

import (
	"errors"
	"fmt"
	"os"
	"strings"

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
		missing, _ := MissingCapabilities() // where that cannot be told, what may be in the way is
		return fmt.Errorf("%s: %w (%w): %s", what, ErrPermission, err, remedy(missing))
	case errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Errorf("%s: %w (%w): weir needs Linux 6.1 or newer; `weir doctor` lists what is missing", what, ErrKernelTooOld, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// explainLoad is explain for an object, with what the verifier said where it looked at it.
func explainLoad(object string, err error) error {
	what := "load BPF object " + object
	var ve *ebpf.VerifierError
	if errors.As(err, &ve) && !errors.Is(err, os.ErrPermission) {
		what += fmt.Sprintf(": verifier: %.2v", ve)
	}
	return explain(what, err)
}

// remedy is what to do about a refusal, by the capabilities that are missing.
func remedy(missing []string) string {
	if len(missing) > 0 {
		return "run weir as root, or give it " + strings.Join(missing, ", ")
	}
	return "root is refused it too: the kernel is locked down (/sys/kernel/security/lockdown, kernel_lockdown(7)), or weir runs in a container whose seccomp profile forbids it"
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
