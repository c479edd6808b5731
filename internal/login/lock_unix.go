//go:build unix && !aix && !illumos && !solaris

package login

import (
	"context"
	"errors"
	"os"
	"syscall"
)

const havePermissions = true

// lock holds a file of its own, which stays: it would not do to lock the file that
// is replaced. The lock ends with the process at the latest.
func lock(ctx context.Context, name string) (unlock func(), _ error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = retry(ctx, func() (bool, error) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
