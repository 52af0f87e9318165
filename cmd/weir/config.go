package main

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/seed79351815/weir/cmd/weir/settings"
	"github.com/seed79351815/weir/exporters/otel"
)

const (
	defaultConfigFile = "/etc/weir/weir.yaml"
	defaultSocket     = "/run/weir/weir.sock"
)

// config is every setting: what can stand in the configuration file, in the
// environment and on the command line. What says only what one call shall do
// (observe's filters) is not here.
type config struct {
	file string

	logFormat string
	logLevel  string
	socket    string

	cgroupRoot   string
	kernelBuffer settings.Size
	interval     time.Duration
	maxFlows     int
	unredacted   bool

	stateDir      string
	bpfFS         string
	socketGroup   string
	ring          int
	hubbleListen  string
	hubbleCert    string
	hubbleKey     string
	hubbleCA      string
	hubblePeers   string
	metricsListen string
	metricsBudget int
	otlp          otel.Settings

	metricsWebConfig string
	metricsLabels    string
	metricsOmit      string

	enforceUnknown string

	history         time.Duration
	historySize     settings.Size
	flowBudget      int
	flowLog         string
	flowLogSize     settings.Size
	flowLogAge      time.Duration
	flowLogKeep     int
	flowLogCompress bool
}

// commonFlags are on every command.
func (c *config) commonFlags(fs *pflag.FlagSet) {
	fs.StringVar(&c.file, "config", defaultConfigFile, "configuration `file`")
	c.logFormat, c.logLevel = "auto", "info"
	choiceVar(fs, &c.logFormat, "log-format", "", []string{"auto", "text", "json"}, "how messages are written; auto is text, with priorities under systemd")
	choiceVar(fs, &c.logLevel, "log-level", "", []string{"debug", "info", "warn", "error"}, "the least urgent messages to write; commands other than run begin with warn")
}

// clientFlags are for commands that talk to the daemon, and for the daemon.
func (c *config) clientFlags(fs *pflag.FlagSet) {
	c.socket = defaultSocket
	socketVar(fs, &c.socket, "socket", "the daemon's control socket")
}

// captureFlags are for commands that may capture by themselves.
func (c *config) captureFlags(fs *pflag.FlagSet) {
	fs.StringVar(&c.cgroupRoot, "cgroup-root", "", "`directory` where cgroup v2 is mounted; found when empty")
	c.kernelBuffer, c.interval, c.maxFlows = 4<<20, time.Second, 65536
	powerVar(fs, &c.kernelBuffer, "kernel-buffer", 64<<10, 1<<30, "ring buffer between kernel and weir")
	durationVar(fs, &c.interval, "interval", 100*time.Millisecond, time.Minute, "how often the counters of living flows are read")
	intVar(fs, &c.maxFlows, "max-flows", 1024, 1<<24, "flows in the flow table")
	fs.BoolVar(&c.unredacted, "unredacted", false, "show and record paths as they were sent, with what looks like secrets in them (root only)")
}

// placeFlags say where weir keeps what outlives the daemon.
func (c *config) placeFlags(fs *pflag.FlagSet) {
	c.stateFlags(fs)
	c.pinFlags(fs)
}

// stateFlags are for commands that read what the daemon has written.
func (c *config) stateFlags(fs *pflag.FlagSet) {
	fs.StringVar(&c.stateDir, "state-dir", "/var/lib/weir", "`directory` for what outlives the daemon")
}

// pinFlags are for commands that look for what is pinned.
func (c *config) pinFlags(fs *pflag.FlagSet) {
	fs.StringVar(&c.bpfFS, "bpf-fs", "/sys/fs/bpf/weir", "`directory` on a BPF file system for pinned programs and maps")
}

// daemonFlags are for weir run.
func (c *config) daemonFlags(fs *pflag.FlagSet) {
	c.placeFlags(fs)
	fs.StringVar(&c.socketGroup, "socket-group", "weir", "`group` that may use the control socket, where it exists")
	c.ring, c.metricsBudget = 65536, 2000
	intVar(fs, &c.ring, "ring", 1, 1<<24, "newest flows to keep for observe")
	c.hubbleListen = "unix:///run/weir/hubble.sock"
	listVar(fs, &c.hubbleListen, "hubble-listen", "addresses", listenError,
		"addresses of the Hubble API, unix:///path or host:port, separated by commas; empty for none")
	fs.StringVar(&c.hubbleCert, "hubble-cert", "", "PEM `file` with the certificate for a Hubble API on host:port")
	fs.StringVar(&c.hubbleKey, "hubble-key", "", "PEM `file` with its key")
	fs.StringVar(&c.hubbleCA, "hubble-client-ca", "", "PEM `file` with the authorities of its clients' certificates")
	listVar(fs, &c.hubblePeers, "hubble-peers", "peers", peersError,
		"nodes that a Hubble Relay shall read too, [name=]host:port[/server-name] or name=unix:///path, separated by commas")
	fs.StringVar(&c.metricsListen, "metrics-listen", "127.0.0.1:9934", "`address` of the Prometheus endpoint; empty for none")
	fs.StringVar(&c.metricsWebConfig, "metrics-web-config", "", "`file` with TLS and basic authentication for the endpoint, as Prometheus's own exporters take it")
	intVar(fs, &c.metricsBudget, "metrics-budget", 10, 1<<20, "series of each metric")
	c.otlpFlags(fs)
	listVar(fs, &c.metricsLabels, "metrics-labels", "labels", func(s string) error { return labelsError(s, "") },
		"labels to add to both ends of each series: owner, owner_kind, runtime, image, container, label:KEY; separated by commas")
	listVar(fs, &c.metricsOmit, "metrics-omit", "labels", func(s string) error { return labelsError("", s) },
		"labels to leave empty, such as http_route; separated by commas")
	c.keptFlags(fs)
	c.enforceUnknown = unknownAllow
	choiceVar(fs, &c.enforceUnknown, "enforce-unknown", "", []string{unknownAllow, unknownDeny},
		"what becomes of a container that starts while the daemon is away, where policies are at work and none of them knows it")
}

// allFlags are every setting there is.
func (c *config) allFlags(fs *pflag.FlagSet) {
	c.commonFlags(fs)
	c.clientFlags(fs)
	c.captureFlags(fs)
	c.daemonFlags(fs)
}

// knownSettings are what a file may hold: all but the name of the file itself.
func knownSettings() *pflag.FlagSet {
	all := pflag.NewFlagSet("settings", pflag.ContinueOnError)
	new(config).allFlags(all)
	known := pflag.NewFlagSet("settings", pflag.ContinueOnError)
	all.VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" {
			known.AddFlag(f)
		}
	})
	return known
}
