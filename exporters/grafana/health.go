package grafana

// health is weir itself: does it see everything, and what does it take for that?
func health() *dashboard {
	m := here.metric
	var (
		build           = m("weir_build_info")
		capturing       = m("weir_capturing")
		since           = m("weir_capture_start_time_seconds")
		lost            = m("weir_lost_total")
		unread, ring    = m("weir_ring_unread_bytes"), m("weir_ring_size_bytes")
		entries, room   = m("weir_kernel_table_entries"), m("weir_kernel_table_max_entries")
		produced, taken = m("weir_kernel_events_produced_total"), m("weir_kernel_events_delivered_total")
		ringLost        = m("weir_kernel_events_lost_total")
		events, records = m("weir_events_total"), m("weir_records_total")
		live, evicted   = m("weir_live_flows"), m("weir_flows_evicted_total")
		overflow        = m("weir_metrics_overflow_total")
		cpu, memory     = m("process_cpu_seconds_total"), m("process_resident_memory_bytes")
		files, routines = m("process_open_fds"), m("go_goroutines")
	)
	ringFill := unread.sum("instance") + " / " + ring.sum("instance")
	tableFill := entries.sum("instance", "table") + " / " + room.sum("instance", "table")
	byHost := "{{instance}}"
	return &dashboard{
		uid: uidHealth, title: "weir / Health",
		description: "weir itself. Every observation that it loses is counted by the stage that lost it.",
		variables:   scoped(),
		rows: []row{
			{"Now", []panel{
				stat(build, "Hosts", "Hosts whose weir answers.", "short", nil, "count("+build.selector("")+")"),
				stat(capturing, "Hosts unseen", "Hosts whose weir cannot capture, and only holds policies.", "short", warnAlarm(1, 1), "count("+capturing.selector("")+" == 0) or vector(0)"),
				stat(since, "Shortest capture", "Time since the youngest of the captures began: short where a weir was started anew.", "s", nil, "time() - max("+since.selector("")+")"),
				stat(lost, "Observations lost", "", "cps", warn(1e-9), lost.rate()),
				stat(unread, "Fullest ring", "The part of a ring buffer that waits to be read.", "percentunit", warnAlarm(.5, .8), "max("+ringFill+")"),
				stat(entries, "Fullest table", "The part of a kernel table that is taken.", "percentunit", warnAlarm(.8, .95), "max("+tableFill+")"),
				stat(cpu, "Processor", "Of one processor, all hosts together.", "percentunit", nil, cpu.rate()),
			}},
			{"Losses", []panel{
				stacked(graph(lost, "By stage and reason", "", half, query{expr: lost.rate("stage", "reason"), legend: "{{stage}}: {{reason}}"})),
				graph(lost, "By host", "", quarter, query{expr: lost.rate("instance"), legend: byHost}),
				graph(overflow, "Series that found no room", "", quarter, query{expr: overflow.rate("metric"), legend: "{{metric}}"}),
			}},
			{"From the kernel", []panel{
				graph(produced, "Events", "Produced = delivered + lost + what waits in the ring.", third,
					query{expr: produced.rate(), legend: "produced"}, query{expr: taken.rate(), legend: "delivered"}, query{expr: ringLost.rate(), legend: "lost"}),
				share(unread, "Ring buffer", "The part that waits to be read.", third, warnAlarm(.5, .8), query{expr: ringFill, legend: byHost}),
				share(entries, "Kernel tables", "The part that is taken.", third, warnAlarm(.8, .95), query{expr: tableFill, legend: "{{instance}} {{table}}"}),
			}},
			{"Pipeline", []panel{
				graph(events, "Events and records", "", third, query{expr: events.rate(), legend: "events"}, query{expr: records.rate(), legend: "records"}),
				graph(live, "Flows in the table", "", third, query{expr: live.sum("instance"), legend: byHost}),
				graph(evicted, "Flows evicted", "", third, query{expr: evicted.rate("instance"), legend: byHost}),
			}},
			{"What it takes", []panel{
				graph(cpu, "Processor", "", quarter, query{expr: cpu.rate("instance"), legend: byHost}),
				graph(memory, "Memory", "", quarter, query{expr: memory.sum("instance"), legend: byHost}),
				graph(files, "Open files", "", quarter, query{expr: files.sum("instance"), legend: byHost}),
				graph(routines, "Goroutines", "", quarter, query{expr: routines.sum("instance"), legend: byHost}),
			}},
			{"Versions", []panel{
				list(build, "Hosts", "", []column{
					{"instance", "Host", ""}, {"version", "Version", ""}, {"revision", "Revision", ""}, {"goversion", "Go", ""}, {"Value #A", "Hosts", ""},
				}, query{expr: build.sum("instance", "version", "revision", "goversion")}),
			}},
		},
	}
}
