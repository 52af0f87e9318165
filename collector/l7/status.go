package l7

import (
	"strconv"

	"github.com/seed79351815/weir/collector/flow"
)

// noAnswer is how every protocol writes flow.NoAnswer.
const noAnswer = "no_answer"

func serverError(status uint16) bool { return status >= 500 }
func clientError(status uint16) bool { return status >= 400 }

// lookupFailed: that a name does not exist is an answer.
func lookupFailed(status uint16) bool { return status != rcodeNoError && status != rcodeNXDomain }

func handshakeFailed(status uint16) bool { return status != 0 }

// absent tells whether an answer says that a server has no such path, or does not
// let this client see whether it has.
func absent(status uint16) bool { return status >= 400 }

func httpStatus(status uint16) string {
	if status == flow.NoAnswer {
		return noAnswer
	}
	return strconv.Itoa(int(status))
}

// Response codes that are no failures (RFC 1035 §4.1.1).
const (
	rcodeNoError  = 0
	rcodeNXDomain = 3
)

// rcodes are IANA's "DNS RCODEs", as far as a header can hold them.
var rcodes = [...]string{
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE",
	"DSOTYPENI",
}

func dnsStatus(status uint16) string {
	switch {
	case status == flow.NoAnswer:
		return noAnswer
	case int(status) < len(rcodes):
		return rcodes[status]
	}
	return "RCODE" + strconv.Itoa(int(status))
}

func tlsStatus(status uint16) string {
	switch status {
	case flow.NoAnswer:
		return noAnswer
	case 0:
		return "ok"
	}
	if name, ok := alerts[status]; ok {
		return name
	}
	return "alert_" + strconv.Itoa(int(status))
}

// alerts are IANA's "TLS Alerts", without those of old versions that none sends.
var alerts = map[uint16]string{
	10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow", 40: "handshake_failure", 42: "bad_certificate",
	43: "unsupported_certificate", 44: "certificate_revoked", 45: "certificate_expired", 46: "certificate_unknown",
	47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied", 50: "decode_error", 51: "decrypt_error",
	52: "too_many_cids_requested", 70: "protocol_version", 71: "insufficient_security", 80: "internal_error",
	86: "inappropriate_fallback", 90: "user_canceled", 100: "no_renegotiation", 109: "missing_extension",
	110: "unsupported_extension", 111: "certificate_unobtainable", 112: "unrecognized_name",
	113: "bad_certificate_status_response", 115: "unknown_psk_identity", 116: "certificate_required", 120: "no_application_protocol",
	121: "ech_required",
}
