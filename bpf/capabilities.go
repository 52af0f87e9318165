package bpf

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// capabilities are those that capture and identity use.
var capabilities = []struct {
	name string
	bit  uint
}{
	{"CAP_BPF", unix.CAP_BPF}, {"CAP_PERFMON", unix.CAP_PERFMON}, {"CAP_NET_ADMIN", unix.CAP_NET_ADMIN},
	{"CAP_SYS_PTRACE", unix.CAP_SYS_PTRACE}, {"CAP_DAC_READ_SEARCH", unix.CAP_DAC_READ_SEARCH},
}

// MissingCapabilities are the names of those that weir uses and this process has not.
func MissingCapabilities() ([]string, error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return nil, fmt.Errorf("capabilities: %w", err)
	}
	// Each of the newer ones is part of CAP_SYS_ADMIN.
	admin := data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
	var missing []string
	for _, c := range capabilities {
		has := data[c.bit/32].Effective&(1<<(c.bit%32)) != 0
		if !has && !(admin && (c.bit == unix.CAP_BPF || c.bit == unix.CAP_PERFMON)) {
			missing = append(missing, c.name)
		}
	}
	return missing, nil
}
