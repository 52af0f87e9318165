package layers

// module is what own import paths begin with.
const module = "github.com/seed79351815/weir/"

// A layer says what the packages of a tree may import of weir itself, beside
// their own tree. Tests are held to it too.
type layer struct {
	tree    string   // the package and all below it
	imports []string // packages, each alone; "all" for everything
	why     string
}

// layers is read from the leaf to the top. Every package belongs to the longest
// tree that holds it.
var layers = []layer{
	{"collector/flow", nil,
		"the leaf that everything may import must bring nothing with it"},
	{"collector/spelling", nil,
		"what somebody may have meant is asked by whoever reads what people write"},
	{"collector", nil,
		"the pipeline is tested without a kernel, and serves any front end"},
	{"bpf", []string{"collector", "collector/flow", "collector/l7/ja4", "collector/l7/operation"},
		"the kernel's edge gives events and knows nothing of what becomes of them; a fingerprint is made where the bytes are, and what one operation is both sides have to know"},
	{"bpf/native", []string{"collector/l7/ja4", "collector/l7/operation"},
		"the parsers' test bench; that a digest is enough for a fingerprint is shown there"},
	{"bpf/enforcer", []string{"enforce/kernel", "enforce/policy", "bpf/lab", "bpf/lab/role"},
		"what holds policies takes them compiled, and knows nothing of who made them"},
	{"enforce/policy", []string{"collector/flow", "collector/spelling"},
		"policies are read and compiled without a kernel and without a pipeline"},
	{"exporters/internal/printable", nil,
		"what is fit to be a label is a matter of its bytes"},
	{"exporters/internal/merge", []string{"collector/flow", "exporters/internal/recordtest"},
		"what is alike is a matter of the records; what becomes of them is for each exporter to say"},
	{"exporters/internal/recordtest", []string{"collector/flow"},
		"test records are made of the domain's types alone"},
	{"exporters/prom", []string{"collector", "collector/flow", "collector/aggregate", "collector/l7", "exporters/internal/printable"},
		"an exporter takes records and snapshots; the kernel, the screen and other exporters are none of its business"},
	{"exporters/otel", []string{"collector", "collector/flow", "collector/l7", "exporters/internal/printable", "exporters/internal/merge"},
		"an exporter takes records and snapshots; the kernel, the screen and other exporters are none of its business"},
	{"exporters/grafana", []string{"exporters/prom", "collector", "collector/flow"},
		"queries are made of the table of metrics; its tests feed an exporter with records"},
	{"exporters/hubble", []string{"collector", "collector/flow", "collector/aggregate", "collector/spelling", "exporters/internal/recordtest"},
		"an exporter takes records and snapshots; the kernel, the screen and other exporters are none of its business"},
	{"exporters/history", []string{"collector", "collector/flow", "collector/l7", "exporters/hubble", "exporters/hubble/convert", "exporters/hubble/filter", "exporters/hubble/pack", "exporters/internal/recordtest", "exporters/internal/merge"},
		"the history keeps what the Observer API gives, as it gives it, and lets it wait as the Observer does"},
	{"exporters/jsonl", []string{"collector", "collector/flow", "exporters/hubble/convert", "exporters/hubble/printer", "exporters/internal/merge"},
		"a line of the log is a line of the Observer's client"},
	{"exporters/pcap", []string{"collector/flow"},
		"packets come with what is to be said of them; who captured them is none of its business"},
	{"enforce/internal/flowtest", []string{"collector/flow"},
		"test records are made of the domain's types alone"},
	{"enforce/baseline", []string{"collector", "collector/flow", "enforce/internal/disk", "enforce/internal/flowtest"},
		"what is learned comes from records; what becomes of it is for others to say"},
	{"enforce/kernel", []string{"enforce/policy"},
		"what the manager and the programs say to each other belongs to neither"},
	{"enforce", []string{"collector/flow", "enforce/kernel", "enforce/policy"},
		"policies are managed without a kernel; who is there and what lives is asked through interfaces"},
	{"enforce/internal/words", nil,
		"what was seen is written for people in one way"},
	{"enforce/suggest", []string{"collector/flow", "enforce/baseline", "enforce/policy", "enforce/internal/flowtest", "enforce/internal/words"},
		"a suggestion is made of a baseline and nothing else"},
	{"enforce/simulate", []string{"collector", "collector/flow", "enforce/baseline", "enforce/policy", "enforce/suggest", "enforce/internal/flowtest", "enforce/internal/words"},
		"what would be denied is asked of the tables that the kernel decides by"},
	{"ui", []string{"collector", "collector/flow", "collector/aggregate", "collector/l7", "collector/spelling"},
		"the TUI draws snapshots, whoever made them, and asks the table of protocols for words"},
	{"cmd", []string{"all"},
		"commands wire everything together"},
}

// A library is kept to the trees that are there for it.
type library struct {
	prefix string // of import paths
	trees  []string
	why    string
}

var libraries = []library{
	{"github.com/cilium/ebpf", []string{"bpf", "cmd"}, "only the kernel's edge and what wires it touch BPF"},
	{"github.com/rivo/tview", []string{"ui"}, "only the TUI draws"},
	{"github.com/gdamore/tcell", []string{"ui"}, "only the TUI draws"},
	{"github.com/prometheus/client_golang", []string{"exporters/prom"}, "only one package knows how metrics are served"},
	{"github.com/prometheus/exporter-toolkit", []string{"exporters/prom"}, "only one package knows how metrics are served"},
	{"go.opentelemetry.io", []string{"exporters/otel"}, "only one package knows OpenTelemetry"},
	{"github.com/cilium/cilium", []string{"exporters/hubble", "exporters/history", "exporters/jsonl", "cmd"}, "Hubble's schema is an edge, not the domain"},
	{"github.com/moby/moby", []string{"collector/identity", "cmd"}, "runtimes are asked for identity, and by the demo"},
	{"github.com/containerd", []string{"collector/identity", "cmd"}, "runtimes are asked for identity, and by the demo"},
	{"k8s.io", []string{"collector/identity", "cmd"}, "runtimes are asked for identity"},
	{"modernc.org/sqlite", []string{"exporters/history"}, "only one package knows how history lies on the disk"},
	{"github.com/gopacket", []string{"exporters/pcap"}, "only one package writes packets"},
	{"github.com/spf13/cobra", []string{"cmd"}, "flags end where a command's run begins"},
	{"github.com/vishvananda", []string{"bpf", "cmd", "collector/identity"}, "devices and addresses are the host's edge"},
	{"github.com/ti-mo", []string{"collector/identity"}, "the NAT table is read in one place"},
	{"testing", []string{"bpf/lab", "exporters/internal/recordtest", "exporters/hubble/hubbletest"}, "test code stays out of what ships"},
}

// isolated trees must not even reach a package through others' imports.
var isolated = []struct {
	tree, never, why string
}{
	{"collector", "github.com/cilium/ebpf", "the pipeline is tested without a kernel"},
	{"enforce", "github.com/cilium/ebpf", "what is decided is tested without a kernel"},
	{"ui", "github.com/cilium/ebpf", "the TUI also watches other machines' daemons"},
	{"exporters", "github.com/cilium/ebpf", "an exporter also replays recordings"},
}
