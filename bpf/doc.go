// Package bpf is both ends of the wire between the kernel and weir: the C
// programs under c/, their load and attachment, and the reading and decoding of
// what they produce. Nothing else in weir knows the wire's layout.
//
// Capture is a collector.Source. It attaches by bpf_link and pins nothing: when
// the process ends in whatever way, the kernel takes all of it back.
package bpf
