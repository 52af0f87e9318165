package main

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seed79351815/weir/cmd/weir/control"
)

// windowRequest asks for the time from so long ago until now.
type windowRequest struct {
	For time.Duration `json:"for"`
}

// maxWindow bounds a window: longer is all there is.
const maxWindow = 10 * 365 * 24 * time.Hour

// errNoHistory is what the daemon answers where it was told to keep nothing.
var errNoHistory = errors.New("history is off: the daemon runs with --history 0; `weir run --history 7d` keeps one")

// methods are what the control socket answers about what is kept.
func (k *kept) methods() map[string]control.Method {
	return map[string]control.Method{"Window": control.On(false, k.window)}
}

// window sums up the last time. Windows are read one after the other: who asks for
// many of them takes nobody else's place, and not the memory for all at once.
func (k *kept) window(ctx context.Context, r windowRequest) (any, error) {
	if k.history == nil {
		return nil, k.without
	}
	if r.For <= 0 || r.For > maxWindow {
		return nil, status.Errorf(codes.InvalidArgument, "window of %s: expected a time up to %s", r.For, maxWindow)
	}
	select {
	case k.windows <- struct{}{}:
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	defer func() { <-k.windows }()
	now := time.Now()
	return k.history.Window(ctx, now.Add(-r.For), now)
}
