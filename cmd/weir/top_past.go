package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seed79351815/weir/cmd/weir/control"
	"github.com/seed79351815/weir/exporters/history"
	"github.com/seed79351815/weir/exporters/hubble/printer"
	"github.com/seed79351815/weir/ui"
)

// daemonPast asks a daemon for windows.
func daemonPast(cc grpc.ClientConnInterface) func(context.Context, time.Duration) (*ui.Past, error) {
	return func(ctx context.Context, window time.Duration) (*ui.Past, error) {
		var w history.Window
		err := control.Call(ctx, cc, control.HistoryService, "Window", windowRequest{window}, &w)
		switch status.Code(err) {
		case codes.OK:
			return shownPast(&w), err // the answer may be no Window
		case codes.Unimplemented:
			return nil, errors.New("the daemon is older than this weir, and has no time windows; restart it")
		case codes.FailedPrecondition: // it says what is wrong, and that is not the connection
			return nil, errors.New(printer.Sanitize(status.Convert(err).Message()))
		}
		return nil, daemonError(ctx, err)
	}
}

// keptPast reads what a daemon has kept that does not run.
func (a *app) keptPast(ctx context.Context, window time.Duration) (*ui.Past, error) {
	r, err := a.readHistory()
	if err != nil {
		return nil, fmt.Errorf("no daemon runs; %w", err)
	}
	defer r.Close()
	now := time.Now()
	w, err := r.Window(ctx, now.Add(-window), now)
	if err != nil {
		return nil, err
	}
	return shownPast(w), nil
}

// shownPast is a window as the screen has it.
func shownPast(w *history.Window) *ui.Past {
	p := &ui.Past{Since: w.Since, Until: w.Until, First: w.First, Watched: w.Watched, Gaps: w.Gaps, Gap: w.Gap, Lost: w.Lost, Beyond: w.Beyond,
		Total: shownWorkload("", &w.Total)}
	for i := range w.Workloads {
		x := &w.Workloads[i]
		row := shownWorkload(x.Name, &x.Traffic)
		row.Served, row.Asked = shownExchanges(x.Served), shownExchanges(x.Asked)
		p.Workloads = append(p.Workloads, row)
	}
	for i := range w.Operations {
		o := &w.Operations[i]
		p.Operations = append(p.Operations, ui.PastOperation{Client: o.Client, Server: o.Server, Method: o.Method, Route: o.Route,
			PastExchanges: ui.PastExchanges(o.Exchanges)})
	}
	return p
}

func shownWorkload(name string, t *history.Traffic) ui.PastWorkload {
	return ui.PastWorkload{Name: name, Opened: t.Opened, Failed: t.Failed, Drops: t.Drops, Retransmits: t.Retransmits, Sent: t.Sent, Received: t.Received}
}

func shownExchanges(all []history.Exchanges) (out []ui.PastExchanges) {
	for _, x := range all {
		out = append(out, ui.PastExchanges(x))
	}
	return out
}
