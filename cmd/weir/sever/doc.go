// Package sever ends TCP connections of this host, as `ss --kill` does: by
// SOCK_DESTROY of sock_diag(7), which needs CAP_NET_ADMIN in the network namespace
// of the socket, and a kernel with CONFIG_INET_DIAG_DESTROY.
package sever
