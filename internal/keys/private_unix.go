//go:build unix

package keys

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// isPrivate implements the rule that ReadPrivateFile documents.
func isPrivate(info fs.FileInfo) bool {
	mode := info.Mode().Perm()
	if mode&0o037 != 0 { // others: anything; group: write or execute
		return false
	}
	if mode&0o040 == 0 {
		return true
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) != os.Geteuid()
}

// syncDir makes a new name in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
