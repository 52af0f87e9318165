package enforce

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/seed79351815/weir/enforce/kernel"
	"github.com/seed79351815/weir/enforce/policy"
)

// Manager keeps policies and has the kernel hold them. Its methods are safe for
// concurrent use; those that change something return when the change holds.
type Manager struct {
	cfg   Config
	store *store

	mu      sync.Mutex
	state   *state
	texts   map[string][]*policy.Policy // by digest of the text
	kernel  Kernel                      // nil while nothing is held
	applied *applied                    // nil before the first Apply of this process
	tallies *tallies
	failure error             // why the policies do not hold as they should; nil when they do
	lost    uint64            // verdicts
	names   map[string]uint64 // answers, by reason
	devices kernel.Devices
	tables  kernel.Tables
	looked  time.Time     // at the tables
	lag     time.Duration // the longest that new devices waited for their programs
	started chan struct{}
	wake    chan struct{}
}

// Times of the loop.
const (
	beat      = time.Second           // heartbeat, verdicts, time limits
	calm      = 20 * time.Millisecond // between two plans that nobody waits for
	settle    = 5 * time.Second       // the first plan waits so long for names
	saveEvery = 10 * time.Second
	lookEvery = 10 * time.Second // at how full the tables are
)

// New reads what is kept in Config.Dir. It touches nothing of the kernel: what is
// held goes on, and Run takes it over. What is damaged there is told by Status, and
// is no error: what is held must not depend on it. An error is one of the file system.
func New(cfg Config) (*Manager, error) {
	m := &Manager{cfg: cfg.withDefaults(), started: make(chan struct{}), wake: make(chan struct{}, 1), texts: map[string][]*policy.Policy{}}
	var err error
	if m.store, m.state, err = openStore(m.cfg.Dir, m.cfg.Now()); err != nil {
		return nil, err
	}
	if a := m.store.aside(); a != nil {
		m.cfg.Logger.Error("the account of policies was damaged; what is in the kernel stays in force",
			"set_aside", a.Path, "reason", a.Reason, "pinned", m.cfg.Pinned(), "policies", len(m.state.current().Policies))
	}
	m.tallies = m.store.readTallies(m.cfg.Logger)
	if _, m.failure = m.policies(m.state.current().Policies); m.failure != nil {
		m.cfg.Logger.Error("policies cannot be read; what is in the kernel stays in force", "error", m.failure)
	}
	return m, nil
}

// Run works until ctx ends. What is held then stays so.
func (m *Manager) Run(ctx context.Context) error {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	m.begin(ctx, ticker)
	defer m.end()
	saved := m.cfg.Now()
	var last time.Time
	var calmed <-chan time.Time
	links := lookout{told: m.cfg.Links, rest: calm}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.cfg.Changes:
			if wait := calm - m.cfg.Now().Sub(last); wait > 0 {
				calmed = time.After(wait)
				continue
			}
		case since, ok := <-links.told:
			links.hear(since, ok)
			continue
		case <-links.due:
			m.cover(links.answer())
			continue
		case <-m.wake:
		case <-calmed:
			calmed = nil
		case <-ticker.C:
			m.tick()
			if now := m.cfg.Now(); now.Sub(saved) >= saveEvery {
				m.saveTallies()
				saved = now
			}
			if m.healthy() {
				continue
			}
		}
		m.renew()
		last = m.cfg.Now()
	}
}

// begin makes the first plan when everybody has a name: until then what an earlier
// daemon left holds.
func (m *Manager) begin(ctx context.Context, ticker *time.Ticker) {
	defer close(m.started)
	patience := time.NewTimer(settle)
	defer patience.Stop()
	m.limits()
	for !m.cfg.Workloads.Settled() {
		select {
		case <-ctx.Done():
			return
		case <-patience.C:
			m.cfg.Logger.Warn("not all containers are named yet; those without a name wait")
			m.renew()
			return
		case <-m.cfg.Changes:
		case <-ticker.C:
		}
	}
	m.renew()
}

// Started is closed when the policies that were kept hold, or cannot: Status tells.
func (m *Manager) Started() <-chan struct{} { return m.started }

func (m *Manager) end() {
	m.tick()
	m.saveTallies()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kernel != nil {
		if err := m.kernel.Close(); err != nil {
			m.cfg.Logger.Warn("enforcement: close", "error", err)
		}
		m.kernel = nil
	}
}

func (m *Manager) healthy() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failure == nil
}

// tick says that this process lives, collects verdicts and ends what had a limit.
func (m *Manager) tick() {
	m.mu.Lock()
	if m.kernel != nil {
		m.kernel.Alive()
		m.collect()
		m.look()
		if err := m.kernel.Tidy(); err != nil {
			m.cfg.Logger.Warn("rules of earlier plans are still in the kernel", "error", err)
		}
	}
	m.mu.Unlock()
	m.limits()
}

// look sees to what comes without a plan: devices, answers that were lost, and
// tables that fill up.
func (m *Manager) look() {
	devices, err := m.kernel.Devices()
	if err != nil {
		devices.Uncovered = append(devices.Uncovered, err.Error())
	}
	if len(devices.Uncovered) > 0 && len(m.devices.Uncovered) == 0 {
		m.cfg.Logger.Warn("what goes past the IP stack is not judged everywhere", "where", devices.Uncovered)
	}
	m.devices = devices
	if names, err := m.kernel.NameLosses(); err == nil {
		m.names = names
	}
	if now := m.cfg.Now(); now.Sub(m.looked) >= lookEvery {
		m.looked = now
		m.lookAtTables()
	}
}

// lookAtTables has the plan applied again where cgroups found no room: there may be
// some by now.
func (m *Manager) lookAtTables() {
	tables, err := m.kernel.Tables()
	if err != nil {
		m.cfg.Logger.Warn("how full the tables of policies are is not known", "error", err)
		return
	}
	if tables.Shut {
		m.cfg.Logger.Warn("cgroups came that the kernel's table had no room for; nothing passes of those without a place", "homeless", tables.Homeless)
		m.unsure()
		m.nudge()
	}
	m.tables = tables
}

// unsure forgets that the plan of this moment was applied, so that the next renewal
// applies it whatever it is. The caller has the lock.
func (m *Manager) unsure() {
	if m.applied != nil {
		m.applied.plan = nil
	}
}

// nudge has a renewal follow soon.
func (m *Manager) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// cover sees to devices that changed at a moment.
func (m *Manager) cover(since time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kernel == nil || m.applied == nil {
		return
	}
	m.look()
	m.lag = max(m.lag, m.cfg.Now().Sub(since))
}

// limits puts back into audit what was enforced for a time that is over.
func (m *Manager) limits() {
	m.mu.Lock()
	defer m.mu.Unlock()
	policies, names := m.state.current().expired(m.cfg.Now())
	if names == nil {
		return
	}
	next := m.state.next(m.cfg.Now(), "time is over for "+strings.Join(names, ", ")+": audit again", policies)
	if _, err := m.change(next); err != nil {
		m.cfg.Logger.Error("policies whose time is over stay enforced", "policies", names, "error", err)
		return
	}
	m.cfg.Logger.Info("time is over: audit again", "policies", names)
}

// renew makes the plan of this moment hold.
func (m *Manager) renew() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.state.current().Policies) == 0 && m.kernel == nil {
		return
	}
	_, err := m.hold(m.state, false)
	if err != nil && (m.failure == nil || m.failure.Error() != err.Error()) {
		m.cfg.Logger.Error("policies do not hold as they should; what was applied before does", "error", err)
	}
	m.failure = err
}
