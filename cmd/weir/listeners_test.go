package main

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed79351815/weir/exporters/hubble/hubbletest"
)

// What can be wrong with one listener must leave none of the others behind.
func TestListenAllOrNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tc := range []struct {
		name string
		set  func(c *config, dir string)
		want string
	}{
		{"control", func(c *config, dir string) { c.socket = filepath.Join(dir, "file", "x") }, "control socket"},
		{"metrics", func(c *config, _ string) { c.metricsListen = taken.Addr().String() }, "in use by another program"},
		{"web configuration", func(c *config, dir string) { c.metricsWebConfig = filepath.Join(dir, "none.yml") }, "metrics web configuration"},
		{"hubble at the control socket", func(c *config, _ string) { c.hubbleListen = "unix://" + c.socket }, "must not be the control socket"},
		{"hubble without TLS", func(c *config, _ string) { c.hubbleListen = "127.0.0.1:0" }, "needs mutual TLS"},
		{"hubble with half of TLS", func(c *config, dir string) {
			c.hubbleListen, c.hubbleCert, c.hubbleKey, c.hubbleCA = "127.0.0.1:0", filepath.Join(dir, "file"), filepath.Join(dir, "file"), "x"
		}, "certificate: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			c := config{socket: filepath.Join(dir, "weir.sock"), hubbleListen: "unix://" + filepath.Join(dir, "hubble.sock"), metricsListen: "127.0.0.1:0"}
			tc.set(&c, dir)
			if _, err := c.listen(slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			left, _ := filepath.Glob(filepath.Join(dir, "*.sock"))
			if len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	dir := t.TempDir()
	c := config{socket: filepath.Join(dir, "weir.sock")}
	l, err := c.listen(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("all but the control socket off: %v", err)
	}
	l.close()
}

// The Hubble API can be at a socket and at network addresses at once.
func TestHubbleAtManyAddresses(t *testing.T) {
	dir := t.TempDir()
	cert, key := hubbletest.Pair(t, dir, "server")
	socket := "unix://" + filepath.Join(dir, "hubble.sock")
	for _, tc := range []struct {
		listen, prefix string // prefix of what relays are told
		addresses      int
		server         string
	}{
		{"", "unix://" + filepath.Join(dir, "weir.sock"), 0, ""},
		{socket, socket, 1, ""},
		{socket + ",127.0.0.1:0", "127.0.0.1:", 2, "127.0.0.1"},
		{"0.0.0.0:0", hostName() + ":", 1, "127.0.0.1"},
	} {
		c := config{socket: filepath.Join(dir, "weir.sock"), hubbleListen: tc.listen, hubbleCert: cert, hubbleKey: key, hubbleCA: cert}
		l, err := c.listen(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatalf("%q: %v", tc.listen, err)
		}
		defer l.close()
		told := c.hubbleAddress(l)
		if !strings.HasPrefix(told, tc.prefix) || strings.HasSuffix(told, ":0") || l.serverName != tc.server {
			t.Errorf("%q: a relay is told %q with the name %q", tc.listen, told, l.serverName)
		}
		all := c.hubbleAddresses(l)
		if len(all) != tc.addresses || strings.HasSuffix(strings.Join(all, ","), ":0") {
			t.Errorf("%q: shown as %q", tc.listen, all)
		}
		l.close()
	}
	for list, want := range map[string]string{
		"unix://run":                       "expected unix:// and an absolute path",
		"unix:///a,":                       "expected unix:///path or host:port",
		"4244":                             "expected unix:///path or host:port",
		"unix:///a,10.0.0.1":               "expected unix:///path or host:port",
		strings.Repeat("a:1,", 16) + "a:1": "17 addresses, at most 16",
	} {
		if err := listenError(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", list, err, want)
		}
	}
}
