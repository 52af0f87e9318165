// Package grafana makes dashboards and rules of weir's table of metrics.
//
// Every query is built from a row of prom.Table: a metric that is renamed, or a
// label that it does not have, is a failure of the package's tests and not a panel
// that stays empty. Units and descriptions come from the table where a panel has
// none of its own.
//
// Files gives all of it as it stands below files/, which is made by
//
//	go test ./exporters/grafana -update
package grafana
