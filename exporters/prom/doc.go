// Package prom shows weir's flows and its own health as Prometheus metrics.
//
// An Exporter is two things: a collector.Sink that folds records into series by
// workload, and an http.Handler that shows those series and the pipeline's
// Health. The series are kept as they go out, with their labels and in their
// order: a scrape of thousands fills in the numbers and writes them. The few
// that are not made of records, and the Go runtime's, go the library's way.
//
// Ports and addresses are never labels, every metric has a budget of series, and
// series go when nothing was seen of them for a while, so that neither weir nor
// the Prometheus that scrapes it grows with traffic.
//
// Every metric stands in one table: metrics.go. docs/metrics.md is made of it.
package prom
