package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed79351815/weir/bpf"
	"github.com/seed79351815/weir/cmd/weir/control"
	"github.com/seed79351815/weir/collector/identity"
)

// state is what a check came to.
type state string

const (
	stateOK    state = "ok"
	stateNote  state = "note"  // nothing is lost, but it is good to know
	stateWarn  state = "warn"  // weir works without it; Without says what is lost
	stateFault state = "fault" // weir cannot do its work
)

// check is one finding of weir doctor.
type check struct {
	Section string `json:"section"`
	Name    string `json:"name"`
	State   state  `json:"state"`
	Detail  string `json:"detail,omitempty"`
	Without string `json:"without,omitempty"` // what is lost
	Remedy  string `json:"remedy,omitempty"`
}

// diagnosis is all that doctor found.
type diagnosis struct {
	OK     bool            `json:"ok"` // everything that is required is there
	Checks []check         `json:"checks"`
	Daemon *control.Status `json:"daemon,omitempty"`
}

func (d *diagnosis) add(checks ...check) { d.Checks = append(d.Checks, checks...) }

func (a *app) doctorCommand() *cobra.Command {
	output := "text"
	cmd := &cobra.Command{
		Use:     "doctor",
		GroupID: groupRun,
		Short:   "Show what this host offers, what is missing, and what that costs",
		Long: `doctor tries everything that weir needs from the kernel and the host, one by
one, and takes it out again. It changes nothing. Where a daemon runs, it also
checks whether its account of events adds up. It exits with 3 when weir cannot do
its work here.`,
		Example: `  sudo weir doctor
  sudo weir doctor -o json | jq '.checks[] | select(.state != "ok")'`,
		Args: noArgs,
	}
	a.cfg.clientFlags(cmd.Flags())
	a.cfg.captureFlags(cmd.Flags())
	choiceVar(cmd.Flags(), &output, "output", "o", []string{"text", "json"}, "format")
	cmd.RunE = a.with(func(ctx context.Context, _ []string) error {
		d := a.diagnose(ctx)
		var err error
		if output == "json" {
			enc := json.NewEncoder(a.out)
			enc.SetIndent("", "  ")
			err = enc.Encode(d)
		} else {
			err = a.printDiagnosis(d)
		}
		if err == nil && !d.OK {
			err = errFindings
		}
		return err
	})
	return cmd
}

func (a *app) diagnose(ctx context.Context) *diagnosis {
	d := &diagnosis{}
	root, rootErr := a.findCgroupRoot()
	d.add(kernelChecks()...)
	d.add(cgroupCheck(root, rootErr))
	status, daemonErr := a.settledStatus(ctx)
	d.Daemon = status
	d.add(programChecks(bpf.Probe(bpf.Config{
		CgroupRoot: root, RingSize: int(a.cfg.kernelBuffer), Logger: discardLogger(),
	}), status != nil && status.Ready)...)
	d.add(runtimeChecks(a.askRuntimes(ctx, root))...)
	d.add(daemonChecks(status, daemonErr)...)
	d.OK = true
	for _, c := range d.Checks {
		d.OK = d.OK && c.State != stateFault
	}
	return d
}

// settledStatus asks again while the account does not add up: its numbers are
// read one after the other, while events go on.
func (a *app) settledStatus(ctx context.Context) (*control.Status, error) {
	const tries, pause = 10, 50 * time.Millisecond
	for i := 0; ; i++ {
		s, err := a.getStatus(ctx)
		if err != nil || s.Kernel.Balanced() || i == tries {
			return s, err
		}
		time.Sleep(pause)
	}
}

// askRuntimes runs the resolver for long enough that every socket answered or
// will not.
func (a *app) askRuntimes(ctx context.Context, root string) []identity.RuntimeStatus {
	const enough = 1500 * time.Millisecond
	r := identity.New(identity.Config{CgroupRoot: root})
	ctx, cancel := context.WithTimeout(ctx, enough)
	defer cancel()
	_ = r.Run(ctx) // what fails is in its Status
	return r.Status()
}
