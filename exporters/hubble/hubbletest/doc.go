// Package hubbletest runs Hubble's own client and its relay in tests, built from
// the module in exporters/hubble/testdata/hubblecli. Building them takes minutes
// the first time, so a test that needs them runs only where Env says so.
package hubbletest
