package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/entente-id/entente/deploy/internal/helm"
	"github.com/entente-id/entente/deploy/internal/image"
	"github.com/entente-id/entente/deploy/internal/tree"
)

// trial is one installation.
type trial struct {
	Namespace, ServiceAccount string    // of the workload
	Load                      []string  // command; empty: kind's
	Set                       []string  // more values of the chart: KEY=VALUE
	Log                       io.Writer // what is being done
}

const (
	system = "entente-system"
	server = "entente-0"
)

func (t trial) run(ctx context.Context) error {
	root, err := tree.Root(ctx)
	if err != nil {
		return err
	}
	issuer, algorithms, err := clusterIssuer(ctx)
	if err != nil {
		return err
	}
	tag, err := t.images(ctx, root)
	if err != nil {
		return err
	}
	if err := t.install(ctx, root, tag, "server.clusterIssuer.url="+issuer, "server.clusterIssuer.algorithms={"+strings.Join(algorithms, ",")+"}"); err != nil {
		return err
	}
	return t.identity(ctx, issuer)
}

// images builds the images and gives them to the nodes, under a tag of their
// own, so that what runs already is replaced.
func (t trial) images(ctx context.Context, root string) (tag string, err error) {
	platforms, err := platforms(ctx)
	if err != nil {
		return "", err
	}
	load := t.Load
	if len(load) == 0 {
		if load, err = kindLoad(ctx); err != nil {
			return "", err
		}
	}
	t.say("building images for %s", platforms)
	list, err := image.ParsePlatforms(platforms)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "entente-try-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	b := &image.Builder{Source: root, Repository: tree.Repository, Tag: "try-" + time.Now().UTC().Format("20060102150405")}
	written, err := b.WriteAll(ctx, dir, list)
	if err != nil {
		return "", err
	}
	for _, w := range written {
		if len(list) > 1 && strings.Contains(filepath.Base(w.File), "-linux-") {
			continue // it is in the archive of all platforms
		}
		t.say("loading %s", w.Reference)
		if _, err := command(ctx, load[0], append(slices.Clone(load[1:]), w.File)...); err != nil {
			return "", err
		}
	}
	return b.Tag, nil
}

// install installs the chart, or upgrades it, and waits until all of it is ready.
func (t trial) install(ctx context.Context, root, tag string, set ...string) error {
	t.say("installing the chart into %s", system)
	h, err := helm.Open(ctx, root)
	if err != nil {
		return err
	}
	args := []string{"upgrade", "--install", "entente", filepath.Join(root, tree.ChartDirectory), "--namespace", system, "--create-namespace",
		"--values", filepath.Join(root, "deploy", "try", "values.yaml"), "--wait", "--timeout", "5m"}
	for _, name := range []string{"image", "server.image", "agent.image", "webhook.proxy.image"} {
		args = append(args, "--set", name+".release="+tag)
	}
	for _, s := range append(set, t.Set...) {
		args = append(args, "--set", s)
	}
	_, err = h.Run(ctx, args...)
	return err
}

// identity makes an application for the service account, and the service account.
func (t trial) identity(ctx context.Context, issuer string) error {
	t.say("giving %s/%s an identity", t.Namespace, t.ServiceAccount)
	if _, err := kubectl(ctx, "get", "namespace", t.Namespace); err != nil {
		if _, err := kubectl(ctx, "create", "namespace", t.Namespace); err != nil {
			return err
		}
	}
	_, err := kubectl(ctx, "exec", "--namespace", system, server, "--", "/entente", "serviceaccount", "create", "--skip-phases", "role-assignment",
		"--aad-application-name", t.ServiceAccount, "--service-account-issuer-url", issuer,
		"--service-account-namespace", t.Namespace, "--service-account-name", t.ServiceAccount)
	if err == nil {
		t.say("done: pods of %s/%s with the label azure.workload.identity/use: \"true\" get its tokens", t.Namespace, t.ServiceAccount)
	}
	return err
}

func (t trial) say(format string, args ...any) {
	fmt.Fprintf(t.Log, format+"\n", args...)
}

// platforms are those of the cluster's nodes.
func platforms(ctx context.Context) (string, error) {
	out, err := kubectl(ctx, "get", "nodes", "--output", `jsonpath={range .items[*]}{.status.nodeInfo.operatingSystem}/{.status.nodeInfo.architecture}{"\n"}{end}`)
	if err != nil {
		return "", err
	}
	platforms := strings.Fields(string(out))
	slices.Sort(platforms)
	if platforms = slices.Compact(platforms); len(platforms) == 0 {
		return "", errors.New("the cluster has no nodes")
	}
	return strings.Join(platforms, ","), nil
}

// kindLoad is kind's command for the cluster of the current context.
func kindLoad(ctx context.Context) ([]string, error) {
	out, err := kubectl(ctx, "config", "current-context")
	if err != nil {
		return nil, err
	}
	name, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "kind-")
	if !ok {
		return nil, fmt.Errorf("context %q is not one of kind's: say by --load how its nodes get images, for instance --load \"sudo ctr -n k8s.io images import\" on the node", strings.TrimSpace(string(out)))
	}
	return []string{"kind", "load", "image-archive", "--name", name}, nil
}

// clusterIssuer is what the cluster says of its tokens.
func clusterIssuer(ctx context.Context) (issuer string, algorithms []string, err error) {
	out, err := kubectl(ctx, "get", "--raw", "/.well-known/openid-configuration")
	if err != nil {
		return "", nil, err
	}
	var document struct {
		Issuer     string   `json:"issuer"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := json.Unmarshal(out, &document); err != nil || document.Issuer == "" {
		return "", nil, fmt.Errorf("the cluster's discovery document says no issuer: %s (%w)", out, err)
	}
	return document.Issuer, document.Algorithms, nil
}

func kubectl(ctx context.Context, args ...string) ([]byte, error) {
	return command(ctx, "kubectl", args...)
}

func command(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(complaints.Bytes()))
	}
	return out, nil
}
