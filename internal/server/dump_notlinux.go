//go:build unix && !linux

package server

func notDumpable() error { return nil }
