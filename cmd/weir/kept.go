package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/history"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/jsonl"
)

// kept is what the daemon writes of flows to the disk. Either may be nil.
type kept struct {
	history *history.Store
	without error // why there is no history
	flowLog *jsonl.Log
	windows chan struct{} // holds a token while a window is read
}

// openKept opens what the settings ask for. A history that cannot be opened is said
// and done without: capture must not depend on a disk. A flow log's name is a
// setting, and what is wrong with it an error. account is history.Config's.
func (a *app) openKept(account func() (lost uint64, watching bool)) (*kept, error) {
	k := &kept{without: errNoHistory, windows: make(chan struct{}, 1)}
	node, version := hostName(), "weir "+thisBuild().Version
	if path := a.cfg.flowLog; path != "" {
		var err error
		k.flowLog, err = jsonl.Open(jsonl.Config{
			Path: path, Size: int64(a.cfg.flowLogSize), Age: a.cfg.flowLogAge, Keep: a.cfg.flowLogKeep, Compress: a.cfg.flowLogCompress,
			Budget: a.cfg.flowBudget, NodeName: node, Version: version, Logger: a.log.With("sink", "flow_log"),
		})
		if err != nil {
			return nil, err
		}
	}
	if a.cfg.history > 0 {
		store, err := history.Open(history.Config{
			Path: a.historyPath(), Age: a.cfg.history, Size: int64(a.cfg.historySize), NodeName: node, Version: version,
			Budget: a.cfg.flowBudget, Logger: a.log.With("sink", "history"),
			Account: account,
		})
		if err != nil {
			a.log.Error("flows are not kept on disk", "error", err)
			k.without = fmt.Errorf("the daemon keeps no history: %w", err)
		} else {
			k.history = store
		}
	}
	return k, nil
}

func (a *app) historyPath() string { return filepath.Join(a.cfg.stateDir, "history.db") }

// past is what the observer asks for flows that it has no more; nil for nobody.
func (k *kept) past() hubble.Past {
	if k.history == nil {
		return nil // not an interface that holds nil
	}
	return k.history
}

func (k *kept) sinks() (out []collector.Sink) {
	if k.history != nil {
		out = append(out, k.history)
	}
	if k.flowLog != nil {
		out = append(out, k.flowLog)
	}
	return out
}

// run tends the files until ctx is done. On SIGHUP, which logrotate sends, the flow
// log is opened anew; without one the signal has its ordinary effect.
func (k *kept) run(ctx context.Context) error {
	if k.flowLog != nil {
		hangups := make(chan os.Signal, 1)
		signal.Notify(hangups, syscall.SIGHUP)
		defer signal.Stop(hangups)
		tended := make(chan struct{})
		defer func() { <-tended }()
		go func() {
			defer close(tended)
			for {
				select {
				case <-ctx.Done():
					return
				case <-hangups:
					k.flowLog.Reopen()
				}
			}
		}()
	}
	if k.history != nil {
		return k.history.Run(ctx)
	}
	<-ctx.Done()
	return nil
}

func (k *kept) addLost(lost map[flow.Loss]uint64) {
	if k.history != nil {
		for l, n := range k.history.Lost() {
			lost[l] += n
		}
	}
	if k.flowLog != nil {
		for l, n := range k.flowLog.Lost() {
			lost[l] += n
		}
	}
}

// close writes what waits and closes the files. It is called when no sink is fed
// any more.
func (k *kept) close() (err error) {
	if k.history != nil {
		err = k.history.Close()
	}
	if k.flowLog != nil {
		err = errors.Join(err, k.flowLog.Close())
	}
	return err
}

// defaultFlowBudget is a line every 10 ms: 20 GB of flow log in a day.
const defaultFlowBudget = 100

// keptFlags are for what the daemon writes of flows to the disk.
func (c *config) keptFlags(fs *pflag.FlagSet) {
	c.history, c.historySize = 7*24*time.Hour, 1<<30
	ageVar(fs, &c.history, "history", 10*365*24*time.Hour, "how long flows and numbers are kept on disk, for observe --since and --last; 0 for not at all")
	sizeVar(fs, &c.historySize, "history-size", history.MinSize, 1<<40, "what they may take there; the oldest go first")
	c.flowBudget = defaultFlowBudget
	intVar(fs, &c.flowBudget, "flow-budget", 0, 1_000_000, "flows and exchanges a second that history, flow log and OTLP's logs each tell one by one; beyond it alike ones are merged and counted; 0 tells all")
	c.flowLogSize, c.flowLogKeep = 100<<20, 5
	fs.StringVar(&c.flowLog, "flow-log", "", "`file` to write flows into, as JSON lines like those of observe -o json; empty for none")
	sizeVar(fs, &c.flowLogSize, "flow-log-size", 1<<20, 1<<40, "size after which the next flow log is begun")
	ageVar(fs, &c.flowLogAge, "flow-log-age", 365*24*time.Hour, "age after which the next flow log is begun; 0 for any age")
	intVar(fs, &c.flowLogKeep, "flow-log-keep", 0, 1000, "older flow logs to keep, as FILE.1 and so on")
	fs.BoolVar(&c.flowLogCompress, "flow-log-compress", false, "compress older flow logs with gzip")
}
