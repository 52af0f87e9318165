package otel

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

const prefix = "OTEL_EXPORTER_OTLP_"

const (
	grpcPort       = "4317" // OTLP's, where gRPC is spoken
	defaultTimeout = 10 * time.Second
)

// of is a signal's own variable and the one for all signals, which gives way.
func of(s *signal, name string) (own, all string) {
	return prefix + strings.ToUpper(s.name) + "_" + name, prefix + name
}

// endpoint is where a signal goes; nil for nowhere.
func (v variables) endpoint(s *signal, set *Settings) (*Endpoint, error) {
	if wanted, err := v.wanted(s, set); err != nil || !wanted {
		return nil, err
	}
	own, all := of(s, "ENDPOINT")
	name, raw := v.get(own, all)
	if set.Endpoint != "" {
		name, raw = "endpoint", set.Endpoint
	}
	if raw == "" {
		return nil, nil
	}
	e := &Endpoint{Timeout: defaultTimeout}
	own, all = of(s, "INSECURE")
	_, insecure := v.get(own, all)
	u, err := parseEndpoint(raw, strings.EqualFold(insecure, "true"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := v.protocol(e, s, set, u); err != nil {
		return nil, err
	}
	if e.Protocol == HTTP && name != prefix+strings.ToUpper(s.name)+"_ENDPOINT" {
		u.Path = strings.TrimSuffix(u.Path, "/") + s.path
	}
	e.URL = u.String()
	own, all = of(s, "TIMEOUT")
	if err := v.milliseconds(&e.Timeout, own, all); err != nil {
		return nil, err
	}
	return e, errors.Join(v.compression(e, s), v.headers(e, s, set), v.tls(e, s, set))
}

// parseEndpoint reads a URL, or gRPC's host:port.
func parseEndpoint(raw string, insecure bool) (*url.URL, error) {
	if !strings.Contains(raw, "://") {
		scheme := "https://"
		if insecure {
			scheme = "http://"
		}
		raw = scheme + raw
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		// url's error repeats the whole of it, with what may be a password.
		return nil, errors.New("expected a URL such as http://localhost:4317")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("scheme %q: expected http or https", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("no host in it; expected a URL such as http://localhost:4317")
	case u.User != nil:
		return nil, errors.New("a user does not belong into it: use " + prefix + "HEADERS")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("a query or fragment does not belong into it")
	}
	return u, nil
}

// protocol is what is asked for; else gRPC at gRPC's port, and HTTP at every other.
func (v variables) protocol(e *Endpoint, s *signal, set *Settings, u *url.URL) error {
	own, all := of(s, "PROTOCOL")
	name, value := v.get(own, all)
	if set.Protocol != "" && set.Protocol != Auto {
		name, value = "protocol", set.Protocol
	}
	switch {
	case value == string(GRPC), value == "" && u.Port() == grpcPort:
		e.Protocol = GRPC
		if u.Port() == "" {
			u.Host = u.Host + ":" + cmp.Or(map[string]string{"https": "443"}[u.Scheme], grpcPort)
		}
	case value == string(HTTP), value == "http", value == "":
		e.Protocol = HTTP
	default:
		return fmt.Errorf("%s: %q: expected grpc or http/protobuf", name, value)
	}
	return nil
}

func (v variables) compression(e *Endpoint, s *signal) error {
	own, all := of(s, "COMPRESSION")
	name, value := v.get(own, all)
	switch value {
	case "", "none":
	case "gzip":
		e.Gzip = true
	default:
		return fmt.Errorf("%s: %q: expected gzip or none", name, value)
	}
	return nil
}

// headers are those of the file, which go before the signal's, which go before all
// signals'. No error shows a value.
func (v variables) headers(e *Endpoint, s *signal, set *Settings) error {
	e.Headers = map[string]string{}
	own, all := of(s, "HEADERS")
	for _, name := range []string{all, own} {
		list, err := v.pairs(name)
		if err != nil {
			return err
		}
		for _, kv := range list {
			if err := e.header(kv[0], kv[1]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if set.HeadersFile == "" {
		return nil
	}
	data, err := readBounded(set.HeadersFile)
	if err != nil {
		return fmt.Errorf("headers: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return fmt.Errorf("headers %s:%d: expected name=value", set.HeadersFile, n)
		}
		if err := e.header(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return fmt.Errorf("headers %s:%d: %w", set.HeadersFile, n, err)
		}
	}
	return lines.Err()
}

func (e *Endpoint) header(key, value string) error {
	if !httpguts.ValidHeaderFieldName(key) || !httpguts.ValidHeaderFieldValue(value) {
		return errors.New("a name or value that no header may have")
	}
	e.Headers[strings.ToLower(key)] = value
	return nil
}

// pairs are a variable's: key=value,key=value, percent-encoded as W3C Baggage is.
func (v variables) pairs(name string) (out [][2]string, err error) {
	_, list := v.get(name)
	for i, pair := range strings.Split(list, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		key, keyErr := url.PathUnescape(strings.TrimSpace(key))
		value, valueErr := url.PathUnescape(strings.TrimSpace(value))
		if !ok || key == "" || keyErr != nil || valueErr != nil {
			return nil, fmt.Errorf("%s: pair %d: expected key=value, percent-encoded", name, i+1)
		}
		out = append(out, [2]string{key, value})
	}
	return out, nil
}

// tls are the files that are named; they are read once.
func (v variables) tls(e *Endpoint, s *signal, set *Settings) error {
	file := func(name, given string) string {
		own, all := of(s, name)
		_, value := v.get(own, all)
		return cmp.Or(given, value)
	}
	ca, cert, key := file("CERTIFICATE", set.CA), file("CLIENT_CERTIFICATE", set.Cert), file("CLIENT_KEY", set.Key)
	e.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := readBounded(ca)
		if err != nil {
			return fmt.Errorf("authorities: %w", err)
		}
		e.TLS.RootCAs = x509.NewCertPool()
		if !e.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("authorities %s: no certificate in it", ca)
		}
	}
	if cert == "" && key == "" {
		return nil
	}
	if cert == "" || key == "" {
		return errors.New("client certificate: it takes a certificate and its key")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("client certificate: %w", err)
	}
	e.TLS.Certificates = []tls.Certificate{pair}
	return nil
}

// readBounded reads a file of which the largest sensible one is small.
func readBounded(path string) ([]byte, error) {
	const most = 1 << 20
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("%s: larger than %d bytes", path, most)
	}
	return data, err
}
