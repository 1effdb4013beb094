//go:build !windows

package main

import "syscall"

// replace replaces this process with the program.
func replace(path string, argv, environ []string) error {
	return syscall.Exec(path, argv, environ) //nolint:gosec // G204: the user names the command
}
