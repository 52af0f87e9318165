package identity

import (
	"strings"
	"time"
)

// Everything that comes from outside is cut to these sizes before it is kept.
const (
	maxLabels     = 64
	maxLabelKey   = 256
	maxLabelValue = 1024
	maxName       = 253 // as a DNS name
	maxImage      = 1024
	maxAddrs      = 64 // addresses of one container
)

// The tables are bounded too; what does not fit is counted in Lost.
const (
	maxCgroups    = 131072
	maxDead       = 16384
	maxContainers = 65536
	maxLookups    = 1024 // cgroups that are being looked up at the same time
	maxDNSAddrs   = 65536
	maxNames      = 8 // DNS names of one address
	maxProxyPIDs  = 8192
	maxNAT        = 131072
)

const (
	rememberDead = 10 * time.Minute // how long late events find a removed cgroup's workload
	giveUp       = 10 * time.Second // a name that has not come by then does not come
	resyncEvery  = time.Minute
)

// clean makes s fit to be kept: valid UTF-8 (what protobuf strings must be), at
// most n bytes.
func clean(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	// a cut in the middle of a rune leaves an invalid tail, which goes too
	return strings.ToValidUTF8(s[:n], "")
}
