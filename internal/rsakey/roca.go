package rsakey

import "math/big"

// rocaPrimes are the small primes whose residues give away an RSA modulus that
// was made by the flawed library of CVE-2017-15361: such a modulus is a power
// of 65537 modulo each of them (Nemec et al., "The Return of Coppersmith's
// Attack", ACM CCS 2017). A sound modulus has all these residues by chance
// about once in 2^28.
var rocaPrimes = []int64{
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73,
	79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
}

// isROCA says whether the modulus has the fingerprint of CVE-2017-15361.
func isROCA(modulus *big.Int) bool {
	for _, prime := range rocaPrimes {
		residue := new(big.Int).Mod(modulus, big.NewInt(prime)).Int64()
		power := int64(1)
		for range prime {
			if power == residue {
				break
			}
			power = power * 65537 % prime
		}
		if power != residue {
			return false
		}
	}
	return true
}
