package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/seed79351815/weir/cmd/weir/settings"
	"github.com/seed79351815/weir/exporters/hubble"
	"github.com/seed79351815/weir/exporters/prom"
	"github.com/seed79351815/weir/ui"
)

// value is a flag that checks what it is given, so that a fault is found with
// its place, on the command line as well as in the file.
type value struct {
	set func(string) error
	get func() string
	typ string
}

func (v value) Set(s string) error { return v.set(s) }
func (v value) String() string {
	if v.get == nil { // pflag asks a zero value what it prints
		return ""
	}
	return v.get()
}
func (v value) Type() string { return v.typ }

// choiceVar is a flag for one of a few words.
func choiceVar(fs *pflag.FlagSet, p *string, name, short string, allowed []string, usage string) {
	fs.VarP(value{
		set: func(s string) error {
			if !slices.Contains(allowed, s) {
				return fmt.Errorf("expected one of %s", strings.Join(allowed, ", "))
			}
			*p = s
			return nil
		},
		get: func() string { return *p },
		typ: strings.Join(allowed, "|"),
	}, name, short, usage)
}

// intVar is a flag for a number from low to high.
func intVar(fs *pflag.FlagSet, p *int, name string, low, high int, usage string) {
	fs.Var(value{
		set: func(s string) error {
			n, err := strconv.Atoi(s)
			if err != nil || n < low || n > high {
				return fmt.Errorf("expected a number from %d to %d", low, high)
			}
			*p = n
			return nil
		},
		get: func() string { return strconv.Itoa(*p) },
		typ: "number",
	}, name, usage)
}

// durationVar is a flag for a time from low to high.
func durationVar(fs *pflag.FlagSet, p *time.Duration, name string, low, high time.Duration, usage string) {
	fs.Var(value{
		set: func(s string) error {
			d, err := time.ParseDuration(s)
			if err != nil || d < low || d > high {
				return fmt.Errorf("expected a time from %s to %s, such as 10s or 5m", low, high)
			}
			*p = d
			return nil
		},
		get: func() string { return p.String() },
		typ: "time",
	}, name, usage)
}

// ageVar is a flag for a time of days too, such as 7d, up to high. 0 is allowed.
func ageVar(fs *pflag.FlagSet, p *time.Duration, name string, high time.Duration, usage string) {
	const day = 24 * time.Hour
	fs.Var(value{
		set: func(s string) error {
			d, err := time.ParseDuration(s)
			if days, ok := strings.CutSuffix(s, "d"); ok {
				var n uint64
				n, err = strconv.ParseUint(days, 10, 16)
				d = time.Duration(n) * day
			}
			if err != nil || d < 0 || d > high {
				return fmt.Errorf("expected a time up to %dd, such as 12h or 7d", high/day)
			}
			*p = d
			return nil
		},
		get: func() string {
			if *p > 0 && *p%day == 0 {
				return fmt.Sprintf("%dd", *p/day)
			}
			return p.String()
		},
		typ: "time",
	}, name, usage)
}

// windowVar is a flag for a window of time, as the screen's ":window" takes it.
func windowVar(fs *pflag.FlagSet, p *string, name, usage string) {
	fs.Var(value{
		set: func(s string) error {
			_, err := ui.ParseWindow(s)
			*p = s
			return err
		},
		get: func() string { return *p },
		typ: "time",
	}, name, usage)
}

// sizeVar is a flag for a size from low to high.
func sizeVar(fs *pflag.FlagSet, p *settings.Size, name string, low, high settings.Size, usage string) {
	fs.Var(value{
		set: func(s string) error {
			var z settings.Size
			if err := z.Set(s); err != nil || z < low || z > high {
				return fmt.Errorf("expected a size from %s to %s", &low, &high)
			}
			*p = z
			return nil
		},
		get: func() string { return p.String() },
		typ: "size",
	}, name, usage)
}

// powerVar is a flag for a size that is a power of two.
func powerVar(fs *pflag.FlagSet, p *settings.Size, name string, low, high settings.Size, usage string) {
	fs.Var(value{
		set: func(s string) error {
			var z settings.Size
			err := z.Set(s)
			if err != nil || z < low || z > high || z&(z-1) != 0 {
				return fmt.Errorf("expected a power of two from %s to %s", &low, &high)
			}
			*p = z
			return nil
		},
		get: func() string { return p.String() },
		typ: "size",
	}, name, usage)
}

// socketVar is a flag for a unix socket's path.
func socketVar(fs *pflag.FlagSet, p *string, name, usage string) {
	fs.Var(value{
		set: func(s string) error {
			path := strings.TrimPrefix(s, "unix://")
			if path == "" {
				return fmt.Errorf("expected a path")
			}
			// In an address of gRPC's a relative path would be read as a host.
			path, err := filepath.Abs(path)
			if err != nil {
				return err
			}
			// sockaddr_un holds 108 bytes with the final NUL.
			if len(path) > 107 {
				return fmt.Errorf("expected a path of at most 107 bytes, and %q has %d", path, len(path))
			}
			*p = path
			return nil
		},
		get: func() string { return *p },
		typ: "path",
	}, name, usage)
}

// listValue is a value of words separated by commas, which a file may also hold as a list.
type listValue struct{ value }

func (v listValue) Append(s string) error {
	if old := v.get(); old != "" {
		s = old + "," + s
	}
	return v.set(s)
}
func (v listValue) Replace(all []string) error { return v.set(strings.Join(all, ",")) }
func (v listValue) GetSlice() []string         { return strings.Split(v.get(), ",") }

// listVar is a flag for words separated by commas, which check knows.
func listVar(fs *pflag.FlagSet, p *string, name, typ string, check func(string) error, usage string) {
	fs.Var(listValue{value{
		set: func(s string) error {
			if err := check(s); err != nil {
				return err
			}
			*p = s
			return nil
		},
		get: func() string { return *p },
		typ: typ,
	}}, name, usage)
}

func labelsError(more, omit string) error {
	_, err := prom.ParseLabels(more, omit)
	return err
}

func peersError(list string) error {
	_, err := hubble.ParsePeers(list)
	return err
}
