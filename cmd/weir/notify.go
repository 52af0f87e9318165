package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

// notifier tells systemd how the daemon is. Without systemd it does nothing.
type notifier struct{ log *slog.Logger }

func (n notifier) send(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		n.log.Warn("systemd was not told", "state", state, "error", err)
	}
}

func (n notifier) ready(status string) { n.send(sd.SdNotifyReady + "\nSTATUS=" + status) }

// starting says why it is not ready yet, and that it needs this time to go on trying.
func (n notifier) starting(status string, more time.Duration) {
	n.send(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d\nSTATUS=%s", more.Microseconds(), strings.ReplaceAll(status, "\n", " ")))
}

func (n notifier) stopping() { n.send(sd.SdNotifyStopping + "\nSTATUS=stopping") }

// watch sends what status says, and feeds the watchdog while healthy, until ctx
// is done. A daemon that hangs is restarted by systemd.
func (n notifier) watch(ctx context.Context, healthy func() bool, status func() string) {
	every := 10 * time.Second
	timeout, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		n.log.Warn("the watchdog's time is not understood", "error", err)
	}
	if timeout > 0 {
		every = min(every, timeout/3)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n.send("STATUS=" + status())
		if timeout > 0 && healthy() {
			n.send(sd.SdNotifyWatchdog)
		}
	}
}
