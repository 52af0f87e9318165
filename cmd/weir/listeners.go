package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/seed79351815/weir/exporters/prom"
)

// listeners are where the daemon answers. What is off is nil.
type listeners struct {
	control net.Listener
	hubble  net.Listener
	metrics net.Listener
}

// listen opens everything or nothing.
func (c *config) listen() (*listeners, error) {
	l := &listeners{}
	if err := c.listenAll(l); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (c *config) listenAll(l *listeners) (err error) {
	if l.control, err = listenUnix(c.socket, c.socketGroup); err != nil {
		return fmt.Errorf("control %w", err)
	}
	if err = c.listenHubble(l); err != nil {
		return err
	}
	if c.metricsListen != "" {
		if err = prom.CheckWebConfig(c.metricsWebConfig); err != nil {
			return fmt.Errorf("metrics %w", err)
		}
		l.metrics, err = listenTCP("metrics", "metrics-listen", c.metricsListen)
	}
	return err
}

func (c *config) listenHubble(l *listeners) (err error) {
	if c.hubbleListen == "" {
		return nil
	}
	if path, ok := strings.CutPrefix(c.hubbleListen, "unix://"); ok {
		if path == c.socket {
			return errors.New("hubble socket: it must not be the control socket; choose another with --hubble-listen")
		}
		if l.hubble, err = listenUnix(path, c.socketGroup); err != nil {
			return fmt.Errorf("hubble %w", err)
		}
		return nil
	}
	cfg, err := c.hubbleTLS()
	if err != nil {
		return fmt.Errorf("hubble %s: %w", c.hubbleListen, err)
	}
	plain, err := listenTCP("hubble", "hubble-listen", c.hubbleListen)
	if err != nil {
		return err
	}
	l.hubble = tls.NewListener(plain, cfg)
	return nil
}

// hubbleTLS lets in only clients with a certificate: flows tell who talks to whom.
func (c *config) hubbleTLS() (*tls.Config, error) {
	if c.hubbleCert == "" || c.hubbleKey == "" || c.hubbleCA == "" {
		return nil, errors.New("a network address needs mutual TLS: give --hubble-cert, --hubble-key and --hubble-client-ca, or listen at unix:///path")
	}
	cert, err := tls.LoadX509KeyPair(c.hubbleCert, c.hubbleKey)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	pem, err := os.ReadFile(c.hubbleCA)
	if err != nil {
		return nil, fmt.Errorf("client authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client authorities %s: no certificate in it", c.hubbleCA)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"},
	}, nil
}

func (l *listeners) close() {
	for _, x := range []net.Listener{l.control, l.hubble, l.metrics} {
		if x != nil {
			x.Close()
		}
	}
}
