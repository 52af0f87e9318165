package query

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"google.golang.org/protobuf/encoding/prototext"
)

func build(t *testing.T, args ...string) (allow, deny string, err error) {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	var q Filters
	q.Flags(fs)
	if err := fs.Parse(args); err != nil {
		return "", "", err
	}
	a, d, err := q.Build()
	return show(a), show(d), err
}

// show prints filters on one line, with " | " between them. prototext varies its
// spaces from build to build, so that nobody depends on them.
func show(fs []*filter) string {
	var parts []string
	for _, f := range fs {
		s := strings.Join(strings.Fields(prototext.MarshalOptions{}.Format(f)), " ")
		parts = append(parts, strings.ReplaceAll(s, ": ", ":"))
	}
	return strings.Join(parts, " | ")
}

func TestBuild(t *testing.T) {
	for _, tc := range []struct {
		args, allow, deny string
	}{
		{"", "", ""},
		{"--pod web", `source_pod:"web" | destination_pod:"web"`, ""},
		{"--from-pod web", `source_pod:"web"`, ""},
		{"--from-pod web --to-pod db", `source_pod:"web" destination_pod:"db"`, ""},
		{"--pod web --pod db --port 80", `source_pod:"web" source_pod:"db" source_port:"80" | destination_pod:"web" destination_pod:"db" destination_port:"80"`, ""},
		{"--port 80 --protocol tcp", `protocol:"tcp" source_port:"80" | protocol:"tcp" destination_port:"80"`, ""},
		{"-n shop", `source_pod:"shop/" | destination_pod:"shop/"`, ""},
		{"-n shop -n blog --pod web", `source_pod:"shop/web" source_pod:"blog/web" | destination_pod:"shop/web" destination_pod:"blog/web"`, ""},
		{"--from-namespace shop --to-pod x/db", `source_pod:"shop/" destination_pod:"x/db"`, ""},
		{"--to-namespace shop --to-service db", `destination_service:"shop/db"`, ""},
		{"--not --port 53", "", `source_port:"53" | destination_port:"53"`},
		{"--not --to-port 53 --protocol udp --not --ip 10.0.0.0/8", `protocol:"udp"`,
			`source_ip:"10.0.0.0/8" destination_port:"53" | destination_ip:"10.0.0.0/8" destination_port:"53"`},
		{"--verdict dropped --verdict AUDIT", `verdict:DROPPED verdict:AUDIT`, ""},
		{"--workload Deployment/web", `source_workload:{name:"web" kind:"Deployment"} | destination_workload:{name:"web" kind:"Deployment"}`, ""},
		{"--to-container web", `destination_label:"container:name=web"`, ""},
		{"--to-container 0123456789abcdef", `destination_label:"container:name=0123456789abcdef" destination_label:"container:id=0123456789ab"`, ""},
		{"-l app=x", `source_label:"app=x" | destination_label:"app=x"`, ""},
		{"--identity world", `source_identity:2 | destination_identity:2`, ""},
		{"--to-identity 4711", `destination_identity:4711`, ""},
		{"-4", `ip_version:IPv4`, ""},
		{"--ip-version v6", `ip_version:IPv6`, ""},
		{"--traffic-direction egress", `traffic_direction:EGRESS`, ""},
		{"-t drop -t trace:to-stack -t 129", `event_type:{type:1} event_type:{type:4 match_sub_type:true sub_type:3} event_type:{type:129}`, ""},
		{"--tcp-flags syn,ack", `tcp_flags:{SYN:true ACK:true}`, ""},
		{"--drop-reason-desc policy_denied", `drop_reason_desc:POLICY_DENIED`, ""},
		{"--http-header a:b:c", `http_header:{key:"a" value:"b:c"}`, ""},
		{`--allowlist {"source_pod":["a"]} --denylist {"protocol":["udp"]}`, `source_pod:"a"`, `protocol:"udp"`},
	} {
		allow, deny, err := build(t, strings.Fields(tc.args)...)
		if err != nil || allow != tc.allow || deny != tc.deny {
			t.Errorf("%s:\n got %s\n not %s (%v)\nwant %s\n not %s", tc.args, allow, deny, err, tc.allow, tc.deny)
		}
	}
}

func TestRefused(t *testing.T) {
	for args, want := range map[string]string{
		"--pod web --from-pod db":     `"--from-pod" flag: cannot be combined with --pod`,
		"--to-pod web --pod db":       `"--pod" flag: cannot be combined with --to-pod`,
		"--label a --to-container b":  `"--to-container" flag: cannot be combined with --label`,
		"--not --not --port 1":        `"--not" flag: two of them in a row`,
		"--port 1 --not":              "--not stands before no filter",
		"--port 99999":                "expected a number from 0 to 65535",
		"--port http":                 "expected a number",
		"--ip 10.0.0":                 "expected an address or a CIDR range",
		"--verdict maybe":             "expected forwarded, dropped, error or audit",
		"--traffic-direction up":      "expected ingress or egress",
		"--type nonsense":             "expected trace, drop, l7",
		"--type drop:to-stack":        `subtype "to-stack" is unknown`,
		"--tcp-flags syn,rts":         `"rts" is no TCP flag`,
		"--identity 99999999999":      "expected unknown, host, world or a number",
		"--ip-version 5":              "expected v4, v6 or none",
		"--namespace a/b":             "expected a namespace",
		"--container a,b":             "expected a container's name or id",
		"--http-header nothing":       "expected name:value",
		"--drop-reason-desc bad-luck": "expected one of Hubble's drop reasons",
		`--allowlist {"nope":1}`:      "expected Hubble's FlowFilter in JSON",
		"--pod=":                      "expected a value",
	} {
		if _, _, err := build(t, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", args, err, want)
		}
	}
}

// Every value of --not's turn belongs to one flag only.
func TestNotEnds(t *testing.T) {
	allow, deny, err := build(t, "--not", "--pod", "a", "--pod", "b")
	if err != nil || deny != `source_pod:"a" | destination_pod:"a"` || allow != `source_pod:"b" | destination_pod:"b"` {
		t.Errorf("got %s, not %s, %v", allow, deny, err)
	}
}

func FuzzFlags(f *testing.F) {
	f.Add("--pod", "web")
	f.Add("--tcp-flags", "syn,,ack")
	f.Add("--type", "trace:to-stack")
	f.Fuzz(func(t *testing.T, name, value string) {
		if !strings.HasPrefix(name, "--") {
			t.Skip()
		}
		fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
		fs.Usage = func() {}
		var q Filters
		q.Flags(fs)
		if err := fs.Parse([]string{name + "=" + value}); err != nil {
			return
		}
		a, d, err := q.Build()
		if err == nil && len(a)+len(d) == 0 && fs.NFlag() > 0 {
			t.Errorf("%s %q was taken and makes no filter", name, value)
		}
	})
}
