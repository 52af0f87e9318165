// Package baseline learns what is normal: for each workload with whom it talks,
// over which ports, and about what, with counts and the first and the last time.
//
// A Learner is a collector.Sink. It learns while a window is open, keeps what it
// learned in one file, and so goes on where it was after a restart. Everything is
// a sum, a set, a minimum or a maximum, so that a Baseline depends on what was
// seen and not on the order in which it was told.
//
// A workload is known by what stays when it is restarted or scaled: its owner
// (Compose service, Deployment, systemd unit, …), see KeyOf. What could not be
// seen is part of a Baseline: see Completeness.
package baseline
