package l7_test

import (
	"testing"

	"github.com/seed79351815/weir/collector/l7"
)

func TestQuestionName(t *testing.T) {
	for in, want := range map[string]string{
		"example.org": "example.org", "": "", "1.0.0.10.in-addr.arpa": "in-addr.arpa", "ip6.arpa": "ip6.arpa",
		"0.8.e.f.ip6.arpa": "ip6.arpa", "notip6.arpa": "notip6.arpa", "in-addr.arpa.example.org": "in-addr.arpa.example.org",
	} {
		if got := l7.QuestionName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
