package proxy

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The exit codes that shells give to commands that do not start.
const (
	exitCannotRun = 126
	exitNoCommand = 127
	exitBySignal  = 128 // and the signal's number
)

// streams are a command's.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// runCommand serves on a free port with a new secret for as long as the command
// runs, and returns its exit code.
func runCommand(c Config, o Options, args, environ []string, s streams) (int, error) {
	// Signals are for the command, from the first moment.
	signals := make(chan os.Signal, 16)
	for _, one := range forwarded {
		if !signal.Ignored(one) {
			signal.Notify(signals, one)
		}
	}
	defer signal.Stop(signals)

	c.Secret = rand.Text()
	listeners, err := Listen(0)
	if err != nil {
		return 1, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	p := New(c, o)
	go func() { served <- p.Serve(ctx, listeners) }()
	defer func() { cancel(); <-served }()

	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = commandEnviron(environ, portOf(listeners[0]), c)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	cmd.WaitDelay = 2 * time.Second // of those who keep the output open; files are the command's own
	err = cmd.Start()
	switch {
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
		return exitNoCommand, err
	case err != nil:
		return exitCannotRun, err
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case got := <-signals:
				if !fromTerminal(got) {
					cmd.Process.Signal(got)
				}
			case <-done:
				return
			}
		}
	}()
	err = cmd.Wait()
	e, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return 0, nil
	case !ok:
		return 1, err
	}
	if status, ok := e.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitBySignal + int(status.Signal()), nil
	}
	return e.ExitCode(), nil
}

// commandEnviron says where the endpoint is, in the words of App Service of today
// and in those of its first version, which az up to 2.6x and msrestazure read if
// they take themselves to be on App Service. The token file is taken out, because
// SDKs that find it go to the authority themselves, and first ask a Microsoft host
// about it.
func commandEnviron(environ []string, port int, c Config) []string {
	endpoint := fmt.Sprintf("http://127.0.0.1:%d%s", port, sitePath)
	set := map[string]string{
		"IDENTITY_ENDPOINT":            endpoint,
		"IDENTITY_HEADER":              c.Secret,
		"MSI_ENDPOINT":                 endpoint,
		"MSI_SECRET":                   c.Secret,
		"APPSETTING_WEBSITE_SITE_NAME": "entente-proxy",
	}
	if c.ClientID != "" {
		set["AZURE_CLIENT_ID"] = c.ClientID
	}
	maps.Copy(set, unproxied(environ))
	var result []string
	for _, one := range environ {
		name, _, _ := strings.Cut(one, "=")
		switch name {
		case "AZURE_FEDERATED_TOKEN_FILE", "ENTENTE_IDENTITIES", "IMDS_ENDPOINT", "IDENTITY_SERVER_THUMBPRINT":
			continue // the last two would make another protocol of it
		}
		if _, ours := set[name]; !ours {
			result = append(result, one)
		}
	}
	for name, value := range set {
		result = append(result, name+"="+value)
	}
	return result
}

// unproxied keeps requests to the endpoint from going to an HTTP proxy: Python's
// clients and curl send them there, the secret with them, if 127.0.0.1 is not among
// the exceptions. Go's never do.
func unproxied(environ []string) map[string]string {
	has := map[string]string{}
	for _, one := range environ {
		name, value, _ := strings.Cut(one, "=")
		has[name] = value
	}
	if cmp.Or(has["http_proxy"], has["HTTP_PROXY"], has["all_proxy"], has["ALL_PROXY"]) == "" {
		return nil
	}
	// Where there are both, the lower case counts.
	except := cmp.Or(has["no_proxy"], has["NO_PROXY"])
	list := strings.FieldsFunc(except, func(r rune) bool { return r == ',' || r == ' ' })
	switch {
	case slices.Contains(list, "*") || slices.Contains(list, "127.0.0.1"):
	case except == "":
		except = "127.0.0.1"
	default:
		except += ",127.0.0.1"
	}
	return map[string]string{"no_proxy": except, "NO_PROXY": except}
}
