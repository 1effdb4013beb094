// Package gitops tests the operator with Argo CD and Flux, using their own libraries:
// Argo CD's Lua engine, settings, diff and sync engine, and Flux's kstatus and health
// check expressions. It has only tests, and is a separate module to keep the operator's
// dependencies small. Run it with:
//
//	test/gitops/test.sh
package gitops
