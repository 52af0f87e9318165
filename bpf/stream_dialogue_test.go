package bpf

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/seed79351815/weir/bpf/native"
	"github.com/seed79351815/weir/collector/flow"
	"github.com/seed79351815/weir/collector/l7/operation"
)

// say adds an exchange to a dialogue, in a turn of its own.
func (d *dialogue) say(method, path string, fields, body string, status uint16, answer string) *dialogue {
	request := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: weir.test\r\n%s\r\n%s", method, path, fields, body)
	response := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: %d\r\n\r\n%s", status, http.StatusText(int(status)), len(answer), answer)
	if status == http.StatusNoContent {
		response = fmt.Sprintf("HTTP/1.1 %d No Content\r\nServer: forged\r\n\r\n", status)
	}
	d.requests = append(d.requests, request...)
	d.responses = append(d.responses, response...)
	d.turns = append(d.turns, turn{len(d.requests), len(d.responses)})
	path, _, _ = strings.Cut(path, "?")
	d.paths = append(d.paths, method+" "+path)
	if d.want == nil {
		d.want = outcomes{}
	}
	e := exchanged{outcome{operationOf(method, path), status}, amount{1, uint64(len(request)), uint64(len(response))}}
	d.each = append(d.each, e)
	d.want.add(e.outcome, e.amount)
	return d
}

func operationOf(method, path string) flow.Operation {
	return flow.Operation(operation.Key(method, path))
}

// simple is one request without a body and its answer.
func simple(path string, status uint16) *dialogue {
	return (&dialogue{name: path}).say("GET", path, "Accept: */*\r\n", "", status, "")
}

// posted is a request with a body and its answer, of so many bytes.
func posted(path string, up, down int) *dialogue {
	return (&dialogue{name: path}).say("POST", path, fmt.Sprintf("Content-Length: %d\r\n", up), filler(up), 200, filler(down))
}

// filler is a body: it has bytes that no parser would pass over in a head.
func filler(n int) string {
	const text = "\x00\r\nGET /wrong HTTP/1.1\r\nHost: wrong\r\n\r\nHTTP/1.1 500 Wrong\r\n\r\n"
	return strings.Repeat(text, n/len(text)+1)[:n]
}

// pipelined makes one turn of all.
func (d *dialogue) pipelined() *dialogue {
	d.turns = d.turns[len(d.turns)-1:]
	return d
}

var toldLine = regexp.MustCompile(`^(\d+): (request|response|interim)(?: (\S+) "(.*?)" asked=\d key=([0-9a-f]+)| (\d+))?(?: head=\d+ body=(\S+))?.*?(?: end total=(\d+))?( switch)?$`)

// captured are the streams of package native, with what its parser tells of them.
func captured(t *testing.T) (all []*dialogue) {
	t.Helper()
	samples, err := native.HTTP1Samples()
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(samples); i += 2 {
		name, _ := strings.CutSuffix(samples[i].Name, ".requests")
		d := &dialogue{name: name, requests: samples[i].Bytes, responses: samples[i+1].Bytes, want: outcomes{}}
		d.learn(t, samples[i].Told, samples[i+1].Told)
		all = append(all, d)
	}
	if len(all) < 20 {
		t.Fatalf("%d captured dialogues", len(all))
	}
	return all
}

// learn makes turns and outcomes of what is told of both streams.
func (d *dialogue) learn(t *testing.T, asked, answered []string) {
	t.Helper()
	var operations []flow.Operation
	var statuses []uint16
	var sizes [2][]uint64
	var ends [2][]int
	for side, lines := range [][]string{asked, answered} {
		for _, line := range lines {
			m := toldLine.FindStringSubmatch(line)
			if m == nil {
				t.Fatalf("%s: %q", d.name, line)
			}
			if m[2] == "interim" {
				continue
			}
			if m[5] != "" {
				operations = append(operations, flow.Operation(number(t, m[5], 16)))
				d.paths = append(d.paths, m[3]+" "+m[4])
			}
			if m[6] != "" {
				statuses = append(statuses, uint16(number(t, m[6], 10)))
			}
			if m[8] != "" {
				ends[side] = append(ends[side], int(number(t, m[1], 10)))
				sizes[side] = append(sizes[side], number(t, m[8], 10))
			}
			d.close = d.close || m[7] == "close"
		}
	}
	n := len(operations)
	if n == 0 || len(ends[0]) != n || len(ends[1]) != n || len(statuses) != n {
		t.Fatalf("%s: %d requests, %d of them complete, %d answers", d.name, n, len(ends[0]), len(ends[1]))
	}
	for i, op := range operations {
		d.want.add(outcome{op, statuses[i]}, amount{1, sizes[0][i], sizes[1][i]})
		d.turns = append(d.turns, turn{ends[0][i], ends[1][i]})
	}
	// What comes behind a switch of protocols.
	if d.turns[n-1] != (turn{len(d.requests), len(d.responses)}) {
		d.turns = append(d.turns, turn{len(d.requests), len(d.responses)})
	}
}

func number(t *testing.T, text string, base int) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, base, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
