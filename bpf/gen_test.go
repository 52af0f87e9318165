package bpf

// The generator puts a unit that it is asked for in a test file into test files.

//go:generate -command unit go tool bpf2go -tags linux -target amd64,arm64 -cc clang-19 -strip llvm-strip-19 -no-global-types -cflags "-O2 -g -mcpu=v3 -Wall -Wextra -Werror -Wpadded -Wno-unused-parameter -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu"
//go:generate unit -type flood_args flood c/flood.bpf.c
//go:generate unit http1 c/parse_http1.bpf.c
//go:generate unit dns c/parse_dns.bpf.c
//go:generate unit parsetls c/parse_tls.bpf.c
