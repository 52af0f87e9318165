package bpf

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed79351815/weir/bpf/lab"
	"github.com/seed79351815/weir/collector/flow"
)

// These hold what weir tells of handshakes against what the programs say that have
// them: openssl prints every message, nginx keeps a log.

// tlsLab is two hosts under capture, and a certificate.
type tlsLab struct {
	t              *testing.T
	capture        *Capture
	told           *recorder
	server, client *lab.Host
	dir            string
}

func newTLSLab(t *testing.T) *tlsLab {
	t.Helper()
	l := lab.New(t)
	x := &tlsLab{t: t, server: l.Host("server"), client: l.Host("client"), dir: t.TempDir()}
	cfg := quiet(t)
	cfg.CgroupRoot = filepath.Dir(x.server.CgroupPath)
	x.capture, x.told = capture(t, cfg)
	x.certify()
	return x
}

func (x *tlsLab) path(name string) string { return filepath.Join(x.dir, name) }

// certify writes cert.pem and key.pem.
func (x *tlsLab) certify() {
	x.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		x.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"shop.test"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		x.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		x.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(x.path(name), pem.EncodeToMemory(block), 0o600); err != nil {
			x.t.Fatal(err)
		}
	}
}

// serve runs openssl's server on that port until the test ends.
func (x *tlsLab) serve(port int, args ...string) {
	x.t.Helper()
	openssl := lab.RequireTool(x.t, "openssl")
	args = append([]string{"s_server", "-accept", strconv.Itoa(port), "-cert", x.path("cert.pem"), "-key", x.path("key.pem"), "-www"}, args...)
	cmd := x.server.Command(openssl, args...)
	out, in, err := os.Pipe()
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { _ = out.Close() })
	cmd.Stdout = in
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "ACCEPT") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return
		}
	}
	x.t.Fatalf("openssl s_server %v does not listen", args)
}

// connect runs openssl's client for one request, and returns what it printed.
func (x *tlsLab) connect(port int, args ...string) string {
	x.t.Helper()
	args = append([]string{"s_client", "-connect", fmt.Sprintf("%s:%d", x.server.V4, port), "-msg", "-ign_eof"}, args...)
	cmd := x.client.Command(lab.RequireTool(x.t, "openssl"), args...)
	cmd.Stdin = strings.NewReader("GET / HTTP/1.0\r\n\r\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // it fails where the handshake does
	return out.String()
}

// exchange waits for the n-th handshake with that port that is told in full, and its tally.
func (x *tlsLab) exchange(port, n int) *flow.Exchange {
	x.t.Helper()
	like := func(e *flow.Event) bool {
		return e.Kind == flow.KindExchange && e.Exchange.TLS != nil && e.Exchange.RemotePort == uint16(port)
	}
	all := x.told.wait(x.t, fmt.Sprintf("handshake %d with port %d", n, port), n, like)
	x.tallied(port, n)
	return all[n-1].Exchange
}

// tallied waits until n handshakes with that port are counted, and no more.
func (x *tlsLab) tallied(port, n int) {
	x.t.Helper()
	count := 0
	for deadline := time.Now().Add(patience); ; {
		count = 0
		for _, ev := range x.told.all(func(ev *flow.Event) bool {
			return ev.Kind == flow.KindTally && ev.Tally.Protocol == flow.TLS && ev.Tally.Port == uint16(port)
		}) {
			if ev.Tally.Cgroup != x.client.CgroupID || ev.Tally.Role != flow.RoleClient || ev.Tally.Peer != x.server.CgroupID {
				x.t.Errorf("tally of %+v", ev.Tally.Counted)
			}
			count += int(ev.Tally.Count)
		}
		if count >= n {
			break
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("%d handshakes with port %d counted, want %d", count, port, n)
		}
		<-x.told.more
	}
	if count != n {
		x.t.Errorf("%d handshakes with port %d counted, want %d", count, port, n)
	}
}

func (x *tlsLab) nothingUnseen() {
	x.t.Helper()
	for _, u := range x.capture.Stats().Unseen {
		if u.Protocol == flow.TLS {
			x.t.Errorf("unseen: %+v", u)
		}
	}
}
