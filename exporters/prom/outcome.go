package prom

import (
	"strconv"

	"github.com/seed79351815/weir/collector/flow"
)

// Statuses that stand for many: those that have no name, and all of an overflow
// series. No protocol has them.
const (
	anySuccess uint16 = 0xfffd
	anyFailure uint16 = 0xfffe
)

// noAnswer is the error type of an exchange whose answer never came.
const noAnswer = "no_answer"

// failed tells whether a tally's status is an error to the metric, by
// OpenTelemetry's rules: HTTP's 4xx is one to the client and none to the server.
func failed(m id, status uint16) bool {
	switch {
	case status == flow.NoAnswer || status == anyFailure:
		return true
	case status == anySuccess:
		return false
	}
	switch m {
	case mHTTPServer:
		return status >= 500
	case mHTTPClient:
		return status >= 400
	case mDNS:
		return status != 0 && status != nxDomain
	}
	return status != 0
}

// bounded is the status, or what stands for it where it has no name: a peer may
// answer with any number.
func bounded(m id, status uint16) uint16 {
	var named bool
	switch m {
	case mHTTPServer, mHTTPClient:
		named = status >= 100 && status <= 599
	case mDNS:
		named = int(status) < len(responseCodes)
	case mTLS:
		named = status == 0 || alertName(status) != ""
	}
	if named {
		return status
	}
	return anyOutcome(m, status)
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
	switch m {
	case mDNS:
		return responseCodes[status]
	case mTLS:
		return alertName(status)
	}
	return strconv.Itoa(int(status))
}

// errorLabel is OpenTelemetry's error.type of a bounded status: the status in
// words where it is an error, else empty.
func errorLabel(m id, status uint16) string {
	switch {
	case status == flow.NoAnswer:
		return noAnswer
	case failed(m, status):
		return statusLabel(m, status)
	}
	return ""
}

// outcomeLabel tells how a TLS handshake went.
func outcomeLabel(status uint16) string {
	if failed(mTLS, status) {
		return errorLabel(mTLS, status)
	}
	return "ok"
}

const nxDomain = 3

// responseCodes are DNS's by number (IANA "DNS RCODEs"), as far as a message's
// head can tell them.
var responseCodes = [...]string{
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
	"YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI",
}

// alertName is RFC 8446's and its predecessors' name of a TLS alert.
func alertName(description uint16) string {
	switch description {
	case 10:
		return "unexpected_message"
	case 20:
		return "bad_record_mac"
	case 21:
		return "decryption_failed"
	case 22:
		return "record_overflow"
	case 30:
		return "decompression_failure"
	case 40:
		return "handshake_failure"
	case 41:
		return "no_certificate"
	case 42:
		return "bad_certificate"
	case 43:
		return "unsupported_certificate"
	case 44:
		return "certificate_revoked"
	case 45:
		return "certificate_expired"
	case 46:
		return "certificate_unknown"
	case 47:
		return "illegal_parameter"
	case 48:
		return "unknown_ca"
	case 49:
		return "access_denied"
	case 50:
		return "decode_error"
	case 51:
		return "decrypt_error"
	case 60:
		return "export_restriction"
	case 70:
		return "protocol_version"
	case 71:
		return "insufficient_security"
	case 80:
		return "internal_error"
	case 86:
		return "inappropriate_fallback"
	case 90:
		return "user_canceled"
	case 100:
		return "no_renegotiation"
	case 109:
		return "missing_extension"
	case 110:
		return "unsupported_extension"
	case 111:
		return "certificate_unobtainable"
	case 112:
		return "unrecognized_name"
	case 113:
		return "bad_certificate_status_response"
	case 114:
		return "bad_certificate_hash_value"
	case 115:
		return "unknown_psk_identity"
	case 116:
		return "certificate_required"
	case 120:
		return "no_application_protocol"
	case 121:
		return "ech_required"
	}
	return ""
}
