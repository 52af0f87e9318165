package prom

import (
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7"
)

// Statuses that stand for many: those out of bounds, and all of an overflow
// series. No protocol has them.
const (
	anySuccess uint16 = 0xfffd
	anyFailure uint16 = 0xfffe
)

// Bounds of what peers may answer with: a number beyond them has no name.
const (
	httpFirst, httpLast = 100, 599
	dnsLast             = 15 // as much as a message's head can hold
	tlsLast             = 255
)

// failed tells whether a tally's status is an error to the metric: HTTP's 4xx is
// one to the client and none to the server.
func failed(m id, status uint16) bool {
	switch {
	case status == flow.NoAnswer || status == anyFailure:
		return true
	case status == anySuccess:
		return false
	}
	return fails(m, status)
}

// fails is what the protocol says of a number.
func fails(m id, status uint16) bool {
	if m == mHTTPServer {
		return protocolOf(m).Fails(status)
	}
	return protocolOf(m).FailsClient(status)
}

// protocolOf is the row of the protocol that the metric is about.
func protocolOf(m id) *l7.Protocol {
	switch m {
	case mDNS:
		return l7.Of(flow.DNS)
	case mTLS:
		return l7.Of(flow.TLS)
	}
	return l7.Of(flow.HTTP)
}

// bounded is the status, or what stands for it where it is out of bounds.
func bounded(m id, status uint16) uint16 {
	first, last := uint16(httpFirst), uint16(httpLast)
	switch m {
	case mDNS:
		first, last = 0, dnsLast
	case mTLS:
		first, last = 0, tlsLast
	}
	switch {
	case status == flow.NoAnswer || first <= status && status <= last:
		return status
	case fails(m, status):
		return anyFailure
	}
	return anySuccess
}

// anyOutcome stands for all statuses of the same success.
func anyOutcome(m id, status uint16) uint16 {
	switch {
	case status == flow.NoAnswer:
		return status
	case failed(m, status):
		return anyFailure
	}
	return anySuccess
}

// statusLabel is a bounded status in words; empty where no answer came.
func statusLabel(m id, status uint16) string {
	switch status {
	case flow.NoAnswer:
		return ""
	case anySuccess, anyFailure:
		return other
	}
	return protocolOf(m).Status(status)
}

// errorLabel is OpenTelemetry's error.type of a bounded status: the status in
// words where it is an error, else empty.
func errorLabel(m id, status uint16) string {
	switch {
	case !failed(m, status):
		return ""
	case status == anyFailure:
		return other
	}
	return protocolOf(m).Status(status)
}

// outcomeLabel tells how a TLS handshake went. All that succeed went alike.
func outcomeLabel(status uint16) string {
	if failed(mTLS, status) {
		return errorLabel(mTLS, status)
	}
	return protocolOf(mTLS).Status(0)
}
