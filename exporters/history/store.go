package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/internal/merge"
)

// stage is the store's name among the pipeline's stages.
const stage = "history"

// Why the store loses something.
var (
	lossWrite      = flow.Loss{Stage: stage, Reason: "write_failed"}    // flows whose block could not be written
	lossEncode     = flow.Loss{Stage: stage, Reason: "encode"}          // flows that are too large for a block
	lossUnreadable = flow.Loss{Stage: stage, Reason: "unreadable"}      // flows of blocks that could not be read back, or are of an older weir
	lossOperations = flow.Loss{Stage: stage, Reason: "operations_full"} // exchanges counted under other names
	lossWorkloads  = flow.Loss{Stage: stage, Reason: "workloads_full"}  // records whose connections are counted under other names
)

// Config is what a Store needs to know. Path must be given.
type Config struct {
	Path     string        // of the file; its directory must be there
	Age      time.Duration // what is older is deleted; 0 is 7 days
	Size     int64         // bytes that the file and its log may take; 0 is 1 GiB, less than MinSize is MinSize
	Budget   int           // flows and exchanges a second that are kept one by one; alike ones beyond it are merged; 0 is no bound
	NodeName string        // of this host, in every flow
	Version  string        // of weir
	Logger   *slog.Logger  // nil discards
	Now      func() time.Time

	// Account says how many events were lost so far, by anybody who comes before the
	// store or after it, and whether anything is seen at all. Windows tell of both. It
	// is called once a minute while Run works, from its goroutine, and may take its
	// time. nil: everything is seen.
	Account func() (lost uint64, watching bool)
}

// MinSize is the smallest bound that can be kept to.
const MinSize = 32 << 20

const (
	// flushAfter is how long a record waits in memory at most: what a killed process loses.
	flushAfter = 5 * time.Second
	// walLimit is what the write-ahead log may keep between two checkpoints.
	walLimit = 8 << 20
)

// Store is a collector.Sink. Consume writes to the disk, which may block; a
// collector's queue stands before it. All else is safe for concurrent use.
type Store struct {
	*Reader
	cfg    Config
	db     *sql.DB // one connection
	before int64   // the last block of earlier runs

	mu       sync.Mutex         // all of the following, and writing
	convert  *convert.Converter // for names
	merge    *merge.Merger
	pending  pending
	last     int64 // the last block that was given a number
	red      minutes
	watch    watch
	complain time.Time // when a failure to write was last logged
}

var _ collector.Sink = (*Store)(nil)

// Open opens the file or makes it. A damaged one is set aside as PATH.damaged, with
// a warning, and a new one begun. The error is ErrNewer, wrapped, for a file that a
// newer weir has made. Close must be called at the end.
func Open(cfg Config) (*Store, error) {
	if cfg.Age <= 0 {
		cfg.Age = 7 * 24 * time.Hour
	}
	if cfg.Size == 0 {
		cfg.Size = 1 << 30
	}
	cfg.Size = max(cfg.Size, MinSize)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s, err := openStore(cfg)
	if err != nil && damaged(err) {
		aside, aerr := setAside(cfg.Path)
		if aerr != nil {
			return nil, errors.Join(fmt.Errorf("history %s: %w", cfg.Path, err), aerr)
		}
		cfg.Logger.Warn("the history is damaged: it was set aside, and a new one begun", "file", aside, "error", err)
		s, err = openStore(cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("history %s: %w", cfg.Path, err)
	}
	return s, nil
}

func openStore(cfg Config) (s *Store, err error) {
	db, err := open(cfg.Path, false)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	s = &Store{cfg: cfg, db: db, convert: convert.New(cfg.NodeName, cfg.Version), merge: merge.New(cfg.Budget, cfg.Logger)}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	dropped, err := migrate(db)
	if err != nil {
		return nil, err
	}
	if _, err := db.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", cfg.Size/pageSize)); err != nil {
		return nil, err
	}
	if err := db.QueryRow("SELECT coalesce(max(id), 0) FROM blocks").Scan(&s.before); err != nil {
		return nil, err
	}
	s.last = s.before
	if s.Reader, err = openReader(cfg.Path); err != nil {
		return nil, err
	}
	if dropped > 0 {
		cfg.Logger.Warn("flows of an older weir were dropped from the history: this one keeps them in another form; all numbers are kept", "flows", dropped, "file", cfg.Path)
		s.lost(lossUnreadable, dropped)
	}
	return s, nil
}

// Name is the stage of the store's losses.
func (s *Store) Name() string { return stage }

// Consume keeps the flows of a batch and counts its exchanges. What cannot be
// written is counted, not told: it never fails.
func (s *Store) Consume(ctx context.Context, batch []flow.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	keep := s.keeping(ctx, now)
	for i := range batch {
		r := &batch[i]
		if r.Kind != flow.RecordL7 && r.Kind != flow.RecordVerdict && s.red.addTraffic(r) {
			s.lost(lossWorkloads, 1)
		}
		switch {
		case r.Kind == flow.RecordUpdate:
			// How a living flow's numbers grow is told by its end.
		case r.Kind != flow.RecordL7:
			s.merge.Add(r, now, keep)
		case r.L7 == nil:
		case r.L7.Exchange != nil:
			s.merge.Add(r, now, keep)
		case r.L7.Tally != nil:
			s.lost(lossOperations, s.red.add(r.Time, r.L7))
		}
	}
	return nil
}

// keeping lets records wait to be written, and writes once many do.
func (s *Store) keeping(ctx context.Context, now time.Time) merge.Tell {
	return func(r *flow.Record) {
		s.pending.add(r, now, s.convert)
		if s.pending.full() {
			s.flush(ctx, true)
		}
	}
}

// Run writes what waits for long, and deletes what is old or too much, until ctx is
// done. It is called once, and ended before Close.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.tend(ctx)
		}
	}
}

// tend is what there is to do once a second.
func (s *Store) tend(ctx context.Context) {
	now := s.cfg.Now()
	noted := s.noteMinute(now)
	s.mu.Lock()
	s.merge.Tick(now, s.keeping(ctx, now))
	flows := s.pending.kept > 0 && now.Sub(s.pending.since) >= flushAfter
	if numbers := s.red.due(now); flows || numbers || noted {
		s.flush(ctx, flows)
	}
	s.mu.Unlock()
	if err := s.retain(ctx, now); err != nil && ctx.Err() == nil {
		s.mu.Lock()
		s.warn("old history could not be deleted", 0, err)
		s.mu.Unlock()
	}
}

// noteMinute asks for the account where a minute has begun, without a lock: who is
// asked may wait for others.
func (s *Store) noteMinute(now time.Time) (noted bool) {
	s.mu.Lock()
	due := s.watch.due(now)
	s.mu.Unlock()
	if !due {
		return false
	}
	lost, watching := uint64(0), true
	if s.cfg.Account != nil {
		lost, watching = s.cfg.Account()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch.note(now, lost, watching)
	return true
}

// Close writes what is in memory and closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.merge.Flush(s.keeping(context.Background(), s.cfg.Now()))
	s.flush(context.Background(), true)
	return errors.Join(s.Reader.Close(), s.db.Close())
}

// Path is that of the file.
func (s *Store) Path() string { return s.cfg.Path }
