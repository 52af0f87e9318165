package otel

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seed79351815/weir/collector/flow"
)

func TestGRPCFailures(t *testing.T) {
	wait := func(d time.Duration) error {
		s, err := status.New(codes.ResourceExhausted, "later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(d)})
		if err != nil {
			t.Fatal(err)
		}
		return s.Err()
	}
	for _, tc := range []struct {
		err   error
		retry bool
		after time.Duration
	}{
		{status.Error(codes.Unavailable, ""), true, 0}, {status.Error(codes.DeadlineExceeded, ""), true, 0}, {status.Error(codes.Aborted, ""), true, 0},
		{status.Error(codes.OutOfRange, ""), true, 0}, {status.Error(codes.DataLoss, ""), true, 0}, {status.Error(codes.Canceled, ""), true, 0},
		{status.Error(codes.InvalidArgument, ""), false, 0}, {status.Error(codes.Unimplemented, ""), false, 0}, {status.Error(codes.PermissionDenied, ""), false, 0},
		{status.Error(codes.ResourceExhausted, ""), false, 0}, {wait(3 * time.Second), true, 3 * time.Second},
		{wait(24 * time.Hour), true, maxAfter}, {wait(-time.Hour), false, 0},
	} {
		if f := grpcFailure(tc.err); f.retry != tc.retry || f.after != tc.after {
			t.Errorf("%v: again %v after %v, want %v after %v", tc.err, f.retry, f.after, tc.retry, tc.after)
		}
	}
}

func TestRetryAfterHeader(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "0": 0, "-3": 0, "9999999": maxAfter, "4294967296": 0, "soon": 0,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second, "Fri, 02 Jan 2026 03:04:00 GMT": 0,
	} {
		if got := retryAfter(v, now); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("7")
	f.Add("Fri, 02 Jan 2026 03:04:15 GMT")
	f.Fuzz(func(t *testing.T, v string) {
		if d := retryAfter(v, time.Unix(1_700_000_000, 0)); d < 0 || d > maxAfter {
			t.Errorf("%q: %v", v, d)
		}
	})
}

// newGate stands before a receiver: it passes on what pass lets.
func newGate(t *testing.T, pass func(http.ResponseWriter, *http.Request) bool, next http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if pass(w, r) {
			next.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

// What a receiver of OTLP/HTTP may answer, and what weir makes of it.
func TestHTTPAnswers(t *testing.T) {
	body, err := proto.Marshal(&spb.Status{Message: "no such tenant"})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		status int
		typ    string
		body   string
		retry  bool
		says   string // "" for success
	}{
		"taken": {200, protobufType, "", false, ""}, "taken, with nonsense": {200, protobufType, "\xff\xff", false, ""},
		"taken, as JSON": {200, "application/json", "{}", false, ""}, "no content": {204, "", "", false, ""},
		"refused, in protobuf": {400, protobufType, string(body), false, "status 400 Bad Request: no such tenant"},
		"refused, in words":    {401, "text/plain", "bad \x1b[31mtoken\n", false, "status 401 Unauthorized: bad ?[31mtoken"},
		"throttled":            {429, "", "", true, "status 429 Too Many Requests"}, "gone for a moment": {502, "", "", true, "status 502 Bad Gateway"},
		"broken":  {500, "", "", false, "status 500 Internal Server Error"},
		"moved":   {302, "", "", false, "status 302 Found"},
		"endless": {404, "text/plain", strings.Repeat("x", 2*maxAnswer), false, "status 404 Not Found: " + strings.Repeat("x", 256)},
	} {
		t.Run(name, func(t *testing.T) {
			url := newGate(t, func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Type", tc.typ)
				w.Header().Set("Location", "http://127.0.0.1:1/steal")
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body)) // weir may have read enough
				return false
			}, nil)
			h := newHTTP(&Endpoint{URL: url, Headers: map[string]string{"authorization": "secret"}, TLS: &tls.Config{}}, "weir/test")
			defer h.close()
			f := h.send(t.Context(), mem.SliceBuffer("what is sent"), traceSignal.answer())
			switch {
			case tc.says == "" && f != nil, tc.says != "" && f == nil:
				t.Errorf("%v, want %q", f, tc.says)
			case f != nil && (f.Error() != tc.says || f.retry != tc.retry):
				t.Errorf("%q, again %v; want %q, %v", f, f.retry, tc.says, tc.retry)
			}
		})
	}
}

// A receiver that cannot be reached, or has another's certificate, is named in the
// log with why, and everything else goes on.
func TestClearErrors(t *testing.T) {
	trusted, strange := authority(t), authority(t)
	in := newInbox()
	addr, _ := serveGRPC(t, in, "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{strange.cert}})
	web := httptest.NewUnstartedServer(in)
	web.TLS = &tls.Config{Certificates: []tls.Certificate{strange.cert}}
	web.Config.ErrorLog = nil
	web.StartTLS()
	t.Cleanup(web.Close)
	closed := listen(t, "127.0.0.1:0")
	nobody := closed.Addr().String()
	closed.Close()
	for name, tc := range map[string]struct {
		url  string
		p    Protocol
		want string
	}{
		"nobody there, gRPC":      {"http://" + nobody, GRPC, "connection refused"},
		"nobody there, HTTP":      {"http://" + nobody, HTTP, "connection refused"},
		"wrong certificate, gRPC": {"https://" + addr, GRPC, "certificate signed by unknown authority"},
		"wrong certificate, HTTP": {web.URL, HTTP, "certificate signed by unknown authority"},
		"no TLS there":            {"https://" + mustServe(t, in), GRPC, "first record does not look like a TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			var j journal
			cfg := quick(tc.url, tc.p)
			cfg.Logger, cfg.Flush = j.logger(), 10*time.Millisecond
			for _, to := range []*Endpoint{cfg.Traces, cfg.Metrics, cfg.Logs} {
				to.TLS = &tls.Config{RootCAs: trusted.pool}
			}
			e := exporter(t, cfg)
			e.metrics, e.records = nil, nil
			stop := running(t, e)
			consume(t, e, request(front, back, 0, time.Millisecond))
			for deadline := time.Now().Add(20 * time.Second); j.String() == "" && time.Now().Before(deadline); {
				time.Sleep(5 * time.Millisecond)
			}
			stop()
			if s := j.String(); !strings.Contains(s, tc.want) || !strings.Contains(s, "signal=traces") || !strings.Contains(s, tc.url) {
				t.Errorf("log %q: no word of %q", s, tc.want)
			}
			if got := losses(e); got["spans_stopped"] != 2 || len(got) != 1 {
				t.Errorf("lost %v", got)
			}
		})
	}
}

// Mutual TLS from files.
func TestMutualTLS(t *testing.T) {
	ca := authority(t)
	in := newInbox()
	addr, _ := serveGRPC(t, in, "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{ca.cert}, ClientCAs: ca.pool, ClientAuth: tls.RequireAndVerifyClientCert,
	})
	cfg, err := FromEnvironment(environment(map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "https://" + addr, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_CERTIFICATE": ca.certFile,
		"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": ca.certFile, "OTEL_EXPORTER_OTLP_CLIENT_KEY": ca.keyFile, "OTEL_BLRP_SCHEDULE_DELAY": "1",
	}), Settings{})
	if err != nil {
		t.Fatal(err)
	}
	e := exporter(t, *cfg)
	stop := running(t, e)
	consume(t, e, connection(flow.RecordStart, front, back))
	in.wait(t, func() bool { return in.records == 1 })
	stop()
	if got := losses(e); len(got) > 0 {
		t.Errorf("lost %v", got)
	}
}

func mustServe(t *testing.T, in *inbox) string {
	addr, _ := serveGRPC(t, in, "127.0.0.1:0", nil)
	return addr
}

// identity is a certificate for 127.0.0.1 that signed itself.
type identity struct {
	cert              tls.Certificate
	pool              *x509.CertPool
	certFile, keyFile string
}

func authority(t *testing.T) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	i := identity{pool: x509.NewCertPool(), certFile: filepath.Join(t.TempDir(), "cert.pem"), keyFile: filepath.Join(t.TempDir(), "key.pem")}
	if i.cert, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	i.pool.AppendCertsFromPEM(certPEM)
	for path, data := range map[string][]byte{i.certFile: certPEM, i.keyFile: keyPEM} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return i
}
