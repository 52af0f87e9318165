package enforcer

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/enforce/policy"
)

// asks tells whether some rule speaks of questions of DNS, so that refused ones are
// answered, or their connections reset.
func asks(t *policy.Tables) bool {
	return slices.ContainsFunc(t.Sets, func(s policy.Set) bool { return len(s.Questions) > 0 })
}

// cookie is that of the caller's network namespace, where it is needed.
func (e *Enforcer) cookie() (uint64, error) {
	if !e.devices.turns {
		return 0, nil
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("cookie: %w", err)
	}
	defer unix.Close(s)
	cookie, err := unix.GetsockoptUint64(s, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0, fmt.Errorf("cookie (SO_NETNS_COOKIE): %w", err)
	}
	return cookie, nil
}
