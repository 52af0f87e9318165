package whole

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// logged reads the entries that a program of the tests or nginx wrote, and counts
// them by operation, paths without their queries. Other lines are left out.
func logged(t testing.TB, text string) (c counts, in, out uint64) {
	t.Helper()
	c = counts{}
	for l := range strings.Lines(text) {
		if !strings.HasPrefix(l, "{") {
			continue
		}
		var e entry
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatalf("log: %v: %s", err, l)
		}
		path, _, _ := strings.Cut(e.Path, "?")
		c[operation{e.Method, path, e.Status}]++
		in, out = in+e.In, out+e.Out
	}
	return c, in, out
}

// python writes the Common Log Format: host - - [time] "GET /path HTTP/1.1" 200 -
var commonLog = regexp.MustCompile(`"([A-Z]+) ([^ "?]+)[^"]*" ([0-9]{3}) `)

func commonLogged(text string) counts {
	c := counts{}
	for _, m := range commonLog.FindAllStringSubmatch(text, -1) {
		status, _ := strconv.Atoi(m[3])
		c[operation{m[1], m[2], status}]++
	}
	return c
}

// labelled are the counts as the metrics have them: numbers in paths are one of
// many, and so are methods that OpenTelemetry does not know.
func (c counts) labelled() counts {
	r := counts{}
	for op, n := range c {
		op.Path = numbers.ReplaceAllString(op.Path, "/{id}")
		if !slices.Contains(methods, op.Method) {
			op.Method = "_OTHER"
		}
		r[op] += n
	}
	return r
}

var (
	numbers = regexp.MustCompile(`/[0-9]+`)
	methods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}
)

// settled reads a log until n entries are in it or nothing comes any more: servers
// write after they answered.
func settled(read func() string, n int) string {
	text := read()
	for last := -1; strings.Count(text, "\n") < n && len(text) != last; text = read() {
		last = len(text)
		time.Sleep(500 * time.Millisecond)
	}
	return text
}

// nginxConf is nginx as its packages run it but for where its files are. Ports:
// 8080, and 8081 with TCP_DEFER_ACCEPT.
const nginxServing = `daemon off; master_process off; pid /tmp/nginx.pid; error_log /data/error.log;
events { worker_connections 4096; }
http {
	log_format entry escape=json '{"method":"$request_method","path":"$request_uri","status":"$status","in":"$request_length","out":"$bytes_sent"}';
	access_log /data/access.log entry buffer=64k flush=100ms;
	client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi; uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
	client_max_body_size 10m; if_modified_since before;
	KEEPALIVE
	server {
		listen 8080 backlog=4096;
		listen 8081 deferred;
		location / { return 200 "hello\n"; }
		location /busy { return 503; }
		location /files/ { alias /data/; }
		LOCATIONS
	}
}
`

// nginx starts one; extra goes into its server's block.
func (h *dockerHost) nginx(extra, keepAlive string) *container {
	h.t.Helper()
	conf := strings.NewReplacer("LOCATIONS", extra, "KEEPALIVE", keepAlive).Replace(nginxServing)
	files := map[string]string{"nginx.conf": conf, "hundred.txt": strings.Repeat("0123456789", 10_000), "access.log": ""}
	return h.start("nginx", files, nginxPath, "-c", "/data/nginx.conf", "-e", "/data/start.log").listens(8080)
}

// accesses is nginx's access log.
func (c *container) accesses() string { return c.file("access.log") }

// Where Debian has the programs; a test's PATH may lead to others.
const (
	nginxPath  = "/usr/sbin/nginx"
	pythonPath = "/usr/bin/python3"
	curlPath   = "/usr/bin/curl"
	wrkPath    = "/usr/bin/wrk"
)
