package l7

import "github.com/seed79351815/weir/collector/flow"

// Protocol is a row of the table: all that weir's user side needs to know of a
// protocol whose exchanges the kernel counts.
type Protocol struct {
	Number flow.L7Protocol
	Name   string // as --protocol takes it
	Method string // what L7.Method is; "" where there is none
	Route  string // what L7.Route is

	// Fails tells whether an outcome is a failure for both ends, and FailsClient
	// whether it is one for the client; every one for both is.
	Fails       func(status uint16) bool
	FailsClient func(status uint16) bool

	// Status writes an outcome: short, without spaces, fit for a label.
	Status func(status uint16) string

	// Histograms of latencies, by the end that they are counted for. Where both
	// have one name, an exchange is in it once.
	ClientMetric, ServerMetric string

	words func(*flow.Exchange) (words, bool) // false where the exchange does not say
}

// Protocols is every protocol that weir reads, by its number; the row of L7None
// is empty. It is not to be changed. docs/add-a-protocol.md tells how a row gets in.
var Protocols = [flow.L7Protocols]Protocol{
	flow.HTTP: {
		Number: flow.HTTP, Name: "http", Method: "method", Route: "path template",
		Fails: serverError, FailsClient: clientError, Status: httpStatus, words: httpWords,
		ClientMetric: "http_client_request_duration_seconds", ServerMetric: "http_server_request_duration_seconds",
	},
	flow.DNS: {
		Number: flow.DNS, Name: "dns", Method: "type", Route: "name",
		Fails: lookupFailed, FailsClient: lookupFailed, Status: dnsStatus, words: dnsWords,
		ClientMetric: "dns_lookup_duration_seconds", ServerMetric: "dns_lookup_duration_seconds",
	},
	flow.TLS: {
		Number: flow.TLS, Name: "tls", Route: "server name",
		Fails: handshakeFailed, FailsClient: handshakeFailed, Status: tlsStatus, words: tlsWords,
		ClientMetric: "weir_tls_handshake_duration_seconds", ServerMetric: "weir_tls_handshake_duration_seconds",
	},
}

// Of is the row of a protocol; nil for one that weir does not read, which a
// recording of a newer weir may hold.
func Of(p flow.L7Protocol) *Protocol {
	if int(p) >= len(Protocols) || Protocols[p].Number == flow.L7None {
		return nil
	}
	return &Protocols[p]
}

// Failed tells whether an outcome counts as the error of a record that both ends
// share; false for an unknown protocol.
func Failed(p flow.L7Protocol, status uint16) bool {
	row := Of(p)
	return row != nil && row.Fails(status)
}

// words are what an operation's number stands for.
type words struct {
	method string
	path   string // HTTP's path, else what the route is
	cut    bool   // the path was longer
}
