package main

import (
	"fmt"
	"log/slog"
	"net"

	"github.com/seed79351815/weir/exporters/prom"
)

// listeners are where the daemon answers. What is off is nil.
type listeners struct {
	control net.Listener
	hubble  []net.Listener
	metrics net.Listener

	serverName string // what clients verify the Hubble API's certificate by
}

// listen opens everything or nothing. What becomes of certificates later goes to
// log.
func (c *config) listen(log *slog.Logger) (*listeners, error) {
	l := &listeners{}
	if err := c.listenAll(l, log); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (c *config) listenAll(l *listeners, log *slog.Logger) (err error) {
	if l.control, err = listenUnix(c.socket, c.socketGroup); err != nil {
		return fmt.Errorf("control %w", err)
	}
	if err = c.listenHubble(l, log); err != nil {
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

func (l *listeners) close() {
	for _, x := range append([]net.Listener{l.control, l.metrics}, l.hubble...) {
		if x != nil {
			x.Close()
		}
	}
}
