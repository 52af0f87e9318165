package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seed79351815/weir/bpf/enforcer"
	"github.com/seed79351815/weir/cmd/weir/control"
	"github.com/seed79351815/weir/enforce"
	"github.com/seed79351815/weir/ui"
)

// policyPoll asks for policies, at most once in policyEvery. It is for one
// goroutine.
type policyPoll struct {
	ask   func() (ui.Policies, error)
	asked time.Time
	told  time.Time // when last was told
	last  ui.Policies
}

const policyEvery = time.Second

// get gives the policies of now, or those that were told last with what is wrong.
// What it gave before does not change.
func (p *policyPoll) get() ui.Policies {
	now := time.Now()
	if !p.asked.IsZero() && now.Sub(p.asked) < policyEvery {
		return p.last
	}
	p.asked = now
	fresh, err := p.ask()
	switch {
	case err == nil:
		p.last, p.told = fresh, now
	case errors.Is(err, errOldDaemon), p.told.IsZero():
		p.last = ui.Policies{Note: err.Error()}
	default:
		p.last.Note = fmt.Sprintf("%v; these are of %s", err, p.told.Format(time.TimeOnly))
	}
	return p.last
}

// errOldDaemon means that a daemon answers, and knows no policies.
var errOldDaemon = errors.New("the daemon is older than this weir, and tells nothing of policies")

// daemonPolicies asks a daemon.
func daemonPolicies(ctx context.Context, cc grpc.ClientConnInterface) func() (ui.Policies, error) {
	return func() (ui.Policies, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		var s enforce.Status
		switch err := control.Call(ctx, cc, control.PolicyService, "Status", nil, &s); {
		case status.Code(err) == codes.Unimplemented:
			return ui.Policies{}, errOldDaemon
		case err != nil:
			return ui.Policies{}, fmt.Errorf("the policies are not told: %w", daemonError(ctx, err))
		}
		return shownPolicies(&s), nil
	}
}

// shownPolicies is a status as the screen has it.
func shownPolicies(s *enforce.Status) ui.Policies {
	out := ui.Policies{Failure: s.Failure, Foreign: s.Foreign, Uncovered: s.Uncovered, Lost: s.Lost}
	if out.Failure == "" && s.SetAside != nil && len(s.Policies) == 0 {
		out.Failure = s.SetAside.Error()
	}
	for i := range s.Policies {
		e := &s.Policies[i]
		p := ui.Policy{Name: e.Name, Kind: string(e.Kind), Mode: string(e.Mode), File: e.File, Since: e.Since,
			Selected: e.Selected, Denied: e.Denied, Audited: e.Audited}
		for j := range e.Tallies {
			p.Said = append(p.Said, tallyLine(&e.Tallies[j]))
		}
		if e.Until != nil {
			p.Until = *e.Until
		}
		out.List = append(out.List, p)
	}
	return out
}

// pinnedPolicies looks for what a daemon that is no more left at work.
func (a *app) pinnedPolicies() (ui.Policies, error) {
	if enforcer.Pinned(a.pinDir()) {
		return ui.Policies{Foreign: true, Note: "no daemon runs, but policies of one that did are at work: `weir run`"}, nil
	}
	return ui.Policies{Note: "no daemon runs, and policies need one: `weir run`"}, nil
}

// recordedPolicies are those that a recording's verdicts name.
func recordedPolicies() ui.Policies {
	return ui.Policies{Note: "a recording tells of policies only what their verdicts say"}
}
