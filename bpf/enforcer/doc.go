// Package enforcer is the kernel's side of policy: it holds programs and tables
// in the kernel that say who may speak to whom.
//
// Programs and tables are pinned in the BPF file system. They go on without this
// process, whatever ends it; the next Enforcer adopts them. Only Off takes them
// out.
package enforcer
