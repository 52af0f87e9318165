package l7

import "strings"

// QuestionName is what a name that DNS was asked for is counted as. Those below the
// reverse trees are addresses, which are never labels: each tree counts as one name.
func QuestionName(name string) string {
	for _, tree := range [...]string{"in-addr.arpa", "ip6.arpa"} {
		if name == tree || strings.HasSuffix(name, "."+tree) {
			return tree
		}
	}
	return name
}
