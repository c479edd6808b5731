//go:build !unix || aix || illumos || solaris

package login

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

const havePermissions = false // the directory is the user's own

// lock makes a file that must not be there. One that a crash left behind has to be
// deleted by hand, and the error names it.
func lock(ctx context.Context, name string) (unlock func(), _ error) {
	var f *os.File
	err := retry(ctx, func() (_ bool, err error) {
		f, err = os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrPermission) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return nil, fmt.Errorf("%w; if there is none, delete %s", err, name)
	}
	return func() { f.Close(); os.Remove(name) }, nil
}
