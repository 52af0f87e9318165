package settings

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/seed79351815/weir/collector/spelling"
)

// Strangers tells of variables in environ ("NAME=value") that look like settings
// and are none: a mistyped one would change nothing in silence. Variables for
// weir's own tests are passed over.
func Strangers(known *pflag.FlagSet, environ []string) []string {
	names := []string{EnvName("config")}
	known.VisitAll(func(f *pflag.Flag) { names = append(names, EnvName(f.Name)) })
	is := map[string]bool{}
	for _, n := range names {
		is[n] = true
	}
	var told []string
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		switch {
		case !strings.HasPrefix(name, "WEIR_"), is[name]:
		case strings.HasPrefix(name, "WEIR_TEST_"), strings.HasPrefix(name, "WEIR_LAB_"):
		default:
			told = append(told, fmt.Sprintf("environment %q: no setting of weir%s", name, spelling.DidYouMean(name, names, "")))
		}
	}
	return told
}
