package aggregate

import "github.com/seed79351815/weir/collector/flow"

// workloadKey tells workloads apart: by cgroup on this host, by name where
// another host's are shown. The zero key stands for the ends without a workload.
type workloadKey struct {
	cgroup                     uint64
	container, namespace, name string
}

func keyOf(w *flow.Workload) workloadKey {
	switch {
	case w == nil:
		return workloadKey{}
	case w.CgroupID != 0:
		return workloadKey{cgroup: w.CgroupID}
	}
	return workloadKey{0, w.Container, w.Namespace, w.Name}
}

// viewWorkload sums what one workload did since the view looks.
type viewWorkload struct {
	workload                           *flow.Workload
	touched                            int64 // time of the latest record
	opened, failed, drops, retransmits uint64
	sent, received                     flow.Counters
	flux                               flux
	row                                int    // in the snapshot that is being built
	round                              uint64 // the latest build in which a flow was its own
	rtt, rtts                          int64
	served, asked                      accounts
}

// workload is the sum for w; nil where there is no room for another.
func (v *View) workload(w *flow.Workload, at int64) *viewWorkload {
	k := keyOf(w)
	x := v.workloads[k]
	if x == nil {
		if len(v.workloads) >= maxWorkloads {
			return nil
		}
		x = &viewWorkload{workload: w}
		v.workloads[k] = x
	}
	if !worse(w, x.workload) {
		x.workload = w
	}
	x.touched = at
	return x
}

// count takes a record in, seen from one side of its flow. A nil w counts nothing.
func (w *viewWorkload) count(sd side, r *flow.Record, at int64) {
	if w == nil {
		return
	}
	w.touched = at
	w.add(sd, &r.Delta)
	w.retransmits += uint64(r.Delta.Retransmits)
	switch r.Kind {
	case flow.RecordStart:
		if !r.Flow.Preexisting {
			w.opened++
			w.flux.opened[w.flux.at(at)]++
		}
	case flow.RecordEnd:
		if r.Flow.End.Failed() {
			w.failed++
		}
	case flow.RecordDrop:
		if r.Drop != nil {
			w.drops += r.Drop.Packets
		}
	}
}

func (w *viewWorkload) add(sd side, d *flow.Delta) {
	if sd == client {
		w.sent.Add(d.Sent)
		w.received.Add(d.Received)
	} else {
		w.sent.Add(d.Received)
		w.received.Add(d.Sent)
	}
}
