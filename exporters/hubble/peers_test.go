package hubble_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	peerpb "github.com/cilium/cilium/api/v1/peer"

	"github.com/seed79351815/weir/exporters/hubble"
)

func TestParsePeers(t *testing.T) {
	for _, tt := range []struct {
		list string
		want []hubble.Peer
	}{
		{"", nil},
		{"db.example:4244", []hubble.Peer{{"db.example", "db.example:4244", "db.example"}}},
		{"web-1=192.0.2.1:4244, web-2=[2001:db8::2]:4245", []hubble.Peer{{"web-1", "192.0.2.1:4244", "192.0.2.1"}, {"web-2", "[2001:db8::2]:4245", "2001:db8::2"}}},
		{"web-1=192.0.2.1:4244/web-1.example", []hubble.Peer{{"web-1", "192.0.2.1:4244", "web-1.example"}}},
		{"shop/web-1=web-1:1", []hubble.Peer{{"shop/web-1", "web-1:1", "web-1"}}},
		{"web-1=unix:///run/weir/hubble.sock", []hubble.Peer{{"web-1", "unix:///run/weir/hubble.sock", ""}}},
	} {
		got, err := hubble.ParsePeers(tt.list)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %+v, %v", tt.list, got, err)
		}
	}
	for list, want := range map[string]string{
		",":                          "expected [name=]host:port",
		"a:1,":                       "expected [name=]host:port",
		"a":                          "expected [name=]host:port",
		":4244":                      "expected [name=]host:port",
		"a:0":                        `"0" is no port`,
		"a:65536":                    `"65536" is no port`,
		"a:grpc":                     "is no port",
		"=a:1":                       `"" is no name of a node`,
		"a\x1b[2J=b:1":               "is no name of a node",
		"a:1/":                       `"" is no server name`,
		"x=a:1/b c":                  `"b c" is no server name`,
		"unix:///run/s":              "a socket needs the name of its node",
		"a=unix://run/s":             "is no absolute path",
		"a:1,a:2":                    `a second one with the name "a"`,
		strings.Repeat("a:1,", 1001): "1002 peers, at most 1000",
	} {
		if got, err := hubble.ParsePeers(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %+v, error %v, want %q", list, got, err, want)
		}
	}
}

// What is taken is told to a relay as it is, and has what a relay needs.
func FuzzParsePeers(f *testing.F) {
	for _, s := range []string{"", "a:1", "n=a:1/b,m=[::1]:2", "n=unix:///x", "=,:/", "a=b=c:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		peers, err := hubble.ParsePeers(list)
		if err != nil {
			return
		}
		var again []string
		for _, p := range peers {
			text := p.Name + "=" + p.Address
			if p.ServerName != "" {
				text += "/" + p.ServerName
			}
			again = append(again, text)
			if (p.ServerName == "") != strings.HasPrefix(p.Address, "unix://") {
				t.Errorf("%+v: TLS only where there is a network", p)
			}
		}
		if got, err := hubble.ParsePeers(strings.Join(again, ",")); err != nil || !slices.Equal(got, peers) {
			t.Errorf("%q: %+v became %+v, %v", list, peers, got, err)
		}
	})
}

// A relay asks one node for all of them. One that is in the list itself is told
// of as the list has it: so every node can have the same list.
func TestPeersAreTold(t *testing.T) {
	peers, err := hubble.ParsePeers("node-2=192.0.2.2:4244/two.example,node-1=192.0.2.1:4244/one.example,node-3=unix:///run/three.sock")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		cfg  hubble.Config
		want []string
	}{
		{"alone at a socket", hubble.Config{NodeName: "node-1", Address: "unix:///run/one.sock"}, []string{"node-1 unix:///run/one.sock false "}},
		{"alone with TLS", hubble.Config{NodeName: "node-1", Address: "0.0.0.0:4244", ServerName: "one"}, []string{"node-1 0.0.0.0:4244 true one"}},
		{"listed", hubble.Config{NodeName: "node-1", Address: "unix:///run/one.sock", Peers: peers}, []string{
			"node-1 192.0.2.1:4244 true one.example", "node-2 192.0.2.2:4244 true two.example", "node-3 unix:///run/three.sock false ",
		}},
		{"not listed", hubble.Config{NodeName: "node-4", Address: "node-4:4244", ServerName: "four", Peers: peers[:1]}, []string{
			"node-4 node-4:4244 true four", "node-2 192.0.2.2:4244 true two.example",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := hubble.NewObserver(tt.cfg)
			target, _ := serve(t, o)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			stream, err := peerpb.NewPeerClient(conn(t, target)).Notify(ctx, &peerpb.NotifyRequest{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for range tt.want {
				n, err := stream.Recv()
				if err != nil {
					t.Fatalf("after %q: %v", got, err)
				}
				if n.GetType() != peerpb.ChangeNotificationType_PEER_ADDED {
					t.Errorf("%v", n)
				}
				got = append(got, node(n.GetName(), n.GetAddress(), n.GetTls() != nil, n.GetTls().GetServerName()))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("told %q, want %q", got, tt.want)
			}
			list, err := o.GetNodes(ctx, &observerpb.GetNodesRequest{})
			if err != nil || len(list.GetNodes()) != 1 {
				t.Fatalf("nodes %v, %v", list, err)
			}
			n := list.GetNodes()[0]
			if self := node(n.GetName(), n.GetAddress(), n.GetTls().GetEnabled(), n.GetTls().GetServerName()); self != tt.want[0] {
				t.Errorf("lists %q, tells %q", self, tt.want[0])
			}
		})
	}
}

func node(name, address string, tls bool, server string) string {
	text := name + " " + address + " false "
	if tls {
		text = name + " " + address + " true " + server
	}
	return text
}
