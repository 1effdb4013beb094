// Package gitops tests what the operator promises to users of Argo CD and Flux,
// with the libraries that these run: Argo CD's Lua engine, settings, diff and sync
// engine, Flux's kstatus and health check expressions. It holds tests only, and is
// a module of its own so that the operator's dependencies stay small. Run it with:
//
//	test/gitops/test.sh
package gitops
