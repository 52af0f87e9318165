package native

import "net/netip"

// AnswerRecord is an address that belongs to a question.
type AnswerRecord struct {
	Addr netip.Addr // as the kernel's tables have it: IPv4 unmapped
	TTL  uint32     // the least of the address and the aliases before it
}

// Answer is what c/parse/dns_answer.h reads in a message.
type Answer struct {
	Response bool
	ID       uint16
	Type     uint16 // of the question
	Class    uint16 // of the question
	Name     string // in small letters, without the last dot; "?" is a byte that hosts' names do not have
	Records  []AnswerRecord
}
