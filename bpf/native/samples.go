package native

import (
	"embed"
	"fmt"
	"strings"
)

// Streams as real clients and servers sent them, by name: "curl-post.requests",
// "curl-post.responses". told.txt has a paragraph for each with what the parser
// tells of it.
//
//go:embed testdata/http1
var http1Samples embed.FS

// Sample is a captured stream and what the parser has to tell of it.
type Sample struct {
	Stream
	Told []string
}

// HTTP1Samples reads the captured streams.
func HTTP1Samples() ([]Sample, error) {
	const dir = "testdata/http1/"
	told, err := http1Samples.ReadFile(dir + "told.txt")
	if err != nil {
		return nil, fmt.Errorf("captured HTTP/1 streams: %w", err)
	}
	var samples []Sample
	for paragraph := range strings.SplitSeq(strings.TrimSpace(string(told)), "\n\n") {
		lines := strings.Split(paragraph, "\n")
		name, asked, _ := strings.Cut(lines[0], " ")
		s := Sample{Stream{Name: name, Responses: strings.HasSuffix(name, ".responses"), EOF: true}, lines[1:]}
		if s.Bytes, err = http1Samples.ReadFile(dir + name); err != nil {
			return nil, fmt.Errorf("captured HTTP/1 stream %s: %w", name, err)
		}
		for kind := range strings.FieldsSeq(asked) {
			s.Asked = append(s.Asked, kind[0]-'0')
		}
		samples = append(samples, s)
	}
	return samples, nil
}
