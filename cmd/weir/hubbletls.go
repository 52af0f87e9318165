package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// mutualTLS lets in only clients with a certificate: flows tell who talks to
// whom. The files are read for each connection, so that renewed certificates
// need no restart; where they cannot be, those read last go on.
type mutualTLS struct {
	cert, key, authorities string // files
	log                    *slog.Logger

	mu   sync.Mutex
	last *tls.Config
	told string // the failure that was logged
}

func (c *config) hubbleTLS(log *slog.Logger) (*mutualTLS, error) {
	if c.hubbleCert == "" || c.hubbleKey == "" || c.hubbleCA == "" {
		return nil, errors.New("a network address needs mutual TLS: give --hubble-cert, --hubble-key and --hubble-client-ca, or listen at unix:///path")
	}
	m := &mutualTLS{cert: c.hubbleCert, key: c.hubbleKey, authorities: c.hubbleCA, log: log}
	var err error
	m.last, err = m.read()
	return m, err
}

// leaf is the certificate that was read last.
func (m *mutualTLS) leaf() *x509.Certificate {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last.Certificates[0].Leaf
}

// config is for a listener.
func (m *mutualTLS) config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return m.current(), nil },
	}
}

func (m *mutualTLS) current() *tls.Config {
	m.mu.Lock()
	defer m.mu.Unlock()
	fresh, err := m.read()
	if err == nil {
		m.last, m.told = fresh, ""
		return m.last
	}
	if text := err.Error(); text != m.told {
		m.told = text
		m.log.Warn("the Hubble API goes on with the certificates that it has", "error", err)
	}
	return m.last
}

func (m *mutualTLS) read() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(m.cert, m.key)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	pem, err := os.ReadFile(m.authorities)
	if err != nil {
		return nil, fmt.Errorf("client authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client authorities %s: no certificate in it", m.authorities)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"},
	}, nil
}
