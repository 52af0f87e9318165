package policy

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

func (d *decoder) l7Rules(n *yaml.Node) *L7Rules {
	var r L7Rules
	kinds := 0
	kind := func(read func(v *yaml.Node)) func(*yaml.Node) {
		return func(v *yaml.Node) { kinds++; read(v) }
	}
	d.object(n, "rules", fields{
		"http": kind(func(v *yaml.Node) { r.HTTP = list(d, v, "http", d.httpRule) }),
		"dns":  kind(func(v *yaml.Node) { r.DNS = list(d, v, "dns", d.fqdn) }),
		"dnsRejectResponseCode": func(v *yaml.Node) {
			r.Reject = word(d, v, "dnsRejectResponseCode", RejectRefused, RejectNameError)
		},
		"kafka":   kind(func(v *yaml.Node) { r.Kafka = list(d, v, "kafka", d.kafkaRule) }),
		"grpc":    kind(func(v *yaml.Node) { r.GRPC = list(d, v, "grpc", d.grpcRule) }),
		"l7proto": kind(func(v *yaml.Node) { r.L7Proto = d.text(v, "l7proto") }),
		"l7": func(v *yaml.Node) {
			r.L7 = list(d, v, "l7", func(c *yaml.Node) map[string]string { return d.labels(c, "l7 rule") })
		},
	}, nil)
	if kinds > 1 {
		d.errorf(n, "rules are of one protocol: write one element of toPorts for each")
	}
	if r.Reject != RejectDrop && len(r.DNS) == 0 {
		d.errorf(n, "dnsRejectResponseCode needs dns rules")
	}
	if r.L7 != nil && r.L7Proto == "" {
		d.errorf(n, "l7 needs l7proto")
	}
	if r.empty() {
		// Cilium takes no rules for no restriction; that reads like its opposite.
		d.errorf(n, "rules without any rule: leave the field out to allow every request")
	}
	return &r
}

func (r *L7Rules) empty() bool {
	return len(r.HTTP)+len(r.DNS)+len(r.Kafka)+len(r.GRPC) == 0 && r.L7Proto == ""
}

// protocol names what the rules are about.
func (r *L7Rules) protocol() string {
	switch {
	case len(r.HTTP) > 0:
		return "http"
	case len(r.DNS) > 0:
		return "dns"
	case len(r.Kafka) > 0:
		return "kafka"
	case len(r.GRPC) > 0:
		return "grpc"
	}
	return r.L7Proto
}

// regex reads an extended regular expression; an empty one is allowed.
func (d *decoder) regex(n *yaml.Node, what string) string {
	s := d.text(n, what)
	if _, err := regexp.Compile(s); err != nil {
		d.errorf(n, "%s is no regular expression: %s", what, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return s
}

func (d *decoder) httpRule(n *yaml.Node) HTTPRule {
	var r HTTPRule
	d.object(n, "an http rule", fields{
		"path":    func(v *yaml.Node) { r.Path = d.regex(v, "path") },
		"method":  func(v *yaml.Node) { r.Method = d.regex(v, "method") },
		"host":    func(v *yaml.Node) { r.Host = d.regex(v, "host") },
		"headers": func(v *yaml.Node) { r.Headers = list(d, v, "headers", d.header) },
		"headerMatches": func(v *yaml.Node) {
			r.HeaderMatches = list(d, v, "headerMatches", d.headerMatch)
		},
	}, nil)
	return r
}

func (d *decoder) header(n *yaml.Node) string {
	s := d.text(n, "a header")
	if s == "" && n.Value == "" {
		d.errorf(n, "an empty header")
	}
	return s
}

func (d *decoder) headerMatch(n *yaml.Node) HeaderMatch {
	var m HeaderMatch
	isObject := d.object(n, "an element of headerMatches", fields{
		"name":  func(v *yaml.Node) { m.Name = d.text(v, "name") },
		"value": func(v *yaml.Node) { m.Value = d.text(v, "value") },
	}, map[string]string{
		"mismatch": "weir changes no requests; a request that does not match is refused",
		"secret":   "weir reads no secrets",
	})
	if isObject && m.Name == "" {
		d.errorf(n, "no name")
	}
	return m
}

func (d *decoder) kafkaRule(n *yaml.Node) KafkaRule {
	var r KafkaRule
	plain := func(to *string, what string, most int) func(*yaml.Node) {
		return func(v *yaml.Node) {
			if *to = d.text(v, what); len(*to) > most {
				d.errorf(v, "%s is longer than %d bytes", what, most)
			}
		}
	}
	d.object(n, "a kafka rule", fields{
		"role":       func(v *yaml.Node) { r.Role = word(d, v, "role", "produce", "consume") },
		"apiKey":     func(v *yaml.Node) { r.APIKey = word(d, v, "apiKey", kafkaKeys...) },
		"apiVersion": func(v *yaml.Node) { r.APIVersion = d.kafkaVersion(v) },
		"clientID":   plain(&r.ClientID, "clientID", 1<<15),
		"topic":      plain(&r.Topic, "topic", 249),
	}, nil)
	if r.Role != "" && r.APIKey != "" {
		d.errorf(n, "role and apiKey: only one of them is allowed")
	}
	return r
}

// kafkaKeys are the requests that Cilium named while it had Kafka rules.
var kafkaKeys = []string{"produce", "fetch", "offsets", "metadata", "leaderandisr", "stopreplica", "updatemetadata",
	"controlledshutdown", "offsetcommit", "offsetfetch", "findcoordinator", "joingroup", "heartbeat", "leavegroup",
	"syncgroup", "describegroups", "listgroups", "saslhandshake", "apiversions", "createtopics", "deletetopics",
	"deleterecords", "initproducerid", "offsetforleaderepoch", "addpartitionstotxn", "addoffsetstotxn", "endtxn",
	"writetxnmarkers", "txnoffsetcommit", "describeacls", "createacls", "deleteacls", "describeconfigs", "alterconfigs"}

func (d *decoder) kafkaVersion(n *yaml.Node) string {
	if r := d.resolve(n); r != nil && r.Kind == yaml.ScalarNode && r.ShortTag() == "!!int" {
		return decimal(d.integer(n, "apiVersion", 1<<15-1))
	}
	s := d.text(n, "apiVersion")
	if v, ok := number8(s); s != "" && (!ok || decimal(uint16(v)) != s) {
		d.errorf(n, "apiVersion %q is no number", s)
	}
	return s
}

func (d *decoder) grpcRule(n *yaml.Node) GRPCRule {
	var r GRPCRule
	d.object(n, "a grpc rule", fields{
		"service": func(v *yaml.Node) { r.Service = d.regex(v, "service") },
		"method":  func(v *yaml.Node) { r.Method = d.regex(v, "method") },
	}, nil)
	return r
}
