// Package apifake is an API server in memory, for exploring a reconciler over
// many short schedules. It keeps the operator's kinds, Secrets and Namespaces,
// and treats resourceVersion, UID, generation, the status subresource,
// finalizers and terminating namespaces as the real server does: the contract
// test of this package runs on both.
//
// A process under test sends requests to a [Server] through a [Client], which calls a
// [Hook] before and after every request. Its cache is a [StaleReader], which shows an old
// state until it is refreshed.
//
// It does not support schemas and CEL rules, except for defaults and the lists in a status;
// admission, except for terminating namespaces; managedFields, watches, paging, field
// selectors, server-side apply, and patches other than merge patches. It stores Go structs, so
// an empty block is equal to a missing one. A request that it does not support is an error;
// it never answers as if it had carried it out.
//
// No controllers run in it. The caller acts as the controllers, one step at a time, with
// [Server.TerminateNamespace], [Server.Delete],
// [Server.RemoveNamespace] and [Server.CollectGarbage].
package apifake
