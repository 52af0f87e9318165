package main

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed79351815/weir/exporters/hubble/hubbletest"
)

// On a network address only clients with a known certificate are let in.
func TestHubbleMutualTLS(t *testing.T) {
	dir := t.TempDir()
	serverCert, serverKey := hubbletest.Pair(t, dir, "server")
	clientCert, clientKey := hubbletest.Pair(t, dir, "client")
	strangerCert, strangerKey := hubbletest.Pair(t, dir, "stranger")
	c := config{
		socket: filepath.Join(dir, "weir.sock"), hubbleListen: "127.0.0.1:0",
		hubbleCert: serverCert, hubbleKey: serverKey, hubbleCA: clientCert,
	}
	l, err := c.listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	go func() {
		for {
			conn, err := l.hubble[0].Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = conn.Write([]byte("x")) // shakes hands first; the client sees whether it went well
			}()
		}
	}()
	roots := x509.NewCertPool()
	b, err := os.ReadFile(serverCert)
	if err != nil || !roots.AppendCertsFromPEM(b) {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, cert, key string
		want            bool
	}{{"known", clientCert, clientKey, true}, {"stranger", strangerCert, strangerKey, false}, {"none", "", "", false}} {
		cfg := &tls.Config{RootCAs: roots, NextProtos: []string{"h2"}}
		if tc.cert != "" {
			pair, err := tls.LoadX509KeyPair(tc.cert, tc.key)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Certificates = []tls.Certificate{pair}
		}
		conn, err := tls.Dial("tcp", l.hubble[0].Addr().String(), cfg)
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if (err == nil) != tc.want {
			t.Errorf("%s: error %v, let in should be %v", tc.name, err, tc.want)
		}
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
