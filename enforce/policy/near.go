package policy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/agnivade/levenshtein"
)

// didYouMean is `; did you mean "…"?` with the name nearest to got, or empty
// when none is near. Of names that are equally near the first one is taken.
func didYouMean(got string, names []string) string {
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
	return fmt.Sprintf("; did you mean %q?", best)
}

// keys are the keys of m in order.
func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
