package otel

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func environment(vars map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := vars[k]; return v, ok }
}

const here = "OTEL_EXPORTER_OTLP_ENDPOINT"

func TestOff(t *testing.T) {
	for name, vars := range map[string]map[string]string{
		"nothing said": {}, "an empty endpoint": {here: " "}, "switched off": {here: "http://x:4317", "OTEL_SDK_DISABLED": "TRUE"},
		"no signal": {here: "http://x:4317", "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"},
	} {
		if cfg, err := FromEnvironment(environment(vars), Settings{Protocol: Auto}); cfg != nil || err != nil {
			t.Errorf("%s: %v, %v", name, cfg, err)
		}
	}
}

func TestEndpoints(t *testing.T) {
	const own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	for _, tc := range []struct {
		vars map[string]string
		set  Settings
		url  string // of traces
		p    Protocol
		logs string // URL of logs, "" for none
	}{
		{map[string]string{here: "http://c:4318"}, Settings{}, "http://c:4318/v1/traces", HTTP, "http://c:4318/v1/logs"},
		{map[string]string{here: "http://c:4318/otlp/"}, Settings{}, "http://c:4318/otlp/v1/traces", HTTP, "http://c:4318/otlp/v1/logs"},
		{map[string]string{here: "http://c:4317"}, Settings{}, "http://c:4317", GRPC, "http://c:4317"},
		{map[string]string{own: "http://c:4318/mine"}, Settings{}, "http://c:4318/mine", HTTP, ""},
		{map[string]string{own: "http://c:4318/mine", here: "http://d:4317"}, Settings{}, "http://c:4318/mine", HTTP, "http://d:4317"},
		{map[string]string{here: "c:4317"}, Settings{}, "https://c:4317", GRPC, "https://c:4317"},
		{map[string]string{here: "c:4317", "OTEL_EXPORTER_OTLP_INSECURE": "true"}, Settings{}, "http://c:4317", GRPC, "http://c:4317"},
		{map[string]string{here: "https://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, Settings{}, "https://c:443", GRPC, "https://c:443"},
		{map[string]string{here: "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, Settings{}, "http://c:4317", GRPC, "http://c:4317"},
		{map[string]string{here: "http://c:4317", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, Settings{}, "http://c:4317/v1/traces", HTTP, "http://c:4317"},
		{map[string]string{here: "http://c:4317", own: "http://c:1"}, Settings{Endpoint: "http://flag:4318"}, "http://flag:4318/v1/traces", HTTP, "http://flag:4318/v1/logs"},
		{map[string]string{here: "http://c:4317"}, Settings{Protocol: "http/protobuf", Signals: []string{"traces"}}, "http://c:4317/v1/traces", HTTP, ""},
		{map[string]string{here: "http://[fd00::1]:4317", "OTEL_LOGS_EXPORTER": "none"}, Settings{Protocol: Auto}, "http://[fd00::1]:4317", GRPC, ""},
	} {
		cfg, err := FromEnvironment(environment(tc.vars), tc.set)
		if err != nil || cfg.Traces == nil {
			t.Errorf("%v %+v: %v", tc.vars, tc.set, err)
			continue
		}
		logs := ""
		if cfg.Logs != nil {
			logs = cfg.Logs.URL
		}
		if cfg.Traces.URL != tc.url || cfg.Traces.Protocol != tc.p || logs != tc.logs {
			t.Errorf("%v %+v: %s by %s, logs %s; want %s by %s, logs %s", tc.vars, tc.set, cfg.Traces.URL, cfg.Traces.Protocol, logs, tc.url, tc.p, tc.logs)
		}
	}
}

func TestEverythingElse(t *testing.T) {
	headers := filepath.Join(t.TempDir(), "headers")
	if err := os.WriteFile(headers, []byte("# who we are\nAuthorization = Bearer abc=\n\nx-tenant=file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := FromEnvironment(environment(map[string]string{
		here: "http://c:4318", "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=all,x-a=b%20c , ,X-Own=all", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-own=traces",
		"OTEL_EXPORTER_OTLP_TIMEOUT": "2500", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION": "none",
		"OTEL_SERVICE_NAME": "my-weir", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=prod,service.name=no,a=%C3%A9",
		"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5", "OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "5",
		"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_BLRP_MAX_QUEUE_SIZE": "20", "OTEL_METRIC_EXPORT_INTERVAL": "15000",
		"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE":        "Delta",
		"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "explicit_bucket_histogram",
	}), Settings{HeadersFile: headers, TracesBudget: 7})
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"authorization": "Bearer abc=", "x-tenant": "file", "x-a": "b c", "x-own": "traces"}; !reflect.DeepEqual(cfg.Traces.Headers, want) {
		t.Errorf("headers %v, want %v", cfg.Traces.Headers, want)
	}
	if cfg.Logs.Headers["x-own"] != "all" || !cfg.Traces.Gzip || cfg.Logs.Gzip || cfg.Traces.Timeout != 2500*time.Millisecond {
		t.Errorf("traces %+v\nlogs %+v", cfg.Traces, cfg.Logs)
	}
	if cfg.Service != "my-weir" || !reflect.DeepEqual(cfg.Attributes, [][2]string{{"deployment.environment.name", "prod"}, {"a", "é"}}) {
		t.Errorf("service %q, attributes %v", cfg.Service, cfg.Attributes)
	}
	if cfg.Spans != (Limits{10, 5, 100 * time.Millisecond}) || cfg.Records.Queue != 20 || cfg.Interval != 15*time.Second || cfg.Temporality != Delta || !cfg.ExplicitBuckets {
		t.Errorf("%+v", cfg)
	}
	if s, err := New(*cfg); err != nil || s.sampler.bound != allTraces/2 || s.budget.rate != 7 || !strings.Contains(s.String(), "traces to http://c:4318/v1/traces by http/protobuf, metrics to") {
		t.Errorf("%v, %v", s, err)
	}
}

// A value that cannot be used is an error that names its variable, and shows no
// secret.
func TestBadSettings(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, value string
		set         Settings
		want        string
	}{
		{here, "ftp://x", Settings{}, here + `: scheme "ftp": expected http or https`},
		{here, "http://", Settings{}, here + ": no host in it"},
		{here, "http://u:hunter2@x", Settings{}, here + ": a user does not belong into it"},
		{here, "http://x/?a=hunter2", Settings{}, here + ": a query or fragment does not belong"},
		{here, "http://hunter2\x7f", Settings{}, here + ": expected a URL"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", Settings{}, `OTEL_EXPORTER_OTLP_PROTOCOL: "http/json": expected grpc or http/protobuf`},
		{"OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "zstd", Settings{}, `OTEL_EXPORTER_OTLP_LOGS_COMPRESSION: "zstd": expected gzip or none`},
		{"OTEL_EXPORTER_OTLP_TIMEOUT", "10s", Settings{}, `OTEL_EXPORTER_OTLP_TIMEOUT: "10s": expected a number from 1`},
		{"OTEL_EXPORTER_OTLP_HEADERS", "a=1,hunter2", Settings{}, "OTEL_EXPORTER_OTLP_HEADERS: pair 2: expected key=value"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "a=hunter2%0a", Settings{}, "OTEL_EXPORTER_OTLP_HEADERS: a name or value that no header may have"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", bad, Settings{}, "authorities " + bad + ": no certificate in it"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", dir + "/none", Settings{}, "authorities: open "},
		{"OTEL_EXPORTER_OTLP_CLIENT_KEY", bad, Settings{}, "client certificate: it takes a certificate and its key"},
		{"OTEL_EXPORTER_OTLP_CLIENT_KEY", bad, Settings{Cert: bad}, "client certificate: "},
		{"OTEL_TRACES_EXPORTER", "zipkin", Settings{}, `OTEL_TRACES_EXPORTER: "zipkin": expected otlp or none`},
		{"OTEL_TRACES_SAMPLER", "x", Settings{}, "OTEL_TRACES_SAMPLER: "},
		{"OTEL_BSP_MAX_QUEUE_SIZE", "0", Settings{}, `OTEL_BSP_MAX_QUEUE_SIZE: "0": expected a number from 1`},
		{"OTEL_METRIC_EXPORT_INTERVAL", "-1", Settings{}, "OTEL_METRIC_EXPORT_INTERVAL: "},
		{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "x", Settings{}, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "},
		{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "x", Settings{}, "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: "},
		{"OTEL_RESOURCE_ATTRIBUTES", "=x", Settings{}, "OTEL_RESOURCE_ATTRIBUTES: pair 1"},
		{"", "", Settings{HeadersFile: bad}, "headers " + bad + ":1: expected name=value"},
		{"", "", Settings{HeadersFile: dir + "/none"}, "headers: open "},
		{"", "", Settings{Endpoint: "tcp://x"}, `endpoint: scheme "tcp"`},
	} {
		vars := map[string]string{here: "http://c:4318"}
		vars[tc.name] = tc.value
		cfg, err := FromEnvironment(environment(vars), tc.set)
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s=%q %+v: %v, %v; want %q", tc.name, tc.value, tc.set, cfg, err, tc.want)
		}
	}
}

// Whatever stands in the environment: no panic, and what is taken can be used.
func FuzzEnvironment(f *testing.F) {
	f.Add("http://c:4318", "a=b,c=%20d", "0.5", "delta")
	f.Add("c:4317", "=", "NaN", "")
	f.Fuzz(func(t *testing.T, endpoint, pairs, arg, preference string) {
		cfg, err := FromEnvironment(environment(map[string]string{
			here: endpoint, "OTEL_EXPORTER_OTLP_HEADERS": pairs, "OTEL_RESOURCE_ATTRIBUTES": pairs, "OTEL_TRACES_SAMPLER": "traceidratio",
			"OTEL_TRACES_SAMPLER_ARG": arg, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": preference,
		}), Settings{})
		if err != nil || cfg == nil {
			return
		}
		if cfg.Traces == nil || !strings.HasPrefix(cfg.Traces.URL, "http") {
			t.Errorf("%q: %+v", endpoint, cfg.Traces)
		}
	})
}
