// Package settings gives flags the values that their user set elsewhere: on
// the command line before the environment (WEIR_…) before one YAML file before
// the default. Every setting is a flag, and its three names follow from each
// other: --metrics-listen, WEIR_METRICS_LISTEN, "metrics-listen:".
package settings
