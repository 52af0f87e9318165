package whole

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// A Go server and a Go client write down the same, and so does weir; what follows
// an upgrade is no request, whatever it looks like.
func TestGoServerAndGoClient(t *testing.T) {
	h := newDockerHost(t)
	d := start(t)
	server := h.start("go-server", nil, actorPath, "serve", ":8082").listens(8082)
	client := h.idle("go-client", nil)
	asked, _, _ := logged(t, client.must(actorPath, "ask", server.at(8082)))
	client.must(actorPath, "pipeline", server.at(8082), "3", "4")
	client.must(actorPath, "websocket", server.at(8082))
	log, _, _ := logged(t, settled(server.said, asked.total()+3*4+1))
	rest := maps.Clone(log)
	rest[operation{"GET", "/ws", 101}] -= 1
	for op := range rest {
		if op.Path == "/piped" || rest[op] == 0 {
			delete(rest, op)
		}
	}
	if diff := rest.difference("server", "client", asked); diff != "" {
		t.Fatalf("the programs do not agree: %s", diff)
	}
	d.awaitCounts(t, client.name, server.name, log.labelled())
	d.shows(t, client.name, server.name, log)
	for _, l := range d.observe(t, "--all", "--type", "l7", "--from-pod", server.name) {
		if x := l.Flow.Extensions.Value; x.HTTP.Path == "/ws" && x.HTTP.Upgrade != "websocket" {
			t.Errorf("upgrade to %q", x.HTTP.Upgrade)
		}
	}
	if text := d.metrics(t); strings.Contains(text, "fake") || strings.Contains(text, "secret") {
		t.Error("the metrics know of what was said after an upgrade, or of a query")
	}
}

// A server of another kind: HTTP/1.0, answers that end with their connection, a
// directory made up on the way.
func TestPythonServerAndCurl(t *testing.T) {
	require(t, pythonPath, curlPath)
	h := newDockerHost(t)
	d := start(t)
	server := h.start("python", map[string]string{"hundred.txt": strings.Repeat("0123456789", 10_000)},
		pythonPath, "-u", "-m", "http.server", "--directory", "/data", "8083").listens(8083)
	client := h.idle("curl", nil)
	for _, args := range [][]string{
		{"/"}, {"/hundred.txt"}, {"/hundred.txt?v=1"}, {"--head", "/hundred.txt"}, {"/none"}, {"--data", "x=1", "/form"},
		{"-0", "/hundred.txt"}, {"-X", "DELETE", "/items/12"},
	} {
		last := len(args) - 1
		args[last] = "http://" + server.at(8083) + args[last]
		client.must(append([]string{curlPath, "--silent", "--show-error", "--max-time", "20", "--output", "/dev/null"}, args...)...)
	}
	log := commonLogged(settled(server.said, 8))
	if log.total() != 8 || log[operation{"POST", "/form", 501}] != 1 || log[operation{"GET", "/hundred.txt", 200}] != 3 {
		t.Fatalf("the server logged %v: %s", log, server.said())
	}
	d.awaitCounts(t, client.name, server.name, log.labelled())
	d.shows(t, client.name, server.name, log)
}

// Requests that are never answered are counted as that, at both ends.
func TestNoAnswer(t *testing.T) {
	require(t, curlPath)
	h := newDockerHost(t)
	d := start(t)
	server := h.start("go-server", nil, actorPath, "serve", ":8082").listens(8082)
	client := h.idle("curl", nil)
	for range 3 {
		if out, err := client.run(curlPath, "--silent", "--max-time", "0.2", "http://"+server.at(8082)+"/never"); err == nil {
			t.Fatalf("an answer: %s", out)
		}
	}
	d.awaitCounts(t, client.name, server.name, counts{{"GET", "/never", 0}: 3})
	for _, metric := range []string{httpServed, httpAsked} {
		for _, m := range series(d.scrape(t), metric, between(client.name, server.name)...) {
			if e := labelOf(m, "error_type"); e != "no_answer" {
				t.Errorf("%s: error_type %q", metric, e)
			}
		}
	}
}

// The median of weir's histogram and its mean are those that the client measured.
// The client also waits for a processor after its answer came, on a busy machine for
// long: one of three measurements must agree.
func TestLatenciesAreTheClients(t *testing.T) {
	require(t, nginxPath)
	h := newDockerHost(t)
	d := start(t)
	nginx := h.nginx("", manyRequests)
	slow := h.start("slow", nil, actorPath, "serve", ":8082").listens(8082)
	client := h.idle("client", nil)
	for _, tc := range []struct {
		server      *container
		port        int
		path, count string
	}{{nginx, 8080, "/fast/", "5000"}, {slow, 8082, "/pause/", "200"}} {
		agree := false
		for _, attempt := range []string{"a", "b", "c"} {
			agree = agree || d.agrees(t, client, tc.server, tc.port, tc.path+attempt, tc.count)
		}
		if !agree {
			t.Errorf("%s: weir's latencies are not the client's", tc.path)
		}
	}
}

func (d *daemon) agrees(t *testing.T, client, server *container, port int, path, count string) bool {
	t.Helper()
	var own timed
	if err := json.Unmarshal([]byte(client.must(actorPath, "load", server.at(port), path, count, "1")), &own); err != nil {
		t.Fatal(err)
	}
	labels := append(between(client.name, server.name), "http_route", path)
	var hist *dto.Histogram
	d.await(t, func(families map[string]*dto.MetricFamily) string {
		list := series(families, httpAsked, labels...)
		if len(list) != 1 || list[0].GetHistogram().GetSampleCount() != uint64(own.Answered) {
			return fmt.Sprintf("%s: %v, want %d requests", path, list, own.Answered)
		}
		hist = list[0].GetHistogram()
		return ""
	})
	if hist == nil {
		t.FailNow()
	}
	if w, c := hist.GetSampleSum(), own.mean().Seconds()*float64(own.Answered); w > c {
		t.Errorf("%s: weir saw %v s within the client's %v s", path, w, c)
	}
	mean := time.Duration(hist.GetSampleSum() / float64(hist.GetSampleCount()) * 1e9)
	near := func(what string, weirs, clients time.Duration) bool {
		t.Logf("%s: %s by weir %v, by the client %v", path, what, weirs, clients)
		return (weirs - clients).Abs() <= max(clients/20, 50*time.Microsecond)
	}
	return near("median", medianOf(hist), median(own.Latencies)) && near("mean", mean, own.mean())
}

func (o *timed) mean() time.Duration {
	var sum time.Duration
	for _, l := range o.Latencies {
		sum += l
	}
	return sum / time.Duration(len(o.Latencies))
}

// weir's own scrapes are nobody's requests, whoever asks.
func TestScrapesAreNotCounted(t *testing.T) {
	require(t, curlPath)
	h := newDockerHost(t)
	d := start(t)
	server := h.start("go-server", nil, actorPath, "serve", ":8082").listens(8082)
	address := "http://" + d.serves + "/metrics"
	curl := func(url string) {
		t.Helper()
		if out, err := hostRun(curlPath, "--silent", "--fail", "--show-error", "--max-time", "10", "--output", "/dev/null", url); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for range 50 {
		curl(address)
	}
	curl("http://" + server.at(8082) + "/hello") // the same client is seen elsewhere
	d.await(t, func(families map[string]*dto.MetricFamily) string {
		if counted(t, series(families, httpServed, "destination_workload", server.name))[operation{"GET", "/hello", 200}] != 1 {
			return "the request to a container was not counted"
		}
		for _, metric := range []string{httpServed, httpAsked} {
			if list := series(families, metric, "http_route", "/metrics"); len(list) > 0 {
				return "a scrape was counted: " + list[0].String()
			}
		}
		return ""
	})
	if lines := d.observe(t, "--all", "--type", "l7", "--http-path", "^/metrics$"); len(lines) > 0 {
		t.Errorf("a scrape was shown: %+v", lines[0])
	}
}
