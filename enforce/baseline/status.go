package baseline

import "time"

// Status is what a Learner is doing.
type Status struct {
	Learning     bool
	Since        time.Time     // start of the open window, else of the last one; zero without one
	Until        time.Time     // when the window ends by itself; zero: not by itself
	Workloads    int           //
	Bytes        int           // that the workloads take, of MaxBytes
	MaxBytes     int           //
	Completeness Completeness  //
	SetAside     *SetAside     // a damaged file that was found when this weir started
	Saved        bool          // everything is on disk
	Left         time.Duration // until the window ends by itself; 0: not by itself
}

// Status is safe to call at any time.
func (l *Learner) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.expire(now)
	b := l.taker.Baseline
	s := Status{
		Learning: b.last() != nil, Workloads: len(b.Profiles), Bytes: b.cost(), MaxBytes: maxCost,
		Completeness: b.Completeness(), SetAside: l.aside, Saved: !l.dirty && l.cfg.Path != "",
	}
	if n := len(b.Windows); n > 0 {
		w := &b.Windows[n-1]
		s.Since = time.Unix(0, w.Start)
		if w.Until != 0 {
			s.Until = time.Unix(0, w.Until)
		}
		if s.Learning && w.Until != 0 {
			s.Left = time.Duration(w.Until - now)
		}
	}
	return s
}
