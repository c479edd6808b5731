package rsakey

import (
	"crypto/rand"
	"math/big"
	"strings"
	"testing"
)

func power(bits uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), bits) }

func odd(n *big.Int) *big.Int { return n.SetBit(n, 0, 1) }

// flawed is a modulus of CVE-2017-15361: a power of 65537 modulo the product of the small primes.
func flawed() *big.Int {
	product := big.NewInt(1)
	for _, prime := range rocaPrimes {
		product.Mul(product, big.NewInt(prime))
	}
	n := new(big.Int).Exp(big.NewInt(65537), big.NewInt(1234567), product)
	if n.Bit(0) == 0 {
		n.Add(n, product) // which is odd
	}
	return n.Add(n, new(big.Int).Mul(product, power(2048-uint(product.BitLen()))))
}

func TestCheck(t *testing.T) {
	sound := odd(power(2047))
	for _, c := range []struct {
		name  string
		n, e  *big.Int
		wants string // in the error; empty: accepted
	}{
		{"2048 bits", sound, big.NewInt(65537), ""},
		{"8192 bits", odd(power(8191)), big.NewInt(3), ""},
		{"the largest exponent", sound, big.NewInt(1<<31 - 1), ""},
		{"2047 bits", odd(power(2046)), big.NewInt(65537), "2047 bits"},
		{"8193 bits", odd(power(8192)), big.NewInt(65537), "8193 bits"},
		{"even", power(2047), big.NewInt(65537), "even"},
		{"zero", new(big.Int), big.NewInt(65537), "0 bits"},
		{"exponent 1", sound, big.NewInt(1), "exponent"},
		{"exponent 0", sound, big.NewInt(0), "exponent"},
		{"even exponent", sound, big.NewInt(65536), "exponent"},
		{"large exponent", sound, odd(power(31)), "exponent"},
		{"huge exponent", sound, odd(power(64)), "exponent"},
		{"ROCA", flawed(), big.NewInt(65537), "CVE-2017-15361"},
	} {
		err := Check(c.n, c.e)
		if (err == nil) != (c.wants == "") || err != nil && !strings.Contains(err.Error(), c.wants) {
			t.Errorf("%s: %v, want %q", c.name, err, c.wants)
		}
	}
}

func TestROCAFindsNoSoundKey(t *testing.T) {
	for range 20 {
		n, err := rand.Int(rand.Reader, power(2048))
		if err != nil {
			t.Fatal(err)
		}
		if isROCA(odd(n)) {
			t.Errorf("%x", n)
		}
	}
}
