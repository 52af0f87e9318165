package whole

import (
	"strings"
	"testing"

	"github.com/seed79351815/weir/bpf/lab"
)

// What curl asks of nginx in a hundred ways is what nginx wrote into its access
// log, to the request and to the byte.
func TestNginxAndCurl(t *testing.T) {
	require(t, nginxPath, curlPath)
	h := newDockerHost(t)
	d := start(t)
	app := h.start("app", nil, actorPath, "serve", ":8082").listens(8082)
	nginx := h.nginx("location /app/ { proxy_pass http://"+app.at(8082)+"; proxy_http_version 1.1; }", "")
	client := h.idle("curl", map[string]string{"body": strings.Repeat("b", 300_000)})
	at := func(path string) string { return "http://" + nginx.at(8080) + path }
	deferred := func(path string) string { return "http://" + nginx.at(8081) + path }
	curl := func(args ...string) {
		t.Helper()
		client.must(append([]string{curlPath, "--silent", "--show-error", "--max-time", "20", "--output", "/dev/null"}, args...)...)
	}
	null := []string{"-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null"}
	curl(at("/hello?password=secret"))
	curl(append(null, at("/kept"), at("/kept"), at("/kept"), at("/kept"))...) // one connection
	curl("-0", at("/old"))                                                    // HTTP/1.0
	curl("--head", at("/head"))
	curl("-X", "DELETE", at("/items/4711"))
	curl("--data", "a=1&b=2", at("/app/form"))
	curl("--data-binary", "@/data/body", at("/app/upload"))
	curl("--data-binary", "@/data/body", "-H", "Transfer-Encoding: chunked", at("/app/chunked"))
	curl("--data-binary", "@/data/body", "-H", "Expect: 100-continue", at("/app/continue"))
	curl(at("/files/none"))
	curl(at("/busy"))
	curl(at("/files/hundred.txt"))
	curl("-r", "100-199", at("/files/hundred.txt"))
	curl("-r", "100-199,300-399", at("/files/hundred.txt"))
	curl("-r", "999999-", at("/files/hundred.txt")) // 416
	curl("-H", "If-Modified-Since: Fri, 01 Jan 2038 00:00:00 GMT", at("/files/hundred.txt"))
	curl("-X", "BREW", at("/unknown"))
	for range 5 {
		curl(deferred("/deferred"))
	}
	curl(append(null, deferred("/deferred/kept"), deferred("/deferred/kept"), deferred("/deferred/kept"))...)
	client.must("/bin/sh", "-c", `for i in 1 2 3 4 5 6 7 8 9 10; do "$@" --silent --max-time 20 -H 'Connection: close' --output /dev/null; done`,
		"sh", curlPath, at("/short"))
	// Last: of so many at once weir shows a part in full.
	client.must(actorPath, "pipeline", nginx.at(8080), "8", "20")
	client.must(actorPath, "pipeline", nginx.at(8081), "4", "5")

	log, in, out := logged(t, settled(nginx.accesses, 218))
	if n := log.total(); n < 200 {
		t.Fatalf("nginx logged %d requests: %v: %s", n, log, nginx.file("error.log"))
	}
	for _, want := range []operation{
		{"GET", "/hello", 200}, {"GET", "/kept", 200}, {"HEAD", "/head", 200}, {"POST", "/app/form", 200}, {"POST", "/app/chunked", 200}, {"POST", "/app/continue", 200},
		{"GET", "/files/none", 404}, {"GET", "/busy", 503}, {"GET", "/files/hundred.txt", 206}, {"GET", "/files/hundred.txt", 304},
		{"GET", "/files/hundred.txt", 416}, {"GET", "/deferred", 200}, {"HEAD", "/piped", 200},
	} {
		if log[want] == 0 {
			t.Errorf("the test did not what it should: nginx logged no %v", want)
		}
	}
	d.awaitCounts(t, client.name, nginx.name, log.labelled())
	// nginx counts an interim answer, too.
	d.bytesAre(t, client.name, nginx.name, in, out-uint64(len("HTTP/1.1 100 Continue\r\n\r\n")))
	d.shows(t, client.name, nginx.name, log)
	behind, _, _ := logged(t, app.said())
	d.awaitCounts(t, nginx.name, app.name, behind.labelled())
	d.shows(t, nginx.name, app.name, behind)
}

// A server may answer before it has read the request, which goes on all the same:
// it is one request, and the next on the connection another.
func TestAnswerBeforeTheEndOfTheRequest(t *testing.T) {
	require(t, nginxPath, curlPath)
	h := newDockerHost(t)
	d := start(t)
	nginx := h.nginx("", "")
	client := h.idle("curl", map[string]string{"body": strings.Repeat("b", 900_000)})
	for range 10 {
		client.must(curlPath, "--silent", "--show-error", "--max-time", "20", "-o", "/dev/null", "--data-binary", "@/data/body",
			"http://"+nginx.at(8080)+"/early", "-o", "/dev/null", "http://"+nginx.at(8080)+"/next")
	}
	log, in, _ := logged(t, settled(nginx.accesses, 20))
	if log.total() != 20 {
		t.Fatalf("nginx logged %v", log)
	}
	d.awaitCounts(t, client.name, nginx.name, log)
	sent := series(d.scrape(t), "weir_l7_bytes_total", append(between(client.name, nginx.name), "protocol", "http", "direction", "sent")...)
	if len(sent) != 1 || sent[0].GetCounter().GetValue() < float64(in) || sent[0].GetCounter().GetValue() > float64(in)+20*900_000 {
		t.Errorf("bytes sent %v, want at least the heads, %d", sent, in)
	}
}

// require skips where a program is not installed.
func require(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		lab.RequireTool(t, p)
	}
}

// bytesAre compares heads and bodies with what the server counted, to the byte.
func (d *daemon) bytesAre(t testing.TB, client, server string, in, out uint64) {
	t.Helper()
	families := d.scrape(t)
	for direction, want := range map[string]uint64{"sent": in, "received": out} {
		list := series(families, "weir_l7_bytes_total", append(between(client, server), "protocol", "http", "direction", direction)...)
		if len(list) != 1 || list[0].GetCounter().GetValue() != float64(want) {
			t.Errorf("bytes %s: %v, want %d", direction, list, want)
		}
	}
}

// shows compares what observe prints with a log, but for pipelined requests.
func (d *daemon) shows(t testing.TB, client, server string, log counts) {
	t.Helper()
	shown, want := counts{}, counts{}
	for _, l := range d.observe(t, "--all", "--type", "l7", "--protocol", "http", "--from-pod", server) {
		f := &l.Flow
		if f.Source.PodName != server || f.Destination.PodName != client {
			t.Errorf("shown from %q to %q, want %q to %q", f.Destination.PodName, f.Source.PodName, client, server)
		}
		x := f.Extensions.Value
		if x.HTTP.Path != "" && x.HTTP.Path != "/piped" {
			shown[operation{x.Method, x.HTTP.Path, f.L7.HTTP.Code}]++
		}
	}
	for op, n := range log {
		if op.Path != "/piped" {
			want[op] = n
		}
	}
	if diff := want.difference("logged", "shown", shown); diff != "" {
		t.Error("observe:", diff)
	}
}
