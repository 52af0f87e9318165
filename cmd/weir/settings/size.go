package settings

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a flag's number of bytes: 65536, 64KiB, 4MiB, 1GiB.
type Size int64

var units = []struct {
	suffix string
	size   int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"", 1}}

// Set parses s; it is pflag.Value's.
func (z *Size) Set(s string) error {
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > (1<<40)/u.size {
			break
		}
		*z = Size(n * u.size)
		return nil
	}
	return fmt.Errorf("expected a size, such as 4MiB or 65536")
}

func (z *Size) String() string {
	n := int64(*z)
	for _, u := range []int{2, 1, 0} {
		if n > 0 && n%units[u].size == 0 {
			return strconv.FormatInt(n/units[u].size, 10) + units[u].suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// Type is the placeholder in a flag's help.
func (z *Size) Type() string { return "size" }
