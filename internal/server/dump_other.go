//go:build !unix

package server

// NoDumps has nothing to do here: nothing writes core files.
func NoDumps() error { return nil }
