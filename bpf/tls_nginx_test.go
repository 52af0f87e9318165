package bpf

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/collector/flow"
)

func TestTLSOfNginx(t *testing.T) {
	for _, deferred := range []string{"", " deferred"} {
		t.Run("listen"+deferred, func(t *testing.T) { nginx(t, deferred) })
	}
}

func nginx(t *testing.T, deferred string) {
	x := newTLSLab(t)
	curl := lab.RequireTool(t, "curl")
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events {}
http {
  log_format tls '$ssl_protocol $ssl_cipher $ssl_server_name $ssl_alpn_protocol $ssl_session_reused';
  access_log %[1]s/access.log tls;
  client_body_temp_path %[1]s/1; proxy_temp_path %[1]s/2; fastcgi_temp_path %[1]s/3; uwsgi_temp_path %[1]s/4; scgi_temp_path %[1]s/5;
  ssl_protocols TLSv1.2 TLSv1.3;
  server { listen 443 ssl http2%[2]s; ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem; location / { return 204; } }
}
`, x.dir, deferred)
	if err := os.WriteFile(x.path("nginx.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	server := x.server.Command(lab.RequireTool(t, "nginx"), "-p", x.dir, "-c", x.path("nginx.conf"), "-e", x.path("error.log"))
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(x.path("pid")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(x.path("error.log"))
			t.Fatalf("nginx does not start: %s", log)
		}
	}
	runs := [][]string{{}, {"--tls-max", "1.2"}, {"--tls-max", "1.2", "--http1.1"}, {"--http1.1"}, {"--no-alpn"}}
	const each = 6
	for _, args := range runs {
		args = append(args, "-skv", "--max-time", "5", "--resolve", "shop.test:443:"+x.server.V4.String(), "https://shop.test/")
		for range each {
			if out, err := x.client.Command(curl, args...).Output(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
	}
	x.tallied(443, each*len(runs))
	var got []string
	for _, ev := range x.told.all(func(ev *flow.Event) bool { return ev.Kind == flow.KindExchange && ev.Exchange.TLS != nil }) {
		h := ev.Exchange.TLS
		chosen, reused := h.Chosen, "."
		if chosen == "" {
			chosen = "-"
		}
		if h.Resumed {
			reused = "r"
		}
		got = append(got, fmt.Sprintf("%s %s %s %s %s", versionName(h.Version), cipherName(h.Cipher), h.ServerName, chosen, reused))
	}
	log, err := os.ReadFile(x.path("access.log"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	if len(lines) != len(got) {
		t.Errorf("%d handshakes told in full, nginx has a log of %d", len(got), len(lines))
	}
	for i := range min(len(lines), len(got)) {
		line := lines[i]
		if f := strings.Fields(line); len(f) == 5 && f[0] == "TLSv1.3" {
			f[3] = "-" // said where it cannot be seen
			line = strings.Join(f, " ")
		}
		if got[i] != line {
			t.Errorf("told %q, nginx has %q", got[i], lines[i])
		}
	}
	x.nothingUnseen()
}

func versionName(v uint16) string {
	for name, number := range printedVersions {
		if number == v {
			return name
		}
	}
	return ""
}

// cipherName is OpenSSL's name.
func cipherName(c uint16) string {
	return map[uint16]string{
		0x1301: "TLS_AES_128_GCM_SHA256", 0x1302: "TLS_AES_256_GCM_SHA384", 0x1303: "TLS_CHACHA20_POLY1305_SHA256",
		0xc02b: "ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02c: "ECDHE-ECDSA-AES256-GCM-SHA384", 0xcca9: "ECDHE-ECDSA-CHACHA20-POLY1305",
	}[c]
}
