package identity

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
)

// hostAddrs lists the addresses of this network namespace.
func hostAddrs() ([]netip.Addr, error) {
	list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list the host's addresses: %w", err)
	}
	out := make([]netip.Addr, 0, len(list))
	for _, a := range list {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			out = append(out, ip.Unmap())
		}
	}
	return out, nil
}

// addrSettle is how long a burst of address changes is waited out.
const addrSettle = 100 * time.Millisecond

// followHostAddrs calls changed soon after the host's addresses changed, until
// ctx ends. Without a subscription the caller's own resync has to do.
func followHostAddrs(ctx context.Context, changed func()) error {
	updates := make(chan netlink.AddrUpdate, 64)
	done := make(chan struct{})
	if err := netlink.AddrSubscribeWithOptions(updates, done, netlink.AddrSubscribeOptions{}); err != nil {
		return fmt.Errorf("subscribe to address changes: %w", err)
	}
	defer func() {
		close(done)
		for range updates { // netlink closes it; a reader must be there until then
		}
	}()
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-updates:
			if !ok {
				return fmt.Errorf("follow address changes: the subscription ended")
			}
			timer.Reset(addrSettle)
		case <-timer.C:
			changed()
		}
	}
}
