package otel

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Settings are what weir's own settings say. What is empty is left to
// OpenTelemetry's environment; what is not goes before it, for all signals.
type Settings struct {
	Endpoint    string
	Protocol    string   // or Auto
	Signals     []string // traces, metrics, logs
	HeadersFile string   // one name=value a line
	CA          string   // PEM files
	Cert, Key   string

	TracesBudget int // exchanges a second that become spans, about; 0 for any number
}

// Auto leaves the protocol to OpenTelemetry's environment and the endpoint's port.
const Auto = "auto"

// variables are OpenTelemetry's, as os.LookupEnv gives them. An empty one is as if
// it were not there, as its specification says.
type variables func(string) (string, bool)

func (v variables) get(names ...string) (name, value string) {
	for _, n := range names {
		if s, _ := v(n); strings.TrimSpace(s) != "" {
			return n, strings.TrimSpace(s)
		}
	}
	return "", ""
}

// FromEnvironment reads OpenTelemetry's variables (its "Environment Variable
// Specification" and "OTLP Exporter"), with weir's settings before them. It is nil
// where there is no endpoint, or everything is turned off. A value that cannot be
// used is an error that names its variable.
func FromEnvironment(lookup func(string) (string, bool), s Settings) (*Config, error) {
	v := variables(lookup)
	if _, off := v.get("OTEL_SDK_DISABLED"); strings.EqualFold(off, "true") {
		return nil, nil
	}
	cfg := &Config{TracesBudget: s.TracesBudget}
	for _, to := range []struct {
		signal   *signal
		endpoint **Endpoint
	}{{&traceSignal, &cfg.Traces}, {&metricSignal, &cfg.Metrics}, {&logSignal, &cfg.Logs}} {
		e, err := v.endpoint(to.signal, &s)
		if err != nil {
			return nil, err
		}
		*to.endpoint = e
	}
	if cfg.Traces == nil && cfg.Metrics == nil && cfg.Logs == nil {
		return nil, nil
	}
	return cfg, v.fill(cfg)
}

// fill reads what is not an endpoint's.
func (v variables) fill(cfg *Config) error {
	_, cfg.Sampler = v.get("OTEL_TRACES_SAMPLER")
	_, cfg.SamplerArg = v.get("OTEL_TRACES_SAMPLER_ARG")
	if _, err := newSampler(cfg.Sampler, cfg.SamplerArg); err != nil {
		return err
	}
	_, cfg.Service = v.get("OTEL_SERVICE_NAME")
	attributes, err := v.pairs("OTEL_RESOURCE_ATTRIBUTES")
	if err != nil {
		return err
	}
	for _, a := range attributes {
		if a[0] == keyServiceName {
			if cfg.Service == "" {
				cfg.Service = a[1]
			}
			continue
		}
		cfg.Attributes = append(cfg.Attributes, a)
	}
	return errors.Join(
		v.limits(&cfg.Spans, "OTEL_BSP_"), v.limits(&cfg.Records, "OTEL_BLRP_"),
		v.milliseconds(&cfg.Interval, "OTEL_METRIC_EXPORT_INTERVAL"),
		v.temporality(cfg), v.aggregation(cfg),
	)
}

func (v variables) limits(l *Limits, prefix string) error {
	return errors.Join(
		v.number(&l.Queue, 1<<20, prefix+"MAX_QUEUE_SIZE"), v.number(&l.Batch, 1<<16, prefix+"MAX_EXPORT_BATCH_SIZE"),
		v.milliseconds(&l.Delay, prefix+"SCHEDULE_DELAY"),
	)
}

func (v variables) temporality(cfg *Config) error {
	name, value := v.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE")
	switch strings.ToLower(value) {
	case "", "cumulative":
		cfg.Temporality = Cumulative
	case "delta", "lowmemory":
		cfg.Temporality = Delta
	default:
		return fmt.Errorf("%s: %q: expected cumulative, delta or lowmemory", name, value)
	}
	return nil
}

func (v variables) aggregation(cfg *Config) error {
	name, value := v.get("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION")
	switch strings.ToLower(value) {
	case "", "base2_exponential_bucket_histogram":
	case "explicit_bucket_histogram":
		cfg.ExplicitBuckets = true
	default:
		return fmt.Errorf("%s: %q: expected base2_exponential_bucket_histogram or explicit_bucket_histogram", name, value)
	}
	return nil
}

// number leaves n as it is where there is no variable.
func (v variables) number(n *int, most int, names ...string) error {
	name, value := v.get(names...)
	if name == "" {
		return nil
	}
	i, err := strconv.Atoi(value)
	if err != nil || i < 1 || i > most {
		return fmt.Errorf("%s: %q: expected a number from 1 to %d", name, value, most)
	}
	*n = i
	return nil
}

func (v variables) milliseconds(d *time.Duration, names ...string) error {
	const most = 24 * 60 * 60 * 1000
	ms := int(*d / time.Millisecond)
	if err := v.number(&ms, most, names...); err != nil {
		return fmt.Errorf("%w milliseconds", err)
	}
	*d = time.Duration(ms) * time.Millisecond
	return nil
}

// wanted tells whether a signal is asked for: --otlp-signals says so, else
// OTEL_TRACES_EXPORTER and its like, else all are.
func (v variables) wanted(s *signal, set *Settings) (bool, error) {
	if len(set.Signals) > 0 {
		return slices.Contains(set.Signals, s.name), nil
	}
	name, value := v.get("OTEL_" + strings.ToUpper(s.name) + "_EXPORTER")
	switch value {
	case "", "otlp":
		return true, nil
	case "none":
		return false, nil
	}
	return false, fmt.Errorf("%s: %q: expected otlp or none", name, value)
}
