// Package kernel is what the manager of policies and the programs that hold them
// say to each other: the plan that is to hold, what applying it did, and the
// verdicts that came of it. It knows neither of them.
package kernel
