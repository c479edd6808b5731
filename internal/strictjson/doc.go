// Package strictjson is the one JSON rule for every body that comes from
// outside: tokens, key sets, discovery documents and requests.
//
// It exists because encoding/json reads two different texts as equal (the last
// of two members with one name wins, names match without case, what is not
// Unicode becomes U+FFFD), and two readers that disagree about a token are a
// hole.
package strictjson

import josejson "github.com/go-jose/go-jose/v4/json"

// Decode checks data by Check and decodes it into v. Names of members match
// exactly; unknown ones are passed over.
func Decode(data []byte, v any) error {
	if err := Check(data); err != nil {
		return err
	}
	return josejson.Unmarshal(data, v)
}
