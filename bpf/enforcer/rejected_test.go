package enforcer

import (
	"bytes"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/bpf/lab/role"
	"github.com/seed79351815/weir/enforce/policy"
)

// rejecting has refused questions answered, everywhere.
const rejecting = `endpointSelector: {matchLabels: {name: client}}
egress:
- toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchName: a.test}], dnsRejectResponseCode: CODE}}]
`

// hears sends messages from one socket and gives what came back of each.
func (w *court) hears(from string, to netip.AddrPort, how role.Behaviour, all []asked) []role.Conn {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "datagrams.json")
	var script role.Datagrams
	for _, one := range all {
		script.Client = append(script.Client, role.Datagram{Say: one.say})
	}
	if err := role.WriteDatagrams(path, script); err != nil {
		w.t.Fatal(err)
	}
	return w.hosts[from].Account(role.Spec{Role: role.Asker, Address: to.String(), Path: path, Behaviour: how, Timeout: 2 * time.Second, Detail: true}).Each
}

// A refused question is answered at once, in the resolver's name, and does not
// reach it.
func TestRefusedQuestionsAreAnswered(t *testing.T) {
	eachKind(t, func(t *testing.T, classic bool) { answerRefused(t, classic, false) })
}

// Docker's resolver is at another port than the application names.
func TestRefusedQuestionsAreAnsweredThroughNAT(t *testing.T) {
	lab.RequireTool(t, "iptables")
	eachKind(t, func(t *testing.T, classic bool) { answerRefused(t, classic, true) })
}

func answerRefused(t *testing.T, classic, translated bool) {
	w := &court{newOccupiedTown(t, classic, "client", "resolver"), nil}
	client := w.hosts["client"]
	w.hosts["daemon"] = w.lab.Neighbour(client, "daemon")
	at := "127.0.0.11:53"
	if translated {
		at = "127.0.0.1:9953"
		client.Filter("OUTPUT", "-t", "nat", "-p", "udp", "-o", "lo", "--dport", "53", "-j", "REDIRECT", "--to-ports", "9953")
	}
	server := w.hosts["resolver"].Play(role.Spec{Role: role.UDPServer, Address: lab.Listen(53)})
	docker := w.hosts["daemon"].Play(role.Spec{Role: role.UDPServer, Address: at})
	edns := question(3, "evil.test.", dnsmessage.TypeAAAA)
	opt := dnsmessage.ResourceHeader{Name: name("."), Type: dnsmessage.TypeOPT, Class: 1232}
	edns.Additionals = []dnsmessage.Resource{{Header: opt, Body: &dnsmessage.OPTResource{}}}
	all := append(questionsOf(t, "EviL.test", "a.test"), asked{"EDNS", pack(t, edns), "evil.test"}, hostile(t)[5])
	for _, c := range []struct {
		reject string
		code   dnsmessage.RCode
	}{{"refused", dnsmessage.RCodeRefused}, {"nameError", dnsmessage.RCodeNameError}} {
		w.hold(policy.ModeEnforce, strings.ReplaceAll(rejecting, "CODE", c.reject))
		for _, addr := range []netip.Addr{w.hosts["resolver"].V4, w.hosts["resolver"].V6, netip.MustParseAddr("127.0.0.11")} {
			for _, how := range []role.Behaviour{role.Echo, role.Connected} {
				what := fmt.Sprintf("%s by %s, %q", addr, c.reject, how)
				to := netip.AddrPortFrom(addr, 53)
				heard := w.hears("client", to, how, all)
				if len(heard) != len(all) {
					t.Fatalf("%s: %+v", what, heard)
				}
				for i, h := range heard {
					var m, q dnsmessage.Message
					switch i {
					case 1:
						if !bytes.Equal(h.Heard, all[i].say) {
							t.Errorf("%s: the allowed one: %+v", what, h)
						}
					case 3:
						if h.Failure != "denied" {
							t.Errorf("%s: two questions: %+v", what, h)
						}
					default:
						if h.Failure != "" || netip.AddrPortFrom(h.Remote.Addr().Unmap(), h.Remote.Port()) != to {
							t.Errorf("%s, %s: %+v", what, all[i].what, h)
						} else if m.Unpack(h.Heard) != nil || q.Unpack(all[i].say) != nil || !m.Response || m.RCode != c.code || m.ID != q.ID ||
							!m.RecursionDesired || len(m.Answers) > 0 || fmt.Sprint(m.Questions) != fmt.Sprint(q.Questions) {
							t.Errorf("%s, %s: answered %+v", what, all[i].what, m)
						}
					}
				}
			}
		}
	}
	for name, p := range map[string]*lab.Player{"resolver": server, "docker's": docker} {
		r := p.Stop()
		if want := uint64(len(all[1].say)); r.Received%want != 0 || r.Received > 8*want {
			t.Errorf("%s heard %d bytes in %d messages", name, r.Received, r.Messages)
		}
	}
}
