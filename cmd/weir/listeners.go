package main

import (
	"fmt"
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

func (l *listeners) close() {
	for _, x := range append([]net.Listener{l.control, l.metrics}, l.hubble...) {
		if x != nil {
			x.Close()
		}
	}
}
