package enforce

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/enforce/kernel"
)

// Kernel holds plans. It is used by one goroutine at a time.
type Kernel interface {
	// Apply makes a plan hold, or changes nothing.
	Apply(*kernel.Plan) (kernel.Report, error)
	// Alive says that this process lives.
	Alive()
	// Verdicts calls fn for what was denied or audited since the call before. lost
	// is how many there was no room for, ever.
	Verdicts(fn func(*kernel.Verdict)) (lost uint64, err error)
	// EnforcesNames tells whether plans may have rules of DNS names.
	EnforcesNames() bool
	// NameLosses counts, by reason, answers that opened less than they could.
	NameLosses() (map[string]uint64, error)
	// Tables says how full the tables are.
	Tables() (kernel.Tables, error)
	// Devices sees to network devices that came since; it is called every second, and
	// when there are new ones.
	Devices() (kernel.Devices, error)
	// Tidy takes out what earlier plans left, which Apply leaves to it; it is called
	// every second.
	Tidy() error
	// Off takes everything out.
	Off() error
	// Close gives up this process's hold, and leaves everything in.
	Close() error
}

// Workloads knows who is on this host.
type Workloads interface {
	// Roster gives those that have a cgroup, and containers that are to come.
	Roster() (live, coming []*flow.Workload)
	// Settled tells whether everybody there has been named.
	Settled() bool
	// Workload is who is behind a cgroup; never nil.
	Workload(cgroup uint64) *flow.Workload
	// OwnNetwork tells whether a workload does not share the host's network.
	OwnNetwork(*flow.Workload) bool
}

// Connection is one end of a connection: a socket of this host.
type Connection struct {
	NetNS         uint32 // inode number of its network namespace
	PID           uint32 // a process there; 0 when unknown
	Cookie        uint64
	Local, Remote netip.AddrPort
}

// Config is what a Manager works with. Dir, Open and Workloads are required.
type Config struct {
	Dir       string                 // where policies are kept
	Open      func() (Kernel, error) // called when there is something to hold
	Pinned    func() bool            // tells whether something is held from before; nil: never
	Workloads Workloads
	Changes   <-chan struct{} // the roster changed
	// Links tells when network devices changed: new ones are to be judged at. nil
	// leaves it to the look of every second.
	Links <-chan time.Time

	// Living gives the connections of this moment; nil where nobody knows them.
	Living func(yield func(*flow.Record) bool)
	// Sever ends connections; nil leaves it to the kernel to let nothing pass.
	Sever func([]Connection) []error
	// Tell takes verdicts as events; it must not wait.
	Tell func([]flow.Event)

	HoldOrphans bool // an unknown container is held while no daemon lives
	Now         func() time.Time
	Logger      *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Pinned == nil {
		c.Pinned = func() bool { return false }
	}
	if c.Tell == nil {
		c.Tell = func([]flow.Event) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}
