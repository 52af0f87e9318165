// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* No programs: the maps that all units share, and the types that Go is generated from. */
#include "dns_lookup.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const struct sock_event *sock_event_type __attribute__((unused));
const struct cgroup_event *cgroup_event_type __attribute__((unused));
const struct dns_event *dns_event_type __attribute__((unused));
const enum event_kind event_kind_type __attribute__((unused));
const enum sock_role sock_role_type __attribute__((unused));
const enum sock_flag sock_flag_type __attribute__((unused));
const enum loss loss_type __attribute__((unused));
const struct http_event *http_event_type __attribute__((unused));
const struct l7_cpu *l7_cpu_type __attribute__((unused));
const enum l7_protocol l7_protocol_type __attribute__((unused));
const enum unseen unseen_type __attribute__((unused));
const struct lookup_event *lookup_event_type __attribute__((unused));
const struct tls_event *tls_event_type __attribute__((unused));
const enum tls_hint tls_hint_type __attribute__((unused));
