//go:build cgo && linux

package native

/*
#cgo CFLAGS: -O2 -Wall -Wextra -Werror -Wpadded -Wno-unknown-pragmas
#include "../c/parse/dns_drive.h"
#include "../c/parse/drive.h"
#include "native.h"

static u8 dns_detected(const u8 *window, u32 len)
{
	return dns_detect(window, len);
}
*/
import "C"

import "unsafe"

// ParseDNS makes a run.
func ParseDNS(r *DNSRun) {
	C.dns_drive((*C.struct_dns_run)(unsafe.Pointer(r)))
}

// DetectDNS asks whether first begins a DNS message: 0 no, 1 maybe, 2 a query, 3 a
// response.
func DetectDNS(first []byte) int {
	var window [64 + 16]byte
	n := copy(window[:64], first)
	return int(C.dns_detected((*C.u8)(&window[0]), C.u32(n)))
}

const sizeofDNSRun = C.sizeof_struct_dns_run
