package filter

import (
	"fmt"
	"strings"

	"github.com/seed79351815/weir/collector/spelling"
)

// unknown says that a value is none of those that are known, and which one may
// have been meant.
func unknown(what, got string, known []string) string {
	msg := fmt.Sprintf("unknown %s %q", what, got)
	if hint := spelling.DidYouMean(got, known, ""); hint != "" {
		return msg + hint
	}
	if len(known) > 16 { // too many to read
		return msg
	}
	return msg + "; known: " + strings.Join(known, ", ")
}
