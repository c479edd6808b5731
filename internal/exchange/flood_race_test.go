//go:build race

package exchange

// flood is smaller under the race detector, which makes SQLite twenty times as slow.
const flood = 500
