package kernel

import (
	"time"

	"github.com/seed79351815/weir/enforce/policy"
)

// Plan is what is to hold.
type Plan struct {
	Tables *policy.Tables
	// Containers that may come, by their ids of 64 hexadecimal digits, with their
	// keys in Tables.Workloads: they have their rules before their first packet.
	Containers map[string]uint64
	// OwnNetwork has the cgroups that do not share the host's network namespace:
	// what they say to their own loopback addresses is judged by who hears it.
	OwnNetwork map[uint64]bool
	// Hold says that a container that nobody has named yet is held: its packets
	// are dropped, and sent again by TCP, until it is in a plan. Where it does not
	// hold, such a container has the rules of everyone.
	Hold bool
	// HoldOrphans is the same for the time in which no daemon lives.
	HoldOrphans bool
}

// Report is what an Apply did.
type Report struct {
	Workloads int           // cgroups that have a place
	Sets      int           // tables of rules in use
	Filled    int           // of which so many are new
	Rules     int           // in all tables
	Addresses int           //
	Took      time.Duration //
}
