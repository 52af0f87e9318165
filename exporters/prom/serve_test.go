package prom

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// webFiles writes a web configuration beside a certificate of its own.
func webFiles(t *testing.T, config string) string {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"web.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		"web.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}),
		"web.yml": []byte(config),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "web.yml")
}

const withTLS = "tls_server_config: {cert_file: web.crt, key_file: web.key}\n"

// served starts a server and gives its address; the test's end ends it.
func servedAt(t *testing.T, webConfig string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e, _ := newExporter(t, 0)
	h, err := e.Handler(func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, h, webConfig, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

func TestServe(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("open sesame"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := "basic_auth_users: {scraper: '" + string(hash) + "'}\n"
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // signed by itself
	}}
	for _, tc := range []struct {
		name, config, scheme, password string
		want                           int
	}{
		{"plain", "", "http", "", 200},
		{"TLS", withTLS, "https", "", 200},
		{"TLS, asked without", withTLS, "http", "", 400},
		{"users, without", users, "http", "", 401},
		{"users, wrong password", users, "http", "abra", 401},
		{"users", users, "http", "open sesame", 200},
		{"TLS and users", withTLS + users, "https", "open sesame", 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := ""
			if tc.config != "" {
				path = webFiles(t, tc.config)
				if err := CheckWebConfig(path); err != nil {
					t.Fatal(err)
				}
			}
			req, err := http.NewRequest("GET", tc.scheme+"://"+servedAt(t, path)+"/metrics", nil)
			if err != nil {
				t.Fatal(err)
			}
			if tc.password != "" {
				req.SetBasicAuth("scraper", tc.password)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != tc.want {
				t.Errorf("status %d, want %d", resp.StatusCode, tc.want)
			}
		})
	}
}

func TestWebConfigRefused(t *testing.T) {
	for _, tc := range []struct{ name, config, want string }{
		{"unknown field", "tls_server_confg: {}\n", "tls_server_confg"},
		{"no key", "tls_server_config: {cert_file: web.crt}\n", "key_file"},
		{"no such file", "tls_server_config: {cert_file: none.crt, key_file: web.key}\n", "none.crt"},
		{"no hash", "basic_auth_users: {scraper: hunter2}\n", "hash"},
		{"no YAML", "\x00\x01", "control characters"},
	} {
		path := webFiles(t, tc.config)
		err := CheckWebConfig(path)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q and the file's path", tc.name, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows a password: %v", tc.name, err)
		}
	}
	if err := CheckWebConfig(filepath.Join(t.TempDir(), "none.yml")); err == nil {
		t.Error("a file that is not there is right")
	}
	// What is refused closes its listener, too.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := Serve(context.Background(), l, http.NotFoundHandler(), webFiles(t, "?"), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a wrong configuration was served")
	}
	if again, err := net.Listen("tcp", l.Addr().String()); err != nil {
		t.Errorf("the listener is left behind: %v", err)
	} else {
		again.Close()
	}
}
