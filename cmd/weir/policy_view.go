package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed79351815/weir/enforce"
	"github.com/seed79351815/weir/enforce/policy"
)

// policyView is what the daemon knows of policies and workloads. Without a daemon
// it is errNoDaemon.
func (a *app) policyView(ctx context.Context) (*policyView, error) {
	v := &policyView{}
	return v, a.ask(ctx, "View", nil, v)
}

// knownWorkloads are the daemon's, and none where no daemon runs.
func (a *app) knownWorkloads(ctx context.Context) (workloads []policy.Workload, running bool, err error) {
	v, err := a.policyView(ctx)
	if errors.Is(err, errNoDaemon) {
		return nil, false, nil
	}
	return v.Workloads, true, err
}

// find gives a policy by its name, with or without its namespace.
func (v *policyView) find(name string) (enforce.Stored, error) {
	return enforce.Find(v.Stored, name)
}

// policies reads the texts, each policy in its mode.
func (v *policyView) policies(stored []enforce.Stored) (out []*policy.Policy, err error) {
	for _, s := range stored {
		all, problems := policy.Parse(s.File, v.Texts[s.Source])
		if err := problems.Err(); err != nil {
			return nil, err
		}
		at := slices.IndexFunc(all, func(p *policy.Policy) bool { return p.String() == s.Name && p.Kind == s.Kind })
		if at < 0 {
			return nil, fmt.Errorf("policy %q: it is not in its text", s.Name)
		}
		out = append(out, enforce.InMode(all[at], s.Mode))
	}
	return out, nil
}

// showProblems prints them on standard error and tells whether one is an error.
func (a *app) showProblems(problems policy.Problems) (failed bool) {
	for _, p := range problems {
		fmt.Fprintln(a.err, sanitizeLines(p.String()))
	}
	return problems.Err() != nil
}
