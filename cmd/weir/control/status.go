// Package control is what a daemon says of itself on its control socket, beside
// the Observer API: weir status and weir doctor ask for it.
package control

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

// Status is a daemon's account of itself at one moment. Its JSON is what `weir
// status -o json` prints: names are never changed.
type Status struct {
	Version  string    `json:"version"`
	Revision string    `json:"revision,omitempty"`
	PID      int       `json:"pid"`
	Ready    bool      `json:"ready"`
	Reason   string    `json:"reason,omitempty"` // why it is not ready
	Started  time.Time `json:"started"`
	Time     time.Time `json:"time"`

	Flows    Flows     `json:"flows"`
	Pipeline Pipeline  `json:"pipeline"`
	Kernel   Kernel    `json:"kernel"`
	Lost     []Loss    `json:"lost"` // sorted, only what is not 0
	Runtimes []Runtime `json:"runtimes"`
	Policies Policies  `json:"policies"`
	Listen   Listen    `json:"listen"`
	Memory   uint64    `json:"memory_bytes"` // resident
}

// Flows are the flow table and what goes through it.
type Flows struct {
	Table     int     `json:"table"` // living ones and those that ended lately
	TableMax  int     `json:"table_max"`
	Live      int     `json:"live"`
	Kept      int     `json:"kept"` // in the ring of newest flows
	KeptMax   int     `json:"kept_max"`
	PerSecond float64 `json:"opened_per_second"`
	Bytes     float64 `json:"bytes_per_second"` // payload, both ways
}

// Pipeline counts since the start.
type Pipeline struct {
	Events  uint64 `json:"events"`
	Records uint64 `json:"records"`
	Evicted uint64 `json:"evicted"`
}

// Kernel reconciles what the kernel's programs produced.
type Kernel struct {
	CPUs     []CPU    `json:"cpus"`
	Ring     uint64   `json:"ring_bytes"`
	Unread   uint64   `json:"ring_unread_bytes"`
	Tables   []Table  `json:"tables"`
	Programs int      `json:"programs"` // attached
	Missing  []string `json:"missing"`  // programs that this kernel did not take, and why
}

// CPU is one processor's account.
type CPU struct {
	Produced  uint64 `json:"produced"`
	Delivered uint64 `json:"delivered"`
	Lost      uint64 `json:"lost"`
}

// Table is how full a kernel table is.
type Table struct {
	Name    string `json:"name"`
	Entries uint64 `json:"entries"`
	Max     uint64 `json:"max"`
}

// Loss is how often something was lost at one place for one reason.
type Loss struct {
	Stage  string `json:"stage"`
	Reason string `json:"reason"`
	Count  uint64 `json:"count"`
}

// Policies are how many are in each mode; `weir policy status` tells more.
type Policies struct {
	Enforced int    `json:"enforced"`
	Audited  int    `json:"audited"`
	Denied   uint64 `json:"denied"`            // attempts, by those that are there
	Would    uint64 `json:"would_deny"`        // attempts that passed
	Foreign  bool   `json:"foreign,omitempty"` // programs are at work that belong to none of them
	Failure  string `json:"failure,omitempty"` // why they do not hold as they should
	// Late are devices of workloads whose first frames were not judged.
	Late []string `json:"late_devices,omitempty"`
}

// Runtime is a container runtime that names workloads.
type Runtime struct {
	Name      string `json:"name"`
	Socket    string `json:"socket,omitempty"`
	Connected bool   `json:"connected"`
	Error     string `json:"error,omitempty"`
}

// Listen is where the daemon answers; what is off is empty.
type Listen struct {
	Socket  string `json:"socket"`
	Hubble  string `json:"hubble,omitempty"`
	Metrics string `json:"metrics,omitempty"`
}

// SetHealth fills in what the pipeline knows of itself.
func (s *Status) SetHealth(h collector.Health) {
	s.Pipeline = Pipeline{Events: h.Events, Records: h.Records, Evicted: h.Evicted}
	s.Flows.Table = h.Flows
	s.Kernel.Ring, s.Kernel.Unread = h.Source.Ring, h.Source.Unread
	s.Kernel.CPUs = make([]CPU, 0, len(h.Source.PerCPU))
	for _, c := range h.Source.PerCPU {
		s.Kernel.CPUs = append(s.Kernel.CPUs, CPU(c))
	}
	s.Kernel.Tables = make([]Table, 0, len(h.Source.Tables))
	for _, t := range h.Source.Tables {
		s.Kernel.Tables = append(s.Kernel.Tables, Table(t))
	}
	s.Lost = Losses(h.Lost)
}

// Losses lists what was lost, sorted by stage and reason.
func Losses(lost map[flow.Loss]uint64) []Loss {
	out := make([]Loss, 0, len(lost))
	for l, n := range lost {
		if n > 0 {
			out = append(out, Loss{l.Stage, l.Reason, n})
		}
	}
	slices.SortFunc(out, func(a, b Loss) int {
		return cmp.Or(cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// Total sums the processors.
func (k Kernel) Total() (t CPU) {
	for _, c := range k.CPUs {
		t.Produced += c.Produced
		t.Delivered += c.Delivered
		t.Lost += c.Lost
	}
	return t
}

// Waiting is how many events are neither delivered nor counted as lost: those
// that wait in the ring, and none when it is empty. Negative means that more came
// out than went in, which is a fault.
func (k Kernel) Waiting() int64 {
	t := k.Total()
	return int64(t.Produced - t.Delivered - t.Lost)
}

// Balanced tells whether the account adds up: what is missing waits in the ring.
func (k Kernel) Balanced() bool {
	w := k.Waiting()
	return w == 0 || (w > 0 && k.Unread > 0)
}

// Health is the pipeline's account as SetHealth took it, for who shows it.
func (s *Status) Health() collector.Health {
	h := collector.Health{
		Source: flow.SourceStats{Ring: s.Kernel.Ring, Unread: s.Kernel.Unread, Lost: map[flow.Loss]uint64{}},
		Lost:   map[flow.Loss]uint64{},
		Events: s.Pipeline.Events, Records: s.Pipeline.Records, Evicted: s.Pipeline.Evicted,
		Flows: s.Flows.Table, Since: s.Started.UnixNano(),
	}
	for _, c := range s.Kernel.CPUs {
		h.Source.PerCPU = append(h.Source.PerCPU, flow.CPUCounts(c))
	}
	for _, t := range s.Kernel.Tables {
		h.Source.Tables = append(h.Source.Tables, flow.TableFill(t))
	}
	for _, l := range s.Lost {
		h.Lost[flow.Loss{Stage: l.Stage, Reason: l.Reason}] += l.Count
	}
	return h
}
