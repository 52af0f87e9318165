package printer

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Flags are the formatting flags of a command, named as those of "hubble
// observe".
type Flags struct {
	Output      string
	TimeFormat  string
	Color       string
	Numeric     bool
	Translate   bool
	NodeName    bool
	PolicyNames bool
}

// Register adds the flags to fs.
func (f *Flags) Register(fs *pflag.FlagSet) {
	fs.StringVarP(&f.Output, "output", "o", "compact", "Format: compact, dict, json, jsonpb (the same) or table")
	fs.StringVar(&f.TimeFormat, "time-format", "StampMilli", "Format of times: "+strings.Join(TimeFormats(), ", "))
	fs.StringVar(&f.Color, "color", "auto", "Colours in compact and dict output: auto, always or never")
	fs.BoolVar(&f.Numeric, "numeric", false, "Show addresses instead of names")
	fs.BoolVar(&f.Translate, "ip-translation", true, "Show names instead of addresses")
	fs.BoolVar(&f.NodeName, "print-node-name", false, "Show the node's name")
	fs.BoolVar(&f.PolicyNames, "print-policy-names", false, "Show the names of the policies behind a verdict")
}

// Options are what the flags say for output to out. follow tells whether the
// output has no end, which a table needs.
func (f *Flags) Options(out, err io.Writer, follow bool, env func(string) string) (Options, error) {
	o := Options{
		Numeric: f.Numeric || !f.Translate, NodeName: f.NodeName, PolicyNames: f.PolicyNames, Out: out, Err: err,
	}
	switch strings.ToLower(f.Output) {
	case "compact":
		o.Format = FormatCompact
	case "dict":
		o.Format = FormatDict
	case "json", "jsonpb":
		o.Format = FormatJSON
	case "table", "tab":
		o.Format = FormatTable
		if follow {
			return o, errors.New("--output table cannot be combined with --follow: a table is laid out at its end")
		}
	default:
		return o, fmt.Errorf("--output %s: must be compact, dict, json or table", f.Output)
	}
	for _, t := range timeFormats {
		if strings.EqualFold(t.name, f.TimeFormat) {
			o.Layout = t.layout
		}
	}
	if o.Layout == "" {
		return o, fmt.Errorf("--time-format %s: must be one of %s", f.TimeFormat, strings.Join(TimeFormats(), ", "))
	}
	var cerr error
	o.Color, cerr = UseColor(f.Color, out, env)
	return o, cerr
}

var timeFormats = []struct{ name, layout string }{
	{"StampMilli", time.StampMilli},
	{"YearMonthDay", time.DateOnly},
	{"YearMonthDayHour", "2006-01-02T15Z07:00"},
	{"YearMonthDayHourMinute", "2006-01-02T15:04Z07:00"},
	{"RFC3339", time.RFC3339},
	{"RFC3339Milli", "2006-01-02T15:04:05.999Z07:00"},
	{"RFC3339Micro", "2006-01-02T15:04:05.999999Z07:00"},
	{"RFC3339Nano", time.RFC3339Nano},
	{"RFC1123Z", time.RFC1123Z},
}

// TimeFormats are the names that --time-format takes.
func TimeFormats() []string {
	out := make([]string, len(timeFormats))
	for i, t := range timeFormats {
		out[i] = t.name
	}
	return out
}
