package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	cfg, err := parse([]string{"-kernels", "6.1", "-modules", "veth, bridge", "-timeout", "1m", "--", "bpf.test", "-test.v"})
	if err != nil {
		t.Fatal(err)
	}
	want := config{kernels: []string{"6.1"}, modules: []string{"veth", "bridge"}, cache: ".cache/kernels",
		timeout: time.Minute, command: []string{"bpf.test", "-test.v"}}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got %+v, want %+v", cfg, want)
	}
	for _, args := range [][]string{{}, {"-kernels", ","}, {"-kernels", "", "--", "x"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}

func TestJudge(t *testing.T) {
	for _, tc := range []struct{ name, console, want string }{
		{"pass", "--- PASS: TestKernel (0.1s)\nPASS\n\nvmtest: PASS\n[ 3.4] reboot: Power down\n", ""},
		{"fail", "--- FAIL: TestKernel\n\nvmtest: FAIL: exit status 1\n", "exit status 1"},
		{"nothing run", "testing: warning: no tests to run\nPASS\n\nvmtest: PASS\n", "no tests to run"},
		{"panic", "Kernel panic - not syncing\n", "no verdict"},
		{"silence", "", "no verdict"},
		{"quoted", "log: not vmtest: PASS yet\n", "no verdict"},
	} {
		err := judge(tc.console)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestUnbooted(t *testing.T) {
	for console, want := range map[string]bool{
		"Oops: int3\nKernel panic - not syncing: Fatal exception\n": true,
		"=== RUN   TestKernel\nKernel panic - not syncing\n":        false,
		"vmtest: no such module\nKernel panic - not syncing\n":      false,
		"": false,
	} {
		if got := unbooted(console); got != want {
			t.Errorf("%q: %v", console, got)
		}
	}
}

func TestResults(t *testing.T) {
	got := results("=== RUN TestA\n    x.go:1: hm\n--- PASS: TestA (0s)\n    --- SKIP: TestA/b (0s)\nPASS\n")
	if want := []string{"--- PASS: TestA (0s)", "    --- SKIP: TestA/b (0s)"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNewestKernelOfASeries(t *testing.T) {
	const pattern = `^linux-image-6\.12\..*cloud-amd64$`
	names := packages(`linux-image-6.12.99+deb12-cloud-amd64 - Linux 6.12 for x86-64 cloud (signed)
linux-image-6.12.107+deb12-cloud-amd64 - Linux 6.12 for x86-64 cloud (signed)
linux-image-6.12.107+deb12-cloud-amd64-dbg - Debug symbols
linux-image-6.12-cloud-amd64 - Linux for x86-64 cloud (meta-package)
linux-image-6.1.0-56-cloud-amd64 - Linux 6.1
`, pattern)
	if len(names) != 2 {
		t.Fatalf("packages %q, want the two images", names)
	}
	if got := slices.MaxFunc(names, compareVersions); !strings.Contains(got, "6.12.107") {
		t.Errorf("newest is %s", got)
	}
}

func TestCacheServesWithoutArchive(t *testing.T) {
	cache := t.TempDir()
	for _, name := range []string{"linux-image-5.99.1-cloud-amd64", "linux-image-5.99.7-cloud-amd64"} {
		for _, file := range []string{"boot/vmlinuz-x", "lib/modules/x/modules.order"} {
			path := filepath.Join(cache, name, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	k, err := findKernel(t.Context(), cache, "5.99")
	if err != nil || k.name != "linux-image-5.99.7-cloud-amd64" {
		t.Errorf("found %+v, %v", k, err)
	}
	if _, err := findKernel(t.Context(), cache, "5.98"); err == nil || !strings.Contains(err.Error(), "5.98") {
		t.Errorf("a series that nobody has: %v", err)
	}
}

func TestCpio(t *testing.T) {
	var out bytes.Buffer
	c := &cpio{w: &out}
	c.dir("dev")
	c.bytes("a/long-name", 0o755, []byte("seven b"))
	c.end()
	if c.err != nil || out.Len()%4 != 0 {
		t.Fatalf("error %v, %d bytes", c.err, out.Len())
	}
	got := make(map[string]string)
	for rest := out.Bytes(); ; {
		field := func(i int) int {
			n, err := strconv.ParseInt(string(rest[6+8*i:14+8*i]), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		if string(rest[:6]) != "070701" {
			t.Fatalf("magic %q", rest[:6])
		}
		size, nameLen := field(6), field(11)
		name := string(rest[110 : 110+nameLen-1])
		data := (110 + nameLen + 3) &^ 3
		if name == "TRAILER!!!" {
			break
		}
		got[name] = strconv.FormatInt(int64(field(1)), 8) + " " + string(rest[data:data+size])
		rest = rest[(data+size+3)&^3:]
	}
	want := map[string]string{"dev": "40755 ", "a/long-name": "100755 seven b"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestModulesComeAfterWhatTheyNeed(t *testing.T) {
	dir := t.TempDir()
	for name, needs := range map[string]string{"bridge": "stp,llc-x", "stp": "llc_x", "llc-x": "", "loop-a": "loop_b", "loop-b": "loop_a"} {
		if err := os.WriteFile(filepath.Join(dir, name+".ko"), fakeModule(t, needs), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	order := func(names ...string) (got []string) {
		t.Helper()
		modules, err := resolveModules(t.Context(), kernel{modules: dir}, names)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range modules {
			got = append(got, m.name)
		}
		return got
	}
	if got := order("bridge", "stp"); !slices.Equal(got, []string{"llc_x", "stp", "bridge"}) {
		t.Errorf("order %q", got)
	}
	if got := order("loop_a"); len(got) != 2 {
		t.Errorf("a circle: %q", got)
	}
	if _, err := resolveModules(t.Context(), kernel{modules: dir}, []string{"nope"}); err == nil {
		t.Error("a module that is not there was found")
	}
	if _, err := dependencies([]byte("not an ELF file")); err == nil {
		t.Error("garbage was read as a module")
	}
}

// fakeModule is the smallest ELF file with a .modinfo section.
func fakeModule(t *testing.T, depends string) []byte {
	t.Helper()
	info := []byte("license=GPL\x00depends=" + depends + "\x00")
	names := []byte("\x00.modinfo\x00.shstrtab\x00")
	header := elf.Header64{Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: 1,
		Ehsize: 64, Shentsize: 64, Shnum: 3, Shstrndx: 2, Shoff: uint64(64 + len(info) + len(names))}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] = 2, 1, 1
	var out bytes.Buffer
	for _, part := range []any{
		header, info, names,
		elf.Section64{},
		elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: 64, Size: uint64(len(info))},
		elf.Section64{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint64(64 + len(info)), Size: uint64(len(names))},
	} {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}
