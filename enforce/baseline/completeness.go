package baseline

import (
	"fmt"
	"maps"
	"strings"
	"time"
)

// Completeness says what a Baseline can be relied upon for.
type Completeness struct {
	Windows       int
	Open          bool          // it is still being learned
	First, Last   int64         // of the windows, ns since the Unix epoch
	Learned       time.Duration // for how long something was seen
	Blind         time.Duration // for how long within windows nothing was
	Interruptions uint64
	Lost          map[string]uint64  // events and records within the windows, by "stage/reason"
	Unseen        map[string]Stretch // layer 7 that was not read, by "protocol/reason"
	Missed        map[string]uint64  // what found no room or no name, by reason
}

// Completeness sums up the windows.
func (b *Baseline) Completeness() Completeness {
	var sum Window
	c := Completeness{Missed: maps.Clone(b.Missed)}
	for i := range b.Windows {
		w := &b.Windows[i]
		sum.add(w)
		c.Windows += 1 + int(min(w.Before, 1<<30))
		c.Learned += w.Learned()
		if c.First == 0 {
			c.First = w.Start
		}
		c.Last = max(c.Last, w.Alive)
		c.Open = w.End == 0
	}
	c.Blind, c.Interruptions, c.Lost, c.Unseen = time.Duration(sum.Blind), sum.Interruptions, sum.Lost, sum.Unseen
	return c
}

// Complete tells whether nothing is known to be missing on layers 3 and 4: no event
// was lost, weir was always there, and everything found room and a name.
func (c Completeness) Complete() bool {
	return c.Windows > 0 && c.Blind == 0 && total(c.Lost) == 0 && total(c.Missed) == 0
}

// Gaps are what is missing, a sentence each, in a stable order; none where nothing
// is known to be.
func (c Completeness) Gaps() (gaps []string) {
	if c.Windows == 0 {
		return []string{"nothing was learned"}
	}
	if c.Blind > 0 {
		gaps = append(gaps, fmt.Sprintf("weir did not see %s of the time (%s)", Span(c.Blind), count(c.Interruptions, "interruption")))
	}
	if n := total(c.Lost); n > 0 {
		gaps = append(gaps, fmt.Sprintf("%s lost: %s", count(n, "event"), list(c.Lost)))
	}
	for _, k := range sortedText(c.Missed) {
		if n := c.Missed[k]; n > 0 {
			gaps = append(gaps, fmt.Sprintf("%s not kept: %s", count(n, "record"), missedText(k)))
		}
	}
	for _, k := range sortedText(c.Unseen) {
		s := c.Unseen[k]
		gaps = append(gaps, fmt.Sprintf("layer 7 not read in %s, %d bytes: %s", count(s.Stretches, "stretch"), s.Bytes, k))
	}
	return gaps
}

func missedText(reason string) string {
	switch reason {
	case MissedProfiles:
		return "too many workloads"
	case MissedContacts:
		return "too many peers or services"
	case MissedOperations:
		return "too many operations of layer 7"
	case MissedNameless:
		return "a workload of this host had no name"
	}
	return reason
}

func list(m map[string]uint64) string {
	var parts []string
	for _, k := range sortedText(m) {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}

func total(m map[string]uint64) (n uint64) {
	for _, v := range m {
		add(&n, v)
	}
	return n
}

// count is "1 event" or "2 events".
func count(n uint64, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "ch"):
		return fmt.Sprintf("%d %ses", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Span is a duration for a person to read: "3 days", "26h", "12m30s", "4s". It is
// never longer than what it stands for by more than it can show.
func Span(d time.Duration) string {
	switch {
	case d >= 72*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return d.Truncate(time.Millisecond).String()
}
