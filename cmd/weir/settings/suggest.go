package settings

import (
	"fmt"

	"github.com/agnivade/levenshtein"
)

// DidYouMean is `; did you mean "…"?` with the name nearest to got, each with
// prefix before it, or empty when none is near.
func DidYouMean(got string, names []string, prefix string) string {
	const maxLen = 64 // the distance costs the product of the lengths
	if len(got) > maxLen {
		return ""
	}
	// One edit for every three characters: "metod" is method, "foo" is not "top".
	best, limit := "", max((len(got)+2)/3, 1)
	for _, n := range names {
		if d := levenshtein.ComputeDistance(got, n); d <= limit && (best == "" || d < limit) {
			best, limit = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", prefix+best)
}
