package signin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/entente-id/entente/internal/db"

	"github.com/entente-id/entente/internal/testkit"
)

func TestRecordIsKept(t *testing.T) {
	onEngines(t, func(t *testing.T, d *db.DB) {
		r := recorder(Config{DB: d})
		want := Record{
			At: noon.Add(-time.Minute), TenantID: tenantA, ClientID: "client", PrincipalID: "principal", ClientName: "name", ClientKind: "kind",
			CredentialID: "credential", Issuer: "https://issuer", Subject: "subject", Audience: "audience", Resource: "resource",
			Method: "assertion", Reason: "reason", Address: "192.0.2.1", RequestID: "request", TokenID: "token", Code: 700213,
		}
		for _, s := range want.texts() {
			if *s == "" {
				t.Fatal("the test leaves a field empty")
			}
		}
		r.Record(want)
		r.Record(Record{TenantID: tenantA}) // now
		r.Record(Record{RequestID: "of no tenant"})
		r.Record(Record{TenantID: tenantB})
		flush(t, r)
		got, next, err := r.List(t.Context(), Query{TenantID: tenantA})
		if err != nil || next != "" {
			t.Fatalf("next page %q, error %v", next, err)
		}
		if diff := cmp.Diff([]Record{{At: noon, TenantID: tenantA}, want}, got, cmpopts.IgnoreFields(Record{}, "ID")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got[0].ID == got[1].ID || got[0].ID == "" {
			t.Errorf("ids %q and %q", got[0].ID, got[1].ID)
		}
		var rows int
		if err := d.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM sign_ins`).Scan(&rows); err != nil || rows != 3 {
			t.Errorf("%d rows (%v), want 3", rows, err)
		}
	})
}

func TestMend(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"plain", "system:serviceaccount:ns:sa", "system:serviceaccount:ns:sa"},
		{"other alphabets", "Jürgen 東京 🚀", "Jürgen 東京 🚀"},
		{"NUL and escape", "a\x00b\x1b[31m", "a\ufffdb\ufffd[31m"},
		{"line end", "a\r\nb", "a\ufffd\ufffdb"},
		{"C1 control", "a\u0085b", "a\ufffdb"},
		{"not UTF-8", "a\xffb\xc3", "a\ufffdb\ufffd"},
		{"just fits", strings.Repeat("x", maxText), strings.Repeat("x", maxText)},
		{"too long", strings.Repeat("x", maxText+1), strings.Repeat("x", maxText) + "…"},
		{"cut in a character", strings.Repeat("x", maxText-1) + "é", strings.Repeat("x", maxText-1) + "…"},
		{"cut in a long character", "x" + strings.Repeat("🚀", maxText/4), "x" + strings.Repeat("🚀", maxText/4-1) + "…"},
		{"grows when mended", strings.Repeat("\xff", maxText), strings.Repeat("\ufffd", maxText/3) + "…"},
		{"nothing but continuation bytes", strings.Repeat("\x80", 10*maxText), strings.Repeat("\ufffd", maxText/3) + "…"},
	} {
		if got := mend(tt.in); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzMend(f *testing.F) {
	for _, s := range []string{"", "a\x00", strings.Repeat("é", maxText), strings.Repeat("\xf0\x9f", maxText)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := mend(s)
		if !utf8.ValidString(got) || strings.ContainsRune(got, 0) || len(got) > maxText+len(ellipsis) {
			t.Errorf("%q became %q", s, got)
		}
		if again := mend(got); len(got) <= maxText && again != got {
			t.Errorf("%q became %q and then %q", s, got, again)
		}
	})
}

func TestRecordDoesNotHoldTheRequest(t *testing.T) {
	body := strings.Repeat("client_id=x&", 1000)
	rec := Record{TenantID: body[:9], ClientID: body[12:21], Reason: strings.Repeat("y", 2*maxText)}
	rec.own()
	start := uintptr(unsafe.Pointer(unsafe.StringData(body)))
	for _, s := range rec.texts() {
		if p := uintptr(unsafe.Pointer(unsafe.StringData(*s))); *s != "" && p >= start && p < start+uintptr(len(body)) {
			t.Errorf("%q is a part of the body", *s)
		}
	}
	if rec.TenantID != "client_id" || rec.ClientID != "client_id" || !strings.HasSuffix(rec.Reason, "y…") {
		t.Errorf("got %+v", rec)
	}
}

func TestHostileTextIsWritten(t *testing.T) {
	onEngines(t, func(t *testing.T, d *db.DB) {
		r := recorder(Config{DB: d})
		hostile := []string{"\x00", "\xff\xfe", "'; DROP TABLE sign_ins; --", "$1", strings.Repeat("\x00", 5000), "%_\\"}
		for i, s := range hostile {
			r.Record(Record{TenantID: tenantA, RequestID: fmt.Sprint(i), ClientID: s, Subject: s, Reason: s})
		}
		flush(t, r)
		if diff := cmp.Diff(numbered(0, len(hostile)), list(t, r, Query{})); diff != "" {
			t.Error(diff)
		}
		for i, s := range hostile {
			if ids := list(t, r, Query{ClientID: s}); !slices.Contains(ids, fmt.Sprint(i)) {
				t.Errorf("client %q: got %q", s, ids)
			}
		}
	})
}

func TestRecordDropsWhenFull(t *testing.T) {
	var dropped atomic.Int64
	r := recorder(Config{DB: testkit.SQLite(t), Buffer: 3, Dropped: func(n int) { dropped.Add(int64(n)) }})
	for i := range 5 {
		r.Record(Record{TenantID: tenantA, RequestID: fmt.Sprint(i)})
	}
	if n := dropped.Load(); n != 2 {
		t.Errorf("%d records were dropped, want 2", n)
	}
	flush(t, r)
	r.Record(Record{TenantID: tenantA, RequestID: "5"})
	flush(t, r)
	if diff := cmp.Diff([]string{"5", "2", "1", "0"}, list(t, r, Query{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := dropped.Load(); n != 2 {
		t.Errorf("%d records were dropped in all, want 2", n)
	}
}

func TestBatchesOfEverySize(t *testing.T) {
	onEngines(t, func(t *testing.T, d *db.DB) {
		r := recorder(Config{DB: d})
		total := 0
		for _, n := range []int{1, 2, severalRecords - 1, severalRecords, severalRecords + 1, 2*severalRecords + 1, perWrite, perWrite + 1} {
			for range n {
				r.Record(Record{TenantID: tenantA, RequestID: fmt.Sprint(total)})
				total++
			}
			flush(t, r)
		}
		if diff := cmp.Diff(numbered(0, total), list(t, r, Query{Limit: MaxLimit})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestDatabaseFailsAndComesBack(t *testing.T) {
	onEngines(t, func(t *testing.T, d *db.DB) {
		var dropped atomic.Int64
		r := recorder(Config{DB: d, Buffer: 10, Dropped: func(n int) { dropped.Add(int64(n)) }})
		exec(t, d, `ALTER TABLE sign_ins RENAME TO gone`)
		for i := range 20 {
			r.Record(Record{TenantID: tenantA, RequestID: fmt.Sprint(i)})
			if err := r.Flush(t.Context()); err == nil {
				t.Fatal("wrote into a table that is not there")
			}
		}
		if n := dropped.Load(); n != 10 {
			t.Errorf("%d records were dropped, want the 10 that did not fit", n)
		}
		exec(t, d, `ALTER TABLE gone RENAME TO sign_ins`)
		flush(t, r)
		if diff := cmp.Diff(numbered(0, 10), list(t, r, Query{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestBatchIsGivenUp(t *testing.T) {
	var dropped atomic.Int64
	d := testkit.SQLite(t)
	r := recorder(Config{DB: d, Dropped: func(n int) { dropped.Add(int64(n)) }})
	exec(t, d, `ALTER TABLE sign_ins RENAME TO gone`)
	r.Record(Record{TenantID: tenantA})
	for range tries {
		r.Flush(t.Context())
	}
	if n := dropped.Load(); n != 1 {
		t.Errorf("after %d attempts %d records were dropped, want 1", tries, n)
	}
	if r.count != 0 {
		t.Errorf("%d records are waiting, want 0", r.count)
	}
	flush(t, r)
}

func TestAnswerOfAWriteIsLost(t *testing.T) {
	onEngines(t, func(t *testing.T, d *db.DB) {
		r := recorder(Config{DB: d})
		records := []Record{{ID: "a", At: noon, TenantID: tenantA, RequestID: "0"}, {ID: "b", At: noon, TenantID: tenantA, RequestID: "1"}}
		for _, batch := range [][]Record{records[:1], records} {
			if err := r.write(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(numbered(0, 2), list(t, r, Query{})); diff != "" {
			t.Error(diff)
		}
	})
}

func TestList(t *testing.T) {
	onEngines(t, func(t *testing.T, d *db.DB) {
		r := recorder(Config{DB: d})
		at := func(i int) time.Time { return noon.Add(time.Duration(i/4) * time.Second) } // four at each second
		for i := range 40 {
			rec := Record{At: at(i), TenantID: tenantA, RequestID: fmt.Sprint(i), ClientID: []string{"even", "odd"}[i%2]}
			if i%10 == 0 {
				rec.Code = 700211
			}
			r.Record(rec)
			rec.TenantID = tenantB
			r.Record(rec)
		}
		flush(t, r)
		step := func(from, to, by int) (ids []string) {
			for i := from; i >= to; i -= by {
				ids = append(ids, fmt.Sprint(i))
			}
			return ids
		}
		for _, tt := range []struct {
			name  string
			query Query
			want  []string
		}{
			{"all", Query{}, numbered(0, 40)},
			{"pages of one", Query{Limit: 1}, numbered(0, 40)},
			{"pages of three", Query{Limit: 3}, numbered(0, 40)},
			{"a page that fits", Query{Limit: 40}, numbered(0, 40)},
			{"more than there is", Query{Limit: 1 << 30}, numbered(0, 40)},
			{"negative limit", Query{Limit: -1}, numbered(0, 40)},
			{"a client", Query{ClientID: "odd", Limit: 7}, step(39, 1, 2)},
			{"failures", Query{OnlyFailures: true, Limit: 3}, step(30, 0, 10)},
			{"granted", Query{OnlyGranted: true, ClientID: "even", From: at(28)}, []string{"38", "36", "34", "32", "28"}},
			{"from", Query{From: at(36)}, numbered(36, 40)},
			{"to", Query{To: at(4)}, numbered(0, 4)},
			{"between", Query{From: at(8), To: at(16), Limit: 3}, numbered(8, 16)},
			{"all of it", Query{From: at(4), To: at(24), OnlyFailures: true, ClientID: "even", Limit: 1}, step(20, 10, 10)},
			{"a client that is not there", Query{ClientID: "EVEN"}, nil},
			{"a tenant that is not there", Query{TenantID: "x"}, nil},
		} {
			if diff := cmp.Diff(tt.want, list(t, r, tt.query)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
		}

		// Records that come in between are on no later page.
		page, next, err := r.List(t.Context(), Query{TenantID: tenantA, Limit: 6})
		if err != nil || len(page) != 6 {
			t.Fatalf("got %d records (%v)", len(page), err)
		}
		r.Record(Record{At: at(39), TenantID: tenantA, RequestID: "late"})
		r.Record(Record{At: at(39).Add(time.Hour), TenantID: tenantA, RequestID: "later"})
		flush(t, r)
		if diff := cmp.Diff(numbered(0, 34), list(t, r, Query{Limit: 6, After: next})); diff != "" {
			t.Errorf("after new records (-want +got):\n%s", diff)
		}
		if !strings.Contains(next, "_") || strings.ContainsAny(next, "%&?#/+ ") {
			t.Errorf("next page %q does not fit into a URL", next)
		}
	})
}

func TestListRefuses(t *testing.T) {
	r := recorder(Config{DB: testkit.SQLite(t)})
	if _, _, err := r.List(t.Context(), Query{}); err == nil {
		t.Error("listed the records of no tenant")
	}
	const id = "0195d2a0-0000-7000-8000-000000000000"
	for _, after := range []string{"x", "_", "1_", "_" + id, "1_x", "1_" + id + " ", "1_" + strings.ToUpper(id), "1_{" + id + "}", "99999999999999999999_" + id, "1.5_" + id, "1_" + id + "' OR 1=1", "\x00"} {
		if _, _, err := r.List(t.Context(), Query{TenantID: tenantA, After: after}); !errors.Is(err, ErrAfter) {
			t.Errorf("after %q: got %v, want ErrAfter", after, err)
		}
	}
	if _, _, err := r.List(t.Context(), Query{TenantID: tenantA, After: "-1_" + id}); err != nil {
		t.Error(err)
	}
}

func TestSweep(t *testing.T) {
	onEngines(t, func(t *testing.T, d *db.DB) {
		const kept = 20
		now := noon
		r := recorder(Config{DB: d, Keep: time.Hour, Most: kept, Clock: func() time.Time { return now }})
		for i := range 2*perSweep + 10 { // more than one DELETE takes
			r.Record(Record{At: noon.Add(-2 * time.Hour), TenantID: tenantA, RequestID: fmt.Sprint(-i)})
		}
		flush(t, r)
		r.Record(Record{At: noon.Add(-time.Hour - time.Millisecond), TenantID: tenantA})
		for i := range 15 {
			r.Record(Record{At: noon.Add(-time.Hour), TenantID: tenantA, RequestID: fmt.Sprint(i)})
			r.Record(Record{At: noon, TenantID: tenantB, RequestID: fmt.Sprint(2 * i)})
			r.Record(Record{At: noon, TenantID: tenantB, RequestID: fmt.Sprint(2*i + 1)})
		}
		flush(t, r)
		for range 2 { // the second time there is nothing to do
			if err := r.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(numbered(0, 15), list(t, r, Query{})); diff != "" {
				t.Errorf("too old (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(numbered(30-kept, 30), list(t, r, Query{TenantID: tenantB})); diff != "" {
				t.Errorf("too many (-want +got):\n%s", diff)
			}
		}
		now = noon.Add(time.Millisecond)
		if err := r.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ids := list(t, r, Query{}); ids != nil {
			t.Errorf("%q outlive their time", ids)
		}
	})
}

func TestLastUsed(t *testing.T) {
	onEngines(t, func(t *testing.T, d *db.DB) {
		r := recorder(Config{DB: d})
		for _, rec := range []Record{
			{CredentialID: "used", At: noon.Add(-time.Hour)},
			{CredentialID: "used", At: noon.Add(-time.Minute)},
			{CredentialID: "used", At: noon, Code: 700024},
			{CredentialID: "refused", At: noon, Code: 700024},
			{CredentialID: "", At: noon},
		} {
			rec.TenantID = tenantA
			r.Record(rec)
		}
		r.Record(Record{CredentialID: "elsewhere", TenantID: tenantB})
		flush(t, r)
		got, err := r.LastUsed(t.Context(), tenantA, []string{"used", "refused", "never", "elsewhere", "", "used"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]time.Time{"used": noon.Add(-time.Minute)}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestRunWritesEverythingBeforeItEnds(t *testing.T) {
	onEngines(t, func(t *testing.T, d *db.DB) {
		r := recorder(Config{DB: d, Every: time.Millisecond, Dropped: func(n int) { t.Errorf("%d records were dropped", n) }})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 250 {
					r.Record(Record{TenantID: tenantA})
				}
			})
		}
		wg.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if n := len(list(t, r, Query{Limit: MaxLimit})); n != 1000 {
			t.Errorf("%d records were written, want 1000", n)
		}
	})
}

func TestRunWakesWhenTheBufferFills(t *testing.T) {
	r := recorder(Config{DB: testkit.SQLite(t), Every: time.Hour, Buffer: 4})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	r.Record(Record{TenantID: tenantA})
	r.Record(Record{TenantID: tenantA})
	for len(list(t, r, Query{})) < 2 { // the test's own deadline ends this
		if t.Context().Err() != nil {
			t.Fatal("half a buffer was not written")
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRunSaysWhatItCouldNotWrite(t *testing.T) {
	d := testkit.SQLite(t)
	r := recorder(Config{DB: d})
	r.Record(Record{TenantID: tenantA})
	exec(t, d, `DROP TABLE sign_ins`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx); err == nil {
		t.Error("got no error for records that were lost")
	}
}

func TestSearchAndFilters(t *testing.T) {
	onEngines(t, func(t *testing.T, d *db.DB) {
		r := recorder(Config{DB: d})
		credential, client := "cccccccc-0000-4000-8000-000000000001", "dddddddd-0000-4000-8000-000000000001"
		for i, rec := range []Record{
			{ClientName: "Payments", Issuer: "https://one.example/", Subject: "repo:Shop/main"},
			{ClientName: "other", Issuer: "https://SHOP.example/", Subject: "x", Code: 700211},
			{ClientName: "shopping", ClientID: client, CredentialID: credential, TokenID: "Ab"},
			{ClientName: "quiet", CredentialID: credential, Code: 700027},
			{TenantID: tenantB, ClientName: "shop of another tenant", CredentialID: credential},
		} {
			if rec.TenantID == "" {
				rec.TenantID = tenantA
			}
			rec.RequestID, rec.At = fmt.Sprint(i), noon.Add(time.Duration(i)*time.Minute)
			r.Record(rec)
		}
		flush(t, r)
		for name, c := range map[string]struct {
			query Query
			want  string
		}{
			"search":               {Query{Search: "sHOP"}, "2 1 0"},
			"search of an issuer":  {Query{Search: "one.EXAMPLE"}, "0"},
			"search of failures":   {Query{Search: "shop", OnlyFailures: true}, "1"},
			"search of a client":   {Query{Search: strings.ToUpper(client)}, "2"},
			"search of a token":    {Query{Search: "Ab"}, "2"},
			"no pattern":           {Query{Search: "%"}, ""},
			"two fields":           {Query{Search: "paymentshttps"}, ""},
			"hostile":              {Query{Search: "\x00\xff'"}, ""},
			"credential":           {Query{CredentialID: credential}, "3 2"},
			"credential's refusal": {Query{CredentialID: credential, OnlyFailures: true}, "3"},
			"code":                 {Query{Code: 700211}, "1"},
			"no code":              {Query{Code: 1}, ""},
			"all":                  {Query{}, "3 2 1 0"},
		} {
			for _, limit := range []int{1, 10} {
				c.query.Limit = limit
				if got := strings.Join(list(t, r, c.query), " "); got != c.want {
					t.Errorf("%s in pages of %d: %q, want %q", name, limit, got, c.want)
				}
			}
		}
	})
}

func TestGet(t *testing.T) {
	onEngines(t, func(t *testing.T, d *db.DB) {
		r := recorder(Config{DB: d})
		r.Record(Record{TenantID: tenantA, ClientName: "a", Code: 7, At: noon})
		flush(t, r)
		records, _, err := r.List(t.Context(), Query{TenantID: tenantA})
		if err != nil || len(records) != 1 {
			t.Fatal(records, err)
		}
		got, err := r.Get(t.Context(), tenantA, records[0].ID)
		if err != nil || got != records[0] || got.Code != 7 {
			t.Errorf("got %+v (%v), want %+v", got, err, records[0])
		}
		for tenant, id := range map[string]string{tenantB: records[0].ID, tenantA: "x", "": records[0].ID, "\x00": "\x00\xff"} {
			if _, err := r.Get(t.Context(), tenant, id); !errors.Is(err, ErrNone) {
				t.Errorf("%q in %q: %v", id, tenant, err)
			}
		}
	})
}

// A page of a search looks at a bounded number of records, and says how far it came.
func TestSearchLooksAtABoundedNumber(t *testing.T) {
	onEngines(t, func(t *testing.T, d *db.DB) {
		r := recorder(Config{DB: d, Buffer: 2 * window, Most: 10 * window})
		for i := range window + 5 {
			rec := Record{TenantID: tenantA, ClientName: "common", At: noon.Add(time.Duration(i) * time.Second), RequestID: fmt.Sprint(i)}
			if i < 2 {
				rec.ClientName = "rare"
			}
			r.Record(rec)
		}
		flush(t, r)
		q := Query{TenantID: tenantA, Search: "rare"}
		records, next, err := r.List(t.Context(), q)
		if err != nil || len(records) != 0 || !Reached(next).Equal(noon.Add(5*time.Second)) {
			t.Fatalf("%d records, next %q of %v, %v", len(records), next, Reached(next), err)
		}
		q.After = next
		records, next, err = r.List(t.Context(), q)
		if err != nil || len(records) != 2 || next != "" {
			t.Errorf("%d records, next %q, %v", len(records), next, err)
		}
		if !Reached("x").IsZero() {
			t.Error("a page that is none was reached")
		}
		q = Query{TenantID: tenantA, Search: "common", Limit: 10}
		if records, next, err = r.List(t.Context(), q); err != nil || len(records) != 10 || !Reached(next).Equal(records[9].At) {
			t.Errorf("%d records, next %q, %v", len(records), next, err)
		}
	})
}
