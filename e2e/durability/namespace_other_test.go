//go:build !linux

package durability

func inOwnNamespace() (code int, ended bool) { return 0, false }

func mayMount() bool { return false }
