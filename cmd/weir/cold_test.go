package main

import (
	"slices"
	"strings"
	"testing"
)

func TestProgramTextIsWhatTheFileHas(t *testing.T) {
	const maps = `00400000-01356000 r-xp 00000000 fe:00 1234                              /opt/my tools/weir
01356000-02494000 r--p 00f56000 fe:00 1234                              /opt/my tools/weir
02494000-026c7000 rw-p 02094000 fe:00 1234                              /opt/my tools/weir
026c7000-04c4c000 rw-p 00000000 00:00 0
2bb670c00000-2bb673800000 rw-p 00000000 00:00 0
7f2c1abca000-7f2c1ad20000 r-xp 00028000 fe:00 99                        /usr/lib/x86_64-linux-gnu/libc.so.6
7fd2ee97f000-7fd2ef180000 r--s 00001000 00:0e 2065                       anon_inode:bpf-map
7ffd1df18000-7ffd1df39000 rw-p 00000000 00:00 0                          [stack]
`
	want := []addresses{{0x400000, 0x1356000}, {0x1356000, 0x2494000}}
	if got := programText(strings.NewReader(maps), "/opt/my tools/weir"); !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestTheProgramGoesOnAfterItWasGivenBack(t *testing.T) {
	if err := coolProgram(); err != nil {
		t.Error(err)
	}
}
