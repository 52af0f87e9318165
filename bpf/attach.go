package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// attach puts one program where it belongs. The link ends with this process; a
// program that another calls has none, it goes with the map.
func attach(cfg Config, u *loaded, h hook, maps map[string]*ebpf.Map) (link.Link, error) {
	var l link.Link
	var err error
	prog, attachType := u.coll.Programs[h.program], u.types[h.program]
	switch h.attach {
	case attachTracing:
		l, err = link.AttachTracing(link.TracingOptions{Program: prog})
	case attachCgroup:
		l, err = link.AttachCgroup(link.CgroupOptions{Path: cfg.CgroupRoot, Attach: attachType, Program: prog})
	case attachSockIter:
		l, err = link.AttachIter(link.IterOptions{Program: prog, Map: maps["sockets"]})
	case attachTaskIter:
		l, err = link.AttachIter(link.IterOptions{Program: prog})
	case attachTail:
		array := maps["l7_egress"]
		if attachType == ebpf.AttachCGroupInetIngress {
			array = maps["l7_ingress"]
		}
		err = array.Put(uint32(u.protocol), prog)
	default:
		err = fmt.Errorf("unknown kind of attachment %d", h.attach)
	}
	if err != nil {
		return nil, explain("attach "+h.program+" to "+h.point, err)
	}
	return l, nil
}
