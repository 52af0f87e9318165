package bpf

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"github.com/cilium/ebpf/link"
)

// reportReader reads an iterator whose program writes struct sock_report. It
// keeps its buffer from one reading to the next.
type reportReader struct {
	buf []byte
}

// each opens the iterator, which runs its program, and calls fn for every report.
// The report is valid until fn returns.
func (rr *reportReader) each(it *link.Iter, fn func(*sharedSockReport)) error {
	const size = int(unsafe.Sizeof(sharedSockReport{}))
	if rr.buf == nil {
		rr.buf = make([]byte, 64*size)
	}
	r, err := it.Open()
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer r.Close()
	have := 0 // bytes of a report that a read cut in two
	for {
		n, err := r.Read(rr.buf[have:])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		n += have
		whole := n - n%size
		for off := 0; off < whole; off += size {
			fn((*sharedSockReport)(unsafe.Pointer(&rr.buf[off])))
		}
		have = copy(rr.buf, rr.buf[whole:n])
	}
}
