package keys

import (
	"fmt"
	"io"
	"os"
)

// ReadPrivateFile reads a file that holds a secret, of at most limit bytes.
//
// A file that others can read is refused. Its group may read it only if it
// belongs to another user, as a mounted Kubernetes secret does (PostgreSQL has
// the same rule for its TLS key: https://www.postgresql.org/docs/current/ssl-tcp.html).
// All errors name the file.
func ReadPrivateFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a file", path)
	}
	if !isPrivate(info) {
		return nil, fmt.Errorf("%q can be read by others (mode %04o): its mode must be 0600 or stricter", path, info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%q has more than %d bytes", path, limit)
	}
	return data, nil
}
