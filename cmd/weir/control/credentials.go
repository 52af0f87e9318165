package control

import (
	"context"
	"errors"
	"net"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Credentials tell a server on a unix socket which user its clients are, as the
// kernel says (SO_PEERCRED). Connections are not encrypted: they leave no host.
func Credentials() credentials.TransportCredentials { return peerCredentials{} }

type peerCredentials struct{}

// who is what the kernel says of a client.
type who struct {
	credentials.CommonAuthInfo
	known bool
	uid   uint32
}

func (who) AuthType() string { return "unix" }

func (peerCredentials) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	info := who{CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return c, info, nil // nobody that is known
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	var cred *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return nil, nil, err
	}
	if failed != nil {
		return nil, nil, failed
	}
	info.known, info.uid = true, cred.Uid
	return c, info, nil
}

// isRoot tells whether a call comes from a process of root's.
func isRoot(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return false
	}
	w, ok := p.AuthInfo.(who)
	return ok && w.known && w.uid == 0
}

func (peerCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("credentials of a server")
}

func (peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "unix"}
}
func (p peerCredentials) Clone() credentials.TransportCredentials { return p }
func (peerCredentials) OverrideServerName(string) error           { return nil }
