package login

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
)

// certificate is a certificate with its private key.
type certificate struct {
	chain []*x509.Certificate // its own first
	key   crypto.PrivateKey
	now   func() time.Time
}

const maxCertificate = 1 << 20

// openCertificate reads a file of PEM blocks, or PKCS #12 with a password or without,
// with the certificate and its key in it; or two files of PEM blocks, one for each.
func openCertificate(name, keyFile, password string) (*certificate, error) {
	text, err := readCertificate(name)
	if err == nil && keyFile != "" {
		var key []byte
		key, err = readCertificate(keyFile)
		text = slices.Concat(text, []byte("\n"), key)
	}
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(text); block != nil {
		password = "" // which the library takes for a sign of PKCS #12
	}
	chain, key, err := azidentity.ParseCertificates(text, []byte(password))
	if err != nil {
		return nil, fmt.Errorf("read the certificate in %s: %w", name, err)
	}
	return &certificate{chain, key, time.Now}, nil
}

func readCertificate(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCertificate+1))
	if err == nil && len(text) > maxCertificate {
		err = fmt.Errorf("it holds more than %d bytes", maxCertificate)
	}
	if err != nil {
		return nil, fmt.Errorf("read the certificate in %s: %w", name, err)
	}
	return text, nil
}

// assertion is a token of the client about itself, for the token endpoint alone and
// for ten minutes (RFC 7523 §3;
// https://learn.microsoft.com/entra/identity-platform/certificate-credentials).
func (c *certificate) assertion(clientID, audience string) (string, error) {
	key, ok := c.key.(*rsa.PrivateKey)
	if !ok {
		return "", errors.New("the key of the certificate is not an RSA key")
	}
	thumbprint := sha256.Sum256(c.chain[0].Raw)
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("x5t#S256", base64.RawURLEncoding.EncodeToString(thumbprint[:]))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.PS256, Key: key}, options)
	if err != nil {
		return "", err
	}
	now := c.now()
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: clientID, Subject: clientID, Audience: jwt.Audience{audience}, ID: uuid.NewString(),
		IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(10 * time.Minute)),
	}).Serialize()
}
