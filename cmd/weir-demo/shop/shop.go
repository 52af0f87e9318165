// Package shop is the demo's own small services: the parts of a web shop that
// stand beside nginx, redis and MariaDB, and the clients that misbehave. They
// are real network programs on purpose, kept small, and know nothing of weir.
package shop

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
)

// role is one service: its flags are read from args, then it works until ctx ends.
type role struct {
	name string
	does string
	run  func(ctx context.Context, args []string) error
}

// roles lists everything this package can be.
func roles() []role {
	return []role{
		{"web", "the shop's API behind nginx", runWeb},
		{"cart", "carts, kept in redis", runCart},
		{"orders", "orders, kept in MariaDB", runOrders},
		{"search", "a search that is sometimes slow", runSearch},
		{"statsd", "takes counters over UDP", runStatsd},
		{"dns", "names the shop's services, denies all others", runDNS},
		{"database", "fills a MariaDB data folder, then becomes mariadbd", runDatabase},
		{"load", "shoppers who click through the front", runLoad},
		{"refused", "a client of a port that nobody serves", runRefused},
		{"reset", "a client that hangs up in mid-request", runReset},
		{"lookup", "a client of a name that does not exist", runLookup},
		{"idle", "a client that connects and stays", runIdle},
		{"backup", "a client that fetches a lot", runBackup},
	}
}

// Main runs the role that args names with the rest of args as its flags. It
// returns nil when ctx ended it, and flag.ErrHelp when only help was asked for.
func Main(ctx context.Context, args []string) error {
	all := roles()
	if len(args) == 0 {
		return fmt.Errorf("shop: no role given; one of %s", names(all))
	}
	i := slices.IndexFunc(all, func(r role) bool { return r.name == args[0] })
	if i < 0 {
		return fmt.Errorf("shop: unknown role %q; one of %s", args[0], names(all))
	}
	err := all[i].run(ctx, args[1:])
	if err == nil || ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("shop %s: %w", args[0], err)
}

func names(all []role) string {
	var s []string
	for _, r := range all {
		s = append(s, r.name)
	}
	return strings.Join(s, ", ")
}

// flags is a set that reports errors instead of exiting or printing.
func flags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// note logs a failure once per change, so that a client which fails every few
// seconds on purpose does not fill a log.
type note struct{ last string }

func (n *note) say(what string, err error) {
	text := what
	if err != nil {
		text += ": " + err.Error()
	}
	if text != n.last {
		slog.Info(text)
	}
	n.last = text
}
