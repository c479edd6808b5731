package issuer

import "github.com/entente-id/entente/internal/strictjson"

// object is one JSON object with the readers that tokens and keys need.
type object struct{ strictjson.Object }

// parseObject reads one object by the strict rule, at every level.
func parseObject(data []byte) (object, error) {
	o, err := strictjson.ParseObject(data)
	return object{o}, err
}
