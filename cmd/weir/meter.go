package main

import (
	"context"
	"sync"
	"time"

	"github.com/seed79351815/weir/collector/flow"
)

// meter is a sink that counts what goes by, for the daemon's status: a View,
// which knows every flow, would cost the daemon its memory twice.
type meter struct {
	now func() time.Time

	mu      sync.Mutex
	total   reading
	samples [meterSamples]reading // a ring, one a second
	next    int
}

// meterSamples are the seconds that a rate is taken over.
const meterSamples = 10

type reading struct {
	time   time.Time
	opened uint64
	ended  uint64
	bytes  uint64 // payload, both ways
}

func newMeter(now func() time.Time) *meter {
	m := &meter{now: now}
	m.samples[0] = reading{time: now()}
	m.next = 1
	return m
}

// Name is the stage of the meter's losses.
func (m *meter) Name() string { return "status" }

// Consume counts the records; it never fails.
func (m *meter) Consume(_ context.Context, batch []flow.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sample()
	for i := range batch {
		r := &batch[i]
		switch r.Kind {
		case flow.RecordStart:
			m.total.opened++
		case flow.RecordEnd:
			m.total.ended++
		}
		m.total.bytes += r.Delta.Sent.Payload + r.Delta.Received.Payload
	}
	return nil
}

// sample keeps the totals as they were a second ago, two seconds ago, and so on.
func (m *meter) sample() {
	now := m.now()
	last := m.samples[(m.next+meterSamples-1)%meterSamples]
	if now.Sub(last.time) < time.Second {
		return
	}
	m.samples[m.next] = m.total
	m.samples[m.next].time = now
	m.next = (m.next + 1) % meterSamples
}

// rates are per second over the last ten seconds, or since the start.
func (m *meter) rates() (live int, opened, bytes float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sample()
	oldest := m.samples[m.next]
	if oldest.time.IsZero() {
		oldest = m.samples[0]
	}
	if secs := m.now().Sub(oldest.time).Seconds(); secs > 0 {
		opened = float64(m.total.opened-oldest.opened) / secs
		bytes = float64(m.total.bytes-oldest.bytes) / secs
	}
	// A record of a start that was lost must not make the number negative.
	return int(m.total.opened - min(m.total.ended, m.total.opened)), opened, bytes
}
