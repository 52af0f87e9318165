package otel

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed79351815/weir/collector/flow"
)

var update = flag.Bool("update", false, "write the tables in docs/otel.md anew")

const docsPath = "../../docs/otel.md"

// TestDocs keeps the tables of docs/otel.md the same as those of the package.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for name, table := range map[string]string{"spans": spanTable(), "metrics": metricTable()} {
		begin := "<!-- made by go test ./exporters/otel -update: " + name + " -->\n"
		before, rest, ok := strings.Cut(want, begin)
		_, after, ended := strings.Cut(rest, "<!-- end -->")
		if !ok || !ended {
			t.Fatalf("%s: no place for the table of %s", docsPath, name)
		}
		want = before + begin + table + "<!-- end -->" + after
	}
	if *update {
		if err := os.WriteFile(docsPath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s differs from the package's tables: go test ./exporters/otel -update", docsPath)
	}
}

func spanTable() string {
	var b strings.Builder
	b.WriteString("| spans of | attributes of both ends | of the client's | of the server's |\n| --- | --- | --- | --- |\n")
	line := func(name string, rows []row) {
		cells := map[end][]string{}
		for _, r := range rows {
			cells[r.ends] = append(cells[r.ends], "`"+r.key+"`")
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, strings.Join(cells[bothEnds], " "), strings.Join(cells[clientEnd], " "), strings.Join(cells[serverEnd], " "))
	}
	for n, p := range protocols {
		if p.name != nil {
			line(strings.ToUpper(flow.L7Protocol(n).String()), p.rows)
		}
	}
	line("all", append(append([]row{}, everySpan...), row{keyErrorType, bothEnds, nil}, row{keyVerdict, bothEnds, nil}, row{keyMore, bothEnds, nil}))
	return b.String()
}

func metricTable() string {
	var b strings.Builder
	b.WriteString("| metric | kind | unit | attributes | |\n| --- | --- | --- | --- | --- |\n")
	kinds := map[metricKind]string{counter: "counter", gauge: "gauge", histogram: "histogram"}
	for _, m := range metrics {
		keys := strings.Join(m.keys, "` `")
		if keys != "" {
			keys = "`" + keys + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.name, kinds[m.kind], m.unit, keys, m.help)
	}
	return b.String()
}
