// Package memory tests how much memory the operator uses while providers send hostile
// answers. It needs /proc, so it runs only on Linux, and not with the race detector, which
// uses several times the memory.
package memory
