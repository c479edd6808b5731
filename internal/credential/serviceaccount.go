package credential

// ServiceAccountSubject is the subject of every token of a Kubernetes service account.
func ServiceAccountSubject(namespace, name string) string {
	return "system:serviceaccount:" + namespace + ":" + name
}

// ParseServiceAccountSubject is the inverse of ServiceAccountSubject.
func ParseServiceAccountSubject(subject string) (namespace, name string, ok bool) {
	return "", "", false
}

// AzwiName is the name that azwi gives to the credential of a service account.
func AzwiName(namespace, name, issuer string) string { return "" }
