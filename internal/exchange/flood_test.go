//go:build !race

package exchange

// flood is how many tokens the tests of floods send.
const flood = 10_000
