package lab

import "flag"

// Rounds is how often a benchmark that compares takes turns within one run: n, or
// once where -benchtime 1x asks for no more than a glance, as CI does.
func Rounds(n int) int {
	if f := flag.Lookup("test.benchtime"); f != nil && f.Value.String() == "1x" {
		return 1
	}
	return n
}
