package ui

import (
	"context"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/seed79351815/weir/collector"
	"github.com/seed79351815/weir/collector/aggregate"
)

// Config is what Run needs to know. The zero value of a field that is not
// required means its default.
type Config struct {
	// Snapshot gives the newest snapshot, nil while there is none. It is called
	// once per Interval from one goroutine, and may take its time: keys work
	// meanwhile. Required.
	Snapshot func() *aggregate.Snapshot
	// Health gives the pipeline's account of itself, called beside Snapshot. Its
	// maps and slices must not change afterwards. Required.
	Health func() collector.Health
	// Policies gives the policies of now, called beside Snapshot. What it gives must
	// not change afterwards. Without it nothing is known of them but what verdicts say.
	Policies func() Policies
	// Past gives a window of the past, from so long ago until now. It is called from
	// one goroutine, again and again while the user looks at the window, and may take
	// its time; ctx ends when nobody waits any more. What it gives must not change
	// afterwards. Its errors are shown. Without it there are no windows.
	Past func(ctx context.Context, window time.Duration) (*Past, error)

	Title    string // an extra word for the header, e.g. a filter's name
	Host     string
	Kernel   string
	Mode     string // what weir does where no policy is known; default "observe"
	Attached string // where the flows come from: "daemon unix:///…", "own capture", "recording FILE"
	Recorded bool   // the flows come from a recording, whose pace is its own: no lag is computed

	Filter string // initial filter of workloads and flows
	Sort   string // initial sort column of View, after "-" in reverse
	Window string // the time that is shown first, as ParseWindow reads it; default the present
	View   string // "workloads" (default), "flows", "operations", "health" or "policy"

	Interval time.Duration // between readings; default 500 ms, at least 200 ms
	Mouse    bool          // take the mouse; the terminal's own selection of text is lost by it
	NoColor  bool          // attributes alone; also when the environment has NO_COLOR

	// Guard, when set, is armed while the screen is on, so that goroutines of
	// other packages can give the terminal back before they die. Optional.
	Guard *Guard

	Screen tcell.Screen     // instead of the terminal; Run initialises and finishes it
	Now    func() time.Time // the clock; its location is that of the times shown; default time.Now
}

func (c Config) withDefaults() Config {
	if c.Mode == "" {
		c.Mode = "observe"
	}
	if c.Interval == 0 {
		c.Interval = 500 * time.Millisecond
	}
	c.Interval = max(c.Interval, 200*time.Millisecond)
	if c.Policies == nil {
		c.Policies = func() Policies { return Policies{Note: "nothing is known of policies but what their verdicts say"} }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Guard == nil {
		c.Guard = new(Guard)
	}
	return c
}
