package hubble_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/hubbletest"
	"github.com/seed79351815/weir/exporters/internal/recordtest"
)

// Two observers behind the real relay are one to the real client: at sockets, and
// at network addresses with mutual TLS.
func TestRealHubbleRelay(t *testing.T) {
	programs := hubbletest.Need(t)
	t.Run("sockets", func(t *testing.T) {
		dir := shortDir(t)
		list := fmt.Sprintf("node-1=unix://%[1]s/1.sock,node-2=unix://%[1]s/2.sock", dir)
		var nodes [2]*hubble.Observer
		for i := range nodes {
			nodes[i] = relayed(t, i, list, listenAt(t, "unix", fmt.Sprintf("%s/%d.sock", dir, i+1)))
		}
		oneView(t, programs.StartRelay(t, "unix://"+dir+"/1.sock", "--disable-client-tls"), nodes)
	})
	t.Run("mutual TLS", func(t *testing.T) {
		dir := shortDir(t)
		relayCert, relayKey := hubbletest.Pair(t, dir, "relay")
		socket := listenAt(t, "unix", dir+"/1.sock")
		var (
			nodes     [2]*hubble.Observer
			secure    [2]net.Listener
			list      []string
			servers   []string
			listeners = [2][]net.Listener{{socket}, nil}
		)
		for i := range nodes {
			name := fmt.Sprintf("node-%d.example", i+1)
			cert, key := hubbletest.Pair(t, dir, fmt.Sprint("node-", i+1), name)
			secure[i] = tls.NewListener(listenAt(t, "tcp", "127.0.0.1:0"), mutual(t, cert, key, relayCert))
			listeners[i] = append(listeners[i], secure[i])
			list = append(list, fmt.Sprintf("node-%d=%s/%s", i+1, secure[i].Addr(), name))
			servers = append(servers, cert)
		}
		for i := range nodes {
			nodes[i] = relayed(t, i, strings.Join(list, ","), listeners[i]...)
		}
		cli := programs.StartRelay(t, "unix://"+dir+"/1.sock", "--tls-hubble-client-cert-file", relayCert, "--tls-hubble-client-key-file", relayKey,
			"--tls-hubble-server-ca-files", strings.Join(servers, ","))
		oneView(t, cli, nodes)
	})
}

// shortDir is a folder whose name leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func listenAt(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mutual(t *testing.T, cert, key, clients string) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(filepath.Clean(clients))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, NextProtos: []string{"h2"}}
}

// relayed is an observer that serves until the test ends. It has a few flows of
// its own, which come one minute after those of the node before.
func relayed(t *testing.T, i int, peers string, listeners ...net.Listener) *hubble.Observer {
	t.Helper()
	known, err := hubble.ParsePeers(peers)
	if err != nil {
		t.Fatal(err)
	}
	o := hubble.NewObserver(hubble.Config{NodeName: fmt.Sprintf("node-%d", i+1), Version: "1.2.3", Peers: known})
	http := recordtest.Exchange(2, flow.HTTP)
	drop := recordtest.New(3, flow.RecordDrop)
	for _, r := range []flow.Record{recordtest.New(1, flow.RecordStart), http, drop, recordtest.Exchange(4, flow.DNS)} {
		r.Time += int64(i) * int64(time.Minute)
		consume(t, o, r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() { end <- o.Serve(ctx, listeners...) }()
	t.Cleanup(func() {
		cancel()
		if err := <-end; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return o
}

// oneView holds what the client says of two nodes to what they are.
func oneView(t *testing.T, cli hubbletest.CLI, nodes [2]*hubble.Observer) {
	cli.T = t
	if out := cli.Run("status"); !strings.Contains(out, "): Ok") || !strings.Contains(out, "Connected Nodes: 2/2") || !strings.Contains(out, "Current/Max Flows: 8/131,072") {
		t.Errorf("status: %s", out)
	}
	list := cli.Run("list", "nodes")
	for _, name := range []string{"node-1", "node-2"} {
		if !strings.Contains(list, name) {
			t.Errorf("no %s among the nodes:\n%s", name, list)
		}
	}
	if strings.Count(list, "Connected") != 2 {
		t.Errorf("nodes: %s", list)
	}
	if out := cli.Run("list", "namespaces"); strings.Count(out, "shop") != 1 {
		t.Errorf("namespaces: %s", out)
	}
	for args, want := range map[string][2]int{ // lines of each node
		"--last 4": {4, 4}, "--last 1": {1, 1}, "-t drop": {1, 1}, "--protocol http": {1, 1}, "--node-name node-2": {0, 4}, "--verdict DROPPED --node-name node-1": {1, 0},
		"--since 2020-01-01T00:00:00Z --until 2020-01-01T00:00:01Z": {0, 0},
	} {
		out := cli.Run(append([]string{"observe", "--print-node-name"}, strings.Fields(args)...)...)
		got := [2]int{strings.Count(out, "[node-1]"), strings.Count(out, "[node-2]")}
		if got != want {
			t.Errorf("%s: %v lines of each node, want %v:\n%s", args, got, want, out)
		}
	}
	for _, format := range []string{"dict", "table", "json", "jsonpb"} {
		out := cli.Run("observe", "--print-node-name", "-o", format)
		for _, want := range []string{"node-1", "node-2", "/users/17", "cart.shop.example", "DROPPED"} {
			if !strings.Contains(out, want) {
				t.Errorf("-o %s: no %s in\n%s", format, want, out)
			}
		}
	}
	followBoth(t, cli, nodes)
}

// followBoth watches a new flow of each node come out of "hubble observe -f".
func followBoth(t *testing.T, cli hubbletest.CLI, nodes [2]*hubble.Observer) {
	cmd := cli.Command("observe", "-f", "--last", "1", "--print-node-name")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	defer time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() }).Stop()
	lines := bufio.NewScanner(stdout)
	// next reads a line; that of one of both nodes comes first.
	next := func(what string) string {
		t.Helper()
		if !lines.Scan() || !strings.Contains(lines.Text(), what) {
			t.Fatalf("%q, %v, want %q", lines.Text(), lines.Err(), what)
		}
		return lines.Text()
	}
	if first, second := next("dns-response"), next("dns-response"); strings.Contains(first, "[node-1]") == strings.Contains(second, "[node-1]") {
		t.Errorf("past: %s and %s", first, second)
	}
	for i, o := range nodes {
		consume(t, o, recordtest.New(99, flow.RecordEnd))
		next(fmt.Sprintf("[node-%d]", i+1))
	}
}
