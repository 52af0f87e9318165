//go:build cgo && linux

package native

/*
#cgo CFLAGS: -O2 -Wall -Wextra -Werror -Wpadded -Wno-unknown-pragmas
#include "../c/parse/dns_answer.h"

#define ANSWER_TOLD 512

struct answer_note {
	u64 address[2];
	u64 ttl;
};

struct answer_run {
	struct answer_state state;
	u32 size;
	u32 notes;
	struct answer_bytes bytes;
	struct answer_note told[ANSWER_TOLD];
};

// As the kernel goes about it: up to the name, and then to the end.
static u32 answer_drive(struct answer_run *r)
{
	u32 told = ANSWER_ON;

	r->notes = 0;
	if (!answer_begin(&r->state, &r->bytes, r->size))
		return ANSWER_ERROR;
	for (u32 turn = 0; turn < ANSWER_TURNS && told == ANSWER_ON; turn++)
		told = answer_turn(&r->state, &r->bytes);
	if (told != ANSWER_NAME || !(r->state.flags & ANSWER_QR))
		return told;
	told = ANSWER_ON;
	for (u32 turn = 0; turn < ANSWER_TURNS && (told == ANSWER_ON || told == ANSWER_ADDRESS); turn++) {
		told = answer_turn(&r->state, &r->bytes);
		if (told == ANSWER_ADDRESS && r->notes < ANSWER_TOLD) {
			struct answer_note *n = &r->told[r->notes++];

			n->address[0] = r->state.address[0];
			n->address[1] = r->state.address[1];
			n->ttl = r->state.ttl;
		}
	}
	return told;
}
*/
import "C"

import (
	"net/netip"
	"unsafe"
)

// ReadAnswer reads a message from beginning to end. ok is false where the kernel
// would not believe it.
func ReadAnswer(msg []byte) (a Answer, ok bool) {
	r := new(C.struct_answer_run)
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&r.bytes)), C.sizeof_struct_answer_bytes)
	for i := range bytes {
		bytes[i] = 0xc0 // what is behind the message must not matter
	}
	copy(bytes[:C.ANSWER_MOST], msg)
	r.size = C.u32(len(msg))
	told := C.answer_drive(r)
	s := &r.state
	a = Answer{Response: s.flags&C.ANSWER_QR != 0, ID: uint16(s.id), Type: uint16(s._type), Class: uint16(s.class),
		Name: answerText(unsafe.Slice((*byte)(unsafe.Pointer(&s.text)), min(int(s.name), 255)))}
	for i := range int(r.notes) {
		n := &r.told[i]
		addr := *(*[16]byte)(unsafe.Pointer(&n.address))
		a.Records = append(a.Records, AnswerRecord{netip.AddrFrom16(addr).Unmap(), uint32(n.ttl)})
	}
	return a, told == C.ANSWER_END || (told == C.ANSWER_NAME && !a.Response)
}

// answerText turns the parser's characters into the usual ones.
func answerText(characters []byte) string {
	text := make([]byte, len(characters))
	for i, c := range characters {
		text[i] = "abcdefghijklmnopqrstuvwxyz0123456789-_.?"[min(c, 39)]
	}
	return string(text)
}
