package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
)

// maxHubble bounds the addresses of the Hubble API.
const maxHubble = 16

// hubbleList are the addresses that were asked for.
func (c *config) hubbleList() []string {
	if c.hubbleListen == "" {
		return nil
	}
	return strings.Split(c.hubbleListen, ",")
}

// listenError finds what is wrong with a list of addresses before any is used.
func listenError(list string) error {
	c := config{hubbleListen: list}
	all := c.hubbleList()
	if len(all) > maxHubble {
		return fmt.Errorf("%d addresses, at most %d", len(all), maxHubble)
	}
	for _, address := range all {
		path, socket := strings.CutPrefix(address, "unix://")
		if socket {
			if !strings.HasPrefix(path, "/") || len(path) > 107 {
				return fmt.Errorf("%q: expected unix:// and an absolute path of at most 107 bytes", address)
			}
			continue
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("%q: expected unix:///path or host:port", address)
		}
	}
	return nil
}

func (c *config) listenHubble(l *listeners, log *slog.Logger) error {
	var secure *mutualTLS
	for _, address := range c.hubbleList() {
		path, socket := strings.CutPrefix(address, "unix://")
		switch {
		case socket && path == c.socket:
			return errors.New("hubble socket: it must not be the control socket; choose another with --hubble-listen")
		case socket:
			x, err := listenUnix(path, c.socketGroup)
			if err != nil {
				return fmt.Errorf("hubble %w", err)
			}
			l.hubble = append(l.hubble, x)
			continue
		case secure == nil:
			var err error
			if secure, err = c.hubbleTLS(log); err != nil {
				return fmt.Errorf("hubble %s: %w", address, err)
			}
			if l.serverName, err = serverName(secure.leaf(), hostName()); err != nil {
				return fmt.Errorf("hubble %s: certificate %s: %w", address, c.hubbleCert, err)
			}
		}
		plain, err := listenTCP("hubble", "hubble-listen", address)
		if err != nil {
			return err
		}
		l.hubble = append(l.hubble, tls.NewListener(plain, secure.config()))
	}
	return nil
}

// serverName is a name that clients can verify a certificate by: the node's own
// where it has that, else the first.
func serverName(cert *x509.Certificate, node string) (string, error) {
	if cert.VerifyHostname(node) == nil {
		return node, nil
	}
	for _, n := range cert.DNSNames {
		if rest, ok := strings.CutPrefix(n, "*."); ok {
			n = strings.ReplaceAll(node, ".", "-") + "." + rest
		}
		if cert.VerifyHostname(n) == nil {
			return n, nil
		}
	}
	if len(cert.IPAddresses) > 0 {
		return cert.IPAddresses[0].String(), nil
	}
	return "", errors.New("it has neither a DNS name nor an address among its subject alternative names, so that no client could verify it")
}

// hubbleAddresses are where the Hubble API really is: a port of 0 has become one.
func (c *config) hubbleAddresses(l *listeners) []string {
	all := c.hubbleList()
	for i, x := range l.hubble {
		if a := x.Addr(); a.Network() == "tcp" {
			all[i] = a.String()
		}
	}
	return all
}

// hubbleAddress is where a relay finds this node: at a network address where
// there is one, as relays are elsewhere as a rule; at the control socket where
// there is no address at all.
func (c *config) hubbleAddress(l *listeners) string {
	for _, x := range l.hubble {
		a, ok := x.Addr().(*net.TCPAddr)
		switch {
		case !ok:
		case a.IP.IsUnspecified():
			return net.JoinHostPort(hostName(), fmt.Sprint(a.Port))
		default:
			return a.String()
		}
	}
	if all := c.hubbleList(); len(all) > 0 {
		return all[0]
	}
	return "unix://" + c.socket
}
