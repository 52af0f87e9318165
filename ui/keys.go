package ui

import (
	"strings"
)

// action is what a key does.
type action uint8

const (
	actNone action = iota
	actView1
	actView2
	actView3
	actView4
	actView5
	actNextTab
	actPrevTab
	actLonger
	actShorter
	actOpen
	actEscape
	actBack
	actQuit
	actDown
	actUp
	actPageDown
	actPageUp
	actTop
	actBottom
	actLeft
	actRight
	actWide
	actFilter
	actCommand
	actSortNext
	actSortReverse
	actPause
	actCopy
	actRedraw
	actHelp
)

// scope says on which pages a key works.
type scope uint8

const (
	onTable    scope = 1 << iota // pages with rows
	onText                       // pages of text
	everywhere = onTable | onText
)

// binding is one entry of the key table.
type binding struct {
	action action
	keys   []string // as keyName gives them; the first is the one that hints show
	scope  scope
	hint   text // for the hint bar; empty: not shown there
	help   text
	group  text
}

// bindings is the one table of keys: dispatch, hint bar, help and docs/keys.md
// come from it. The hint bar drops from its end where there is no room.
var bindings = []binding{
	{actHelp, []string{"?", "f1"}, everywhere, "help", "this help", "General"},
	{actBack, []string{"q"}, everywhere, "back", "back to where you came from; on a view of the first level: quit", "General"},
	{actEscape, []string{"esc"}, everywhere, "", "clear the filter; without one: back", "General"},
	{actQuit, []string{"ctrl-c"}, everywhere, "", "quit, always", "General"},
	{actPause, []string{"space"}, everywhere, "pause", "hold the picture and go on; collection does not stop", "General"},
	{actCommand, []string{":"}, everywhere, "", "type a command (below)", "General"},
	{actRedraw, []string{"ctrl-l"}, everywhere, "", "draw the whole screen anew", "General"},

	{actView1, []string{"1"}, everywhere, "", "workloads", "Views"},
	{actView2, []string{"2"}, everywhere, "", "flows", "Views"},
	{actView3, []string{"3"}, everywhere, "", "operations: requests, lookups and handshakes", "Views"},
	{actView4, []string{"4"}, everywhere, "", "health: losses, rings and tables", "Views"},
	{actView5, []string{"5"}, everywhere, "", "policies, and what they refused or would have", "Views"},
	{actNextTab, []string{"tab", "]"}, everywhere, "next view", "the next view, or the next part of one", "Views"},
	{actPrevTab, []string{"shift-tab", "["}, everywhere, "", "the view before", "Views"},
	{actLonger, []string{"t"}, everywhere, "time", "the next longer time window of workloads and operations: live, 5m, 15m, 1h, 6h, 24h, 7d", "Views"},
	{actShorter, []string{"T"}, everywhere, "", "the next shorter one; before live comes 7d", "Views"},

	{actOpen, []string{"enter"}, onTable, "open", "open the row: what is behind a workload, a flow, an operation, a policy", "Rows"},
	{actFilter, []string{"/"}, onTable, "filter", "filter as you type (below)", "Rows"},
	{actSortNext, []string{"s"}, onTable, "sort", "sort by the next column", "Rows"},
	{actSortReverse, []string{"S"}, onTable, "", "reverse the order", "Rows"},
	{actWide, []string{"w"}, onTable, "wide", "all columns, as wide as they like, or those that fit", "Rows"},
	{actLeft, []string{"left", "h"}, onTable, "", "scroll the columns back", "Rows"},
	{actRight, []string{"right", "l"}, onTable, "", "scroll the columns on", "Rows"},
	{actCopy, []string{"c"}, onTable, "", "copy the row to the clipboard (where the terminal knows OSC 52)", "Rows"},

	{actDown, []string{"down", "j"}, everywhere, "", "down", "Moving"},
	{actUp, []string{"up", "k"}, everywhere, "", "up", "Moving"},
	{actPageDown, []string{"pgdn", "ctrl-f"}, everywhere, "", "a page down", "Moving"},
	{actPageUp, []string{"pgup", "ctrl-b"}, everywhere, "", "a page up", "Moving"},
	{actTop, []string{"g", "home"}, everywhere, "", "the first row; it stays in view while rows change", "Moving"},
	{actBottom, []string{"G", "end"}, everywhere, "", "the last row", "Moving"},
}

// promptKeys are the keys while a filter or a command is typed. They are shown
// beside bindings; prompt.key takes them.
var promptKeys = []struct {
	keys []string
	help text
}{
	{[]string{"enter"}, "take it"},
	{[]string{"esc"}, "leave; what was before the prompt stays"},
	{[]string{"up", "down"}, "what was typed before"},
	{[]string{"ctrl-w", "ctrl-u"}, "erase a word, or all"},
}

// lookup finds what a key does on a page.
func lookup(name string, on scope) action {
	for _, b := range bindings {
		if b.scope&on == 0 {
			continue
		}
		for _, k := range b.keys {
			if k == name {
				return b.action
			}
		}
	}
	return actNone
}

func keyList(keys []string) text { return text(strings.Join(keys, " ")) }
