//go:build cgo && linux

package native

/*
#cgo CFLAGS: -O2 -Wall -Wextra -Werror -Wpadded -Wno-unknown-pragmas
#include <string.h>
#include "../c/parse/http1_drive.h"
#include "../c/parse/drive.h"
#include "native.h"

static void http1_more(struct http1d_run *r)
{
	while (http1d_drive_turn(r))
		;
}

static u8 http1_detects(const u8 *bytes, u32 len)
{
	return http1_detect(bytes, len);
}
*/
import "C"

import "unsafe"

// ParseHTTP1 makes a run.
func ParseHTTP1(r *HTTP1Run) {
	C.http1d_drive((*C.struct_http1d_run)(unsafe.Pointer(r)))
}

// MoreHTTP1 goes on with the stream of the last run; offsets begin with these
// bytes.
func MoreHTTP1(r *HTTP1Run, bytes []byte) {
	r.Len, r.At, r.Cut, r.Notes = uint32(copy(r.Stream[:MaxStream], bytes)), 0, 0, 0
	C.http1_more((*C.struct_http1d_run)(unsafe.Pointer(r)))
}

// DetectHTTP1 is enum http1_verdict for a stream that begins like this: 0 no, 1
// maybe, 2 a request, 3 a response.
func DetectHTTP1(begin []byte) int {
	var window [112 + 48]byte
	n := copy(window[:112], begin)
	for i := n; i < len(window); i++ {
		window[i] = ' ' // must not matter
	}
	return int(C.http1_detects((*C.u8)(&window[0]), C.u32(n)))
}

const sizeofHTTP1Run = C.sizeof_struct_http1d_run
