package bpf

// The objects are committed, so that a build needs no clang. Each unit is one
// family of hooks; "shared" has the maps and the wire types alone. No flag
// brings a path or a date into the objects: the same source gives the same bytes.

//go:generate -command unit go tool bpf2go -tags linux -target amd64,arm64 -cc clang-19 -strip llvm-strip-19 -no-global-types -cflags "-O2 -g -mcpu=v3 -Wall -Wextra -Werror -Wpadded -Wno-unused-parameter -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu"
//go:generate unit -type event_hdr -type endpoint -type counters -type sock_report -type sock_event -type cgroup_event -type dns_event -type flow_key -type flow_value -type drop_key -type drop_value -type cpu_stats -type event_kind -type sock_role -type sock_flag -type loss -type exchange_key -type exchange_value -type exchange_report -type http_event -type l7_cpu -type lookup_key -type lookup_value -type lookup_note -type lookup_event -type tls_event -type l7_pair -type l7_protocol -type unseen -type tls_hint -type exchange_table shared c/shared.bpf.c
//go:generate unit tcp c/tcp.bpf.c
//go:generate unit table c/table.bpf.c
//go:generate unit socket c/socket.bpf.c
//go:generate unit packet c/packet.bpf.c
//go:generate unit drop c/drop.bpf.c
//go:generate unit cgroup c/cgroup.bpf.c
//go:generate unit -type http1_mark http c/http.bpf.c
//go:generate unit lookup c/lookup.bpf.c
//go:generate unit tls c/tls.bpf.c
//go:generate unit -type snap_head -type snap_listener -type snap_filter -type snap_kind -type snap_loss capture c/capture.bpf.c
