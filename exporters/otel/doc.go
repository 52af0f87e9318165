// Package otel sends what weir sees to an OpenTelemetry receiver over OTLP:
// exchanges as spans, counts as metrics, flows as log records.
//
// An Exporter is a collector.Sink. Consume writes exchanges and flows as OTLP's bytes
// into parcels, of which a bounded number wait for each signal, and folds counts into
// series; it never waits. Each signal has a goroutine that makes messages of parcels
// and sends them, by gRPC or HTTP, and tries again for as long as the receiver may
// come back. What there is no room for, what a receiver refuses and what there was no
// time for at the end is counted (Exporter.Lost).
//
// The messages are made here and not by OpenTelemetry's SDK: a span's, a record's
// and a point's resource is the workload that it is of, of which there are many in
// one weir. They are written in one pass (wire.go), field by field: a tree of
// messages took fifteen times as long. The tests read them with OTLP's own types.
//
// Names of attributes are OpenTelemetry's semantic conventions, which are imported
// in one file (names.go). What a protocol's spans say stands in one table
// (protocols.go). docs/otel.md tells users what is sent.
package otel
