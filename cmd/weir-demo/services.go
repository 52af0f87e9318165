package main

import (
	_ "embed"
	"fmt"
)

// project is the Compose project that the containers claim to belong to: weir
// shows it as their namespace.
const project = "shop"

// ownBin is where the demo's own binary is found inside a container: under the
// service's name, so that the process is called as the service is.
const ownBin = "/usr/local/bin/"

//go:embed nginx.conf
var nginxConf string

//go:embed index.html
var indexHTML string

// service is one container of the shop.
type service struct {
	name    string            // also its name in DNS
	part    string            // what it needs of the image; "shop" is the demo's own binary alone
	argv    []string          // argv[0] is absolute, or a role of package shop
	user    string            // "uid:gid"; empty is root
	files   map[string]string // path inside → content
	tmpfs   []string          // writable folders; all else is read-only
	publish uint16            // published on the host's 127.0.0.1; 0: not at all
}

const nobody = "65534:65534"

// shopServices is the shop, in the order in which it starts. hosts is what its
// DNS server knows; without a database the shop takes no orders.
func shopServices(hosts string, database bool) []service {
	own := func(name string, argv ...string) service {
		return service{name: name, part: "shop", user: nobody, argv: argv}
	}
	all := []service{
		{name: dnsService, part: "shop", argv: []string{"dns", "-hosts", hosts}},
		{name: "redis", part: "redis", user: nobody, tmpfs: []string{"/tmp"},
			argv: []string{"/usr/bin/redis-server", "--dir", "/tmp", "--save", "", "--protected-mode", "no", "--bind", "0.0.0.0"}},
	}
	if database {
		all = append(all, service{name: "mariadb", part: "mariadb", tmpfs: []string{"/var/lib/mysql"},
			argv: []string{"database", "-data", "/var/lib/mysql"}})
	}
	return append(all,
		own("statsd", "statsd"),
		own("cart", "cart", "-redis", "redis:6379"),
		own("orders", "orders", "-db", "mariadb:3306"),
		own("search", "search"),
		own("web", "web", "-cart", "http://cart:8080", "-orders", "http://orders:8080", "-search", "http://search:8080", "-statsd", "statsd:8125"),
		service{name: frontService, part: "nginx", tmpfs: []string{"/tmp", "/run"}, publish: 80,
			argv:  []string{"/usr/sbin/nginx", "-e", "stderr", "-c", "/etc/shop/nginx.conf"},
			files: map[string]string{"/etc/shop/nginx.conf": nginxConf, "/etc/shop/index.html": indexHTML}},
		own("shoppers", "load", "-url", "http://nginx", "-rate", "30", fmt.Sprintf("-orders=%t", database)),
		own("mailer", "refused", "-addr", "web:25"),
		own("mobile", "reset", "-addr", "nginx:80"),
		own("newsletter", "lookup", "-name", "lists.shop.invalid."),
		own("kiosk", "idle", "-addr", "web:8081"),
		own(backupService, "backup", "-url", "http://orders:8080/export"),
	)
}

// The services that the demo itself has business with.
const (
	dnsService    = "dns"
	frontService  = "nginx"
	backupService = "backup"
)

// command is what runs inside: roles become the demo's own binary, by the service's name.
func (s service) command() []string {
	if s.argv[0][0] == '/' {
		return s.argv
	}
	return append([]string{ownBin + s.name, shopCommand}, s.argv...)
}

// ownBinary says whether the demo's own binary must be there.
func (s service) ownBinary() bool { return s.argv[0][0] != '/' }

// failure is one thing that goes wrong in the shop on purpose.
type failure struct {
	service string
	what    string
	loss    float64 // share of packets that do not reach the service; 0: it fails by itself
}

func failures() []failure {
	return []failure{
		{service: "mailer", what: "connects to web:25, where nobody listens: refused"},
		{service: "search", what: "answers every fourth search after 300-800 ms"},
		{service: backupService, what: "loses 2 % of the packets of its bulk transfer: retransmits", loss: 0.02},
		{service: "mobile", what: "hangs up in the middle of a request: reset"},
		{service: "newsletter", what: "asks for a name that does not exist: NXDOMAIN"},
	}
}
