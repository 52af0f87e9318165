package native

import (
	"embed"
	"fmt"
	"path"
	"strings"
)

// Messages as real resolvers and servers sent them, by name: "dig-unbound.query"
// and ".response" are datagrams, ".queries" and ".responses" streams. TLS has
// ".client" and ".server". told.txt has a paragraph for each with what the parser
// tells of it.
//
//go:embed testdata/dns testdata/tls
var binarySamples embed.FS

// BinarySample is a captured stream or datagram and what its parser has to tell of it.
type BinarySample struct {
	Name     string
	Bytes    []byte
	Argument uint32 // of its Run
	Told     []string
}

// DNSSamples reads the captured messages.
func DNSSamples() ([]BinarySample, error) {
	return readBinary("dns", func(name string, size int) uint32 {
		if strings.HasSuffix(name, ".query") || strings.HasSuffix(name, ".response") {
			return uint32(size)
		}
		return 0
	})
}

// TLSSamples reads the captured handshakes.
func TLSSamples() ([]BinarySample, error) {
	return readBinary("tls", func(name string, _ int) uint32 {
		if strings.HasSuffix(name, ".client") {
			return TLSClient
		}
		return TLSServer
	})
}

func readBinary(protocol string, argument func(name string, size int) uint32) ([]BinarySample, error) {
	dir := path.Join("testdata", protocol)
	files, err := binarySamples.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("captured %s streams: %w", protocol, err)
	}
	told, err := binarySamples.ReadFile(path.Join(dir, "told.txt"))
	if err != nil {
		return nil, fmt.Errorf("captured %s streams: %w", protocol, err)
	}
	says := map[string][]string{}
	for paragraph := range strings.SplitSeq(strings.TrimSpace(string(told)), "\n\n") {
		lines := strings.Split(paragraph, "\n")
		says[lines[0]] = lines[1:]
	}
	var samples []BinarySample
	for _, f := range files {
		if f.Name() == "told.txt" {
			continue
		}
		b, err := binarySamples.ReadFile(path.Join(dir, f.Name()))
		if err != nil {
			return nil, fmt.Errorf("captured %s stream %s: %w", protocol, f.Name(), err)
		}
		samples = append(samples, BinarySample{f.Name(), b, argument(f.Name(), len(b)), says[f.Name()]})
	}
	return samples, nil
}
