// Package memory holds the test of how much memory the operator takes while
// providers answer as badly as they can. It needs /proc, so it runs on Linux only,
// and not under the race detector, which takes several times the memory.
package memory
