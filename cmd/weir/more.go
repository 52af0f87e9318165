package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"

	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/hubble/convert"
	"github.com/seed79351815/weir/exporters/hubble/printer"
)

const (
	moreEvery = time.Second
	moreKinds = 1024 // that are told apart in one line's time
	moreNamed = 3    // in one line
	moreWidth = 60   // characters of one name
)

// more says how many exchanges there were beside those that were printed: weir
// shows a budget of them in full, and counts the others. It says so at most once
// a second, in a goroutine of its own, and is safe for any number of them.
type more struct {
	w io.Writer

	mu    sync.Mutex
	total uint64
	like  map[string]uint64 // by operation; "" is what had no room
	timer *time.Timer       // runs while there is something to say
}

func newMore(w io.Writer) *more { return &more{w: w, like: make(map[string]uint64)} }

// add notes n exchanges like l.
func (m *more) add(l *flow.L7, n uint64) {
	if n == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	name := operationName(l)
	if _, known := m.like[name]; !known && len(m.like) >= moreKinds {
		name = ""
	}
	m.like[name] += n
	m.total += n
	if m.timer == nil {
		m.timer = time.AfterFunc(moreEvery, m.tell)
	}
}

// tell says what was added since it was last called.
func (m *more) tell() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.timer = nil
	if m.total == 0 {
		return
	}
	names := slices.SortedFunc(maps.Keys(m.like), func(a, b string) int {
		return cmp.Or(cmp.Compare(m.like[b], m.like[a]), cmp.Compare(a, b))
	})
	names = slices.DeleteFunc(names, func(s string) bool { return s == "" })
	var parts []string
	others := m.total
	for _, name := range names[:min(len(names), moreNamed)] {
		parts = append(parts, grouped(m.like[name])+" "+name)
		others -= m.like[name]
	}
	if others > 0 {
		parts = append(parts, grouped(others)+" others")
	}
	fmt.Fprintf(m.w, "weir: %s more like these: %s\n", grouped(m.total), strings.Join(parts, ", "))
	m.total = 0
	clear(m.like)
}

// close says the rest.
func (m *more) close() {
	m.mu.Lock()
	if m.timer != nil {
		m.timer.Stop()
	}
	m.mu.Unlock()
	m.tell()
}

// takeOut keeps the tallies that a daemon sends from send.
func (m *more) takeOut(send hubble.Send) hubble.Send {
	d := convert.NewDecoder()
	return func(res *observerpb.GetFlowsResponse) error {
		f := res.GetFlow()
		if f == nil || !convert.Tally(f) {
			return send(res)
		}
		// What a newer daemon counts that this program does not know is not said.
		if r, err := d.Record(f); err == nil && r.L7 != nil && r.L7.Tally != nil {
			m.add(r.L7, r.L7.Tally.Count)
		}
		return nil
	}
}

// operationName is what was asked for, as far as it is known. It comes from
// peers: it is made fit for a terminal.
func operationName(l *flow.L7) string {
	what := l.Method
	if l.Protocol == flow.TLS {
		what = "TLS"
	}
	text := []rune(printer.Sanitize(strings.TrimSpace(what + " " + l.Route)))
	if len(text) > moreWidth {
		text = append(text[:moreWidth-1], '…')
	}
	return string(text)
}
