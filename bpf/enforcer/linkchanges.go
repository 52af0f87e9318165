package enforcer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// LinkChanges tells when network devices came, went or changed, in this network
// namespace and in those that it has links into, such as containers': then is the
// time for Devices. Several changes may be told as one, with the time of the first.
// The channel is closed when ctx ends.
func LinkChanges(ctx context.Context) (<-chan time.Time, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("changes of devices: %w", err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_LISTEN_ALL_NSID, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK})
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("changes of devices: %w", err)
	}
	f := os.NewFile(uintptr(fd), "netlink")
	changes := make(chan time.Time, 1)
	stop := context.AfterFunc(ctx, func() { f.Close() })
	go func() {
		defer stop()
		defer close(changes)
		buf := make([]byte, 4096)
		for {
			// What has changed does not matter, nor that some of it did not fit.
			if _, err := f.Read(buf); err != nil && !errors.Is(err, syscall.ENOBUFS) {
				return
			}
			select {
			case changes <- time.Now():
			default:
			}
		}
	}()
	return changes, nil
}
