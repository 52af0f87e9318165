package ui

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed79351815/weir/collector/aggregate"
)

// windows are what the keys go through; commands and Config take others too. 0 is the
// present.
var windows = []time.Duration{0, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}

const (
	minWindow = time.Minute
	maxWindow = 3650 * 24 * time.Hour
	liveWord  = "live"
)

// ParseWindow reads a window of time: 5m, 90m, 24h, 7d; 0 for "live" and "". Its
// errors are for the one who types.
func ParseWindow(s string) (time.Duration, error) {
	if s == "" || s == liveWord {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 12)
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d < minWindow || d > maxWindow {
		return 0, errors.New("expected live, or a time from 1m to 3650d, such as 15m, 24h or 7d")
	}
	return d, nil
}

// windowName is as ParseWindow reads it.
func windowName(d time.Duration) text {
	const day = 24 * time.Hour
	switch {
	case d == 0:
		return liveWord
	case d%day == 0:
		return text(strconv.Itoa(int(d/day))) + "d"
	case d%time.Hour == 0:
		return text(strconv.Itoa(int(d/time.Hour))) + "h"
	case d%time.Minute == 0:
		return text(strconv.Itoa(int(d/time.Minute))) + "m"
	}
	return text(d.String())
}

// window is the time that the pages of the past show. The zero value is the present.
type window struct {
	length time.Duration
	past   *Past               // the newest answer; nil while there is none
	shown  *aggregate.Snapshot // made of the one that is on the screen
	of     *Past               // that one
	err    error               // why the newest question was not answered
}

// pastReading is the answer to a question for a window.
type pastReading struct {
	length time.Duration
	past   *Past
	err    error
}

// setWindow asks for another window, or for the present. It tells what is wrong with it.
func (m *model) setWindow(d time.Duration) error {
	if d > 0 && m.cfg.Past == nil {
		return errors.New("there are no time windows here: they are read from the history that a daemon keeps")
	}
	if d != m.window.length {
		m.window = window{length: d}
		m.refill()
	}
	return nil
}

// turnWindow goes to the next longer or shorter window of the list.
func (m *model) turnWindow(by int) {
	now, next := m.window.length, windows[0]
	if by < 0 {
		next = windows[len(windows)-1]
		for _, d := range windows {
			if d < now {
				next = d
			}
		}
	} else {
		for i := len(windows) - 1; i >= 0; i-- {
			if windows[i] > now {
				next = windows[i]
			}
		}
	}
	if err := m.setWindow(next); err != nil {
		m.say(warn, text(err.Error()))
	}
}

func (m *model) windowCommand(args string) error {
	d, err := ParseWindow(args)
	if err != nil {
		return fmt.Errorf("window: %w", err)
	}
	return m.setWindow(d)
}

// setPast takes an answer. It tells whether anything on the screen looks different.
func (m *model) setPast(r pastReading) bool {
	w := &m.window
	if r.length != w.length {
		return false // it was left meanwhile
	}
	w.err = r.err
	if r.err == nil {
		w.past = r.past
	}
	if !m.paused || w.of == nil {
		m.refill()
	}
	return true
}

// source is the snapshot that a tab is filled from; nil while there is none.
func (m *model) source(past bool) *aggregate.Snapshot {
	w := &m.window
	if !past || w.length == 0 {
		return m.shown
	}
	if w.past != nil && w.past != w.of && (!m.paused || w.of == nil) {
		w.of, w.shown = w.past, w.past.On(m.shown)
	}
	return w.shown
}

// inWindow tells whether a tab shows a window of the past now.
func (m *model) inWindow(t *tab) bool { return t.past && m.window.length > 0 }

// absence says that a page's subject is not in what is shown: as now does, for the
// present.
func (m *model) absence(gone bool, now text) text {
	switch {
	case !gone:
		return ""
	case m.window.length > 0:
		return "not seen in this window"
	}
	return now
}

// How long a question for a window may take, and how often one is asked.
const (
	pastPatience   = 30 * time.Second
	pastEveryLeast = 5 * time.Second
	pastEveryMost  = time.Minute
)

// pastEvery is the pause between two questions for a window: what takes long is asked
// for less often, and what moves slowly too.
func pastEvery(length, took time.Duration) time.Duration {
	return min(max(pastEveryLeast, length/240, 20*took), pastEveryMost)
}

// readPast answers the newest of the questions that come, again and again, until ctx
// is done. One question at a time is at work; one that nobody asks any more is ended.
func readPast(ctx context.Context, cfg Config, questions <-chan time.Duration, out chan<- pastReading) {
	type answer struct {
		pastReading
		number int // of the question
	}
	var length time.Duration
	number, answers := 0, make(chan answer)
	working, stop := false, func() {}
	defer func() { stop() }()
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	var begun time.Time
	ask := func() {
		asked, cancel := context.WithTimeout(ctx, pastPatience)
		working, stop, begun = true, cancel, time.Now()
		go func(number int, length time.Duration) {
			defer cfg.Guard.Recover()
			defer cancel()
			p, err := cfg.Past(asked, length)
			if errors.Is(asked.Err(), context.DeadlineExceeded) {
				err = fmt.Errorf("no answer within %s", pastPatience)
			}
			select {
			case answers <- answer{pastReading{length, p, err}, number}:
			case <-ctx.Done():
			}
		}(number, length)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case length = <-questions:
			stop()
			number++
			if !working && length > 0 {
				ask()
			}
		case <-again.C:
			if !working && length > 0 {
				ask()
			}
		case a := <-answers:
			working = false
			if a.number != number {
				if length > 0 {
					ask()
				}
				break
			}
			again.Reset(pastEvery(length, time.Since(begun)))
			select {
			case out <- a.pastReading:
			case <-ctx.Done():
				return
			}
		}
	}
}
