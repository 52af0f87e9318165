package printer

import (
	"net"
	"path"
	"strconv"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"

	"github.com/seed79351815/weir/exporters/hubble/filter"
)

func (p *Printer) flow(f *flowpb.Flow) {
	src, dst := p.hosts(f)
	when, node, typ, verdict, text := p.time(f.GetTime()), Sanitize(f.GetNodeName()), Sanitize(typeName(f)), p.verdict(f), Sanitize(summary(f))
	switch p.o.Format {
	case FormatCompact:
		srcID, dstID := p.identity(f.GetSource()), p.identity(f.GetDestination())
		arrow := "->"
		switch {
		case f.GetIsReply() == nil:
			arrow = "<>"
		case f.GetIsReply().GetValue(): // the client stays on the left
			src, dst, srcID, dstID, arrow = dst, src, dstID, srcID, "<-"
		}
		if p.o.NodeName {
			when += " [" + node + "]"
		}
		p.printf("%s: %s %s %s %s %s %s %s (%s)\n", when, src, srcID, arrow, dst, dstID, typ, verdict, text)
	case FormatDict:
		p.dict([][2]string{
			{"TIMESTAMP", when}, {"NODE", node}, {"SOURCE", src}, {"DESTINATION", dst}, {"TYPE", typ}, {"VERDICT", verdict}, {"SUMMARY", text},
		})
	case FormatTable:
		p.row(when, node, src, dst, typ, verdict, text)
	}
	p.line++
}

// dict writes the values below each other; the second is the node.
func (p *Printer) dict(lines [][2]string) {
	if p.line > 0 {
		p.printf("------------\n")
	}
	for i, l := range lines {
		if i == 1 && !p.o.NodeName {
			continue
		}
		p.printf("%11s: %s\n", l[0], l[1])
	}
}

func (p *Printer) row(when, node string, cells ...string) {
	if p.line == 0 {
		p.columns("TIMESTAMP", "NODE", "SOURCE", "DESTINATION", "TYPE", "VERDICT", "SUMMARY")
	}
	p.columns(when, node, cells...)
}

func (p *Printer) columns(when, node string, cells ...string) {
	all := []string{when}
	if p.o.NodeName {
		all = append(all, node)
	}
	p.printf("%s\n", strings.Join(append(all, cells...), "\t"))
}

func (p *Printer) hosts(f *flowpb.Flow) (src, dst string) {
	if f.GetIP() == nil {
		return p.color(cyan, Sanitize(f.GetEthernet().GetSource())), p.color(cyan, Sanitize(f.GetEthernet().GetDestination()))
	}
	sport, dport := ports(f)
	return p.host(f.GetIP().GetSource(), sport, f.GetSource(), f.GetSourceService(), f.GetSourceNames()),
		p.host(f.GetIP().GetDestination(), dport, f.GetDestination(), f.GetDestinationService(), f.GetDestinationNames())
}

// host is the best name of one end: pod, service, DNS names, address.
func (p *Printer) host(ip string, port uint32, e *flowpb.Endpoint, svc *flowpb.Service, names []string) string {
	name := ip
	if !p.o.Numeric {
		switch {
		case e.GetPodName() != "":
			name = path.Join(e.GetNamespace(), e.GetPodName())
		case svc.GetName() != "":
			name = path.Join(svc.GetNamespace(), svc.GetName())
		case len(names) > 0:
			name = strings.Join(names, ",")
		}
	}
	name = Sanitize(name)
	if port == 0 {
		return p.color(cyan, name)
	}
	head, _ := strings.CutSuffix(net.JoinHostPort(name, ""), ":")
	return p.color(cyan, head+":") + p.color(yellow, strconv.Itoa(int(port)))
}

func ports(f *flowpb.Flow) (src, dst uint32) {
	switch l4 := f.GetL4().GetProtocol().(type) {
	case *flowpb.Layer4_TCP:
		return l4.TCP.GetSourcePort(), l4.TCP.GetDestinationPort()
	case *flowpb.Layer4_UDP:
		return l4.UDP.GetSourcePort(), l4.UDP.GetDestinationPort()
	case *flowpb.Layer4_SCTP:
		return l4.SCTP.GetSourcePort(), l4.SCTP.GetDestinationPort()
	}
	return 0, 0
}

func (p *Printer) identity(e *flowpb.Endpoint) string {
	n := e.GetIdentity()
	if name := filter.ReservedIdentity(n); name != "" {
		return p.color(magenta, "("+name+")")
	}
	return p.color(magenta, "(ID:"+strconv.FormatUint(uint64(n), 10)+")")
}

func summary(f *flowpb.Flow) string {
	//lint:ignore SA1019 deprecated, and the only text there is
	text := f.GetSummary()
	if id := f.GetIpTraceId().GetTraceId(); id > 0 {
		text = "IP Trace ID: " + strconv.FormatUint(id, 10) + "; " + text
	}
	if a := f.GetAuthType(); a != flowpb.AuthType_DISABLED {
		text += "; Auth: " + a.String()
	}
	return text
}

// lost writes that events are missing, and why.
func (p *Printer) lost(res *observerpb.GetFlowsResponse, l *flowpb.LostEvent) {
	when, node, source := p.time(res.GetTime()), Sanitize(res.GetNodeName()), l.GetSource().String()
	text := strconv.FormatUint(l.GetNumEventsLost(), 10)
	if l.GetCpu() != nil {
		text = "CPU(" + strconv.Itoa(int(l.GetCpu().GetValue())) + ") " + text
	}
	if l.GetFirst() != nil && l.GetLast() != nil {
		text += " (first: " + p.time(l.GetFirst()) + ", last: " + p.time(l.GetLast()) + ")"
	}
	if why := lostWhy(l.GetSource()); why != "" {
		text += ": " + why
	}
	switch p.o.Format {
	case FormatCompact:
		p.printf("%s EVENTS LOST: %s %s\n", when, source, text)
	case FormatDict:
		p.dict([][2]string{{"TIMESTAMP", when}, {"NODE", node}, {"SOURCE", source}, {"TYPE", "EVENTS LOST"}, {"VERDICT", "-"}, {"SUMMARY", text}})
	case FormatTable:
		p.row(when, node, source, "-", "EVENTS LOST", "-", text)
	}
	p.line++
}

func lostWhy(s flowpb.LostEventSource) string {
	switch s {
	case flowpb.LostEventSource_PERF_EVENT_RING_BUFFER:
		return "the kernel made events faster than they were read"
	case flowpb.LostEventSource_OBSERVER_EVENTS_QUEUE:
		return "the collector did not keep up"
	case flowpb.LostEventSource_HUBBLE_RING_BUFFER:
		return "this client reads too slowly"
	}
	return ""
}
