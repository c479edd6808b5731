// Command entente-webhook is the admission webhook of a cluster.
package main

import (
	"os"

	"github.com/entente-id/entente/internal/webhook"
)

func main() { os.Exit(webhook.Main(os.Args[1:], os.Stdout, os.Stderr)) }
