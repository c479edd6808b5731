package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// groupPrefix and a process id begin the names of the cgroup and of the place of
// that process's node, so that nodes do not share them and what a killed process
// left behind can be found.
const groupPrefix = "entente-node-"

// hierarchies are the directories that a cgroup has a directory in.
func hierarchies() ([]string, error) {
	const root = "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		return []string{root}, nil // version 2
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("find the cgroups: %w", err)
	}
	var found []string
	for _, e := range entries {
		if e.IsDir() { // the links are other names of them
			found = append(found, filepath.Join(root, e.Name()))
		}
	}
	return found, nil
}

func makeGroups(name string) error {
	list, err := hierarchies()
	for _, h := range list {
		err = errors.Join(err, os.Mkdir(filepath.Join(h, name), 0o755))
	}
	return err
}

// removeGroups removes the cgroups of this process's node and of those whose
// process has ended. They are empty; the kernel may need a moment to agree. What
// stays is an error.
func removeGroups() (err error) {
	list, err := hierarchies()
	for _, h := range list {
		entries, _ := os.ReadDir(h)
		for _, e := range entries {
			text, ours := strings.CutPrefix(e.Name(), groupPrefix)
			pid, malformed := strconv.Atoi(text)
			if !ours || malformed != nil || pid != os.Getpid() && syscall.Kill(pid, 0) == nil {
				continue
			}
			var directories []string
			filepath.WalkDir(filepath.Join(h, e.Name()), func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					directories = append(directories, path)
				}
				return nil
			})
			for _, directory := range slices.Backward(directories) { // children first
				var stays error
				for range 100 {
					if stays = os.Remove(directory); !errors.Is(stays, syscall.EBUSY) {
						break
					}
					time.Sleep(20 * time.Millisecond)
				}
				if stays != nil && !errors.Is(stays, fs.ErrNotExist) {
					err = errors.Join(err, stays)
				}
			}
		}
	}
	return err
}
