package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// writeFile writes a whole file or none: a reader never sees half of it, and
// once it returns the file survives a power cut.
func writeFile(path string, data []byte, mode os.FileMode) error {
	return beside(path, data, mode, func(written string) error { return os.Rename(written, path) })
}

// placeFile is writeFile for a file that is written once: of processes that
// race, one makes it.
func placeFile(path string, data []byte, mode os.FileMode) (made bool, err error) {
	err = beside(path, data, mode, func(written string) error {
		err := os.Link(written, path) // which, unlike a rename, replaces nothing
		if made = err == nil; errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	})
	return made, err
}

// beside writes a file next to path and hands its name to put.
func beside(path string, data []byte, mode os.FileMode, put func(written string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = put(f.Name())
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil { // not every system can write a directory out
		dir.Sync()
		dir.Close()
	}
	return nil
}
