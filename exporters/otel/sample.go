package otel

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/seed79351815/weir/collector/flow"
)

// sampler decides which exchanges become spans, as OTEL_TRACES_SAMPLER names it.
// Whatever it is, but for always_off: errors, denials and slow ones always do.
type sampler struct {
	off         bool
	parentBased bool
	bound       uint64 // of the trace id's last 63 bits, as OpenTelemetry's TraceIDRatioBased has it
}

const allTraces = 1 << 63

// samplers are the names of OTEL_TRACES_SAMPLER that weir knows.
var samplers = map[string]struct{ off, parentBased, all, ratio bool }{
	"always_on":                {all: true},
	"always_off":               {off: true},
	"traceidratio":             {ratio: true},
	"parentbased_always_on":    {parentBased: true, all: true},
	"parentbased_always_off":   {parentBased: true},
	"parentbased_traceidratio": {parentBased: true, ratio: true},
}

// newSampler takes a sampler's name and argument.
func newSampler(name, arg string) (sampler, error) {
	if name == "" {
		name = "parentbased_always_on"
	}
	k, ok := samplers[name]
	if !ok {
		return sampler{}, fmt.Errorf("OTEL_TRACES_SAMPLER: %q: expected always_on, always_off, traceidratio, or parentbased_ before one of them", name)
	}
	s := sampler{off: k.off, parentBased: k.parentBased}
	switch {
	case k.all, k.ratio && arg == "":
		s.bound = allTraces
	case k.ratio:
		ratio, err := strconv.ParseFloat(arg, 64)
		if err != nil || !(ratio >= 0 && ratio <= 1) {
			return sampler{}, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: %q: expected a number from 0 to 1", arg)
		}
		s.bound = uint64(ratio * allTraces)
	}
	return s, nil
}

// always tells whether an exchange becomes spans whatever the sampler is, but for
// always_off, and whatever the budget.
func (t *told) always() bool {
	return t.failed(clientEnd) || t.l.Exchange.Why == flow.WhySlow
}

// takes tells whether an exchange becomes spans, where the budget has room for them.
func (s *sampler) takes(t *told) bool {
	switch {
	case s.off:
		return false
	case t.always():
		return true
	case s.parentBased && t.up.valid():
		return t.up.sampled
	}
	return binary.BigEndian.Uint64(t.ids.trace[8:])>>1 < s.bound
}
