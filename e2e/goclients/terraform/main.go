// Terraform does what Terraform's Azure providers do before and while they
// apply a plan, with the same layer below them (hashicorp/go-azure-sdk) and
// the same environment: read the cloud's description from the metadata host,
// sign in with the OIDC token in a file, and write on Azure Resource Manager
// and on Microsoft Graph.
//
// The providers themselves take longer to build than all other tests to run.
// This is a module of its own so that their layer is no part of the product's.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-azure-sdk/sdk/auth"
	"github.com/hashicorp/go-azure-sdk/sdk/claims"
	"github.com/hashicorp/go-azure-sdk/sdk/client"
	"github.com/hashicorp/go-azure-sdk/sdk/client/msgraph"
	"github.com/hashicorp/go-azure-sdk/sdk/client/resourcemanager"
	"github.com/hashicorp/go-azure-sdk/sdk/environments"
	"github.com/hashicorp/go-azure-sdk/sdk/odata"
)

// plan is what to make: a federated credential below each parent.
type plan struct {
	identity    string // resource id of a managed identity
	application string // client id of an application
	issuer      string
	subject     string
	audience    string
}

// result is what was seen on the way, for the test to judge.
type result struct {
	Cloud       string `json:"cloud"`       // the environment's name
	Login       string `json:"login"`       // its login endpoint
	TenantID    string `json:"tenantID"`    // of the token for Graph, as the providers read them
	ClientID    string `json:"clientID"`    //
	ObjectID    string `json:"objectID"`    //
	Identity    string `json:"identity"`    // subject of the identity's credential, read back
	Application string `json:"application"` // subject of the application's credential, read back
}

func main() {
	log.SetOutput(io.Discard) // Terraform shows this layer's lines at debug level only
	var p plan
	flag.StringVar(&p.identity, "identity", "", "resource id of the managed identity to extend")
	flag.StringVar(&p.application, "application", "", "client id of the application to extend")
	flag.StringVar(&p.issuer, "issuer", "", "issuer to trust")
	flag.StringVar(&p.subject, "subject", "", "subject to trust")
	flag.StringVar(&p.audience, "audience", "", "audience to trust")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := apply(ctx, p)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func apply(ctx context.Context, p plan) (r result, err error) {
	env, err := environments.FromEndpoint(ctx, "https://"+os.Getenv("ARM_METADATA_HOSTNAME"))
	if err != nil {
		return r, err
	}
	r.Cloud, r.Login = env.Name, env.Authorization.LoginEndpoint
	token, err := os.ReadFile(os.Getenv("ARM_OIDC_TOKEN_FILE_PATH"))
	if err != nil {
		return r, err
	}
	credentials := auth.Credentials{
		Environment:                   *env,
		TenantID:                      os.Getenv("ARM_TENANT_ID"),
		ClientID:                      os.Getenv("ARM_CLIENT_ID"),
		EnableAuthenticationUsingOIDC: os.Getenv("ARM_USE_OIDC") == "true",
		OIDCAssertionToken:            strings.TrimSpace(string(token)),
	}

	toGraph, err := auth.NewAuthorizerFromCredentials(ctx, credentials, env.MicrosoftGraph)
	if err != nil {
		return r, err
	}
	access, err := toGraph.Token(ctx, &http.Request{})
	if err != nil {
		return r, fmt.Errorf("sign in for Microsoft Graph: %w", err)
	}
	who, err := claims.ParseClaims(access)
	if err != nil {
		return r, err
	}
	r.TenantID, r.ClientID, r.ObjectID = who.TenantId, who.AppId, who.ObjectId
	graph, err := msgraph.NewClient(env.MicrosoftGraph, "Applications", msgraph.VersionOnePointZero)
	if err != nil {
		return r, err
	}
	graph.Authorizer = toGraph
	if r.Application, err = extendApplication(ctx, graph, p); err != nil {
		return r, fmt.Errorf("on Microsoft Graph: %w", err)
	}

	toARM, err := auth.NewAuthorizerFromCredentials(ctx, credentials, env.ResourceManager)
	if err != nil {
		return r, err
	}
	arm, err := resourcemanager.NewClient(env.ResourceManager, "ManagedIdentity", "2024-11-30")
	if err != nil {
		return r, err
	}
	arm.Authorizer = toARM
	if r.Identity, err = extendIdentity(ctx, arm, p); err != nil {
		return r, fmt.Errorf("on Azure Resource Manager: %w", err)
	}
	return r, nil
}

type credential struct {
	Name      string   `json:"name,omitempty"`
	Issuer    string   `json:"issuer"`
	Subject   string   `json:"subject"`
	Audiences []string `json:"audiences"`
}

// extendApplication finds the application by its client id, as the providers'
// data source does, adds a credential and reads it back from the list.
func extendApplication(ctx context.Context, graph *msgraph.Client, p plan) (subject string, err error) {
	var applications struct {
		Value []struct{ ID string }
	}
	filter := query{Filter: fmt.Sprintf("appId eq '%s'", p.application)}
	if err := call(ctx, graph, client.RequestOptions{HttpMethod: http.MethodGet, Path: "/applications", OptionsObject: filter, ExpectedStatusCodes: []int{http.StatusOK}}, nil, &applications); err != nil {
		return "", err
	}
	if len(applications.Value) != 1 {
		return "", fmt.Errorf("%d applications with the client id %q", len(applications.Value), p.application)
	}
	path := "/applications/" + applications.Value[0].ID + "/federatedIdentityCredentials"
	made := credential{Name: "terraform", Issuer: p.issuer, Subject: p.subject, Audiences: []string{p.audience}}
	if err := call(ctx, graph, client.RequestOptions{HttpMethod: http.MethodPost, Path: path, ExpectedStatusCodes: []int{http.StatusCreated}}, made, nil); err != nil {
		return "", err
	}
	var credentials struct{ Value []credential }
	if err := call(ctx, graph, client.RequestOptions{HttpMethod: http.MethodGet, Path: path, ExpectedStatusCodes: []int{http.StatusOK}}, nil, &credentials); err != nil {
		return "", err
	}
	for _, c := range credentials.Value {
		if c.Name == made.Name {
			subject = c.Subject
		}
	}
	return subject, nil
}

// extendIdentity puts a credential below a managed identity and reads it back.
func extendIdentity(ctx context.Context, arm *resourcemanager.Client, p plan) (subject string, err error) {
	type resource struct {
		Properties credential `json:"properties"`
	}
	path := p.identity + "/federatedIdentityCredentials/terraform"
	made := resource{credential{Issuer: p.issuer, Subject: p.subject, Audiences: []string{p.audience}}}
	if err := call(ctx, arm, client.RequestOptions{HttpMethod: http.MethodPut, Path: path, ExpectedStatusCodes: []int{http.StatusOK, http.StatusCreated}}, made, nil); err != nil {
		return "", err
	}
	var read resource
	err = call(ctx, arm, client.RequestOptions{HttpMethod: http.MethodGet, Path: path, ExpectedStatusCodes: []int{http.StatusOK}}, nil, &read)
	return read.Properties.Subject, err
}

// call makes one request. A body or an answer that is nil is none.
func call(ctx context.Context, c client.BaseClient, options client.RequestOptions, body, answer any) error {
	options.ContentType = "application/json; charset=utf-8"
	request, err := c.NewRequest(ctx, options)
	if err != nil {
		return err
	}
	if body != nil {
		if err := request.Marshal(body); err != nil {
			return err
		}
	}
	response, err := request.Execute(ctx)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if answer == nil {
		return nil
	}
	return response.Unmarshal(answer)
}

// query selects what a list holds.
type query struct{ Filter string }

func (q query) ToHeaders() *client.Headers   { return nil }
func (q query) ToOData() *odata.Query        { return &odata.Query{Filter: q.Filter} }
func (q query) ToQuery() *client.QueryParams { return nil }
