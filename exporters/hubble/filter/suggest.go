package filter

import (
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
)

// unknown says that a value is none of those that are known, and which one may
// have been meant.
func unknown(what, got string, known []string) string {
	best, dist := "", 3
	for _, k := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(got), strings.ToLower(k)); d < dist {
			best, dist = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("unknown %s %q; did you mean %q?", what, got, best)
	}
	if len(known) > 16 { // too many to read
		return fmt.Sprintf("unknown %s %q", what, got)
	}
	return fmt.Sprintf("unknown %s %q; known: %s", what, got, strings.Join(known, ", "))
}
