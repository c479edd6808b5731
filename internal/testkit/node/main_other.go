//go:build !linux

package node

import "testing"

// Main runs the tests where there are no namespaces: Start skips them.
func Main(m *testing.M, prepare ...func() error) int {
	missing = "a node needs Linux"
	return m.Run()
}
