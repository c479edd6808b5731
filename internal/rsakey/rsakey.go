// Package rsakey says which RSA public keys may verify anything here, so that
// the keys of an issuer and the certificates of a client are held to one rule.
// RSA has no other: any two numbers are a key.
package rsakey

import (
	"errors"
	"fmt"
	"math/big"
)

// The sizes of a modulus that are accepted.
const (
	MinBits = 2048 // NIST SP 800-131A
	MaxBits = 8192 // one verification costs 10 ms here, and half a second at 65,536 bits
)

// Check refuses a modulus n and a public exponent e that are too small, too
// large, malformed, or known to be weak.
func Check(n, e *big.Int) error {
	bits := n.BitLen()
	switch {
	case bits < MinBits || bits > MaxBits:
		return fmt.Errorf("RSA key of %d bits: not between %d and %d", bits, MinBits, MaxBits)
	case n.Bit(0) == 0:
		return errors.New("RSA modulus is even")
	case e.BitLen() > 31 || e.Int64() < 3 || e.Bit(0) == 0:
		return errors.New("RSA exponent is not an odd number from 3 to 2147483647")
	case isROCA(n):
		return errors.New("RSA key can be factored (CVE-2017-15361)")
	}
	return nil
}
