//go:build cgo && linux

package native

/*
#cgo CFLAGS: -O2 -Wall -Wextra -Werror -Wpadded -Wno-unknown-pragmas
#include <stdlib.h>
#include <string.h>
#include "../c/parse/http1_drive.h"
#include "../c/parse/drive.h"

static void http1_more(struct http1d_run *r)
{
	while (http1d_drive_turn(r))
		;
	http1d_drive_end(r);
}

static void http1_drive(struct http1d_run *r)
{
	for (u32 i = 0; i < r->repeat; i++)
		if (http1d_drive_begin(r))
			http1_more(r);
}

static u8 http1_detects(const u8 *bytes, u32 len)
{
	u8 window[PARSE_WINDOW + PARSE_SLACK];

	memset(window, 0xa5, sizeof(window));
	memcpy(window, bytes, len);
	return http1_detect(window, len);
}
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// HTTP1 runs the parser. One goroutine uses it at a time.
type HTTP1 struct{ run *C.struct_http1d_run }

// NewHTTP1 returns a parser that Close frees.
func NewHTTP1() *HTTP1 {
	h := &HTTP1{(*C.struct_http1d_run)(C.calloc(1, C.sizeof_struct_http1d_run))}
	if a, b := unsafe.Sizeof(HTTP1Told{}), unsafe.Sizeof(C.struct_http1d_told{}); a != b {
		panic(fmt.Sprintf("native: HTTP1Told has %d bytes, struct http1d_told %d", a, b))
	}
	return h
}

// Close frees the parser.
func (h *HTTP1) Close() { C.free(unsafe.Pointer(h.run)) }

// Run shows a stream to the parser and returns what it told: valid until the next
// run. A stream is at most MaxStream bytes, and no more than MaxTold things are
// told of it.
func (h *HTTP1) Run(s Stream, cut Cut) []HTTP1Told {
	h.run.argument, h.run.eof = C.u32(s.argument()), cbool(s.EOF)
	h.load(s.Bytes, cut)
	C.http1_drive(h.run)
	return h.told()
}

// More goes on with the stream of the last run; offsets begin with these bytes.
func (h *HTTP1) More(bytes []byte, cut Cut) []HTTP1Told {
	h.load(bytes, cut)
	h.run.at, h.run.cut, h.run.notes = 0, 0, 0
	C.http1_more(h.run)
	return h.told()
}

func (h *HTTP1) load(bytes []byte, cut Cut) {
	r := h.run
	r.len, r.window, r.repeat, r.poison = C.u32(len(bytes)), C.u32(cut.Window), 1, C.u8(cut.Poison)
	if r.window == 0 {
		r.window = C.PARSE_WINDOW
	}
	for i, at := range cut.At {
		r.cuts[i] = C.u32(at)
	}
	r.cuts[len(cut.At)] = ^C.u32(0)
	copy(unsafe.Slice((*byte)(&r.stream[0]), len(r.stream)), bytes)
}

func (h *HTTP1) told() []HTTP1Told {
	return unsafe.Slice((*HTTP1Told)(unsafe.Pointer(&h.run.told[0])), min(int(h.run.notes), MaxTold))
}

// State returns the parser's state after the last run.
func (h *HTTP1) State() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&h.run.state)), unsafe.Sizeof(h.run.state))
}

// RunHTTP1 runs a struct http1d_run, as it is in the kernel's map.
func RunHTTP1(run []byte) error {
	if len(run) != C.sizeof_struct_http1d_run {
		return fmt.Errorf("struct http1d_run has %d bytes, not %d", C.sizeof_struct_http1d_run, len(run))
	}
	C.http1_drive((*C.struct_http1d_run)(unsafe.Pointer(&run[0])))
	return nil
}

// DetectHTTP1 is http1_detect() for a stream that begins like this.
func DetectHTTP1(begin []byte) int {
	begin = append(make([]byte, 0, C.PARSE_WINDOW), begin[:min(len(begin), C.PARSE_WINDOW)]...)
	return int(C.http1_detects((*C.u8)(unsafe.SliceData(begin)), C.u32(len(begin))))
}

func cbool(b bool) C.u8 {
	if b {
		return 1
	}
	return 0
}
