package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seed79351815/weir/collector/replay"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/filter"
	"github.com/seed79351815/weir/exporters/hubble/printer"
)

// observeOptions are what one call of weir observe shall do.
type observeOptions struct {
	replay replayOptions
	period time.Duration
	filter filter.Flags
	which  filter.Selection
	format printer.Flags
}

func (a *app) observeCommand() *cobra.Command {
	var o observeOptions
	cmd := &cobra.Command{
		Use:     "observe",
		GroupID: groupLook,
		Short:   "Print flows, filtered",
		Long: `observe prints flows. Its flags are those of "hubble observe".

With a daemon it prints the newest 20, or what --last, --all, --since and --first
choose, and goes on with --follow. Without one it captures by itself and prints
flows as they come, until it is interrupted or --for is over; then --last and
--since choose among what it captured. With --file it reads a recording.

Filters of different names must all match, of values of one name any. --not turns
the next filter round.

An HTTP request, a DNS query or a TLS handshake is shown with its answer, as a
flow back from the server: --from-pod names the server there, --pod either end.
weir counts all of them and shows in full what is new, failed or slow, and samples;
on standard error it says how many more there were like those.`,
		Example: `  weir observe -f                                       # as they come
  weir observe --since 5m --verdict DROPPED             # what was dropped lately
  weir observe -f --from-pod shop/web --to-port 3306    # one caller, one port
  weir observe -f --type l7 --protocol http --http-path '^/users/'
  weir observe --since 5m --http-status 5+              # what servers failed at
  weir observe -f --protocol dns --dns-query '\.example\.com\.$'
  weir observe --not --port 53 -o json | jq .flow       # for scripts
  weir observe --file incident.weir.gz --protocol udp   # out of a recording`,
		Args: noArgs,
	}
	fs := cmd.Flags()
	o.which.Register(fs)
	durationVar(fs, &o.period, "for", 0, maxPeriod, "stop after this time")
	o.format.Register(fs)
	o.replay.flags(fs)
	o.filter.Register(fs)
	a.cfg.clientFlags(fs)
	a.cfg.captureFlags(fs)
	for flag, values := range o.filter.Completions() {
		// The flag is there: Register made it.
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	cmd.RunE = a.with(func(ctx context.Context, _ []string) error { return a.observe(ctx, o) })
	return cmd
}

func (a *app) observe(ctx context.Context, o observeOptions) error {
	usage := func(err error) error { return &usageError{err: err, help: "weir observe"} }
	if o.format.Color == "auto" && !a.color() {
		o.format.Color = "never"
	}
	if o.format.Color == "auto" {
		o.format.Color = "always"
	}
	format, err := o.format.Options(a.out, a.err, o.which.Follow, func(k string) string { v, _ := a.lookup(k); return v })
	if err != nil {
		return usage(err)
	}
	asked := o.which.Last > 0 || o.which.First > 0
	req, err := o.which.Request(time.Now(), &o.filter)
	if err != nil {
		return usage(err)
	}
	if o.filter.PrintRaw {
		return filter.Raw(a.out, req.Whitelist, req.Blacklist)
	}
	ctx, cancel := withPeriod(ctx, o.period)
	defer cancel()
	if o.replay.file == "" {
		client, err := a.attach(ctx)
		if err == nil {
			defer client.Close()
			return observeDaemon(ctx, client, req, format)
		}
		if !errors.Is(err, errNoDaemon) {
			return err
		}
	}
	if !asked {
		req.Number = math.MaxUint64 // the 20 are for what somebody kept
	}
	return a.observeHere(ctx, o, req, format)
}

// observeHere prints what this process captures or replays.
func (a *app) observeHere(ctx context.Context, o observeOptions, req *observerpb.GetFlowsRequest, format printer.Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f, sink, err := a.openPrinted(o, req, format, cancel)
	if err != nil {
		return err
	}
	if o.replay.file == "" {
		fmt.Fprintf(a.err, "weir: no daemon answers at %s: capturing here until interrupted\n", a.cfg.socket)
	}
	err = errors.Join(f.run(ctx), sink.finish())
	a.tellLosses(f)
	return err
}

// openPrinted connects the host or a recording to a printing sink.
func (a *app) openPrinted(o observeOptions, req *observerpb.GetFlowsRequest, format printer.Options, stop func()) (*feed, *printSink, error) {
	var src *replay.Source
	node := hostName()
	if o.replay.file != "" {
		var err error
		if src, err = o.replay.open(); err != nil {
			return nil, nil, err
		}
		node = src.Meta().Host
	}
	sink, err := newPrintSink(req, format, node, stop)
	if err != nil {
		return nil, nil, &usageError{err: err, help: "weir observe"}
	}
	if src != nil {
		return a.replayFrom(src, sink), sink, nil
	}
	f, err := a.openCapture(nil, sink)
	return f, sink, err
}

// observeDaemon prints what the daemon kept and, with --follow, what it sees.
func observeDaemon(ctx context.Context, c *hubble.Client, req *observerpb.GetFlowsRequest, format printer.Options) error {
	out := printer.New(format)
	send := out.Write
	if format.Format != printer.FormatJSON {
		req.FieldMask = &fieldmaskpb.FieldMask{Paths: printedFields}
		if req.Follow {
			req.Extensions = hubble.Want{More: true}.Extensions()
			m := newMore(format.Err)
			defer m.close()
			send = m.takeOut(out.Write)
		}
	}
	err := c.Flows(ctx, req, send)
	var wrong *hubble.RequestError
	switch {
	case ctx.Err() != nil:
		err = nil // interrupted, or --for is over
	case errors.As(err, &wrong):
		err = &usageError{err: err, help: "weir observe"}
	}
	return errors.Join(err, out.Close())
}

// printedFields are those that text is made of: the daemon need not make the rest.
var printedFields = []string{
	"time", "verdict", "drop_reason_desc", "IP", "l4", "source", "destination", "Type", "node_name", "source_names",
	"destination_names", "l7", "is_reply", "event_type", "source_service", "destination_service", "traffic_direction",
	"policy_match_type", "egress_allowed_by", "ingress_allowed_by", "egress_denied_by", "ingress_denied_by", "Summary", "auth_type",
}
