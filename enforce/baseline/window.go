package baseline

import (
	"maps"
	"strings"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

// Window is a stretch of time in which was learned. Times are ns since the Unix
// epoch.
type Window struct {
	Start         int64              `json:"start"`
	End           int64              `json:"end,omitempty"`           // 0 while it is open
	Until         int64              `json:"until,omitempty"`         // when it is to end by itself; 0: not
	Alive         int64              `json:"alive"`                   // until when what was seen is in the baseline
	Blind         int64              `json:"blind,omitempty"`         // ns in which nothing was seen: weir did not run, or ended before it could save
	Interruptions uint64             `json:"interruptions,omitempty"` // how often that was
	Lost          map[string]uint64  `json:"lost,omitempty"`          // by "stage/reason", as in weir_lost_total
	Unseen        map[string]Stretch `json:"unseen,omitempty"`        // by "protocol/reason", as in weir_l7_unseen_…_total
	Before        uint64             `json:"before,omitempty"`        // earlier windows that were put together with this one
}

// Stretch is traffic whose layer 7 was not read.
type Stretch struct {
	Stretches uint64 `json:"stretches"`
	Bytes     uint64 `json:"bytes"`
}

// Learned is for how long something was seen.
func (w *Window) Learned() time.Duration {
	end := w.End
	if end == 0 {
		end = w.Alive
	}
	return time.Duration(max(end-w.Start-w.Blind, 0))
}

// interrupted notes that nothing was seen since the window was last alive.
func (w *Window) interrupted(now int64) {
	if w.Until != 0 {
		now = min(now, w.Until)
	}
	w.Blind += max(now-w.Alive, 0)
	w.Interruptions++
	w.Alive = max(w.Alive, now)
}

// add sums up what o lost.
func (w *Window) add(o *Window) {
	w.Blind += o.Blind
	add(&w.Interruptions, o.Interruptions)
	for k, n := range o.Lost {
		w.lose(k, n)
	}
	for k, s := range o.Unseen {
		w.miss(k, s)
	}
}

func (w *Window) lose(key string, n uint64) {
	if n == 0 {
		return
	}
	if w.Lost == nil {
		w.Lost = map[string]uint64{}
	}
	was, known := w.Lost[key]
	if !known && len(w.Lost) >= maxReasons {
		key, was = "other/other", w.Lost["other/other"]
	}
	add(&was, n)
	w.Lost[key] = was
}

func (w *Window) miss(key string, s Stretch) {
	if s == (Stretch{}) {
		return
	}
	if w.Unseen == nil {
		w.Unseen = map[string]Stretch{}
	}
	was, known := w.Unseen[key]
	if !known && len(w.Unseen) >= maxReasons {
		key, was = "other/other", w.Unseen["other/other"]
	}
	add(&was.Stretches, s.Stretches)
	add(&was.Bytes, s.Bytes)
	w.Unseen[key] = was
}

// Bounds of the reasons that are told apart: there are about thirty, and a
// recording may name any.
const (
	maxReasons = 64
	maxReason  = 96 // bytes
)

func reason(s string) string {
	s = clean(s)
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "")
	}
	return s
}

// account is what a pipeline had lost at a moment.
type account struct {
	lost   map[string]uint64
	unseen map[string]Stretch
}

// accountOf takes out of the pipeline's account what concerns a baseline: not what
// other sinks lost, or a recording.
func accountOf(h *collector.Health) account {
	a := account{map[string]uint64{}, map[string]Stretch{}}
	for l, n := range h.Lost {
		switch l.Stage {
		case "kernel", "reader", "collector", "aggregate", stage:
			a.lost[reason(l.Stage+"/"+l.Reason)] += n
		}
	}
	for _, u := range h.Source.Unseen {
		k := reason(l7Name(u.Protocol) + "/" + u.Reason)
		s := a.unseen[k]
		a.unseen[k] = Stretch{s.Stretches + u.Stretches, s.Bytes + u.Bytes}
	}
	return a
}

// since adds to w what has come since an earlier account. A count that is smaller
// than before is of a new pipeline, and new as a whole.
func (a account) since(old account, w *Window) {
	for k, n := range a.lost {
		w.lose(k, n-atMost(old.lost[k], n))
	}
	for k, s := range a.unseen {
		o := old.unseen[k]
		w.miss(k, Stretch{s.Stretches - atMost(o.Stretches, s.Stretches), s.Bytes - atMost(o.Bytes, s.Bytes)})
	}
}

func atMost(old, now uint64) uint64 {
	if old > now {
		return 0
	}
	return old
}

func l7Name(p flow.L7Protocol) string {
	if s := p.String(); s != "" {
		return s
	}
	return "other"
}

// last is the open window; nil where there is none.
func (b *Baseline) last() *Window {
	if n := len(b.Windows); n > 0 && b.Windows[n-1].End == 0 {
		return &b.Windows[n-1]
	}
	return nil
}

// open begins a window. The two oldest become one where there are too many; the
// time between them counts as blind.
func (b *Baseline) open(w Window) {
	if len(b.Windows) >= maxWindows {
		first, second := b.Windows[0], b.Windows[1]
		first.Lost, first.Unseen = maps.Clone(first.Lost), maps.Clone(first.Unseen)
		first.add(&second)
		first.Blind += max(second.Start-first.End, 0)
		first.End, first.Alive = second.End, second.Alive
		first.Before += second.Before + 1
		b.Windows = append([]Window{first}, b.Windows[2:]...)
	}
	b.Windows = append(b.Windows, w)
}
