package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/hubbletest"
)

// safeText is what many goroutines wrote.
type safeText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safeText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// mutual is a Hubble API with mutual TLS in dir, where its files are.
type mutual struct {
	t    *testing.T
	dir  string
	addr string
	log  *safeText
}

func newMutual(t *testing.T) *mutual {
	t.Helper()
	m := &mutual{t: t, dir: t.TempDir(), log: new(safeText)}
	cert, key := hubbletest.Pair(t, m.dir, "server")
	authorities, _ := hubbletest.Pair(t, m.dir, "client")
	c := config{
		socket: filepath.Join(m.dir, "weir.sock"), hubbleListen: "127.0.0.1:0", hubbleCert: cert, hubbleKey: key, hubbleCA: authorities,
	}
	l, err := c.listen(slog.New(slog.NewTextHandler(m.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	m.addr = l.hubble[0].Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() { end <- hubble.NewObserver(hubble.Config{Version: "1.2.3"}).Serve(ctx, l.hubble...) }()
	t.Cleanup(func() {
		cancel()
		if err := <-end; err != nil {
			t.Errorf("serve: %v", err)
		}
		l.close()
	})
	return m
}

// ask connects with a certificate, or with none, and asks for the status.
func (m *mutual) ask(client string, version uint16) error {
	m.t.Helper()
	roots := x509.NewCertPool()
	b, err := os.ReadFile(filepath.Join(m.dir, "server.crt"))
	if err != nil || !roots.AppendCertsFromPEM(b) {
		m.t.Fatal(err)
	}
	cfg := &tls.Config{RootCAs: roots, MaxVersion: version}
	if client != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(m.dir, client+".crt"), filepath.Join(m.dir, client+".key"))
		if err != nil {
			m.t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return m.askBy(credentials.NewTLS(cfg))
}

func (m *mutual) askBy(creds credentials.TransportCredentials) error {
	ctx, cancel := context.WithTimeout(m.t.Context(), 10*time.Second)
	defer cancel()
	c, err := hubble.Dial(ctx, m.addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := c.Status(ctx)
	if err == nil && s.GetVersion() != "1.2.3" {
		m.t.Errorf("status %v", s)
	}
	return err
}

// On a network address only clients with a known certificate are let in.
func TestHubbleMutualTLS(t *testing.T) {
	m := newMutual(t)
	hubbletest.Pair(t, m.dir, "stranger")
	for _, tc := range []struct {
		client  string
		version uint16
		want    bool
	}{{"client", 0, true}, {"stranger", 0, false}, {"", 0, false}, {"client", tls.VersionTLS12, false}} {
		if err := m.ask(tc.client, tc.version); (err == nil) != tc.want {
			t.Errorf("%q, TLS %x: error %v, let in should be %v", tc.client, tc.version, err, tc.want)
		}
	}
	if err := m.askBy(insecure.NewCredentials()); err == nil {
		t.Error("a client without TLS was let in")
	}
}

// Renewed certificates hold from the next connection on; what cannot be read is
// told of once, and changes nothing.
func TestHubbleCertificatesAreRenewed(t *testing.T) {
	m := newMutual(t)
	hubbletest.Pair(t, m.dir, "server")
	if err := m.ask("client", 0); err != nil {
		t.Errorf("a new certificate of the server: %v", err)
	}
	if err := os.Rename(filepath.Join(m.dir, "client.crt"), filepath.Join(m.dir, "old.crt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(m.dir, "client.key"), filepath.Join(m.dir, "old.key")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.ask("old", 0); err != nil {
			t.Errorf("while there are no authorities: %v", err)
		}
	}
	if n := strings.Count(m.log.String(), "goes on with the certificates that it has"); n != 1 {
		t.Errorf("told %d times: %s", n, m.log)
	}
	hubbletest.Pair(t, m.dir, "client")
	if err := m.ask("client", 0); err != nil {
		t.Errorf("a new client: %v", err)
	}
	if err := m.ask("old", 0); err == nil {
		t.Error("the old client is still let in")
	}
}

// A relay is told a name that the certificate has.
func TestServerName(t *testing.T) {
	ip := []net.IP{net.IPv4(192, 0, 2, 1)}
	for _, tc := range []struct {
		names []string
		ips   []net.IP
		want  string
	}{
		{[]string{"db.example", "web-1.lan"}, ip, "web-1.lan"},
		{[]string{"*.lan"}, nil, "web-1.lan"},
		{[]string{"*.default.hubble-grpc.cilium.io"}, ip, "web-1-lan.default.hubble-grpc.cilium.io"},
		{[]string{"hubble.example", "*.example"}, nil, "hubble.example"},
		{nil, ip, "192.0.2.1"},
		{nil, nil, ""},
	} {
		cert := &x509.Certificate{DNSNames: tc.names, IPAddresses: tc.ips, Subject: pkix.Name{CommonName: "web-1.lan"}}
		got, err := serverName(cert, "web-1.lan")
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%q %v: %q, %v, want %q", tc.names, tc.ips, got, err, tc.want)
		}
	}
}
