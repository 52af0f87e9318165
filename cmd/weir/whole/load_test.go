package whole

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

const aHundredThousand = 100_000

// manyRequests is for servers that are to keep their connections.
const manyRequests = "keepalive_requests 100000000;"

// A hundred thousand requests as fast as they go are a hundred thousand: with one
// path, with a thousand, and with an id or a name of its own in each, for which the
// kernel's table has no room.
func TestAHundredThousandRequests(t *testing.T) {
	require(t, nginxPath)
	h := newDockerHost(t)
	d := start(t)
	for _, tc := range []struct {
		name, path string
		series     int // at most, of each metric
	}{
		{"one path", "/hello", 1},
		{"an id each", "/items/#", 1},
		{"a thousand", "/pages/%/view", 34}, // 32 until they are one of many
		{"a name each", "/user-#x", 34},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nginx := h.nginx("", manyRequests)
			client := h.idle("client", nil)
			var own timed
			out := client.must(actorPath, "load", nginx.at(8080), tc.path, strconv.Itoa(aHundredThousand), "8")
			if err := json.Unmarshal([]byte(out), &own); err != nil || own.Answered != aHundredThousand {
				t.Fatalf("the client had %d answers: %v", own.Answered, err)
			}
			if log := strings.Count(settled(nginx.accesses, aHundredThousand), "\n"); log != aHundredThousand {
				t.Fatalf("nginx logged %d", log)
			}
			var c counts
			d.await(t, func(families map[string]*dto.MetricFamily) (wrong string) {
				for _, metric := range []string{httpServed, httpAsked} {
					c = counted(t, series(families, metric, between(client.name, nginx.name)...))
					if answered := c.answered(200); answered != aHundredThousand || answered != c.total() || len(c) > tc.series {
						wrong += fmt.Sprintf("%s: %d requests, %d answered, in %d series; ", metric, c.total(), answered, len(c))
					}
				}
				return wrong
			})
			t.Logf("%d series, %d without a route; %s", len(c), c[operation{"_OTHER", "", 200}], unseenIn(d.scrape(t)))
			if want := (operation{"GET", strings.ReplaceAll(tc.path, "#", "{id}"), 200}); tc.series == 1 && c[want] != aHundredThousand {
				t.Errorf("counted %v, want all as %v", c, want)
			}
		})
	}
}

// answered are those with a status.
func (c counts) answered(status int) (n int) {
	for op, k := range c {
		if op.Status == status {
			n += k
		}
	}
	return n
}

// Pipelined requests keep both directions of a connection busy at once, on two
// processors.
func TestPipelinedAtFullSpeed(t *testing.T) {
	require(t, nginxPath)
	h := newDockerHost(t)
	d := start(t)
	nginx := h.nginx("", manyRequests)
	client := h.idle("client", nil)
	for range 3 {
		client.must(actorPath, "pipeline", nginx.at(8080), "8", "1000")
	}
	log, _, _ := logged(t, settled(nginx.accesses, 3*8*1000))
	if log.total() != 3*8*1000 {
		t.Fatalf("nginx logged %v", log)
	}
	d.awaitCounts(t, client.name, nginx.name, log)
}

// wrk stops in the middle: what nginx wrote down as answered, weir counted, but for
// the last answer of each connection, which may have met a socket that was gone.
func TestWrk(t *testing.T) {
	require(t, nginxPath, wrkPath)
	const connections = 16
	h := newDockerHost(t)
	d := start(t)
	nginx := h.nginx("", manyRequests)
	client := h.idle("wrk", map[string]string{"ids.lua": wrkIDs})
	client.must(wrkPath, "-t", "1", "-c", strconv.Itoa(connections), "-d", "2s", "-s", "/data/ids.lua", "http://"+nginx.at(8080))
	log := 0
	d.await(t, func(families map[string]*dto.MetricFamily) (wrong string) {
		for _, metric := range []string{httpServed, httpAsked} {
			c := counted(t, series(families, metric, between(client.name, nginx.name)...))
			// nginx writes it down later than it answers.
			log = strings.Count(nginx.accesses(), "\n")
			answered, all := c[operation{"GET", "/items/{id}", 200}], c.total()
			if answered > log || answered < log-connections || all < log || all > log+connections {
				wrong += fmt.Sprintf("%s: %d answered of %d, nginx logged %d: %v", metric, answered, all, log, c)
			}
		}
		return wrong
	})
	t.Logf("nginx logged %d; %s", log, unseenIn(d.scrape(t)))
}

// wrkIDs makes each request another's.
const wrkIDs = `local n = 0
request = function() n = n + 1; return wrk.format("GET", "/items/" .. n) end
`
