//go:build tools

// Package hubblecli pins Hubble's own command line client and its relay, which
// the tests of exporters/hubble run against weir's server. It is a module of its
// own, so that their many dependencies stay out of weir's.
package hubblecli

import (
	_ "github.com/cilium/cilium/hubble"
	_ "github.com/cilium/cilium/hubble-relay"
)
