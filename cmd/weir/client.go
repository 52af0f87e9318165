package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/printer"
)

// errNoDaemon means that nobody listens at the control socket.
var errNoDaemon = errors.New("no weir daemon runs")

// attach connects to the daemon's flows. Without a daemon the error is
// errNoDaemon; where there is one that must not be asked, it is not.
func (a *app) attach(ctx context.Context) (*hubble.Client, error) {
	c, err := hubble.Dial(ctx, "unix://"+a.cfg.socket)
	switch {
	case errors.Is(err, hubble.ErrNoDaemon):
		return nil, fmt.Errorf("%w at %s: start it with `weir run`, or name its socket with --socket", errNoDaemon, a.cfg.socket)
	case errors.Is(err, hubble.ErrPermission):
		return nil, fmt.Errorf("daemon: %w: use sudo, or join the group %s that owns the socket", err, groupOf(a.cfg.socket))
	case err != nil:
		return nil, fmt.Errorf("daemon: %w", err)
	}
	return c, nil
}

// dial connects to what the daemon says of itself.
func (a *app) dial(ctx context.Context) (*grpc.ClientConn, error) {
	probe, err := a.attach(ctx) // it knows what a failure means
	if err != nil {
		return nil, err
	}
	probe.Close()
	cc, err := grpc.NewClient("unix://"+a.cfg.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("daemon: %w", err)
	}
	return cc, nil
}

// daemonError leaves gRPC's words out of what the daemon said.
func daemonError(ctx context.Context, err error) error {
	if err == nil || errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if s, ok := status.FromError(err); ok {
		return fmt.Errorf("daemon: %s", printer.Sanitize(s.Message()))
	}
	return fmt.Errorf("daemon: %w", err)
}

// groupOf names the group of a file as well as it can.
func groupOf(path string) string {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "weir"
	}
	return groupName(st.Gid)
}
