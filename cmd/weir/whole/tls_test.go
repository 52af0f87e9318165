package whole

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// handshake is what a server and weir both know of one.
type handshake struct{ name, version, cipher string }

// Each HTTPS connection to nginx is one handshake, with the name, version and
// cipher that nginx wrote down; what is said inside stays unseen.
func TestNginxAndCurlOverTLS(t *testing.T) {
	require(t, nginxPath, curlPath)
	h := newDockerHost(t)
	d := start(t)
	certificate, key := selfSigned(t)
	nginx := h.start("nginx", map[string]string{"nginx.conf": tlsServing, "access.log": "", "cert.pem": certificate, "key.pem": key},
		nginxPath, "-c", "/data/nginx.conf", "-e", "/data/start.log").listens(8443)
	client := h.idle("curl", nil)
	curl := func(name string, args ...string) (string, error) {
		return client.run(append([]string{curlPath, "--silent", "--show-error", "--insecure", "--max-time", "20", "--output", "/dev/null",
			"--connect-to", "::" + nginx.at(8443), "https://" + name + "/"}, args...)...)
	}
	for _, args := range [][]string{
		{"web.example.test"}, {"web.example.test"}, {"WEB.example.test"}, {"other.example.test", "--http1.1"},
		{"web.example.test", "--tls-max", "1.2"}, {"old.example.test", "--tls-max", "1.2", "--no-alpn"}, {nginx.ip.String()},
		{"web.example.test", "--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384", "--tls-max", "1.2"},
	} {
		if out, err := curl(args[0], args[1:]...); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for range 3 {
		if _, err := curl("refused.example.test", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"); err == nil {
			t.Fatal("nginx spoke a version that it does not know")
		}
	}
	logged, names := map[handshake]int{}, map[string]int{}
	for l := range strings.Lines(settled(nginx.accesses, 8)) {
		var e struct{ Name, Version, Cipher string }
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatalf("log: %v: %s", err, l)
		}
		logged[handshake{strings.ToLower(e.Name), e.Version, e.Cipher}]++
		names[strings.ToLower(e.Name)+" ok"]++
	}
	if len(logged) < 5 || names["web.example.test ok"] != 5 {
		t.Fatalf("nginx logged %v: %s", logged, nginx.file("error.log"))
	}
	names["refused.example.test protocol_version"] = 3
	d.await(t, func(families map[string]*dto.MetricFamily) string {
		got := map[string]int{}
		for _, m := range series(families, "weir_tls_handshake_duration_seconds", between(client.name, nginx.name)...) {
			got[labelOf(m, "server_name")+" "+labelOf(m, "outcome")] += int(m.GetHistogram().GetSampleCount())
		}
		if n := len(series(families, httpServed, between(client.name, nginx.name)...)); n > 0 {
			return fmt.Sprintf("%d series of requests inside of TLS", n)
		}
		return unlike("logged", names, "counted", got)
	})
	shown := map[handshake]int{}
	for _, l := range d.observe(t, "--all", "--type", "l7", "--protocol", "tls", "--from-pod", nginx.name) {
		x := l.Flow.Extensions.Value.TLS
		if x.JA4 == "" || l.Flow.Destination.PodName != client.name {
			t.Errorf("shown to %q: %+v", l.Flow.Destination.PodName, x)
		}
		if x.Alert == 0 {
			shown[handshake{x.ServerName, tlsVersions[x.Version], openSSLNames(x.Cipher)}]++
		}
	}
	if diff := unlike("logged", logged, "shown", shown); diff != "" {
		t.Error("observe:", diff)
	}
}

// tlsVersions are nginx's names of what weir writes.
var tlsVersions = map[string]string{"1.2": "TLSv1.2", "1.3": "TLSv1.3"}

// openSSLNames is OpenSSL's name of a cipher that is used here.
func openSSLNames(cipher string) string {
	if rest, ok := strings.CutPrefix(cipher, "TLS_ECDHE_ECDSA_WITH_"); ok {
		return "ECDHE-ECDSA-" + strings.ReplaceAll(strings.ReplaceAll(rest, "AES_", "AES"), "_", "-")
	}
	return cipher
}

// OpenSSL's own server and client, which resumes its session: what it says of each
// connection, new or reused, is what weir shows.
func TestOpenSSLResumes(t *testing.T) {
	require(t, opensslPath)
	h := newDockerHost(t)
	d := start(t)
	certificate, key := selfSigned(t)
	server := h.start("s-server", map[string]string{"cert.pem": certificate, "key.pem": key},
		opensslPath, "s_server", "-accept", "8444", "-cert", "/data/cert.pem", "-key", "/data/key.pem", "-www", "-quiet").listens(8444)
	client := h.idle("s-client", nil)
	said := client.must("/bin/sh", "-c", "exec "+opensslPath+" s_client -connect "+server.at(8444)+" -servername again.example.test -tls1_2 -reconnect </dev/null 2>&1")
	fresh, reused := strings.Count(said, "\nNew, TLS"), strings.Count(said, "\nReused, TLS")
	if fresh != 1 || reused != 5 {
		t.Fatalf("%d new and %d reused sessions: %s", fresh, reused, said)
	}
	d.await(t, func(map[string]*dto.MetricFamily) string {
		shown := map[bool]int{}
		for _, l := range d.observe(t, "--all", "--type", "l7", "--protocol", "tls", "--from-pod", server.name) {
			if x := l.Flow.Extensions.Value.TLS; x.ServerName == "again.example.test" && x.Version == "1.2" {
				shown[x.Resumed]++
			}
		}
		return unlike("resumed", map[bool]int{false: fresh, true: reused}, "shown", shown)
	})
}

const opensslPath = "/usr/bin/openssl"

const tlsServing = `daemon off; master_process off; pid /tmp/nginx.pid; error_log /data/error.log info;
events { }
http {
	log_format entry escape=json '{"name":"$ssl_server_name","version":"$ssl_protocol","cipher":"$ssl_cipher"}';
	access_log /data/access.log entry;
	client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi; uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
	server {
		listen 8443 ssl http2;
		ssl_certificate /data/cert.pem; ssl_certificate_key /data/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
		location / { return 200 "hello\n"; }
	}
}
`

// selfSigned makes a certificate for an hour.
func selfSigned(t testing.TB) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"*.example.test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}
