// Command entente-proxy is the managed-identity endpoint of a pod.
package main

import (
	"os"

	"github.com/entente-id/entente/internal/proxy"
)

func main() { os.Exit(proxy.Main(os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)) }
