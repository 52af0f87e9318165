package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/seed79351815/weir/collector/flow"
)

func choiceOf(t *testing.T, args ...string) *packetChoice {
	t.Helper()
	var c packetChoice
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	c.flags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &c
}

func TestChoiceMatches(t *testing.T) {
	web := &flow.Workload{Name: "shop-web-1", Namespace: "shop", Container: "0123456789abcdef", Owner: flow.Owner{Kind: "ComposeService", Name: "web"}}
	host := &flow.Workload{Name: "host", Owner: flow.Owner{Kind: "Host", Name: "host"}}
	for _, tt := range []struct {
		args      string
		web, host bool
	}{
		{"", true, true},
		{"--workload web", true, false},
		{"--workload shop/shop-web-1", true, false},
		{"--workload shop-web-1", true, false},
		{"--workload composeservice/web", true, false},
		{"--workload Deployment/web", false, false},
		{"--workload shop-web", false, false},
		{"--workload web --workload host", true, true},
		{"--container shop-web-1", true, false},
		{"--container 0123456789ab", true, false},
		{"--container 0123456789a", false, false},
		{"--container host", false, false},
		{"--workload host --container shop-web-1", false, false},
		{"--port 80", true, true},
	} {
		c := choiceOf(t, strings.Fields(tt.args)...)
		if c.matches(web) != tt.web || c.matches(host) != tt.host {
			t.Errorf("%q: %v and %v, want %v and %v", tt.args, c.matches(web), c.matches(host), tt.web, tt.host)
		}
		if c.String() != tt.args {
			t.Errorf("%q is said as %q", tt.args, c)
		}
	}
}

func TestChoiceFlags(t *testing.T) {
	c := choiceOf(t, "--port", "80", "--port", "443", "--ip", "10.0.0.0/8", "--ip", "::ffff:10.0.0.1", "--protocol", "UDP", "--workload", "x")
	if len(c.ports) != 2 || c.ranges[1].String() != "10.0.0.1/32" || c.protocol != flow.UDP || c.name() != "x" {
		t.Errorf("%+v", c)
	}
	for _, args := range []string{"--port 0", "--port 65536", "--ip x", "--ip ::ffff:10.0.0.0/104", "--protocol x", "--protocol 0", "--workload=", strings.Repeat("--port 1 ", 9)} {
		var c packetChoice
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		c.flags(fs)
		if err := fs.Parse(strings.Fields(args)); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}

func TestBelow(t *testing.T) {
	for _, tt := range []struct {
		path, above string
		want        bool
	}{{"/a/b", "/a", true}, {"/a", "/a", true}, {"/ab", "/a", false}, {"/a", "/a/b", false}, {"/a", "/", true}} {
		if below(tt.path, tt.above) != tt.want {
			t.Errorf("below(%q, %q) = %v", tt.path, tt.above, !tt.want)
		}
	}
}
