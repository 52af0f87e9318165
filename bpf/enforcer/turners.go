package enforcer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/seed79351815/weir/enforce/policy"
)

// rejects tells whether some rule has refused questions of DNS answered.
func rejects(t *policy.Tables) bool {
	for _, s := range t.Sets {
		for _, q := range s.Questions {
			if q.Reject != policy.RejectDrop {
				return true
			}
		}
	}
	return false
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
