package bpf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
)

// Config says how to capture. The zero value of a field means its default.
type Config struct {
	CgroupRoot string        // mount point of cgroup v2; required
	RingSize   int           // bytes of the event ring, a power of two and a multiple of the page size; 8 MiB
	FlowTable  int           // connectionless flows that the kernel can hold; 65,536
	Interval   time.Duration // between two readings of the kernel's tables; 1 s
	Poll       time.Duration // longest time that an event waits in the ring; 100 ms
	FlowIdle   time.Duration // a connectionless flow without packets for so long has ended; 30 s
	Logger     *slog.Logger  // slog.Default()
	BTFPath    string        // /sys/kernel/btf/vmlinux

	tellAll flow.L7Protocol // for tests: its exchanges are all told in full
}

func (cfg Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	if cfg.RingSize <= 0 {
		cfg.RingSize = 8 << 20
	}
	if cfg.FlowTable <= 0 {
		cfg.FlowTable = 65536
	}
	def(&cfg.Interval, time.Second)
	def(&cfg.Poll, 100*time.Millisecond)
	def(&cfg.FlowIdle, 30*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.BTFPath == "" {
		cfg.BTFPath = "/sys/kernel/btf/vmlinux"
	}
	return cfg
}

func (cfg Config) check() error {
	if page := os.Getpagesize(); cfg.RingSize%page != 0 || cfg.RingSize&(cfg.RingSize-1) != 0 {
		return fmt.Errorf("ring of %d bytes: it must be a power of two and a multiple of the page size %d", cfg.RingSize, page)
	}
	if cfg.CgroupRoot == "" {
		return fmt.Errorf("cgroup root: %w: mount it with `mount -t cgroup2 none /sys/fs/cgroup/unified`, or name it with --cgroup-root", ErrNoCgroup2)
	}
	if _, err := os.Stat(cfg.CgroupRoot + "/cgroup.procs"); err != nil {
		return fmt.Errorf("cgroup root %s: %w (%w): name the mount point of cgroup v2 with --cgroup-root", cfg.CgroupRoot, ErrNoCgroup2, err)
	}
	return checkBTF(cfg.BTFPath)
}

// Capture is the kernel as a collector.Source. Open starts it; Run may be called
// once; Close ends it. Stats may be called from any goroutine.
type Capture struct {
	cfg     Config
	maps    map[string]*ebpf.Map
	colls   []*ebpf.Collection
	links   []link.Link
	table   *sockTable // the living TCP sockets; files where the kernel refuses its own table of them
	files   *sockTable // the sockets in processes' file tables; nil where the kernel lacks them
	flows   *flowTable
	drops   *dropTable
	counts  *exchangeTable
	lookups *lookupTable
	reader  *ringbuf.Reader
	dec     decoder
	account account
	absent  []error // optional programs that could not be had
}

// Open loads the programs into the kernel and attaches them: from here on the
// kernel counts. Errors are of the kinds ErrPermission, ErrNoBTF, ErrNoCgroup2
// and ErrKernelTooOld where one of them is the cause. A program that weir can do
// without is left out; Absent lists it.
func Open(cfg Config) (*Capture, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Capture{cfg: cfg, dec: decoder{offset: bootOffset(), monotonic: monotonicOffset(), listeners: listeners{}}}
	if err := c.open(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Capture) open() (err error) {
	if c.maps, err = createMaps(c.cfg); err != nil {
		return err
	}
	self, err := selfTGID()
	if err != nil {
		return err
	}
	reasons, err := dropReasons()
	if err != nil {
		return err
	}
	if c.counts, err = newExchangeTable(c.maps); err != nil {
		return err
	}
	g := newGates(c.cfg, self, reasons)
	attempts := loadAll(c.cfg, units(), c.maps, g)
	for _, a := range attempts {
		if a.err == nil {
			c.colls = append(c.colls, a.coll)
		}
	}
	for i, u := range units() {
		if err := c.openUnit(u, attempts[i]); err != nil {
			return err
		}
	}
	if c.table == nil {
		c.table = c.files
	}
	if c.table == nil {
		return fmt.Errorf("read the numbers of living TCP connections: %w", errors.Join(c.absent...))
	}
	if c.reader, err = ringbuf.NewReader(c.maps["events"]); err != nil {
		return explain("map the event ring", err)
	}
	c.flows = newFlowTable(c.maps["flows"], c.cfg.FlowIdle)
	c.drops = newDropTable(c.maps["drops"], reasons)
	c.lookups = newLookupTable(c.maps)
	return c.account.open(c.maps["stats"], c.maps["l7_cpus"], c.reader)
}

func (c *Capture) openUnit(u unit, a attempt) error {
	if a.err != nil {
		return c.absence(u.hooks, a.err)
	}
	for _, h := range u.hooks {
		l, err := attach(c.cfg, a.loaded, h, c.maps)
		if err != nil {
			if err := c.absence([]hook{h}, err); err != nil {
				return err
			}
			continue
		}
		if l == nil {
			continue
		}
		c.links = append(c.links, l)
		switch h.attach {
		case attachSockIter:
			c.table = newSockTable(h.point, l.(*link.Iter), a.coll.Variables["telling"])
		case attachTaskIter:
			c.files = newSockTable(h.point, l.(*link.Iter), a.coll.Variables["telling"])
		}
	}
	return nil
}

// absence notes that hooks could not be had; it is an error when weir needs one.
func (c *Capture) absence(hooks []hook, err error) error {
	for _, h := range hooks {
		if h.required {
			return err
		}
	}
	c.absent = append(c.absent, err)
	for _, h := range hooks {
		c.cfg.Logger.Warn("kernel hook missing", "hook", h.point, "lost", h.without, "error", err)
	}
	return nil
}

// Absent lists the optional programs that this kernel did not take.
func (c *Capture) Absent() []error { return c.absent }

// Run reads the ring and the tables until ctx ends; see collector.Source.
func (c *Capture) Run(ctx context.Context, out collector.Out) error {
	b := &batcher{out: out}
	if c.files != nil {
		if err := c.files.read(&c.dec, readOlder, b); err != nil {
			c.cfg.Logger.Warn("sockets older than weir", "error", err)
		}
	}
	if err := c.table.read(&c.dec, readListeners, b); err != nil {
		return err
	}
	next, full := time.Now(), time.Now()
	for ctx.Err() == nil {
		if now := time.Now(); !now.Before(next) {
			mode := readChanged
			if !now.Before(full) {
				mode, full = readAll, now.Add(fullInterval)
			}
			if err := c.readTables(ctx, mode, b); err != nil {
				return err
			}
			next = now.Add(c.cfg.Interval)
		}
		if err := c.drain(b); err != nil {
			return err
		}
		b.flush()
	}
	// What the programs produced before the end is still told.
	err := c.drain(b)
	if err == nil {
		err = c.readTables(ctx, readChanged, b)
	}
	b.flush()
	return err
}

// fullInterval is how often every living flow is told, changed or not, so that
// the collector can tell a silent flow from one whose end was lost.
const fullInterval = time.Minute

func (c *Capture) readTables(ctx context.Context, mode readMode, b *batcher) error {
	c.dec.offset, c.dec.monotonic = bootOffset(), monotonicOffset()
	if err := c.table.read(&c.dec, mode, b); err != nil {
		return err
	}
	if err := c.flows.read(&c.dec, mode, b); err != nil {
		return err
	}
	if err := b.patiently(ctx, func() error { return c.counts.read(b) }); err != nil {
		return err
	}
	if err := c.lookups.read(&c.dec, b); err != nil {
		return err
	}
	return c.drops.read(b)
}

// drain reads the ring until it is empty, waiting up to Poll for the first event.
func (c *Capture) drain(b *batcher) error {
	var rec ringbuf.Record
	rec.RawSample = c.account.buffer
	c.reader.SetDeadline(time.Now().Add(c.cfg.Poll))
	for n := 0; n < drainLimit; n++ {
		switch err := c.reader.ReadInto(&rec); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return fmt.Errorf("read event ring: %w", err)
		}
		c.account.buffer = rec.RawSample
		ev := b.next()
		ok, err := c.dec.event(rec.RawSample, ev)
		c.account.delivered(rec.RawSample, err)
		if !ok || err != nil {
			b.drop()
		}
	}
	return nil
}

// drainLimit lets the tables be read in time while the ring never gets empty.
const drainLimit = 65536

// Stats is safe for concurrent use; see collector.Source.
func (c *Capture) Stats() flow.SourceStats {
	s := c.account.stats(c.cfg.RingSize)
	s.Tables = append(s.Tables, flow.TableFill{Name: "flows", Entries: c.flows.entries.Load(), Max: uint64(c.cfg.FlowTable)},
		flow.TableFill{Name: "exchanges", Entries: c.counts.entries.Load(), Max: uint64(c.counts.inner[0][sharedExchangeTableEXCHANGES_ALL].MaxEntries())},
		flow.TableFill{Name: "lookups", Entries: c.lookups.entries.Load(), Max: uint64(c.lookups.questions.MaxEntries())})
	return s
}

// Close takes every program out of the kernel. It is not safe beside Run: end
// Run's context first and wait for it.
// Stats stays what it was at the end.
func (c *Capture) Close() error {
	for _, l := range c.links {
		l.Close()
	}
	c.account.close()
	if c.reader != nil {
		c.reader.Close()
	}
	for _, coll := range c.colls {
		coll.Close()
	}
	if c.counts != nil {
		c.counts.close()
	}
	closeMaps(c.maps)
	c.links, c.colls, c.maps = nil, nil, nil
	return nil
}
