package enforcer

//go:generate -command unit go tool bpf2go -tags linux -target amd64,arm64 -cc clang-19 -strip llvm-strip-19 -no-global-types -cflags "-O2 -g -mcpu=v3 -Wall -Wextra -Werror -Wpadded -Wno-unused-parameter -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu"
//go:generate unit -type member -type container_id -type address_key -type rule_key -type port_key -type rule_value -type verdict_key -type verdict_value -type regime -type identity -type rule_set -type rank -type verdict -type member_flag -type name_loss -type asked_name -type pattern_table -type direction -type told_name -type turner_key -type name_state -type known_key -type known_names enforce ../c/enforce.bpf.c
//go:generate unit -type ruling -type rulings -type ruled_way -type rule_value -type tenants device ../c/device.bpf.c
