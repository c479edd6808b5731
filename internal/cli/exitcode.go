package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/doctor"
	"github.com/entente-id/entente/internal/login"
)

// The exit codes, which scripts may rely on.
const (
	exitOK       = 0
	exitError    = 1 // what is none of the following
	exitUsage    = 2 // a command, a flag or an argument that does not exist or cannot be
	exitNotFound = 3 // the object is not there
	exitRefused  = 4 // the caller is not known, or may not do this

	exitDiffers = 2 // of plan and apply with --detailed-exitcode, where wrong usage is 1

	exitUndetermined = 10 // of the doctor; its classes of causes have those after it

	exitCannotRun = 126 // of run, as shells have it
	exitNoCommand = 127
	exitBySignal  = 128 // and the signal's number
)

const exitHelp = `0 done, 1 failed, 2 wrong usage, 3 not found, 4 not allowed`

// exitRow is a row of the table of exit codes.
type exitRow struct {
	code    string
	of      string // the commands that end so
	meaning string
}

// exitTable is every exit code of every command.
func exitTable() []exitRow {
	row := func(code int, of, meaning string) exitRow { return exitRow{fmt.Sprint(code), of, meaning} }
	const all = "all"
	rows := []exitRow{
		row(exitOK, all, "done; doctor: healthy; issuer check: a verifier takes it"),
		row(exitError, all, "failed, for a reason that has no code of its own"),
		row(exitUsage, all, "wrong usage: a command, flag or argument that cannot be, or no --yes"),
		row(exitNotFound, all, "not found: the object, cluster or context that was named"),
		row(exitRefused, all, "not allowed: the caller is not known, or lacks a right"),
		exitRow{fmt.Sprintf("%d, %d", exitBySignal+int(syscall.SIGINT), exitBySignal+int(syscall.SIGTERM)), all, "interrupted by SIGINT, by SIGTERM; what serves or watches ends with 0"},
		row(exitDiffers, "plan, apply", "with --detailed-exitcode: something differs (1 is then every error)"),
		row(exitUndetermined, "doctor", "nothing wrong was found, and not everything could be told"),
	}
	for _, c := range faults {
		of := "doctor"
		if slices.Contains([]doctor.Class{doctor.Network, doctor.TLS, doctor.IssuerDocument, doctor.Keys}, c.cause.Class()) {
			of = "doctor, issuer check"
		}
		rows = append(rows, row(c.cause.ExitCode(), of, string(c.cause.Class())+": "+c.meaning))
	}
	return append(rows,
		exitRow{"0 to 255", "run", "that of the command which was run"},
		row(exitCannotRun, "run", "the command cannot be run"),
		row(exitNoCommand, "run", "there is no such command"),
		exitRow{fmt.Sprintf("%d + N", exitBySignal), "run", "the signal with the number N ended the command"},
		exitRow{fmt.Sprintf("%d, %d", exitOK, exitError), "azwi's: serviceaccount, jwks", "done, and every error, as azwi has it"},
	)
}

// faults are the classes of what the doctor finds, each by one of its causes.
var faults = []struct {
	cause   doctor.Cause
	meaning string
}{
	{doctor.LabelMissing, "the pod was not given what an SDK looks for"},
	{doctor.AccountMissing, "the service account or its annotations"},
	{doctor.TokenMalformed, "the service account's token"},
	{doctor.ClocksDiffer, "clocks that differ"},
	{doctor.DiscoveryUnreachable, "the way to the issuer's documents"},
	{doctor.TLSUntrusted, "the issuer's certificate"},
	{doctor.DocumentDiffers, "the issuer, and what its discovery document says"},
	{doctor.KeyUnpublished, "the issuer's keys"},
	{doctor.ClientNotFound, "the application or managed identity, and its tenant"},
	{doctor.NoCredential, "the client has no credential that comes near"},
	{doctor.IssuerSlashMissing, "the issuer in a credential"},
	{doctor.SubjectCase, "the subject in a credential"},
	{doctor.AudienceOther, "the audience in a credential, or in the token"},
	{doctor.ResourceNotFound, "what the access token is asked for"},
	{doctor.AuthorityUnreachable, "the way to the token endpoint"},
	{doctor.AsksIMDS, "the program's own library"},
}

// exitCode is what the program ends with.
func exitCode(err error) int {
	if e, ok := errors.AsType[*exited](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[azwiFailed](err); ok {
		return exitError
	}
	if _, ok := errors.AsType[wrongUsage](err); ok {
		return exitUsage
	}
	if errors.Is(err, client.ErrNotFound) {
		return exitNotFound
	}
	if _, ok := errors.AsType[refused](err); ok || errors.Is(err, login.ErrNobody) {
		return exitRefused
	}
	if e, ok := errors.AsType[*client.Error](err); ok && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) {
		return exitRefused
	}
	if e, ok := errors.AsType[*client.TokenError](err); ok && e.Status < 500 && e.Status != http.StatusTooManyRequests {
		return exitRefused
	}
	return exitError
}

// newExitCodes is the page of "entente help exit-codes".
func newExitCodes() *cobra.Command {
	var b strings.Builder
	b.WriteString(`The exit codes of every command. They do not change.

`)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CODE\tOF\tMEANING")
	for _, r := range exitTable() {
		fmt.Fprintf(t, "%s\t%s\t%s\n", r.code, cmp.Or(r.of, "-"), r.meaning)
	}
	t.Flush() // to a builder, which does not fail
	b.WriteString(`
Terraform's convention for drift, 2, is that of wrong usage in other programs and
here. With --detailed-exitcode it means drift alone.`)
	return &cobra.Command{
		Use:     "exit-codes",
		Short:   "The exit codes of every command",
		Long:    b.String(),
		Example: "  entente help exit-codes\n  entente exit-codes",
	}
}
