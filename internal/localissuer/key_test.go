package localissuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
)

// The ids were computed with
// openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | basenc --base64url
func TestKeyID(t *testing.T) {
	for name, tt := range map[string]struct{ key, want string }{
		"RSA 2048": {`-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAyU/hqQRe6S3pvlR7Z2I/
aTMU2tFWYO/0xIQuJ9EGpI+ylarycySypEIRb0blLb9C0y9ifdK88nGrjBVzTTFX
Hn0XrxpkPL5ss1dD42/WTOagFqKqbW2RYVF3ZyPf80e2cRAzWmclgoJhmxmz+9C2
xDvsVibWenzcqpfn2LDhhYs6ePyh/bQzCMQQv4Rh2FeqPD5byKf10G/JGAZQDoN2
AwBafvzvidc8xlY7SJipxKI0Wbh3GqVIB3Mix1lmZK6xZTg0p4pW+1N/ddQPehDZ
0oRiktlT886wMLScqkMklkuor71NTUIIjrFSxzXPD2OOz7JvANyhBzWHfeiCqZYP
DwIDAQAB
-----END PUBLIC KEY-----`, "SCRMK8ldAVEFJSlGesCc7f8lGMhnkI5xcho2oE_8t_A"},
		"P-256": {`-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEkZsEusLoKZM8OYb8oWCr78qkmOKI
CNpKdUB48HhCINuk5g7xmi86i7eeSCQbdv3gTE9xLLfCQN25k0RRbzBQTw==
-----END PUBLIC KEY-----`, "_2618CL4Y0HfdX9u0z4d3E53-w0B4N2m_7lE9W6uqgw"},
		"P-384": {`-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE6yuE96Bs7FF2OY03JlJcOfXHU0Nts3Jl
2lWFGQZhhnZ/D+sv4btvGoDDJpaxb2jjmCUPFJrsGF4cgaHu74fRO/39Ntimz7mg
KEWd5Qx9fCVOsnKwRR3kOev6ndB3X5Qb
-----END PUBLIC KEY-----`, "cOikV0ZAzLouOtvwKL-SyXH37q_yTBd8rNf1y0MaZD4"},
	} {
		t.Run(name, func(t *testing.T) {
			block, _ := pem.Decode([]byte(tt.key))
			public, err := x509.ParsePKIXPublicKey(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := keyID(public); err != nil || got != tt.want {
				t.Errorf("keyID = %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		config Config
		want   string
	}{
		"no algorithm":     {Config{Algorithm: "none"}, `"none" is not known`},
		"symmetric":        {Config{Algorithm: "HS256"}, `"HS256" is not known`},
		"key of another":   {Config{Key: p256}, `cannot sign with "RS256"`},
		"curve of another": {Config{Key: p256, Algorithm: "ES384"}, `cannot sign with "ES384"`},
		"relative path":    {Config{Algorithm: "ES256", Path: "t1/"}, "slash"},
		"broken URL":       {Config{Algorithm: "ES256", URL: "https://a b/"}, "parse issuer"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}
