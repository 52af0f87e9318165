package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// attach puts one program where it belongs. The link ends with this process.
func attach(cfg Config, h hook, prog *ebpf.Program, attachType ebpf.AttachType, sockets *ebpf.Map) (link.Link, error) {
	var l link.Link
	var err error
	switch h.attach {
	case attachTracing:
		l, err = link.AttachTracing(link.TracingOptions{Program: prog})
	case attachCgroup:
		l, err = link.AttachCgroup(link.CgroupOptions{Path: cfg.CgroupRoot, Attach: attachType, Program: prog})
	case attachSockIter:
		l, err = link.AttachIter(link.IterOptions{Program: prog, Map: sockets})
	case attachTaskIter:
		l, err = link.AttachIter(link.IterOptions{Program: prog})
	default:
		err = fmt.Errorf("unknown kind of attachment %d", h.attach)
	}
	if err != nil {
		return nil, explain("attach "+h.program+" to "+h.point, err)
	}
	return l, nil
}
