package settings

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

type values struct {
	socket string
	ring   int
	buffer Size
	names  []string
}

func flags(v *values) *pflag.FlagSet {
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	v.buffer = 4 << 20
	fs.StringVar(&v.socket, "socket", "/run/weir.sock", "")
	fs.IntVar(&v.ring, "ring", 65536, "")
	fs.Var(&v.buffer, "kernel-buffer", "")
	fs.StringSliceVar(&v.names, "name", nil, "")
	return fs
}

func noEnv(string) (string, bool) { return "", false }

func TestPrecedence(t *testing.T) {
	env := map[string]string{"WEIR_SOCKET": "env", "WEIR_RING": "2"}
	for _, tc := range []struct {
		name   string
		args   []string
		env    map[string]string
		file   string
		want   string
		origin Origin
	}{
		{"default", nil, nil, "", "/run/weir.sock", FromDefault},
		{"file", nil, nil, "socket: file", "file", FromFile},
		{"env over file", nil, env, "socket: file", "env", FromEnv},
		{"flag over all", []string{"--socket", "flag"}, env, "socket: file", "flag", FromFlag},
		{"an empty value is one", nil, map[string]string{"WEIR_SOCKET": ""}, "socket: file", "", FromEnv},
		{"an empty value in the file", nil, nil, `socket: ""`, "", FromFile},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var v, scratch values
			fs := flags(&v)
			fs.String("last", "", "no setting")
			if err := fs.Parse(tc.args); err != nil {
				t.Fatal(err)
			}
			entries, err := Parse("f.yaml", []byte(tc.file))
			if err != nil {
				t.Fatal(err)
			}
			got, err := Apply(fs, Input{Known: flags(&scratch), File: "f.yaml", Entries: entries, Env: func(k string) (string, bool) {
				s, ok := tc.env[k]
				return s, ok
			}})
			if err != nil {
				t.Fatal(err)
			}
			if v.socket != tc.want || got["socket"] != tc.origin {
				t.Errorf("socket = %q from %s, want %q from %s", v.socket, got["socket"], tc.want, tc.origin)
			}
			if _, ok := got["last"]; ok {
				t.Error("a flag that is no setting has an origin")
			}
		})
	}
}

func TestValues(t *testing.T) {
	var v, scratch values
	entries, err := Parse("f", []byte("# comment\nring: 7\nkernel-buffer: 64KiB\nname: [a, 'b,c']\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(flags(&v), Input{Known: flags(&scratch), Entries: entries, Env: noEnv}); err != nil {
		t.Fatal(err)
	}
	if v.ring != 7 || v.buffer != 64<<10 || len(v.names) != 2 || v.names[1] != "b,c" {
		t.Errorf("got %+v", v)
	}
}

func TestErrors(t *testing.T) {
	for _, tc := range []struct{ name, file, want string }{
		{"unknown", "ring: 1\nsokcet: /x\n", `f.yaml:2:1: unknown setting "sokcet"; did you mean "socket"?`},
		{"unknown, nothing near", "colour: red", `f.yaml:1:1: unknown setting "colour"`},
		{"twice", "ring: 1\nsocket: a\nring: 2\n", `f.yaml:3:1: "ring" is set twice, first in line 1`},
		{"type", "\nring:   many\n", `f.yaml:2:9: ring: "many": `},
		{"size", "kernel-buffer: 4MB", `f.yaml:1:16: kernel-buffer: "4MB": expected a size`},
		{"list for one", "ring: [1, 2]", `f.yaml:1:7: ring: takes one value, not a list`},
		{"nested", "socket:\n  path: /x\n", `f.yaml:2:3: "socket" must be a value or a list of values`},
		{"null", "socket: ~", `f.yaml:1:9: "socket" has no value`},
		{"not a mapping", "- a\n- b\n", `f.yaml:1:1: expected settings`},
		{"two documents", "ring: 1\n---\nring: 2\n", `f.yaml:`},
		{"syntax", "ring: 1\nsocket: \"open\n", `f.yaml:2:1: `},
		{"alias", "socket: &a x\nname: *a\n", `f.yaml:2:7: "name" must be`},
		{"tab", "ring:\n\t1", `f.yaml:2:1: `},
		{"too large", strings.Repeat("#", maxFile+1), `f.yaml:1:1: the file is larger`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var v, scratch values
			entries, err := Parse("f.yaml", []byte(tc.file))
			if err == nil {
				_, err = Apply(flags(&v), Input{Known: flags(&scratch), File: "f.yaml", Entries: entries, Env: noEnv})
			}
			var e *Error
			if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
			if v.ring != 0 && v.ring != 65536 {
				t.Errorf("ring is %d: part of a wrong file holds", v.ring)
			}
		})
	}
}

func TestEnvError(t *testing.T) {
	var v, scratch values
	_, err := Apply(flags(&v), Input{Known: flags(&scratch), Env: func(k string) (string, bool) { return "many", k == "WEIR_RING" }})
	if err == nil || !strings.HasPrefix(err.Error(), `environment WEIR_RING: "many": `) {
		t.Errorf("got %v", err)
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "weir.yaml")
	if _, found, err := ReadFile(path); found || err != nil {
		t.Errorf("missing file: found %v, error %v", found, err)
	}
	if err := os.WriteFile(path, []byte("ring: 5"), 0o600); err != nil {
		t.Fatal(err)
	}
	if e, found, err := ReadFile(path); !found || err != nil || len(e) != 1 || e[0].Key != "ring" {
		t.Errorf("got %v, found %v, error %v", e, found, err)
	}
	if _, _, err := ReadFile(dir); err == nil {
		t.Error("a directory was read")
	}
}

func TestSize(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "65536": "64KiB", "4MiB": "4MiB", "1GiB": "1GiB", "1000": "1000", "1024GiB": "1024GiB",
	} {
		var z Size
		if err := z.Set(in); err != nil || z.String() != want {
			t.Errorf("Set(%q) = %v, %v; want %s", in, z.String(), err, want)
		}
	}
	for _, in := range []string{"", "-1", "1.5MiB", "4MB", "MiB", "9999999GiB", "99999999999999999999"} {
		var z Size
		if err := z.Set(in); err == nil {
			t.Errorf("Set(%q) = %v, want an error", in, z.String())
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("ring: 1\nsocket: /x\n")
	f.Add("a: &x [1, {b: c}]\n<<: *x\n---\n!!binary z: ~")
	f.Fuzz(func(t *testing.T, s string) {
		entries, err := Parse("f", []byte(s))
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Line < 1 || e.Col < 1) {
			t.Errorf("error without a place: %v", err)
		}
		for _, e := range entries {
			if !e.List && len(e.Values) != 1 {
				t.Errorf("%+v", e)
			}
		}
	})
}
