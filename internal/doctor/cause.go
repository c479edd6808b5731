package doctor

// Class is a kind of cause, and has an exit code of its own.
type Class string

// The classes, in the order of the checks that find them.
const (
	Injection          Class = "injection"           // the pod was not given what an SDK looks for
	ServiceAccount     Class = "service_account"     // the service account or its annotations
	Token              Class = "token"               // the service-account token itself
	Clock              Class = "clock"               // clocks that differ
	Network            Class = "network"             // the way to the issuer's documents
	TLS                Class = "tls"                 // the certificate of the issuer
	IssuerDocument     Class = "issuer"              // the issuer, and what its discovery document says
	Keys               Class = "keys"                // the keys that the issuer publishes
	Client             Class = "client"              // the application or managed identity, and its tenant
	Credential         Class = "credential"          // the client has no credential that comes near
	CredentialIssuer   Class = "credential_issuer"   // the issuer in a credential
	CredentialSubject  Class = "credential_subject"  // the subject in a credential
	CredentialAudience Class = "credential_audience" // the audience in a credential, or in the token
	Resource           Class = "resource"            // what the access token is asked for
	Authority          Class = "authority"           // the way to the token endpoint
	SDK                Class = "sdk"                 // the program's own library
)

// The exit codes of a report. Those of classes begin at 11; below 10 are the
// codes that every verb of the command line has.
const (
	exitHealthy      = 0
	exitUndetermined = 10
)

var exitCodes = map[Class]int{
	Injection: 11, ServiceAccount: 12, Token: 13, Clock: 14, Network: 15, TLS: 16, IssuerDocument: 17, Keys: 18, Client: 19,
	Credential: 20, CredentialIssuer: 21, CredentialSubject: 22, CredentialAudience: 23, Resource: 24, Authority: 25, SDK: 26,
}

// Cause is one thing that is wrong. The set is closed: scripts may rely on it.
type Cause string

// The causes.
const (
	LabelMissing         Cause = "label_missing"              // nothing asks for injection
	LabelValue           Cause = "label_value"                // the label is there and is not "true"
	LabelNotOnTemplate   Cause = "label_not_on_template"      // it is on the workload and not on its pod template
	LabelOnAccount       Cause = "label_on_service_account"   // it is on the service account
	LabelNewerThanPod    Cause = "label_newer_than_pod"       // it is on the template, and the pod is older
	WebhookAbsent        Cause = "webhook_absent"             // the cluster has no webhook that would inject
	WebhookExcludes      Cause = "webhook_excludes_namespace" // it does not look at the pod's namespace
	NotInjected          Cause = "not_injected"               // it did not act on this pod, or on this process
	ContainerSkipped     Cause = "container_skipped"          // an annotation of the pod exempts the container
	TokenFileNotMounted  Cause = "token_file_not_mounted"     // the variable names a file that no volume brings
	AccountMissing       Cause = "service_account_missing"    // the pod's service account is not there
	ClientIDMissing      Cause = "client_id_missing"          // no annotation and no variable names a client
	ClientIDMalformed    Cause = "client_id_malformed"        // it is no GUID
	ClientIDOutdated     Cause = "client_id_outdated"         // the pod has another one than its service account
	TenantMalformed      Cause = "tenant_malformed"           // the annotation is neither a GUID nor a domain
	TokenMissing         Cause = "token_missing"              // there is no token in the file
	TokenMalformed       Cause = "token_malformed"            // it is no JWT of the one form that is read
	TokenOfAuthority     Cause = "token_of_authority"         // it is an access token, not an assertion
	TokenOfOtherCluster  Cause = "token_of_another_cluster"   // or of the same one before its issuer changed
	TokenExpired         Cause = "token_expired"              //
	ClockOfCluster       Cause = "clock_of_cluster"           // it is more than five minutes off
	ClockOfAuthority     Cause = "clock_of_authority"         // likewise
	ClocksDiffer         Cause = "clocks_differ"              // which of them is wrong cannot be told
	DiscoveryDNS         Cause = "discovery_dns"              // the issuer's name is not known
	DiscoveryRefused     Cause = "discovery_refused"          // nothing listens there
	DiscoveryTimeout     Cause = "discovery_timeout"          // nothing answers in time
	DiscoveryProxy       Cause = "discovery_proxy"            // the proxy in between does not let it through
	DiscoveryStatus      Cause = "discovery_status"           // an answer that is no document
	DiscoveryRedirect    Cause = "discovery_redirect"         // verifiers do not follow
	DiscoveryUnreachable Cause = "discovery_unreachable"      // by any other fault of the network
	AddressRefused       Cause = "issuer_address_refused"     // private, and the service does not ask such addresses
	TLSUntrusted         Cause = "tls_untrusted"              // by a CA that is not trusted
	TLSName              Cause = "tls_name"                   // the certificate is for other names
	TLSExpired           Cause = "tls_expired"                // or not valid yet
	TLSOther             Cause = "tls_handshake"              //
	IssuerNotEnabled     Cause = "issuer_not_enabled"         // the cluster has no issuer that others could ask
	IssuerMalformed      Cause = "issuer_malformed"           // it is no URL that may be an issuer's
	DocumentDiffers      Cause = "issuer_document_differs"    // discovery names another issuer
	DocumentInvalid      Cause = "issuer_document_invalid"    // discovery cannot be read
	AlgorithmNotAllowed  Cause = "algorithm_not_allowed"      // the token is signed with another than the issuer may use
	KeyUnpublished       Cause = "key_unpublished"            // kid is not among the issuer's keys
	KeysOutdated         Cause = "keys_outdated"              // the service has old keys of the issuer
	KeyUnsuitable        Cause = "key_unsuitable"             // the key is there and cannot be used
	KeySetInvalid        Cause = "key_set_invalid"            // the key set cannot be read, or has no key
	KeyPrivate           Cause = "private_key_published"      //
	SignatureWrong       Cause = "signature_wrong"            // the key did not sign this token
	TenantNotFound       Cause = "tenant_not_found"           //
	ClientNotFound       Cause = "client_not_found"           // no application or managed identity of this client id
	ClientDeleted        Cause = "client_deleted"             // there was one
	ClientDisabled       Cause = "client_disabled"            //
	ClientIsObjectID     Cause = "client_id_is_object_id"     // the id of the object stands where the client id should
	PrincipalMissing     Cause = "service_principal_missing"  // the application has none in the tenant
	NoCredential         Cause = "no_credential"              // the client has no federated credential at all
	NoneMatches          Cause = "no_credential_near"         // it has some, for other workloads
	CredentialElsewhere  Cause = "credential_elsewhere"       // another client has the one that matches
	NotEffective         Cause = "credential_not_effective"   // it matches, and the authority does not know it yet
	IssuerSlashMissing   Cause = "issuer_slash_missing"       // the credential lacks the slash at the issuer's end
	IssuerSlashExtra     Cause = "issuer_slash_extra"         // it has one too many
	IssuerCase           Cause = "issuer_case"                //
	IssuerLookAlike      Cause = "issuer_look_alike"          // a character that only looks right
	IssuerOther          Cause = "issuer_of_another_cluster"  // the subject fits; for instance the issuer from before a rebuild
	SubjectCase          Cause = "subject_case"               //
	SubjectLookAlike     Cause = "subject_look_alike"         //
	SubjectNamespace     Cause = "subject_namespace"          // the credential is for another namespace
	SubjectAccount       Cause = "subject_service_account"    // or for another service account
	SubjectWildcard      Cause = "subject_wildcard"           // "*" is no wildcard
	SubjectOther         Cause = "subject_differs"            //
	AudienceIsResource   Cause = "credential_audience_is_resource"
	AudienceOfToken      Cause = "token_audience" // the token is for somebody else
	AudienceOther        Cause = "audience_differs"
	SeveralAudiences     Cause = "several_audiences"
	ResourceNotFound     Cause = "resource_not_found"
	ResourceRefused      Cause = "resource_refused"
	ScopeInvalid         Cause = "scope_invalid"
	AuthorityUnreachable Cause = "authority_unreachable"
	AuthorityUntrusted   Cause = "authority_untrusted"
	AuthorityBusy        Cause = "authority_busy"
	ExchangeRefused      Cause = "exchange_refused" // by a code that nothing here explains
	AsksIMDS             Cause = "sdk_asks_imds"    // the program looks for a managed identity of the machine
	InstanceDiscovery    Cause = "sdk_instance_discovery"
	SDKOther             Cause = "sdk_settings"
)

var classes = map[Cause]Class{
	LabelMissing: Injection, LabelValue: Injection, LabelNotOnTemplate: Injection, LabelOnAccount: Injection, LabelNewerThanPod: Injection,
	WebhookAbsent: Injection, WebhookExcludes: Injection, NotInjected: Injection, ContainerSkipped: Injection, TokenFileNotMounted: Injection,
	AccountMissing: ServiceAccount, ClientIDMissing: ServiceAccount, ClientIDMalformed: ServiceAccount, ClientIDOutdated: ServiceAccount, TenantMalformed: ServiceAccount,
	TokenMissing: Token, TokenMalformed: Token, TokenOfAuthority: Token, TokenOfOtherCluster: Token, TokenExpired: Token,
	ClockOfCluster: Clock, ClockOfAuthority: Clock, ClocksDiffer: Clock,
	DiscoveryDNS: Network, DiscoveryRefused: Network, DiscoveryTimeout: Network, DiscoveryProxy: Network, DiscoveryStatus: Network,
	DiscoveryRedirect: Network, DiscoveryUnreachable: Network, AddressRefused: Network,
	TLSUntrusted: TLS, TLSName: TLS, TLSExpired: TLS, TLSOther: TLS,
	IssuerNotEnabled: IssuerDocument, IssuerMalformed: IssuerDocument, DocumentDiffers: IssuerDocument, DocumentInvalid: IssuerDocument, AlgorithmNotAllowed: IssuerDocument,
	KeyUnpublished: Keys, KeysOutdated: Keys, KeyUnsuitable: Keys, KeySetInvalid: Keys, KeyPrivate: Keys, SignatureWrong: Keys,
	TenantNotFound: Client, ClientNotFound: Client, ClientDeleted: Client, ClientDisabled: Client, ClientIsObjectID: Client, PrincipalMissing: Client,
	NoCredential: Credential, NoneMatches: Credential, CredentialElsewhere: Credential, NotEffective: Credential,
	IssuerSlashMissing: CredentialIssuer, IssuerSlashExtra: CredentialIssuer, IssuerCase: CredentialIssuer, IssuerLookAlike: CredentialIssuer, IssuerOther: CredentialIssuer,
	SubjectCase: CredentialSubject, SubjectLookAlike: CredentialSubject, SubjectNamespace: CredentialSubject, SubjectAccount: CredentialSubject,
	SubjectWildcard: CredentialSubject, SubjectOther: CredentialSubject,
	AudienceIsResource: CredentialAudience, AudienceOfToken: CredentialAudience, AudienceOther: CredentialAudience, SeveralAudiences: CredentialAudience,
	ResourceNotFound: Resource, ResourceRefused: Resource, ScopeInvalid: Resource,
	AuthorityUnreachable: Authority, AuthorityUntrusted: Authority, AuthorityBusy: Authority, ExchangeRefused: Authority,
	AsksIMDS: SDK, InstanceDiscovery: SDK, SDKOther: SDK,
}

// Class is the class of the cause.
func (c Cause) Class() Class { return classes[c] }

// ExitCode is that of the cause's class.
func (c Cause) ExitCode() int { return exitCodes[classes[c]] }
