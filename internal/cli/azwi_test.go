package cli

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/azwi"
)

// called runs a command line under a name of the program.
func called(t *testing.T, program string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	old := os.Args[0]
	os.Args[0] = program
	defer func() { os.Args[0] = old }()
	return run(t, args...)
}

// alone leaves a test with nothing that says where to work.
func alone(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	t.Setenv("HOME", home)
	for _, name := range []string{"AZURE_CONFIG_DIR", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "ENTENTE_URL", "ENTENTE_CONFIG", "ENTENTE_CONTEXT", "ENTENTE_CLOUD", "ENTENTE_DATA_DIR", "KUBECONFIG", "XDG_DATA_HOME", "XDG_CONFIG_HOME"} {
		t.Setenv(name, "")
	}
	return home
}

// azwi's flags with their defaults, by command, as azwi 1.6 --help lists them.
var azwiFlags = map[string]map[string]string{
	"serviceaccount create": {
		"aad-application-client-id": "", "aad-application-name": "", "aad-application-object-id": "", "azure-role": "", "azure-scope": "",
		"service-account-issuer-url": "", "service-account-name": "", "service-account-namespace": "default", "service-account-token-expiration": "1h0m0s",
		"service-principal-name": "", "service-principal-object-id": "", "skip-phases": "[]",
	},
	"serviceaccount create phase aad-application": {"aad-application-name": "", "service-principal-name": ""},
	"serviceaccount create phase service-account": {
		"service-account-namespace": "default", "service-account-name": "", "service-account-token-expiration": "1h0m0s", "aad-application-name": "", "aad-application-client-id": "",
	},
	"serviceaccount create phase federated-identity": {
		"service-account-namespace": "default", "service-account-name": "", "service-account-issuer-url": "", "aad-application-name": "", "aad-application-object-id": "",
	},
	"serviceaccount create phase role-assignment": {"azure-scope": "", "azure-role": "", "service-principal-name": "", "service-principal-object-id": ""},
	"serviceaccount delete": {
		"aad-application-name": "", "aad-application-object-id": "", "role-assignment-id": "", "service-account-issuer-url": "", "service-account-name": "",
		"service-account-namespace": "default", "skip-phases": "[]",
	},
	"serviceaccount delete phase role-assignment": {"role-assignment-id": ""},
	"serviceaccount delete phase federated-identity": {
		"service-account-namespace": "default", "service-account-name": "", "service-account-issuer-url": "", "aad-application-name": "", "aad-application-object-id": "",
	},
	"serviceaccount delete phase service-account": {"service-account-namespace": "default", "service-account-name": ""},
	"serviceaccount delete phase aad-application": {"aad-application-name": "", "aad-application-object-id": ""},
	"jwks":    {"public-keys": "[]", "output-file": ""},
	"version": {},
}

// azwiAuthFlags are those of every serviceaccount command.
var azwiAuthFlags = map[string]string{
	"azure-env": "AzurePublicCloud", "subscription-id": "", "auth-method": "cli", "client-id": "", "client-secret": "", "certificate-path": "", "private-key-path": "", "debug": "false",
}

// Every command of azwi is there, under its aliases too, with every flag and
// default; and a flag of azwi's that it does not have there, it does not have here.
func TestAzwiTree(t *testing.T) {
	aliases := strings.NewReplacer("serviceaccount", "sa", "aad-application", "app", "service-account", "sa", "federated-identity", "fi", "role-assignment", "ra")
	every := map[string]bool{}
	for _, flags := range azwiFlags {
		for name := range flags {
			every[name] = true
		}
	}
	for _, program := range []string{"/usr/local/bin/azwi", `azwi.exe`, "entente"} {
		for path, want := range azwiFlags {
			if path == "version" && program == "entente" {
				continue // has its own
			}
			for _, line := range []string{path, aliases.Replace(path)} {
				cmd, rest, err := rootFor(program).Find(strings.Fields(line))
				if err != nil || len(rest) > 0 || !strings.HasSuffix(cmd.CommandPath(), path) {
					t.Fatalf("%s %s: %s, %q, %v", program, line, cmd.CommandPath(), rest, err)
				}
				all := map[string]string{}
				for name, value := range want {
					all[name] = value
				}
				if strings.HasPrefix(path, "serviceaccount") {
					for name, value := range azwiAuthFlags {
						all[name] = value
					}
				}
				cmd.InheritedFlags() // merges them
				for name, value := range all {
					if f := cmd.Flags().Lookup(name); f == nil || f.DefValue != value {
						t.Errorf("%s %s: flag %s is %+v, want %q", program, line, name, f, value)
					}
				}
				cmd.Flags().VisitAll(func(f *pflag.Flag) {
					if _, ok := want[f.Name]; every[f.Name] && !ok {
						t.Errorf("%s %s: has the flag %s", program, line, f.Name)
					}
				})
				if f := cmd.Flags().Lookup("subscription-id"); f != nil && f.Shorthand != "s" {
					t.Errorf("%s: -%s", line, f.Shorthand)
				}
			}
		}
	}
	// The twins stand wherever the application's do.
	for path := range azwiFlags {
		cmd, _, err := newRoot().Find(strings.Fields(path))
		if err != nil {
			t.Fatal(err)
		}
		has := func(name string) bool { return cmd.Flags().Lookup(name) != nil }
		for ours, theirs := range map[string]string{"managed-identity-name": "aad-application-name", "resource-group": "aad-application-name", "managed-identity-client-id": "aad-application-client-id"} {
			if has(theirs) && !has(ours) {
				t.Errorf("%s has %s and not %s", path, theirs, ours)
			}
		}
	}
}

// Whatever fails ends with 1, says what, and has done nothing.
func TestAzwiMistakes(t *testing.T) {
	alone(t)
	const id = "11111111-0000-4000-8000-000000000001"
	account := "--service-account-name cat --service-account-issuer-url https://x.example/ "
	for line, want := range map[string]string{
		"nope":                        `unknown command "nope" for "azwi"`,
		"sa craete":                   "did you mean azwi serviceaccount create?",
		"sa create phas":              "did you mean azwi serviceaccount create phase?",
		"sa create phase application": `unknown command "application" for "azwi serviceaccount create phase"`,
		"sa create phase app more":    `unknown command "more"`,
		"sa create --nope":            "unknown flag: --nope",
		"sa create --service-account-token-expiration x": "invalid argument",
		"sa create":                                   "failed to run pre-run for phase aad-application: --aad-application-name is required",
		"sa create " + account:                        "failed to run pre-run for phase role-assignment: --azure-scope is required",
		"sa create --skip-phases x,y":                 "failed to compute skip phases: phase 'x' not found. Valid phases are: [aad-application service-account federated-identity role-assignment]",
		"sa delete --skip-phases x":                   "phase 'x' not found. Valid phases are: [role-assignment federated-identity service-account aad-application]",
		"sa delete " + account:                        "failed to run pre-run for phase role-assignment: --role-assignment-id is required",
		"sa create phase fi --service-account-name x": "--service-account-issuer-url is required",
		"sa create phase app --aad-application-name a --managed-identity-name b":                                         "give one of the two",
		"sa create phase fi " + account:                                                                                  "--subscription-id is required (and must be a valid UUID)",
		"sa create phase fi -s x " + account:                                                                             "--subscription-id is required (and must be a valid UUID)",
		"sa create phase fi " + account + "--auth-method=":                                                               "--auth-method is a required parameter",
		"sa create phase fi " + account + "--auth-method=x":                                                              `--auth-method: ERROR: method unsupported. method="x"`,
		"sa create phase fi " + account + "--auth-method=client_secret":                                                  "parsing --client-id: invalid UUID length: 0",
		"sa create phase fi " + account + "--client-id x --client-secret y":                                              "parsing --client-id: invalid UUID length: 1",
		"sa create phase fi " + account + "--auth-method=client_secret --client-id " + id:                                `--client-secret must be specified when --auth-method="client_secret"`,
		"sa create phase fi " + account + "--auth-method=client_certificate --client-id " + id + " --certificate-path c": `--certificate-path and --private-key-path must be specified when --auth-method="client_certificate"`,
		"sa create phase fi " + account + "--azure-env Moon":                                                             "failed to parse --azure-env as a valid target Azure cloud environment",
		"sa create phase fi " + account + "--azure-env AzureStackCloud":                                                  "AZURE_ENVIRONMENT_FILEPATH",
		"sa create phase fi " + account + "--azure-env AzureChinaCloud --url https://x":                                  "--azure-env says that Azure is meant, and --url another service",
		"sa create phase fi " + account + "--url https://localhost:1 --ca no":                                            "read the CA of the service",
		"sa create phase sa --service-account-name cat --aad-application-client-id c":                                    "no cluster is known",
		"jwks":                              `required flag(s) "public-keys" not set`,
		"jwks --public-keys no":             "open no: no such file",
		"jwks --public-keys= ":              "no public keys provided",
		"jwks --public-keys a b":            `unknown command "b"`,
		"podidentity detect --output-dir x": "podidentity is left out",
		"version x":                         `unknown command "x"`,
	} {
		args := strings.Fields(line)
		code, out, errs := called(t, "azwi", args...)
		if code != exitError || out != "" || !strings.Contains(errs, want) {
			t.Errorf("azwi %s: %d\n%s%s\nwant %q", line, code, out, errs, want)
		}
		if args[0] == "nope" || args[0] == "version" {
			continue
		}
		code, out, errs = run(t, args...)
		if code != exitError || out != "" || !strings.Contains(errs, strings.ReplaceAll(want, "azwi ", "entente ")) {
			t.Errorf("entente %s: %d\n%s%s\nwant %q", line, code, out, errs, want)
		}
	}
}

func TestAzwiRoot(t *testing.T) {
	for line, want := range map[string]string{
		"":                            "azwi [command]",
		"sa":                          "azwi serviceaccount create",
		"serviceaccount create phase": "federated-identity",
		"sa create --help":            "--skip-phases",
		"version":                     "Version: " + version() + " (entente)\nGitCommit: ",
		"--debug version":             "Version: ",
	} {
		if code, out, errs := called(t, "azwi", strings.Fields(line)...); code != 0 || !strings.Contains(out, want) || strings.Contains(out, "entente serviceaccount") {
			t.Errorf("azwi %s: %d\n%s%s", line, code, out, errs)
		}
	}
	if code, _, errs := called(t, "azwi", "cluster", "list"); code != exitError || !strings.Contains(errs, "unknown command") {
		t.Errorf("azwi cluster list: %d, %s", code, errs)
	}
	// --debug may stand anywhere, but only for azwi's commands.
	for line, want := range map[string]string{"--debug sa create": "aad-application-name is required", "sa --debug create": "aad-application-name is required", "--debug cluster list": "unknown flag: --debug"} {
		if code, _, errs := run(t, strings.Fields(line)...); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("entente %s: %d\n%s", line, code, errs)
		}
	}
}

// The lines are those of the examples in azwi's manual.
func TestAzwiLog(t *testing.T) {
	var out bytes.Buffer
	log := newAzwiLog(&out, false)
	log.Info("skipping phase", "phase", "role-assignment")
	log.Info("[aad-application] created service principal", "objectID", "4e3c51e5", "name", "default-azwi-sa-1g7d=", "clientID", "936ed007")
	log.Info("[service-account] created Kubernetes service account", "namespace", "default", "name", "azwi-sa", "empty", "")
	log.Debug("unseen")
	log.Warn("plain")
	log.Error("bad", "error", errors.New("a b"))
	newAzwiLog(&out, true).Debug("seen")
	want := `INFO[0000] skipping phase                                phase=role-assignment
INFO[0000] [aad-application] created service principal   clientID=936ed007 name="default-azwi-sa-1g7d=" objectID=4e3c51e5
INFO[0000] [service-account] created Kubernetes service account  name=azwi-sa namespace=default
WARN[0000] plain
ERRO[0000] bad                                           error="a b"
DEBU[0000] seen
`
	if diff := cmp.Diff(want, regexp.MustCompile(`\[\d{4}\]`).ReplaceAllString(out.String(), "[0000]")); diff != "" {
		t.Error(diff)
	}
}

// The subscription that is not given is the one that az has chosen, for the cloud
// that it has chosen.
func TestAzSubscription(t *testing.T) {
	const one, two = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"
	for name, c := range map[string]struct {
		config, clouds string
		want           string
	}{
		"the default cloud": {"[core]\noutput = table\n", "[AzureCloud]\nsubscription = " + one + "\n", one},
		"another":           {"[cloud]\nname = AzureUSGovernment\n", "[AzureCloud]\nsubscription = " + one + "\n\n[AzureUSGovernment]\nendpoint = x\nsubscription = " + strings.ToUpper(two) + "\n", two},
		"an empty name":     {"[cloud]\nname =\n", "; a comment\n# another\nnothing\n[AzureCloud]\nSubscription: " + one, one},
		"none of the cloud": {"[cloud]\nname = AzureChinaCloud\n", "[AzureCloud]\nsubscription = " + one + "\n", ""},
		"not an id":         {"", "[AzureCloud]\nsubscription = mine\n", ""},
		"nobody's":          {"", "[AzureCloud]\nsubscription = 00000000-0000-0000-0000-000000000000\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, env := range []string{"HOME", "AZURE_CONFIG_DIR"} {
				home := t.TempDir()
				dir := home
				if env == "HOME" {
					dir = filepath.Join(home, ".azure")
				}
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				getenv := func(name string) string { return map[string]string{env: home}[name] }
				if _, err := azSubscription(getenv); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("without files: %v", err)
				}
				write(t, filepath.Join(dir, "clouds.config"), []byte(c.clouds))
				if _, err := azSubscription(getenv); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("without config: %v", err)
				}
				write(t, filepath.Join(dir, "config"), []byte(c.config))
				if got, err := azSubscription(getenv); got != c.want || (err == nil) != (c.want != "") {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
}

func TestAzureEnvironment(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "stack.json")
	env := map[string]string{"AZURE_ENVIRONMENT_FILEPATH": file}
	getenv := func(name string) string { return env[name] }
	for name, want := range map[string]client.Endpoints{
		"AzurePublicCloud": client.Public(), "AZURECLOUD": client.Public(), "azureusgovernmentcloud": client.USGovernment(), "AzureUSGovernment": client.USGovernment(), "AzureChinaCloud": client.China(),
	} {
		if got, err := azureEnvironment(name, getenv); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	stack := client.Endpoints{Authority: "https://login.stack", Graph: "https://graph.stack", ResourceManager: "https://arm.stack", GraphAudience: "https://graph.stack", ResourceManagerAudience: "https://management.stack/"}
	for text, want := range map[string]error{
		`{"activeDirectoryEndpoint":"https://login.stack/","resourceManagerEndpoint":"https://arm.stack/","serviceManagementEndpoint":"https://management.stack/","microsoftGraphEndpoint":"https://graph.stack/"}`: nil,
		`{"activeDirectoryEndpoint":"https://login.stack/","resourceManagerEndpoint":"https://arm.stack/"}`:                                                                                                         errors.New("has no microsoftGraphEndpoint"),
		`[]`: errors.New("cannot unmarshal"),
	} {
		write(t, file, []byte(text))
		got, err := azureEnvironment("azurestackcloud", getenv)
		if want == nil && (err != nil || got != stack) || want != nil && (err == nil || !strings.Contains(err.Error(), want.Error())) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	env["AZURE_ENVIRONMENT_FILEPATH"] = filepath.Join(dir, "no")
	if _, err := azureEnvironment("AzureStackCloud", getenv); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// Where azwi's verbs work, and as whom.
func TestAzwiTarget(t *testing.T) {
	p := newPlace(t)
	const subscription = "33333333-0000-4000-8000-000000000033"
	const robot = "44444444-0000-4000-8000-000000000044"
	for _, tt := range []struct {
		name, flags string
		env         map[string]string
		az          bool // az has chosen the subscription
		data        bool // the default data directory is the place's
		endpoints   client.Endpoints
		caller      string // of the session; "az": whoever is logged in there
		logs        string
	}{
		{name: "nothing is there", flags: "-s " + subscription, endpoints: client.Public(), caller: "az"},
		{name: "az has a subscription", az: true, endpoints: client.Public(), caller: "az", logs: "No subscription provided, using selected subscription from Azure CLI"},
		{name: "not an id", flags: "-s mine", az: true, endpoints: client.Public(), caller: "az", logs: "--subscription-id is no UUID"},
		{name: "a cloud", flags: "--azure-env AzureChinaCloud -s " + subscription, endpoints: client.China(), caller: "az"},
		{name: "a cloud, in the environment", flags: "-s " + subscription, env: map[string]string{"ENTENTE_AZURE_ENV": "AzureChinaCloud"}, endpoints: client.China(), caller: "az"},
		{name: "a cloud before the service of the environment", flags: "--azure-env AzurePublicCloud -s " + subscription, env: map[string]string{"ENTENTE_URL": p.URL, "ENTENTE_CA": p.ca}, endpoints: client.Public(), caller: "az"},
		{name: "a cloud as a context", flags: "--cloud usgov -s " + subscription, endpoints: client.USGovernment(), caller: "az"},
		{name: "a secret", flags: "-s " + subscription + " --client-id " + robot + " --client-secret x", endpoints: client.Public(), caller: robot},
		{name: "a service's directory", flags: "--data-dir " + p.dir, endpoints: client.Entente(p.URL), caller: clientID, logs: "using the service " + p.URL},
		{name: "the default directory", data: true, endpoints: client.Entente(p.URL), caller: clientID},
		{name: "Azure before the default directory", flags: "--azure-env AzurePublicCloud -s " + subscription, data: true, endpoints: client.Public(), caller: "az"},
		{name: "the environment", env: map[string]string{"ENTENTE_URL": p.URL, "ENTENTE_CA": p.ca, "AZURE_TENANT_ID": "adfs", "AZURE_CLIENT_ID": "robot", "AZURE_CLIENT_SECRET": "s"}, endpoints: client.Entente(p.URL), caller: "robot"},
		{name: "a URL, and a secret", flags: "--url " + p.URL + " --ca " + p.ca + " --client-id " + robot, env: map[string]string{"ENTENTE_CLIENT_SECRET": "s"}, endpoints: client.Entente(p.URL), caller: robot},
		{name: "a URL, and az", flags: "--url " + p.URL + " --ca " + p.ca + " --auth-method cli", endpoints: client.Entente(p.URL), caller: "az"},
		{name: "a URL, and another method in the environment", flags: "--url " + p.URL + " --ca " + p.ca, env: map[string]string{"ENTENTE_AUTH_METHOD": "cli"}, endpoints: client.Entente(p.URL), caller: "az"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := alone(t)
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			if tt.az {
				dir := filepath.Join(home, ".azure")
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(dir, "clouds.config"), []byte("[AzureCloud]\nsubscription = "+subscription+"\n"))
				write(t, filepath.Join(dir, "config"), nil)
			}
			flags := tt.flags + " --tenant " + homeTenant // so that Azure is not asked
			if tt.data {
				dir := filepath.Join(home, ".local", "share")
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(p.dir, filepath.Join(dir, "entente")); err != nil {
					t.Fatal(err)
				}
			}
			var a azwiAuth
			cmd := &cobra.Command{}
			a.flags(cmd.Flags())
			cmd.SetContext(t.Context())
			if err := cmd.ParseFlags(strings.Fields(flags)); err != nil {
				t.Fatal(err)
			}
			if err := fromEnvironment(cmd.Flags(), os.LookupEnv); err != nil {
				t.Fatal(err)
			}
			var logs bytes.Buffer
			if err := a.check(cmd); err != nil {
				t.Fatal(err)
			}
			target, err := a.open(cmd, slog.New(slog.NewTextHandler(&logs, nil)))
			if err != nil {
				t.Fatal(err)
			}
			_, endpoints, err := target.credentialFor()
			if err != nil || endpoints != tt.endpoints || target.tenantID != homeTenant || !strings.Contains(logs.String(), tt.logs) {
				t.Errorf("%+v, tenant %s, %v\n%s", endpoints, target.tenantID, err, logs.String())
			}
			caller := target.login.ClientID
			if target.login.Method == "" {
				caller = target.session.caller.clientID
			} else if target.login.Method == "az" {
				caller = "az"
			}
			if caller != tt.caller {
				t.Errorf("called by %q, want %q", caller, tt.caller)
			}
			id, err := target.subscription(t.Context())
			if want := map[bool]string{true: subscription, false: "sub"}[target.azure]; target.azure && (err != nil || id != want) {
				t.Errorf("subscription %q, %v", id, err)
			}
		})
	}
}

// What is done is said, and how to go on: what was given, quoted, without secrets.
func TestResume(t *testing.T) {
	inner := errors.New("x")
	cmd, _, err := newRoot().Find([]string{"sa", "create"})
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.ParseFlags([]string{"--client-secret=open sesame", "--service-account-name", "cat's", "-s", "1", "--skip-phases=ra", "--debug"}); err != nil {
		t.Fatal(err)
	}
	if err := fromEnvironment(cmd.Flags(), func(name string) (string, bool) { return "pets", name == "ENTENTE_SERVICE_ACCOUNT_NAMESPACE" }); err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"": &azwi.IncompleteError{Phase: azwi.ApplicationPhase, Err: inner},
		"aad-application, service-account: done; repeat the command to go on, which leaves what is done as it is, or run: " +
			`ENTENTE_CLIENT_SECRET=… entente serviceaccount create --debug --service-account-name 'cat'\''s' --subscription-id 1 --skip-phases ra,aad-application,service-account`: &azwi.IncompleteError{Phase: azwi.CredentialPhase, Done: azwi.Create.Phases()[:2], Err: inner},
	} {
		got := ""
		if h, ok := errors.AsType[*hinted](resume(cmd, []string{"ra"}, err)); ok {
			got = h.hint
		}
		if got != want || !errors.Is(resume(cmd, nil, err), inner) {
			t.Errorf("%v: %q", err, got)
		}
	}
	if resume(cmd, nil, nil) != nil || resume(cmd, nil, inner) != inner {
		t.Error("it is about phases that failed")
	}
}

// skip-phases takes names and aliases, and says what it skips.
func TestSkipPhases(t *testing.T) {
	var out bytes.Buffer
	r := &azwi.Run{Verb: azwi.Delete, Log: newAzwiLog(&out, false)}
	if err := (&workload{skip: []string{"role-assignment", "fi"}}).skipped(r); err != nil || !slices.Equal(r.Phases, []azwi.Phase{azwi.ServiceAccountPhase, azwi.ApplicationPhase}) {
		t.Errorf("%q, %v", r.Phases, err)
	}
	if got := strings.Count(out.String(), "skipping phase"); got != 2 || !strings.Contains(out.String(), "phase=federated-identity") {
		t.Error(out.String())
	}
	if err := (&workload{skip: []string{"app", "sa", "fi", "ra"}}).skipped(r); err != nil || len(r.Phases) != 0 || r.Phases == nil {
		t.Errorf("all: %#v, %v", r.Phases, err)
	}
}
