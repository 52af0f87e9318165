package whole

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

const (
	dnsmasqPath = "/usr/sbin/dnsmasq"
	digPath     = "/usr/bin/dig"
)

// dnsmasq writes: query[A] web.example.test from 172.17.0.3
var queryLog = regexp.MustCompile(`query\[([A-Za-z0-9]+)\] (\S+) from`)

// dnsStatus is how the server of this test answers: it refuses names of others.
func dnsStatus(name string) string {
	switch {
	case !strings.HasSuffix(name, ".example.test"):
		return "REFUSED"
	case name == "none.example.test":
		return "NXDOMAIN"
	}
	return "NOERROR"
}

// lookup is a question with its answer's code.
type lookup struct{ kind, name, status string }

// What dnsmasq wrote down of dig's and curl's questions is what weir counted and
// showed, over UDP and TCP.
func TestDnsmasqAndDig(t *testing.T) {
	require(t, dnsmasqPath, digPath, curlPath)
	h := newDockerHost(t)
	d := start(t)
	server := h.start("dnsmasq", map[string]string{"dns.log": ""}, dnsmasqPath, "--keep-in-foreground", "--user=root", "--pid-file=/tmp/pid", "--conf-file=/dev/null",
		"--no-resolv", "--no-hosts", "--log-queries", "--log-facility=/data/dns.log", "--local=/example.test/", "--host-record=web.example.test,10.1.2.3",
		"--cname=www.example.test,web.example.test", "--txt-record=web.example.test,hello").listens(53)
	client := h.idle("dig", nil)
	dig := func(args ...string) {
		t.Helper()
		client.must(append([]string{digPath, "+tries=1", "+timeout=10", "@" + server.ip.String()}, args...)...)
	}
	for range 4 {
		dig("web.example.test", "A")
	}
	dig("WeB.eXample.Test", "A")
	dig("web.example.test", "AAAA")
	dig("web.example.test", "TXT")
	dig("www.example.test", "A")
	dig("none.example.test", "A")
	dig("elsewhere.invalid", "A")
	dig("+tcp", "web.example.test", "A")
	dig("+tcp", "+keepopen", "web.example.test", "A", "www.example.test", "A")
	dig("+noedns", "web.example.test", "MX")
	// The C library asks for both kinds of addresses at once, from one socket.
	client.must("/bin/sh", "-c", "echo nameserver "+server.ip.String()+" >/etc/resolv.conf")
	_, _ = client.run(curlPath, "--silent", "--max-time", "1", "http://web.example.test:81/")

	want := map[lookup]int{}
	text := settled(func() string { return server.file("dns.log") }, 60)
	for _, m := range queryLog.FindAllStringSubmatch(text, -1) {
		name := strings.ToLower(m[2])
		want[lookup{m[1], name, dnsStatus(name)}]++
	}
	if want[lookup{"A", "web.example.test", "NOERROR"}] < 8 || want[lookup{"A", "elsewhere.invalid", "REFUSED"}] != 1 {
		t.Fatalf("dnsmasq logged %v: %s", want, text)
	}
	d.await(t, func(families map[string]*dto.MetricFamily) string {
		got := map[lookup]int{}
		for _, m := range series(families, "dns_lookup_duration_seconds", between(client.name, server.name)...) {
			got[lookup{labelOf(m, "dns_question_type"), labelOf(m, "dns_question_name"), labelOf(m, "dns_response_code")}] += int(m.GetHistogram().GetSampleCount())
		}
		return unlike("logged", want, "counted", got)
	})
	shown := map[lookup]int{}
	for _, l := range d.observe(t, "--all", "--type", "l7", "--protocol", "dns", "--from-pod", server.name) {
		f := &l.Flow
		if f.Destination.PodName != client.name || len(f.L7.DNS.QTypes) != 1 {
			t.Errorf("shown to %q: %+v", f.Destination.PodName, f.L7.DNS)
			continue
		}
		name := strings.TrimSuffix(f.L7.DNS.Query, ".")
		shown[lookup{f.L7.DNS.QTypes[0], name, dnsCodes[f.L7.DNS.RCode]}]++
		if name == "web.example.test" && f.L7.DNS.QTypes[0] == "A" && !slices.Equal(f.L7.DNS.IPs, []string{"10.1.2.3"}) {
			t.Errorf("the answer is shown as %v", f.L7.DNS.IPs)
		}
	}
	if diff := unlike("logged", want, "shown", shown); diff != "" {
		t.Error("observe:", diff)
	}
}

var dnsCodes = map[int]string{0: "NOERROR", 3: "NXDOMAIN", 5: "REFUSED"}

// unlike says what two counts do not agree on.
func unlike[K comparable](mine string, a map[K]int, other string, b map[K]int) string {
	if maps.Equal(a, b) {
		return ""
	}
	return fmt.Sprintf("%s %v,\n%s %v", mine, a, other, b)
}
