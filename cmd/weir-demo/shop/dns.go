package shop

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// runDNS answers for the names it was given and says of every other that it
// does not exist. It is the shop's only resolver, so that no query for a made-up
// name leaves the host.
func runDNS(ctx context.Context, args []string) error {
	fs := flags("dns")
	listen := fs.String("listen", ":53", "")
	list := fs.String("hosts", "", "name=address, separated by commas")
	if err := fs.Parse(args); err != nil {
		return err
	}
	hosts, err := parseHosts(*list)
	if err != nil {
		return err
	}
	pc, err := net.ListenPacket("udp", *listen)
	if err != nil {
		return fmt.Errorf("listener: %w", err)
	}
	context.AfterFunc(ctx, func() { pc.Close() })
	buf := make([]byte, 1500)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return err
		}
		if reply, err := answer(buf[:n], hosts); err == nil {
			_, _ = pc.WriteTo(reply, from)
		}
	}
}

func parseHosts(list string) (map[string]netip.Addr, error) {
	hosts := map[string]netip.Addr{}
	for pair := range strings.SplitSeq(list, ",") {
		if pair == "" {
			continue
		}
		name, text, _ := strings.Cut(pair, "=")
		addr, err := netip.ParseAddr(text)
		if err != nil || !addr.Is4() || name == "" {
			return nil, fmt.Errorf("hosts: %q is not name=IPv4 address", pair)
		}
		hosts[strings.ToLower(name)] = addr
	}
	return hosts, nil
}

// answer makes the reply to one query; an error means that there is none to give.
func answer(query []byte, hosts map[string]netip.Addr) ([]byte, error) {
	var p dnsmessage.Parser
	head, err := p.Start(query)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	if head.Response || head.OpCode != 0 {
		return nil, fmt.Errorf("query: not a question")
	}
	q, err := p.Question()
	if err != nil {
		return nil, fmt.Errorf("question: %w", err)
	}
	addr, known := hosts[strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))]
	out := dnsmessage.Header{ID: head.ID, Response: true, Authoritative: true,
		RecursionDesired: head.RecursionDesired, RecursionAvailable: true}
	if !known {
		out.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, out)
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(q); err != nil {
		return nil, err
	}
	if err := b.StartAnswers(); err != nil {
		return nil, err
	}
	if known && q.Type == dnsmessage.TypeA {
		rr := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 30}
		if err := b.AResource(rr, dnsmessage.AResource{A: addr.As4()}); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}
