// Package apifake is an API server in memory, for exploring a reconciler over
// many short schedules. It keeps the operator's kinds, Secrets and Namespaces,
// and treats resourceVersion, UID, generation, the status subresource,
// finalizers and terminating namespaces as the real server does: the contract
// test of this package runs on both.
//
// A process under test talks to a [Server] through a [Client], which asks a
// [Hook] before and after every request, and reads its cache from a
// [StaleReader], which shows the past until it is refreshed.
//
// What it leaves out: schemas and CEL rules, except for defaults and the lists
// in a status; admission, except for that of terminating namespaces;
// managedFields, watches, paging, field selectors, server-side apply, and
// patches other than merge patches. It keeps Go structs, so that a block that
// is there but empty is to it the same as no block. What it does not support
// it refuses with an error; it never answers as if it had done it.
//
// Controllers do not run by themselves. The caller plays them, one step at a
// time, with [Server.TerminateNamespace], [Server.Delete],
// [Server.RemoveNamespace] and [Server.CollectGarbage].
package apifake
