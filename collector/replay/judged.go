package replay

import (
	"net/netip"

	"github.com/seed79351815/weir/collector/flow"
)

const maxPolicyRefs = 64

type wireJudged struct {
	Cgroup   uint64          `json:"cgroup"`
	Peer     uint64          `json:"peer,omitzero"`
	Ingress  bool            `json:"ingress,omitzero"`
	Denied   bool            `json:"denied,omitzero"`
	Ended    bool            `json:"ended,omitzero"`
	Protocol flow.Protocol   `json:"proto"`
	Local    string          `json:"local,omitzero"`
	Remote   string          `json:"remote"`
	Source   uint16          `json:"lport,omitzero"` // where the local address is not known
	Port     uint16          `json:"port,omitzero"`
	PID      uint32          `json:"pid,omitzero"`
	Comm     text            `json:"comm,omitzero"`
	Count    uint64          `json:"n"`
	Rule     text            `json:"rule,omitzero"`
	Asked    text            `json:"asked,omitzero"`
	By       []wirePolicyRef `json:"by,omitempty"`
}

type wirePolicyRef struct {
	Name      text `json:"name"`
	Namespace text `json:"namespace,omitzero"`
	Kind      text `json:"kind,omitzero"`
	Mode      text `json:"mode,omitzero"`
	Section   text `json:"section,omitzero"`
	Index     int  `json:"index,omitzero"`
}

func encodeJudged(j *flow.Judged) *wireJudged {
	w := &wireJudged{
		Cgroup: j.Cgroup, Peer: j.PeerCgroup, Ingress: j.Ingress, Denied: j.Denied, Ended: j.Ended, Protocol: j.Protocol,
		Local: addrPortText(j.Local), Remote: addrPortText(j.Remote), Port: j.Port, PID: j.PID, Comm: text(j.Comm.String()),
		Count: j.Count, Rule: text(j.Rule), Asked: text(j.Asked),
	}
	if w.Local == "" {
		w.Source = j.Local.Port()
	}
	for _, p := range j.By {
		w.By = append(w.By, wirePolicyRef{text(p.Name), text(p.Namespace), text(p.Kind), text(p.Mode), text(p.Section), p.Index})
	}
	return w
}

func (w *wireJudged) decode() (*flow.Judged, error) {
	j := &flow.Judged{
		Cgroup: w.Cgroup, PeerCgroup: w.Peer, Ingress: w.Ingress, Denied: w.Denied, Ended: w.Ended, Protocol: w.Protocol,
		Port: w.Port, PID: w.PID, Comm: flow.MakeComm(string(w.Comm)), Count: w.Count, Rule: string(w.Rule), Asked: string(w.Asked),
	}
	var err error
	if j.Remote, err = addrPort(w.Remote); err != nil {
		return nil, err
	}
	if w.Local == "" {
		j.Local = netip.AddrPortFrom(netip.Addr{}, w.Source)
	} else if j.Local, err = addrPort(w.Local); err != nil {
		return nil, err
	}
	if err := checkComm(w.Comm); err != nil {
		return nil, err
	}
	if len(w.Rule) > maxString {
		return nil, wrong(`"rule"`, "rule of %d bytes: at most %d", len(w.Rule), maxString)
	}
	if len(w.Asked) > maxString {
		return nil, wrong(`"asked"`, "name of %d bytes: at most %d", len(w.Asked), maxString)
	}
	if len(w.By) > maxPolicyRefs {
		return nil, wrong(`"by"`, "%d policies: at most %d", len(w.By), maxPolicyRefs)
	}
	for _, p := range w.By {
		if n := max(len(p.Name), len(p.Namespace), len(p.Kind), len(p.Mode), len(p.Section)); n > maxString {
			return nil, wrong(`"by"`, "name of %d bytes: at most %d", n, maxString)
		}
		j.By = append(j.By, flow.PolicyRef{Name: string(p.Name), Namespace: string(p.Namespace), Kind: string(p.Kind), Mode: string(p.Mode), Section: string(p.Section), Index: p.Index})
	}
	return j, nil
}
