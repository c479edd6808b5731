//go:build !unix

package cli

import "os"

// forwarded are the signals for the command. A console gives its own to all
// programs that run in it, and others cannot be sent on.
var forwarded = []os.Signal{os.Interrupt}

func fromTerminal(os.Signal) bool { return true }
