package portal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/entente-id/entente/internal/strictjson"
)

// decoded is what a token says, without its signature: what is shown of it is
// no token any more. What cannot be decoded is empty.
func decoded(token string) (header, payload string) {
	texts := [2]string{}
	for i, part := range strings.SplitN(token, ".", 3)[:min(2, strings.Count(token, ".")+1)] {
		if data, err := base64.RawURLEncoding.DecodeString(part); err == nil {
			texts[i] = pretty(data)
		}
	}
	return texts[0], texts[1]
}

// pretty is JSON on lines of its own, without characters that cannot be seen.
// What is no JSON of the strict kind, and could grow without end, is left as it is.
func pretty(data []byte) string {
	var b bytes.Buffer
	if strictjson.Check(data) != nil || json.Indent(&b, data, "", "  ") != nil {
		return printable(string(data))
	}
	return printable(b.String())
}

// writePrintable writes a character, or its escape in JSON.
func writePrintable(b *strings.Builder, r rune) {
	if r == '\n' || unicode.IsPrint(r) {
		b.WriteRune(r)
		return
	}
	for _, unit := range utf16.Encode([]rune{r}) {
		fmt.Fprintf(b, `\u%04x`, unit)
	}
}
