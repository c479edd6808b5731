//go:build !unix

package proxy

import "os"

// forwarded are the signals for the command. A console gives its own to all
// programs that run in it.
var forwarded = []os.Signal{os.Interrupt}

func fromTerminal(os.Signal) bool { return true }
