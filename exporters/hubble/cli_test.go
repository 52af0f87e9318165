package hubble_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"github.com/spf13/pflag"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/filter"
	"github.com/seed79351815/weir/exporters/hubble/hubbletest"
	"github.com/seed79351815/weir/exporters/hubble/printer"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

// The real client reads weir's flows: the promise of the whole package.
func TestRealHubbleCLI(t *testing.T) {
	programs := hubbletest.Need(t)
	o := hubble.NewObserver(hubble.Config{NodeName: "node-1", Version: "1.2.3"})
	target, _ := serve(t, o)
	c := programs.Client(t, target)
	ssh := recordtest.New(3, flow.RecordStart)
	ssh.Flow.Client.Workload, ssh.Flow.Client.Comm, ssh.Flow.Server.Names = recordtest.Host(), flow.MakeComm("ssh\x1b"), nil
	back := recordtest.New(4, flow.RecordDrop)
	back.Drop.Source, back.Drop.Destination = back.Drop.Destination, back.Drop.Source
	consume(t, o, recordtest.New(1, flow.RecordStart), recordtest.New(2, flow.RecordEnd), ssh, back)

	t.Run("compact is what weir prints", func(t *testing.T) {
		c.T = t
		if got, want := c.Run("observe"), ours(t, o, printer.FormatCompact); got != want {
			t.Errorf("hubble\n%sweir\n%s", got, want)
		}
		if got, want := c.Run("observe", "-o", "dict"), ours(t, o, printer.FormatDict); got != want {
			t.Errorf("hubble\n%sweir\n%s", got, want)
		}
		if got, want := c.Run("observe", "-o", "table"), ours(t, o, printer.FormatTable); got != want {
			t.Errorf("hubble\n%sweir\n%s", got, want)
		}
	})
	t.Run("json", func(t *testing.T) {
		c.T = t
		got, want := c.Run("observe", "-o", "json"), ours(t, o, printer.FormatJSON)
		if strings.Count(got, "\n") != 4 || !strings.Contains(got, `"payload_bytes":340000`) || !strings.Contains(got, `"destination_names":["db.example.com"]`) {
			t.Errorf("hubble\n%s", got)
		}
		// The order of fields in a Struct is not fixed in JSON.
		g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
		for i := range g {
			if canonical(g[i]) != canonical(w[i]) {
				t.Errorf("hubble %s\nweir   %s", g[i], w[i])
			}
		}
	})
	t.Run("filters", func(t *testing.T) {
		c.T = t
		for args, want := range map[string]int{
			"--pod shop/shop-web": 3, "-n shop": 3, "--pod ssh": 1, "--verdict DROPPED": 1, "--not --verdict DROPPED": 3, "--port 5432 --last 2": 2,
			"--label container:name=shop-web-1": 3, "--identity host": 1, "--to-fqdn *.example.com": 2, "--protocol udp": 0, "--tcp-flags FIN": 1,
			"--workload ComposeService/web": 3, "--since 1h": 0, "--first 1": 1, "--reply": 1, "--ip 172.18.0.0/16 -t drop": 1,
		} {
			n := strings.Count(c.Run(append([]string{"observe"}, strings.Fields(args)...)...), "\n")
			if n != want {
				t.Errorf("%s: %d flows, want %d", args, n, want)
			}
		}
		if out, err := c.Command("observe", "--cel-expression", "true").CombinedOutput(); err == nil || !strings.Contains(string(out), "CEL") {
			t.Errorf("CEL: %v, %s", err, out)
		}
	})
	t.Run("flags mean the same", func(t *testing.T) {
		c.T = t
		for _, args := range []string{
			"--pod web", "--pod a --pod b", "--from-pod web --to-port 80", "--pod web --port 80", "-n shop", "-n shop --pod web", "--to-namespace a --to-namespace b",
			"--to-service db --to-namespace a", "-A", "--not --pod web --verdict FORWARDED", "--not --http-method put --not --to-namespace foo",
			"-t drop -t trace:to-endpoint -t 129:7", "--tcp-flags syn,ack --tcp-flags FIN", "-4", "-6 --ip-version v4", "--identity host --to-workload Deployment/web",
			"--traffic-direction Egress --drop-reason-desc POLICY_DENIED", "--http-header a:b:c --http-status 5+", "-t l7 --protocol http --http-path ^/a --http-url x", "--not --protocol tls --protocol dns", "--reply", "--ip 10.0.0.0/8", "--fqdn *.x --verdict AUDIT",
			"--label a=b,!c --node-name x*", "--uuid u --not --port 1 --not --port 2", "--encrypted --interface eth0 --ip-trace-id 7 --trace-id abc", "--cluster a --service b",
			`--allowlist {"source_pod":["x"]}{"verdict":["DROPPED"]} --denylist {"reply":[true]}`, "--snat-ip 1.2.3.4 --from-label x --to-identity 300",
		} {
			want := c.Run(append([]string{"observe", "--print-raw-filters"}, strings.Fields(args)...)...)
			var (
				flags filter.Flags
				got   strings.Builder
			)
			fs := pflag.NewFlagSet("observe", pflag.ContinueOnError)
			flags.Register(fs)
			if err := fs.Parse(strings.Fields(args)); err != nil {
				t.Errorf("%s: %v", args, err)
				continue
			}
			allow, deny, err := flags.Lists()
			if err != nil {
				t.Errorf("%s: %v", args, err)
				continue
			}
			if err := filter.Raw(&got, allow, deny); err != nil || got.String() != want {
				t.Errorf("%s: %v\nhubble\n%sweir\n%s", args, err, want, &got)
			}
		}
	})
	t.Run("status and lists", func(t *testing.T) {
		c.T = t
		if out := c.Run("status"); !strings.Contains(out, "Healthcheck (via "+target+"): Ok") || !strings.Contains(out, "Current/Max Flows: 4/65,536") {
			t.Errorf("status: %s", out)
		}
		if out := c.Run("list", "nodes"); !strings.Contains(out, "node-1") || !strings.Contains(out, "Connected") {
			t.Errorf("nodes: %s", out)
		}
		if out := c.Run("list", "namespaces"); !strings.Contains(out, "shop") {
			t.Errorf("namespaces: %s", out)
		}
	})
	t.Run("follow", func(t *testing.T) { follow(t, c, o) })
	t.Run("layer 7", func(t *testing.T) { layer7(t, programs) })
}

// layer7 holds what the real client makes of exchanges against weir's own.
func layer7(t *testing.T, programs hubbletest.Programs) {
	o := hubble.NewObserver(hubble.Config{NodeName: "node-1", Version: "1.2.3"})
	target, _ := serve(t, o)
	c := programs.Client(t, target)
	http := recordtest.Exchange(2, flow.HTTP)
	failed, unanswered, hostile := recordtest.Exchange(5, flow.HTTP), recordtest.Exchange(6, flow.DNS), recordtest.Exchange(7, flow.HTTP)
	failed.L7.Exchange.Status, unanswered.L7.Exchange.Status = 503, flow.NoAnswer
	hostile.L7.Exchange.HTTP.Path = "/\x1b[2J/%zz?{x}"
	consume(t, o, recordtest.New(1, flow.RecordStart), http, recordtest.Tally(http, 1000), recordtest.Exchange(3, flow.DNS), recordtest.Exchange(4, flow.TLS),
		failed, unanswered, hostile)
	for _, f := range []struct {
		args   []string
		format printer.Format
	}{{nil, printer.FormatCompact}, {[]string{"-o", "dict"}, printer.FormatDict}, {[]string{"-o", "table"}, printer.FormatTable}} {
		if got, want := c.Run(append([]string{"observe"}, f.args...)...), ours(t, o, f.format); got != want {
			t.Errorf("%v: hubble\n%sweir\n%s", f.args, got, want)
		}
	}
	for _, want := range []string{
		"shop/shop-web-1:40000 (ID:", "<- db.example.com:8080 (world) http-response FORWARDED (HTTP/1.1 200 3ms (GET http://db.example.com:8080/users/17))",
		`dns-response kernel FORWARDED (DNS Answer "192.0.2.7,192.0.2.8" TTL: 30 (Query cart.shop.example. A))`,
		"l7-response FORWARDED (TLS 1.3 3ms (api.example.com, ", "-> db.example.com:8080 (world) dns-request kernel FORWARDED (DNS Query cart.shop.example. A; no answer)",
	} {
		if got := c.Run("observe"); !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	got, want := strings.Split(c.Run("observe", "-o", "json"), "\n"), strings.Split(ours(t, o, printer.FormatJSON), "\n")
	if len(got) != len(want) || len(got) != 8 {
		t.Fatalf("%d lines of JSON, weir has %d", len(got), len(want))
	}
	for i := range got {
		if canonical(got[i]) != canonical(want[i]) {
			t.Errorf("hubble %s\nweir   %s", got[i], want[i])
		}
	}
	for args, want := range map[string]int{
		"--type l7": 6, "-t l7 --protocol http": 3, "--protocol dns": 2, "--protocol tls": 1, "--http-status 200": 2, "--http-status 5+": 1, "--http-method get": 3,
		`--http-path ^/users/\d+$`: 2, `--http-url ^http://db\.example\.com:8080/users`: 2, "--not --protocol http": 4, "--not --type l7": 1,
		"--from-fqdn db.example.com": 5, "--to-fqdn db.example.com": 2, "--fqdn db.example.com --type l7": 6, "--reply": 5, "--pod shop/shop-web --protocol http": 3,
		"--trace-id 4bf92f3577b34da6a3ce929d0e0e4736": 3, `--allowlist {"dns_query":["^cart\\.shop\\.example\\.$"]}`: 2,
	} {
		if n := strings.Count(c.Run(append([]string{"observe"}, strings.Fields(args)...)...), "\n"); n != want {
			t.Errorf("%s: %d flows, want %d", args, n, want)
		}
	}
	if out, err := c.Command("observe", "--http-header", "a:b").CombinedOutput(); err == nil || !strings.Contains(string(out), "keeps no headers") {
		t.Errorf("headers: %v, %s", err, out)
	}
}

// follow watches one new flow come out of "hubble observe -f".
func follow(t *testing.T, c hubbletest.CLI, o *hubble.Observer) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := c.Command("observe", "-f", "--last", "1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer context.AfterFunc(ctx, func() { cmd.Process.Kill() })()
	defer cmd.Wait()
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || !strings.Contains(lines.Text(), "Policy denied DROPPED") {
		t.Fatalf("the last flow: %q, %v", lines.Text(), lines.Err())
	}
	consume(t, o, recordtest.New(99, flow.RecordEnd))
	if !lines.Scan() || !strings.Contains(lines.Text(), "closed after 3.2s") {
		t.Errorf("the new flow: %q, %v", lines.Text(), lines.Err())
	}
}

// ours is the same in weir's own words.
func ours(t *testing.T, o *hubble.Observer, f printer.Format) string {
	t.Helper()
	var b bytes.Buffer
	p := printer.New(printer.Options{Format: f, Out: &b})
	if err := o.Flows(t.Context(), &observerpb.GetFlowsRequest{Number: 20}, p.Write); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func canonical(line string) string {
	if line == "" {
		return ""
	}
	var v any
	if err := json.Unmarshal([]byte(line), &v); err != nil {
		return err.Error()
	}
	out, _ := json.Marshal(v)
	return string(out)
}
