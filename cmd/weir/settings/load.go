package settings

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/seed79351815/weir/collector/spelling"
)

// Origin says where a flag's value comes from.
type Origin string

const (
	FromDefault Origin = "default"
	FromFlag    Origin = "flag"
	FromEnv     Origin = "environment"
	FromFile    Origin = "file"
)

// Input is where settings are looked up.
type Input struct {
	// Known holds every setting of every command, so that one file serves them
	// all. Its values are overwritten while the file is checked.
	Known *pflag.FlagSet
	File  string // its name, for errors
	// Entries are the file's.
	Entries []Entry
	// Env is os.LookupEnv.
	Env func(string) (string, bool)
}

// EnvName is the variable that sets a flag.
func EnvName(flag string) string {
	return "WEIR_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Apply sets the flags of used that are settings and that the command line left
// alone, and tells for each setting in used where its value came from. The
// whole file is checked, also the settings that used has not.
func Apply(used *pflag.FlagSet, in Input) (map[string]Origin, error) {
	file, err := in.check()
	if err != nil {
		return nil, err
	}
	origins := map[string]Origin{}
	used.VisitAll(func(f *pflag.Flag) {
		if err != nil || in.Known.Lookup(f.Name) == nil {
			return
		}
		origins[f.Name] = FromDefault
		if f.Changed {
			origins[f.Name] = FromFlag
			return
		}
		if v, ok := in.Env(EnvName(f.Name)); ok {
			origins[f.Name] = FromEnv
			if e := used.Set(f.Name, v); e != nil {
				err = fmt.Errorf("environment %s: %w", EnvName(f.Name), cause(e))
			}
			return
		}
		if e, ok := file[f.Name]; ok {
			origins[f.Name] = FromFile
			err = e.set(used, in.File)
		}
	})
	return origins, err
}

// check finds what is wrong in the file before any of it holds.
func (in *Input) check() (map[string]Entry, error) {
	file := map[string]Entry{}
	for _, e := range in.Entries {
		if in.Known.Lookup(e.Key) == nil {
			var names []string
			in.Known.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
			return nil, &Error{in.File, e.Line, e.Col,
				fmt.Sprintf("unknown setting %q%s", e.Key, spelling.DidYouMean(e.Key, names, ""))}
		}
		if err := e.set(in.Known, in.File); err != nil {
			return nil, err
		}
		file[e.Key] = e
	}
	return file, nil
}

func (e Entry) set(fs *pflag.FlagSet, file string) error {
	f := fs.Lookup(e.Key)
	list, isList := f.Value.(pflag.SliceValue)
	var err error
	switch {
	case isList:
		err = list.Replace(e.Values)
		f.Changed = true
	case e.List:
		err = fmt.Errorf("takes one value, not a list")
	default:
		err = cause(fs.Set(e.Key, e.Values[0]))
	}
	if err != nil {
		return &Error{file, max(e.valueLine, 1), max(e.valueCol, 1), fmt.Sprintf("%s: %v", e.Key, err)}
	}
	return nil
}

// cause leaves out pflag's sentence about the flag: nobody wrote one here.
func cause(err error) error {
	if v, ok := err.(*pflag.InvalidValueError); ok {
		return fmt.Errorf("%q: %w", v.GetValue(), v.Unwrap())
	}
	return err
}
