package credential

// Trust is a stored credential, reduced to what matching needs.
type Trust struct{ ID, Issuer, Subject, Audience string }

// Assertion is what a token claims.
type Assertion struct {
	Issuer, Subject string
	Audiences       []string
}

// Miss says why no trust fits; Hit, the zero value, that one does.
type Miss string

const (
	Hit             Miss = ""
	NoCredential    Miss = "no_credential"
	IssuerMiss      Miss = "issuer"
	SubjectMiss     Miss = "subject"
	SubjectCaseMiss Miss = "subject_case"
	AudienceMiss    Miss = "audience"
)

// Match finds the trust that fits a.
func Match(trusts []Trust, a Assertion, manyAudiences bool) (index int, miss Miss) {
	return -1, NoCredential
}
