package bpf

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

// A refusal tells what to do about it: another thing where capabilities are missing
// than where none is.
func TestRemedy(t *testing.T) {
	for _, tc := range []struct {
		missing []string
		want    string
	}{
		{[]string{"CAP_BPF", "CAP_NET_ADMIN"}, "run weir as root, or give it CAP_BPF, CAP_NET_ADMIN"},
		{nil, "the kernel is locked down"},
	} {
		if got := remedy(tc.missing); !strings.Contains(got, tc.want) || strings.Contains(got, "as root") != (len(tc.missing) > 0) {
			t.Errorf("without %v: %q", tc.missing, got)
		}
	}
	if err := explain("load", syscall.EPERM); !errors.Is(err, ErrPermission) || !errors.Is(err, syscall.EPERM) {
		t.Error(err)
	}
}
