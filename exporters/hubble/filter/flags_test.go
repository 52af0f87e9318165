package filter_test

import (
	"io"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"github.com/spf13/pflag"

	"github.com/seed79351815/weir/exporters/hubble/filter"
)

func parse(args ...string) (*observerpb.GetFlowsRequest, error) {
	var (
		flags filter.Flags
		sel   filter.Selection
	)
	fs := pflag.NewFlagSet("observe", pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	flags.Register(fs)
	sel.Register(fs)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	return sel.Request(time.Unix(1_800_000_000, 0), &flags)
}

func raw(t *testing.T, allow, deny []*flowpb.FlowFilter) string {
	t.Helper()
	var b strings.Builder
	if err := filter.Raw(&b, allow, deny); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// weir keeps no headers, and its server says so; the flag is Hubble's.
func TestHeaderFlag(t *testing.T) {
	req, err := parse("--http-header", "a:b:c")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := raw(t, req.Whitelist, nil), "allowlist:\n    - '{\"http_header\":[{\"key\":\"a\",\"value\":\"b:c\"}]}'\n"; got != want {
		t.Errorf("got %swant %s", got, want)
	}
	if _, err := filter.Compile(req.Whitelist, nil); err == nil || !strings.Contains(err.Error(), "keeps no headers") {
		t.Errorf("error %v", err)
	}
}

// What "hubble observe --print-raw-filters" makes of the same flags.
func TestFlags(t *testing.T) {
	yaml := func(name string, filters ...string) string {
		var b strings.Builder
		b.WriteString(name + ":\n")
		for _, f := range filters {
			b.WriteString("    - '" + f + "'\n")
		}
		return b.String()
	}
	for _, tt := range []struct{ args, want string }{
		{"", ""},
		{"--pod web", yaml("allowlist", `{"source_pod":["web"]}`, `{"destination_pod":["web"]}`)},
		{"--pod a --pod b", yaml("allowlist", `{"source_pod":["a","b"]}`, `{"destination_pod":["a","b"]}`)},
		{"--from-pod web --to-port 80", yaml("allowlist", `{"source_pod":["web"],"destination_port":["80"]}`)},
		{"--pod web --port 80", yaml("allowlist", `{"source_pod":["web"],"source_port":["80"]}`, `{"destination_pod":["web"],"destination_port":["80"]}`)},
		{"--pod web --verdict dropped", yaml("allowlist", `{"source_pod":["web"],"verdict":["DROPPED"]}`, `{"destination_pod":["web"],"verdict":["DROPPED"]}`)},
		{"-n shop", yaml("allowlist", `{"source_pod":["shop/"]}`, `{"destination_pod":["shop/"]}`)},
		{"-n shop --pod web", yaml("allowlist", `{"source_pod":["shop/web"]}`, `{"destination_pod":["shop/web"]}`)},
		{"--to-namespace a --to-namespace b", yaml("allowlist", `{"destination_pod":["a/","b/"]}`)},
		{"--to-service db --to-namespace a", yaml("allowlist", `{"destination_service":["a/db"]}`)},
		{"-A", yaml("allowlist", `{"source_pod":["/"]}`, `{"destination_pod":["/"]}`)},
		{"--not --pod web --verdict FORWARDED", yaml("allowlist", `{"verdict":["FORWARDED"]}`) + yaml("denylist", `{"source_pod":["web"]}`, `{"destination_pod":["web"]}`)},
		{"--not --http-method put --not --to-namespace foo", yaml("denylist", `{"destination_pod":["foo/"],"http_method":["put"]}`)},
		{"-t drop -t trace:to-endpoint -t 129:7", yaml("allowlist", `{"event_type":[{"type":1},{"type":4,"match_sub_type":true},{"type":129,"match_sub_type":true,"sub_type":7}]}`)},
		{"--tcp-flags syn,ack --tcp-flags FIN", yaml("allowlist", `{"tcp_flags":[{"SYN":true,"ACK":true},{"FIN":true}]}`)},
		{"-4", yaml("allowlist", `{"ip_version":["IPv4"]}`)},
		{"-6 --ip-version v4", yaml("allowlist", `{"ip_version":["IPv6","IPv4"]}`)},
		{"--identity host --to-workload Deployment/web", yaml("allowlist",
			`{"destination_workload":[{"name":"web","kind":"Deployment"}],"source_identity":[1]}`,
			`{"destination_workload":[{"name":"web","kind":"Deployment"}],"destination_identity":[1]}`)},
		{"--traffic-direction Egress --drop-reason-desc policy_denied", yaml("allowlist", `{"traffic_direction":["EGRESS"],"drop_reason_desc":["POLICY_DENIED"]}`)},
		{"--http-method get --http-status 5+ -t l7 --protocol http", yaml("allowlist", `{"event_type":[{"type":129}],"http_status_code":["5+"],"protocol":["http"],"http_method":["get"]}`)},
		{`--dns-query \.example\.$`, yaml("allowlist", `{"dns_query":["\\.example\\.$"]}`)},
		{"--http-path it's", yaml("allowlist", `{"http_path":["it''s"]}`)},
		{"--reply", yaml("allowlist", `{"reply":[true]}`)},
		{"--ip 10.0.0.0/8", yaml("allowlist", `{"source_ip":["10.0.0.0/8"]}`, `{"destination_ip":["10.0.0.0/8"]}`)},
		{"--container web", yaml("allowlist", `{"source_label":["container:name=web"]}`, `{"destination_label":["container:name=web"]}`)},
		{"--to-container 0123456789abcdef", yaml("allowlist", `{"destination_label":["container:name=0123456789abcdef","container:id=0123456789ab"]}`)},
		{"--container web -l a=b -l c", yaml("allowlist", `{"source_label":["a=b,container:name=web","c,container:name=web"]}`, `{"destination_label":["a=b,container:name=web","c,container:name=web"]}`)},
		{"--from-container a --from-container b --to-label c", yaml("allowlist", `{"source_label":["container:name=a","container:name=b"],"destination_label":["c"]}`)},
		{`--allowlist {"source_pod":["x"]}{"verdict":["DROPPED"]} --denylist {"reply":[true]}`,
			yaml("allowlist", `{"source_pod":["x"]}`, `{"verdict":["DROPPED"]}`) + yaml("denylist", `{"reply":[true]}`)},
	} {
		t.Run(tt.args, func(t *testing.T) {
			req, err := parse(strings.Fields(tt.args)...)
			if err != nil {
				t.Fatal(err)
			}
			if got := raw(t, req.Whitelist, req.Blacklist); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
			if _, err := filter.Compile(req.Whitelist, req.Blacklist); err != nil {
				t.Errorf("weir's own server refuses it: %v", err)
			}
		})
	}
}

func TestWrongFlags(t *testing.T) {
	for args, want := range map[string]string{
		"--verdict DROPED":                 `did you mean "DROPPED"?`,
		"--verdict nonsense":               "known: FORWARDED, DROPPED",
		"--protocol upd":                   `did you mean "udp"?`,
		"--drop-reason-desc POLICY_DENYED": `did you mean "POLICY_DENIED"?`,
		"-t trce":                          `did you mean "trace"?`,
		"-t trace:to-endpont":              `did you mean "to-endpoint"?`,
		"-t drop:x":                        `sub-type "x"`,
		"--tcp-flags SIN":                  `did you mean "SYN"?`,
		"--traffic-direction up":           "ingress",
		"--identity hots":                  `did you mean "host"?`,
		"--port http":                      `"http" is no port`,
		"--ip 10.0.0":                      "no IP address",
		"--label a=b=c(":                   "where a comma should be",
		"--container a,b":                  "neither a name nor an id",
		"--http-header x":                  "name:value",
		"--ip-trace-id 0":                  "above 0",
		"--namespace a/b":                  "slash",
		"--not":                            "--not without a filter",
		"--not --not --pod x":              "two --not in a row",
		"--pod x --from-pod y":             "--pod and --from-pod cannot be combined",
		"--ip 1.1.1.1 --pod x":             "cannot be combined",
		"--namespace a --from-pod x":       "cannot be combined",
		"--container a --to-container b":   "cannot be combined",
		"--namespace a --pod b/x":          "namespace conflict",
		"--pod a/x --service b/y":          "namespace conflict",
		`--allowlist {"pod":1}`:            "--allowlist",
		"--first 1 --last 1":               "cannot be combined",
		"--first 1 --all":                  "cannot be combined",
		"--first 1 --follow":               "cannot be combined",
		"--last 1 --all":                   "cannot be combined",
		"--since yesterday":                "neither a duration",
		"--until x":                        "--until",
	} {
		_, err := parse(strings.Fields(args)...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one with %q", args, err, want)
		}
	}
}

func TestSelection(t *testing.T) {
	for _, tt := range []struct {
		args          string
		number        uint64
		first, follow bool
		since, until  int64
	}{
		{"", 20, false, false, 0, 0},
		{"--last 5", 5, false, false, 0, 0},
		{"-f", 0, false, true, 0, 0},
		{"-f --last 5", 5, false, true, 0, 0},
		{"--all", 1<<64 - 1, false, false, 0, 0},
		{"--first 3", 3, true, false, 0, 0},
		{"--since 5m", 0, false, false, 1_800_000_000 - 300, 0},
		{"--since 5m --until 1m", 0, false, false, 1_800_000_000 - 300, 1_800_000_000 - 60},
		{"--since 2026-11-24", 0, false, false, 1_795_478_400, 0},
		{"--since 2026-11-24T01:00:00+01:00", 0, false, false, 1_795_478_400, 0},
		{"--until 1m -f", 0, false, true, 0, 0},
	} {
		req, err := parse(strings.Fields(tt.args)...)
		if err != nil {
			t.Errorf("%q: %v", tt.args, err)
			continue
		}
		if req.Number != tt.number || req.First != tt.first || req.Follow != tt.follow || req.GetSince().GetSeconds() != tt.since || req.GetUntil().GetSeconds() != tt.until {
			t.Errorf("%q: %v", tt.args, req)
		}
	}
}

func TestCompletions(t *testing.T) {
	var f filter.Flags
	c := f.Completions()
	for flag, value := range map[string]string{"verdict": "AUDIT", "type": "trace:to-stack", "protocol": "tcp", "identity": "world", "traffic-direction": "egress"} {
		if !strings.Contains(strings.Join(c[flag], " "), value) {
			t.Errorf("--%s does not offer %s: %v", flag, value, c[flag])
		}
	}
}
