package enforce

import "time"

// lookout says when to see to devices that changed: at once, and again after a rest
// when more of them change meanwhile.
type lookout struct {
	told <-chan time.Time // when something changed
	rest time.Duration    // between two looks
	due  <-chan time.Time // when to look; nil: no need

	since, last time.Time // the first change that was not looked at, and the last look
}

// hear takes in a change. ok is false when there will be none any more.
func (l *lookout) hear(since time.Time, ok bool) {
	if !ok {
		l.told = nil
		return
	}
	if l.due == nil {
		l.since = since
		l.due = time.After(l.rest - time.Since(l.last))
	}
}

// answer ends the waiting and gives the moment since which something had changed.
func (l *lookout) answer() time.Time {
	l.due, l.last = nil, time.Now()
	return l.since
}
