package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/seed79351815/weir/cmd/weir/control"
	"github.com/seed79351815/weir/enforce"
	"github.com/seed79351815/weir/enforce/baseline"
	"github.com/seed79351815/weir/enforce/policy"
	"github.com/seed79351815/weir/enforce/suggest"
)

// Requests and answers of the control socket's policy methods.
type (
	auditRequest struct {
		Texts []enforce.Text `json:"texts"`
	}
	enforceRequest struct {
		Name  string        `json:"name"`
		For   time.Duration `json:"for"`
		Force bool          `json:"force"`
	}
	nameRequest struct {
		Name string `json:"name"`
	}
	learnRequest struct {
		For    time.Duration `json:"for"`
		Forget bool          `json:"forget"`
	}
	// policyView is what clients need to check, compare and explain by themselves.
	policyView struct {
		Stored    []enforce.Stored  `json:"stored"`
		Texts     map[string][]byte `json:"texts"` // by source
		Workloads []policy.Workload `json:"workloads"`
	}
	suggestion struct {
		YAML     []byte   `json:"yaml"`
		Unproven []string `json:"unproven"`
		LeftOut  []string `json:"left_out"`
	}
)

// methods are what the control socket answers about policies and learning.
func (d *daemon) methods() map[string]control.Method {
	m := d.manager
	return map[string]control.Method{
		"Status":  control.On(false, func(context.Context, struct{}) (any, error) { return m.Status(), nil }),
		"History": control.On(false, func(context.Context, struct{}) (any, error) { return m.History(), nil }),
		"View":    control.On(false, func(context.Context, struct{}) (any, error) { return d.policyView() }),
		"Audit":   control.On(true, func(_ context.Context, r auditRequest) (any, error) { return m.Audit(r.Texts) }),
		"Enforce": control.On(true, func(_ context.Context, r enforceRequest) (any, error) { return m.Enforce(r.Name, r.For, r.Force) }),
		"Rollback": control.On(true, func(_ context.Context, r nameRequest) (any, error) {
			return m.Rollback(r.Name)
		}),
		"Off":         control.On(true, func(_ context.Context, r nameRequest) (any, error) { return m.Off(r.Name) }),
		"LearnStart":  control.On(true, func(_ context.Context, r learnRequest) (any, error) { return d.learnStart(r) }),
		"LearnStop":   control.On(true, func(context.Context, struct{}) (any, error) { return d.learnStop() }),
		"LearnStatus": control.On(false, func(context.Context, struct{}) (any, error) { return d.learner.Status(), nil }),
		"Suggest":     control.On(false, func(_ context.Context, r nameRequest) (any, error) { return d.suggest(r.Name) }),
	}
}

// policies sums up what holds.
func (d *daemon) policies() control.Policies {
	st := d.manager.Status()
	out := control.Policies{Foreign: st.Foreign, Failure: st.Failure, Late: st.Late}
	if out.Failure == "" && st.SetAside != nil && len(st.Policies) == 0 {
		out.Failure = st.SetAside.Error()
	}
	for i := range st.Policies {
		if e := &st.Policies[i]; e.Mode == policy.ModeEnforce {
			out.Enforced++
		} else {
			out.Audited++
		}
		out.Denied += st.Policies[i].Denied
		out.Would += st.Policies[i].Audited
	}
	return out
}

func (d *daemon) policyView() (*policyView, error) {
	v := &policyView{Texts: map[string][]byte{}, Workloads: d.manager.Known()}
	for _, p := range d.manager.Status().Policies {
		stored, text, err := d.manager.Text(p.Name)
		if err != nil {
			return nil, err
		}
		v.Stored = append(v.Stored, stored)
		v.Texts[stored.Source] = text
	}
	return v, nil
}

func (a *app) openLearner() (*baseline.Learner, error) {
	return baseline.Open(baseline.Config{Path: filepath.Join(a.cfg.stateDir, "baseline.json"), Logger: a.log})
}

func (d *daemon) learnStart(r learnRequest) (baseline.Status, error) {
	d.learner.Observe(d.health())
	if r.Forget {
		d.learner.Forget()
	}
	err := d.learner.Start(r.For)
	if errors.Is(err, baseline.ErrLearning) {
		err = errors.New("weir is learning already; `weir learn stop` ends it")
	}
	return d.learner.Status(), err
}

func (d *daemon) learnStop() (baseline.Status, error) {
	d.learner.Observe(d.health())
	err := d.learner.Stop()
	if errors.Is(err, baseline.ErrNotLearning) {
		err = errors.New("weir is not learning; `weir learn start` begins it")
	}
	return d.learner.Status(), errors.Join(err, d.learner.Save())
}

// suggest makes a policy of what was learned of a workload, which is named as in
// the baseline, or without what only one has.
func (d *daemon) suggest(name string) (*suggestion, error) {
	b, err := d.learner.Baseline()
	if err != nil {
		return nil, err
	}
	var found []baseline.Key
	for _, k := range b.Keys() {
		if k.String() == name || k.Name == name {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("workload %q is not in the baseline: `weir learn start` learns what it does", name)
	case 1:
	default:
		return nil, fmt.Errorf("%q is more than one workload, among them %q and %q: write the whole name", name, found[0], found[1])
	}
	s, err := suggest.For(b, found[0])
	if err != nil {
		return nil, err
	}
	return &suggestion{s.YAML(), s.Unproven, s.LeftOut}, nil
}
