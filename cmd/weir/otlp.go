package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/exporters/otel"
)

// otlpFlags say where what weir sees is sent over OTLP. What they leave open is
// read from OpenTelemetry's own variables.
func (c *config) otlpFlags(fs *pflag.FlagSet) {
	fs.StringVar(&c.otlp.Endpoint, "otlp-endpoint", "", "`URL` of an OpenTelemetry receiver; empty for OTEL_EXPORTER_OTLP_ENDPOINT, else none")
	c.otlp.Protocol = otel.Auto
	choiceVar(fs, &c.otlp.Protocol, "otlp-protocol", "", []string{otel.Auto, string(otel.GRPC), string(otel.HTTP)}, "how it is spoken to; auto is OTEL_EXPORTER_OTLP_PROTOCOL, else gRPC at port 4317 and HTTP at others")
	signalsVar(fs, &c.otlp.Signals, "otlp-signals", "what is sent, of traces,metrics,logs; empty for all that OTEL_*_EXPORTER leaves on")
	c.otlp.TracesBudget = otel.DefaultTracesBudget
	intVar(fs, &c.otlp.TracesBudget, "otlp-traces-budget", 0, 1<<20, "requests a second that become spans, by whole traces; 0 for any number. Errors, denials and slow ones always do")
	fs.StringVar(&c.otlp.HeadersFile, "otlp-headers-file", "", "`file` with headers for the receiver, name=value a line")
	fs.StringVar(&c.otlp.CA, "otlp-ca", "", "PEM `file` with the authorities of the receiver's certificate")
	fs.StringVar(&c.otlp.Cert, "otlp-cert", "", "PEM `file` with weir's certificate for the receiver")
	fs.StringVar(&c.otlp.Key, "otlp-key", "", "PEM `file` with its key")
}

// signalsVar is a flag for some of OTLP's signals.
func signalsVar(fs *pflag.FlagSet, p *[]string, name, usage string) {
	fs.Var(value{
		set: func(s string) error {
			var list []string
			for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) {
				if word = strings.TrimSpace(word); !slices.Contains(otel.Signals(), word) {
					return fmt.Errorf("expected some of %s", strings.Join(otel.Signals(), ","))
				}
				list = append(list, word)
			}
			*p = list
			return nil
		},
		get: func() string { return strings.Join(*p, ",") },
		typ: "list",
	}, name, usage)
}

// openOTLP makes the exporter that is asked for; nil for none.
func (a *app) openOTLP(health func() collector.Health) (*otel.Exporter, error) {
	cfg, err := otel.FromEnvironment(a.lookup, a.cfg.otlp)
	if err != nil || cfg == nil {
		return nil, err
	}
	cfg.Node, cfg.Version, cfg.Logger, cfg.Flush = hostName(), thisBuild().Version, a.log.With("sink", "otel"), drainTime
	cfg.Health, cfg.Budget = health, a.cfg.flowBudget
	return otel.New(*cfg)
}

// startOTLP sends until the function that it returns is called, which waits for
// what is left to be sent, but not for long. It outlives ctx: the last records come
// when everything else has ended.
func (d *daemon) startOTLP(ctx context.Context) (stop func()) {
	if d.otlp == nil {
		return func() {}
	}
	sending, end := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.otlp.Run(sending)
	}()
	d.app.log.Info("sending over OTLP", "to", d.otlp.String())
	return func() {
		end()
		<-done
	}
}
