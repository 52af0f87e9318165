//go:build cgo && linux

package native

/*
#cgo CFLAGS: -O2 -Wall -Wextra -Werror -Wpadded -Wno-unknown-pragmas
#include "../c/parse/tls_drive.h"
#include "../c/parse/drive.h"
#include "native.h"

static u8 tls_detected(const u8 *window, u32 len)
{
	return tls_detect(window, len);
}
*/
import "C"

import "unsafe"

// ParseTLS makes a run.
func ParseTLS(r *TLSRun) {
	C.tls_drive((*C.struct_tls_run)(unsafe.Pointer(r)))
}

// DetectTLS asks whether first begins a direction of TLS: 0 no, 1 maybe, 2 a client's,
// 3 a server's or an alert.
func DetectTLS(first []byte) int {
	var window [64 + 16]byte
	n := copy(window[:64], first)
	return int(C.tls_detected((*C.u8)(&window[0]), C.u32(n)))
}

const sizeofTLSRun = C.sizeof_struct_tls_run
