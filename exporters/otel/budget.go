package otel

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// DefaultTracesBudget is how many exchanges a second become spans, unless settings
// say otherwise.
const DefaultTracesBudget = 100

// budget bounds how many exchanges a second become spans, by whole traces. Each trace
// has a place, and those below a bound are in. Each second the bound is set to what
// would have kept to the budget in the seconds before: it moves, but the traces below
// the lower of two bounds are in with both, on this host and on others.
//
// Seconds are those of the records: nothing depends on when they are read. One
// goroutine uses it.
type budget struct {
	rate   float64 // exchanges a second; 0 for any number
	second int64   // of the Unix epoch, the one that is counted
	bound  uint64  // of places

	room float64 // of a second, what those leave that are spans in any case
	kept float64 // in this second, since the bound was halved

	places, usual         [placeCount]float64 // candidates by place: of this second, and of one as they were of late
	always, usuallyAlways float64             // what became spans in any case
}

// Bounds of a budget.
const (
	leastRoom = 4          // a quarter is not for errors, however many there are
	burst     = 2          // seconds' room that one second may take before the bound is halved
	lateness  = 15         // seconds after which a record may come
	latest    = 2          // half of what is usual is the latest second
	nothing   = 1.0 / 1024 // of a trace
)

func newBudget(rate int) budget { return budget{rate: float64(rate), bound: allTraces} }

// takes tells whether an exchange that the sampler takes becomes spans, and counts it.
// It is of a time, ns since the Unix epoch.
func (b *budget) takes(trace traceID, always bool, at int64) bool {
	if b.rate == 0 {
		return true
	}
	b.moveTo(at / int64(time.Second))
	if always {
		b.always++
		return true
	}
	place := placeOf(trace)
	b.places[bucketOf(place)]++
	if place >= b.bound {
		return false
	}
	if b.kept++; b.kept >= burst*b.room { // many more than were usual
		b.bound /= 2
		b.kept -= b.room
	}
	return true
}

// moveTo begins another second. What comes late is of the one that is counted; where
// it comes too late for that, the clock was set.
func (b *budget) moveTo(second int64) {
	passed := second - b.second
	switch {
	case passed == 0 || passed < 0 && passed >= -lateness:
		return
	case passed < 0:
		passed = 1
	}
	b.second = second
	for range min(passed, 64) { // all but the first were silent
		smooth(&b.usuallyAlways, &b.always)
		for i := range b.usual {
			smooth(&b.usual[i], &b.places[i])
		}
	}
	b.kept, b.room = 0, max(b.rate-b.usuallyAlways, b.rate/leastRoom)
	b.bound = allTraces
	var below float64
	for i, n := range b.usual {
		if below += n; below > b.room {
			b.bound = beginOf(i)
			break
		}
	}
}

// smooth takes a second's count into what is usual.
func smooth(usual, count *float64) {
	if *usual += (*count - *usual) / latest; *usual < nothing {
		*usual = 0
	}
	*count = 0
}

// placeOf is a trace's, of allTraces: a hash of its id, whose bits are not always as
// random as they should be. It is the same everywhere.
func placeOf(trace traceID) uint64 {
	x := binary.BigEndian.Uint64(trace[8:]) ^ bits.RotateLeft64(binary.BigEndian.Uint64(trace[:8])*0x9e3779b97f4a7c15, 32)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9 // splitmix64
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return (x ^ x>>31) >> 1
}

// Places are counted in buckets, of which there are sixteen to each octave.
const (
	octave     = 16
	octaveBits = 5
	placeCount = (63-octaveBits)*octave + 2*octave
)

func bucketOf(place uint64) int {
	shift := max(bits.Len64(place)-octaveBits, 0)
	return shift*octave + int(place>>shift)
}

// beginOf is a bucket's lowest place.
func beginOf(bucket int) uint64 {
	shift := max(bucket/octave-1, 0)
	return uint64(bucket-shift*octave) << shift
}
