// Command receiver is the OpenTelemetry Collector's own OTLP receiver, which the
// tests of exporters/otel send to. What it took it writes to standard output, a line
// of JSON for each message. It is a module of its own, so that the Collector's many
// dependencies stay out of weir's.
//
// Its arguments are the addresses for gRPC and HTTP.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "receiver:", err)
		os.Exit(1)
	}
}

func run(grpc, http string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	factory := otlpreceiver.NewFactory()
	cfg := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{
		"grpc": map[string]any{"endpoint": grpc}, "http": map[string]any{"endpoint": http},
	}}).Unmarshal(cfg); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	settings := receiver.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	started, err := start(ctx, factory, settings, cfg)
	if err != nil {
		return err
	}
	<-ctx.Done()
	for _, c := range started {
		if err := c.Shutdown(context.Background()); err != nil {
			return fmt.Errorf("stop: %w", err)
		}
	}
	return nil
}

// start makes and starts the receiver of each signal; they share one server.
func start(ctx context.Context, f receiver.Factory, s receiver.Settings, cfg component.Config) ([]component.Component, error) {
	var mu sync.Mutex
	put := func(b []byte, err error) error {
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		_, err = os.Stdout.Write(append(bytes.TrimSpace(b), '\n'))
		return err
	}
	traces, err := consumer.NewTraces(func(_ context.Context, d ptrace.Traces) error {
		return put((&ptrace.JSONMarshaler{}).MarshalTraces(d))
	})
	if err != nil {
		return nil, err
	}
	metrics, err := consumer.NewMetrics(func(_ context.Context, d pmetric.Metrics) error {
		return put((&pmetric.JSONMarshaler{}).MarshalMetrics(d))
	})
	if err != nil {
		return nil, err
	}
	logs, err := consumer.NewLogs(func(_ context.Context, d plog.Logs) error {
		return put((&plog.JSONMarshaler{}).MarshalLogs(d))
	})
	if err != nil {
		return nil, err
	}
	t, err := f.CreateTraces(ctx, s, cfg, traces)
	if err != nil {
		return nil, err
	}
	m, err := f.CreateMetrics(ctx, s, cfg, metrics)
	if err != nil {
		return nil, err
	}
	l, err := f.CreateLogs(ctx, s, cfg, logs)
	if err != nil {
		return nil, err
	}
	all := []component.Component{t, m, l}
	for _, c := range all {
		if err := c.Start(ctx, componenttest.NewNopHost()); err != nil {
			return nil, fmt.Errorf("start: %w", err)
		}
	}
	return all, nil
}
