//go:build !windows

package main

import "syscall"

// replace puts the program in the place of this process.
func replace(path string, argv, environ []string) error {
	return syscall.Exec(path, argv, environ) //nolint:gosec // G204: the user names the command
}
