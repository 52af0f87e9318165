package bpf

import (
	"github.com/seed79351815/weir/collector/flow"
)

// handshake makes what only TLS has. What the kernel cut off is left out: half a
// protocol's name would be another's, and a fingerprint of half a hello none.
func (d *decoder) handshake(e *sharedTlsEvent) *flow.TLSHandshake {
	h := &flow.TLSHandshake{
		Version: e.Version, Cipher: e.Cipher, Alert: e.Alert,
		ServerName: string(e.Name[:min(int(e.NameLen), len(e.Name))]),
		ALPN:       protocols(e.Offered[:], e.OfferedLen),
		Resumed:    e.Hints&uint8(sharedTlsHintHINT_RESUMED) != 0,
		ECH:        e.Hints&uint8(sharedTlsHintHINT_ECH) != 0,
	}
	if chosen := protocols(e.Chosen[:], e.ChosenLen); len(chosen) == 1 {
		h.Chosen = chosen[0]
	}
	if int(e.HelloLen) <= len(e.Hello) && d.hello.ParseDigest(e.Hello[:e.HelloLen]) == nil {
		h.JA4 = d.hello.Fingerprint()
	}
	return h
}

// protocols reads a list of ALPN, as far as all of a name is there.
func protocols(list []byte, length uint8) (names []string) {
	list = list[:min(int(length), len(list))]
	for len(list) > 0 {
		n := int(list[0])
		if n == 0 || n >= len(list) {
			break
		}
		names = append(names, string(list[1:1+n]))
		list = list[1+n:]
	}
	return names
}
