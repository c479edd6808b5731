package cli

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func newJWKS(program string) *cobra.Command {
	var files []string
	var output string
	cmd := &cobra.Command{
		Use:   "jwks",
		Short: "Make a JSON Web Key Set of a cluster's public keys",
		Long: `Make the JSON Web Key Set that a self-managed cluster publishes at
{issuer}/openid/v1/jwks, from the keys with which its service-account tokens are
checked (kube-apiserver's --service-account-key-file). It is the same as the API
server makes. Of a private key the public part is taken.`,
		Example: `  ` + program + ` jwks --public-keys sa.pub
  ` + program + ` jwks --public-keys sa.pub,sa-new.pub --output-file jwks.json`,
		Args: azwiNoArgs,
		RunE: azwiRun(func(cmd *cobra.Command) error {
			document, err := jwksOf(files)
			if err != nil {
				return err
			}
			if output != "" {
				return os.WriteFile(output, document, 0o600)
			}
			if out := cmd.OutOrStdout(); isTerminal(out) {
				document = append(document, '\n')
			}
			_, err = cmd.OutOrStdout().Write(document)
			return err
		}),
	}
	cmd.SetFlagErrorFunc(azwiFlagError)
	f := cmd.Flags()
	f.StringSliceVar(&files, "public-keys", nil, "PEM `FILES` of the keys, separated by commas")
	f.StringVar(&output, "output-file", "", "`FILE` to write the set to, readable for its owner alone (default: standard output)")
	cmd.MarkFlagRequired("public-keys") // fails only for a flag that is not there
	if program != "azwi" {              // where the root has it
		f.Bool("debug", false, "accepted as azwi does")
		f.Lookup("debug").Hidden = true
	}
	return cmd
}

// jwksOf is the key set of files, as azwi lays it out.
func jwksOf(files []string) ([]byte, error) {
	if len(files) == 0 {
		return nil, errors.New("no public keys provided")
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	for _, file := range files {
		keys, err := publicKeys(file)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			text, err := jwk(key)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			set.Keys = append(set.Keys, text)
		}
	}
	return json.MarshalIndent(set, "", "  ")
}

// publicKeys are those in the PEM blocks of a file, and of its private keys. Other
// blocks, such as the parameters that openssl writes before a key, are passed over.
func publicKeys(file string) (keys []crypto.PublicKey, _ error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := readBounded(io.Reader(f), file)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(bytes.TrimSpace(text)); block == nil {
			break
		}
		key, err := publicKey(block)
		if err != nil {
			return nil, fmt.Errorf("%s: read the PEM block %s: %w", file, block.Type, err)
		}
		if key != nil {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s: there is no key in PEM in it", file)
	}
	return keys, nil
}

func publicKey(block *pem.Block) (crypto.PublicKey, error) {
	var private any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return parsePublic(block)
	}
	if err != nil {
		return nil, err
	}
	if signer, ok := private.(crypto.Signer); ok {
		return signer.Public(), nil
	}
	return nil, fmt.Errorf("keys of the type %T are not supported", private)
}
