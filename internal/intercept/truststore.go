package intercept

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"time"
	"unicode/utf16"
)

// storePassword seals the key store against accidents: it is no secret, and
// there is no key in it.
const storePassword = "entente"

// javaStore is a key store (Java's JKS format, version 2) of certificates to
// trust, which every Java version reads.
func javaStore(certificates [][]byte, at time.Time) []byte {
	var b bytes.Buffer
	number := func(v any) { binary.Write(&b, binary.BigEndian, v) }
	text := func(s string) {
		number(uint16(len(s)))
		b.WriteString(s)
	}
	number(uint32(0xFEEDFEED))
	number(uint32(2))
	number(uint32(len(certificates)))
	for i, der := range certificates {
		number(uint32(2)) // a certificate to trust
		text(fmt.Sprintf("ca-%d", i))
		number(at.UnixMilli())
		text("X.509")
		number(uint32(len(der)))
		b.Write(der)
	}
	// The digest that the format wants; nothing here depends on it.
	digest := sha1.New()
	for _, unit := range utf16.Encode([]rune(storePassword)) {
		binary.Write(digest, binary.BigEndian, unit)
	}
	digest.Write([]byte("Mighty Aphrodite"))
	digest.Write(b.Bytes())
	return digest.Sum(b.Bytes())
}
