// Package suggest makes a policy of a workload's baseline: one that allows what
// was seen and nothing else, in as few rules as say it, each with what it was
// concluded from. It is pure and stable: the same baseline gives the same bytes.
//
// A rule that rests on little is marked "not proven". What no rule can say, such
// as a peer without a name, stands in the comments on top, never in a rule that
// would be refused or would mean something else.
package suggest
