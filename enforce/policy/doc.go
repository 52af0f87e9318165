// Package policy reads policies and compiles them into the tables that the kernel
// decides by. It is pure: files and workloads in, tables out; it opens no
// socket and knows nothing of the kernel.
//
// Three kinds of objects are read: CiliumNetworkPolicy (also the clusterwide
// one), Kubernetes' NetworkPolicy, and weir's Guard. Parse is strict: what it
// does not understand is an error with its place, never ignored. Compile
// resolves selectors to the workloads that are known, and gives each workload
// one Set of entries. Tables.Decide is the look-up that the kernel does; Explain
// says in words what it comes to.
//
// The format and its meaning: docs/policy.md.
package policy
