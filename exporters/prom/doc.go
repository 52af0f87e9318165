// Package prom shows weir's flows and its own health as Prometheus metrics.
//
// An Exporter is two things: a collector.Sink that folds records into series by
// workload, and a prometheus.Collector over those series and over the
// pipeline's Health. Ports and addresses are never labels, every metric has a
// budget of series, and series go when nothing was seen of them for a while, so
// that neither weir nor the Prometheus that scrapes it grows with traffic.
//
// Every metric stands in one table: metrics.go. docs/metrics.md is made of it.
package prom
