package printer

import (
	"fmt"
	"strings"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
)

// maxNodes is how many nodes are named in one message.
const maxNodes = 4

// status writes what a relay says of its nodes; that they are connected is no
// news.
func (p *Printer) status(res *observerpb.GetFlowsResponse, s *relaypb.NodeStatusEvent) {
	what := ""
	switch s.GetStateChange() {
	case relaypb.NodeState_NODE_UNAVAILABLE:
		what = "unavailable"
	case relaypb.NodeState_NODE_ERROR:
		what = "error: " + Sanitize(s.GetMessage())
	default:
		return
	}
	nodes := s.GetNodeNames()
	more := ""
	if len(nodes) > maxNodes {
		more = fmt.Sprintf(" and %d more", len(nodes)-maxNodes)
		nodes = nodes[:maxNodes]
	}
	p.printf("%s [%s]: nodes %s%s: %s\n", p.time(res.GetTime()), Sanitize(res.GetNodeName()), Sanitize(strings.Join(nodes, ", ")), more, what)
}
