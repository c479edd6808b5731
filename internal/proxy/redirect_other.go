//go:build !linux

package proxy

import "errors"

// Apply is for Linux only.
func (r Redirect) Apply() error {
	return errors.New("requests to 169.254.169.254 can be redirected on Linux only")
}
