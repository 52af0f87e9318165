package ui

import (
	"reflect"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/aggregate"
)

// historySize is how many readings of the event rate are kept: one a second.
const historySize = 120

// The views of the first level, in the order of their keys.
const (
	rootWorkloads = iota
	rootFlows
	rootOperations
	rootHealth
	rootPolicies
)

// model is the whole state of the interface. It knows no terminal: keys and
// snapshots go in, lines and rows come out. One goroutine owns it.
type model struct {
	cfg Config
	now time.Time

	newest   *aggregate.Snapshot // nil until the first one
	shown    *aggregate.Snapshot // newest, or the one that was shown when the user paused
	since    time.Time           // when newest came
	health   collector.Health
	policies Policies // the present ones, also while the picture is held
	window   window
	behind   time.Time // since when records have been made that newest lacks; zero when there are none
	known    uint64    // records when newest came

	paused   bool
	pausedAt uint64 // events until then

	history  []float64 // events per second
	lossRate float64   // lost observations per second
	sampled  time.Time
	events   uint64 // at the time of sampling
	lost     uint64

	roots []*page // the views of the first level
	root  int
	stack []*page // what was opened from there

	prompt   *prompt
	before   *filter // the filter before the prompt, for esc
	filters  []string
	commands []string

	message     text // answer to the last key
	messageRole role
	pageSize    int // rows that the painter had room for
	textLines   int // of the page of text that was painted last
}

// newModel makes the state for a start; its errors are those of the
// configuration.
func newModel(cfg Config) (*model, error) {
	m := &model{cfg: cfg, now: cfg.Now(), pageSize: 10}
	m.roots = []*page{newWorkloadsPage(m), newFlowsPage(m), newOperationsPage(m), newHealthPage(m), newPoliciesPage(m)}
	if cfg.View != "" {
		if err := m.command(cfg.View); err != nil {
			return nil, err
		}
	}
	if cfg.Filter != "" {
		f, err := parseFilter(cfg.Filter)
		if err != nil {
			return nil, err
		}
		for _, p := range m.roots {
			for _, t := range p.tabs {
				t.filter = f
			}
		}
		m.filters = append(m.filters, f.String())
	}
	if err := m.windowCommand(cfg.Window); err != nil {
		return nil, err
	}
	if t := m.tab(); t.turn != nil {
		t.turn(m.inWindow(t)) // whose columns the order is by
	}
	if cfg.Sort != "" {
		if err := m.sortBy(cfg.Sort); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// page is the one on the screen.
func (m *model) page() *page {
	if len(m.stack) > 0 {
		return m.stack[len(m.stack)-1]
	}
	return m.roots[m.root]
}

func (m *model) tab() *tab { return m.page().tab() }

func (m *model) scope() scope { return m.tab().scope() }

// update takes the newest snapshot, which may be nil, and health. It tells
// whether anything on the screen may look different now.
func (m *model) update(s *aggregate.Snapshot, h collector.Health, now time.Time) bool {
	changed := m.sample(h, now)
	if !reflect.DeepEqual(h, m.health) {
		changed = true
	}
	lagged := m.lag()
	m.now, m.health = now, h
	if s != nil && (m.newest == nil || s.Seq != m.newest.Seq) {
		changed = true
	}
	fresh := s != nil && s != m.newest
	if fresh {
		m.newest, m.since, m.known = s, now, h.Records
	}
	switch {
	case h.Records <= m.known || m.cfg.Recorded:
		m.behind = time.Time{}
	case m.behind.IsZero():
		m.behind = now
	}
	if m.lag() != lagged {
		changed = true
	}
	if fresh && !m.paused {
		m.show(s)
	}
	return changed
}

// setPolicies takes the policies of now, before update. It tells whether anything on
// the screen may look different.
func (m *model) setPolicies(p Policies) bool {
	if reflect.DeepEqual(p, m.policies) {
		return false
	}
	m.policies = p
	if !m.paused {
		m.refill()
	}
	return true
}

// show puts a snapshot on the screen: only what is seen is computed.
func (m *model) show(s *aggregate.Snapshot) {
	m.shown = s
	m.refill()
}

// refill computes the page on the screen from the snapshot that is shown.
func (m *model) refill() {
	if m.shown == nil {
		return
	}
	p := m.page()
	if s := m.source(p.past()); p.refresh != nil && s != nil {
		p.refresh(s)
	}
	t := p.tab()
	if t.fill == nil {
		return
	}
	s := m.source(t.past)
	if s == nil {
		s = &aggregate.Snapshot{Time: m.shown.Time} // a window that is being read
	}
	if t.turn != nil {
		t.turn(m.inWindow(t))
	}
	t.fill(s, t.filter)
}

// sample reads the counters once a second for the rates in the header.
func (m *model) sample(h collector.Health, now time.Time) (changed bool) {
	lost := lostTotal(h)
	if m.sampled.IsZero() {
		m.sampled, m.events, m.lost = now, h.Events, lost
		return true
	}
	d := now.Sub(m.sampled).Seconds()
	if d < 1 {
		return false
	}
	events, lossRate := perInterval(h.Events, m.events, d), perInterval(lost, m.lost, d)
	quiet := events == 0 && lossRate == m.lossRate && m.silent()
	m.history = append(m.history, events)
	if len(m.history) > historySize {
		m.history = append(m.history[:0], m.history[1:]...)
	}
	m.lossRate = lossRate
	m.sampled, m.events, m.lost = now, h.Events, lost
	return !quiet
}

// silent tells whether the sparkline is flat: then it need not be drawn again.
func (m *model) silent() bool {
	for _, v := range m.history {
		if v != 0 {
			return false
		}
	}
	return true
}

// perInterval is a counter's growth per second; one that was reset gives 0.
func perInterval(now, before uint64, seconds float64) float64 {
	if now < before {
		return 0
	}
	return float64(now-before) / seconds
}

// eventRate is the newest reading of events per second.
func (m *model) eventRate() float64 {
	if len(m.history) == 0 {
		return 0
	}
	return m.history[len(m.history)-1]
}

// lag is for how long the picture has missed what was recorded, in whole
// seconds. A snapshot that is old because nothing happened does not lag.
func (m *model) lag() time.Duration {
	if m.behind.IsZero() {
		return 0
	}
	return max(0, m.now.Sub(m.behind).Truncate(time.Second))
}

// moment is the time of what is shown: a snapshot in which nothing changes is
// not made anew, but its flows grow older.
func (m *model) moment() time.Time {
	if m.shown == nil {
		return m.now
	}
	t := time.Unix(0, m.shown.Time).In(m.now.Location())
	if m.paused {
		return t
	}
	return t.Add(max(0, m.now.Sub(m.since)))
}

func lostTotal(h collector.Health) (n uint64) {
	for _, c := range h.Lost {
		n += c
	}
	return n
}

func (m *model) say(r role, t text) { m.message, m.messageRole = t, r }
