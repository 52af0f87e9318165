// Package query makes Hubble's flow filters of command line flags that have
// Hubble's names and meaning: flags of different names must all match, of values
// given to one flag any; --pod means either end, --from-pod the source, --to-pod
// the destination; --not turns the next flag round.
package query
