package signin

import (
	"testing"

	"github.com/entente-id/entente/internal/testkit"
)

func benchRecord() Record {
	return Record{
		TenantID: tenantA, ClientID: tenantB, PrincipalID: tenantB, ClientName: "payments-api", ClientKind: "managedIdentity", CredentialID: tenantB,
		Issuer: "https://oidc.cluster.example/", Subject: "system:serviceaccount:payments:api", Audience: "api://AzureADTokenExchange",
		Resource: "https://management.azure.com/", Method: "assertion", Address: "192.0.2.1", RequestID: tenantA, TokenID: "AAAAAAAAAAAAAAAAAAAAAA",
	}
}

// BenchmarkRecord is what an exchange pays.
func BenchmarkRecord(b *testing.B) {
	r, rec := New(Config{Buffer: 1 << 20}), benchRecord()
	b.ReportAllocs()
	for b.Loop() {
		r.Record(rec)
		if len(r.pending) == 4096 {
			r.pending, r.count = r.pending[:0], 0
		}
	}
}

// BenchmarkFlush writes a second's worth of a busy server in one transaction.
func BenchmarkFlush(b *testing.B) {
	r, rec := New(Config{DB: testkit.SQLite(b)}), benchRecord()
	for b.Loop() {
		for range 500 {
			r.Record(rec)
		}
		if err := r.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/record")
}
