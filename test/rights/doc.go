// Package rights tests the roles that are shipped, against a real API server: the operator needs every right that they grant,
// and none that they do not. It has no code of its own.
package rights
