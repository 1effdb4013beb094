// Package rights tests the shipped roles against a real API server: the operator uses every
// right that they grant, and needs no other. The package has only tests.
package rights
