package settings

import (
	"slices"
	"testing"

	"github.com/spf13/pflag"
)

func TestStrangers(t *testing.T) {
	known := pflag.NewFlagSet("", pflag.ContinueOnError)
	known.String("metrics-listen", "", "")
	got := Strangers(known, []string{
		"HOME=/root", "WEIR_METRICS_LISTEN=x", "WEIR_CONFIG=y", "WEIR_TEST_PRIVILEGED=1", "WEIR_METRIC_LISTEN=z", "WEIR_\x1b[31m=", "WEIR_=",
	})
	want := []string{
		`environment "WEIR_METRIC_LISTEN": no setting of weir; did you mean "WEIR_METRICS_LISTEN"?`,
		`environment "WEIR_\x1b[31m": no setting of weir`,
		`environment "WEIR_": no setting of weir`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
