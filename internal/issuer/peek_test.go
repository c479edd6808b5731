package issuer

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func encodeParts(header, payload, signature string) string {
	e := base64.RawURLEncoding.EncodeToString
	return e([]byte(header)) + "." + e([]byte(payload)) + "." + e([]byte(signature))
}

const (
	goodHeader  = `{"alg":"RS256","kid":"k1"}`
	goodPayload = `{"iss":"https://issuer.example/t1/","sub":"system:serviceaccount:ns1:sa1","aud":["api://AzureADTokenExchange"],"exp":2000003600,"nbf":2000000000,"iat":2000000000.5}`
)

func TestPeekReadsWhatKubernetesWrites(t *testing.T) {
	token := encodeParts(goodHeader, goodPayload, "x")
	got, err := peek(token)
	if err != nil {
		t.Fatal(err)
	}
	want := Peeked{
		Issuer: "https://issuer.example/t1/", Subject: "system:serviceaccount:ns1:sa1", Audiences: []string{"api://AzureADTokenExchange"},
		KeyID: "k1", Algorithm: "RS256",
		Expiry: epoch.Add(time.Hour).UTC(), NotBefore: epoch.UTC(), IssuedAt: epoch.Add(time.Second / 2).UTC(),
		SHA256: got.SHA256,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(got.SHA256) != 64 {
		t.Errorf("SHA256 %q is not 64 hexadecimal digits", got.SHA256)
	}
}

func TestPeekClaims(t *testing.T) {
	with := func(name, value string) string {
		var o map[string]json.RawMessage
		if err := json.Unmarshal([]byte(goodPayload), &o); err != nil {
			t.Fatal(err)
		}
		delete(o, name)
		if value != "" {
			o[name] = json.RawMessage(value)
		}
		data, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for name, c := range map[string]struct {
		payload string
		ok      bool
	}{
		"aud string":             {with("aud", `"a"`), true},
		"aud of two":             {with("aud", `["a","b"]`), true},
		"exp missing":            {with("exp", ""), true}, // Verify refuses it
		"exp fraction":           {with("exp", "2000000000.25"), true},
		"exp exponent":           {with("exp", "2e9"), true},
		"exp zero":               {with("exp", "0"), true},
		"nbf and iat missing":    {`{"iss":"i","sub":"s","aud":"a","exp":1}`, true},
		"unknown claims":         {with("kubernetes.io", `{"namespace":"ns1","pod":{"name":"p"}}`), true},
		"subject in any script":  {with("sub", `"грузовик"`), true},
		"subject with a space":   {with("sub", `" s "`), true},
		"escaped subject":        {with("sub", `"\u0073ub"`), true},
		"name in another case":   {strings.Replace(goodPayload, `"iat"`, `"SUB"`, 1), true},
		"name that folds to sub": {strings.Replace(goodPayload, `"iat"`, `"ſub"`, 1), true},

		"iss missing":           {with("iss", ""), false},
		"iss empty":             {with("iss", `""`), false},
		"iss null":              {with("iss", `null`), false},
		"iss array":             {with("iss", `["https://issuer.example/t1/"]`), false},
		"iss number":            {with("iss", `1`), false},
		"iss in capitals only":  {strings.Replace(goodPayload, `"iss"`, `"ISS"`, 1), false},
		"sub missing":           {with("sub", ""), false},
		"sub empty":             {with("sub", `""`), false},
		"sub null":              {with("sub", `null`), false},
		"sub number":            {with("sub", `1`), false},
		"sub with NUL":          {with("sub", `"a\u0000"`), false},
		"sub that only folds":   {strings.Replace(goodPayload, `"sub"`, `"ſub"`, 1), false},
		"sub lone surrogate":    {with("sub", `"\ud800"`), false},
		"sub invalid UTF-8":     {strings.Replace(goodPayload, "sa1", "sa\xff", 1), false},
		"aud missing":           {with("aud", ""), false},
		"aud empty":             {with("aud", `""`), false},
		"aud empty array":       {with("aud", `[]`), false},
		"aud array of an empty": {with("aud", `["a",""]`), false},
		"aud array of null":     {with("aud", `[null]`), false},
		"aud array of numbers":  {with("aud", `["a",1]`), false},
		"aud nested":            {with("aud", `[["a"]]`), false},
		"aud object":            {with("aud", `{"a":true}`), false},
		"aud null":              {with("aud", `null`), false},
		"aud with NUL":          {with("aud", `["a\u0000"]`), false},
		"exp string":            {with("exp", `"2000000000"`), false},
		"exp null":              {with("exp", `null`), false},
		"exp true":              {with("exp", `true`), false},
		"exp array":             {with("exp", `[2000000000]`), false},
		"exp negative":          {with("exp", `-1`), false},
		"exp beyond 9999":       {with("exp", `253402300800`), false},
		"exp huge":              {with("exp", `1e400`), false},
		"nbf string":            {with("nbf", `"1"`), false},
		"nbf null":              {with("nbf", `null`), false},
		"iat object":            {with("iat", `{}`), false},
		"duplicate iss":         {strings.Replace(goodPayload, `"iss"`, `"iss":"x","iss"`, 1), false},
		"duplicate sub":         {strings.Replace(goodPayload, `"sub"`, `"sub":"x","sub"`, 1), false},
		"duplicate exp":         {strings.Replace(goodPayload, `"exp"`, `"exp":1,"exp"`, 1), false},
		"duplicate, nested":     {with("x", `{"a":1,"a":2}`), false},
		"payload array":         {`[]`, false},
		"payload string":        {`"x"`, false},
		"payload null":          {`null`, false},
		"payload empty":         {``, false},
		"payload twice":         {goodPayload + goodPayload, false},
		"payload deep":          {with("x", strings.Repeat("[", 40)+strings.Repeat("]", 40)), false},
		"payload wide":          {with("x", "["+strings.TrimSuffix(strings.Repeat("1,", 1001), ",")+"]"), false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := peek(encodeParts(goodHeader, c.payload, "x"))
			if c.ok {
				wantKind(t, err, "")
			} else {
				wantKind(t, err, Malformed)
			}
		})
	}
}

func TestPeekHeader(t *testing.T) {
	for header, ok := range map[string]bool{
		goodHeader:                                        true,
		`{"alg":"RS256"}`:                                 true,
		`{"alg":"RS256","typ":"JWT"}`:                     true,
		`{"alg":"RS256","typ":"jwt"}`:                     true,
		`{"alg":"none"}`:                                  true, // syntax only: Verify refuses it
		`{"alg":"RS256","jku":"https://x/"}`:              true, // never followed
		`{"alg":"RS256","kid":"-- not base64 at all --"}`: true,

		`{"kid":"k1"}`:                               false,
		`{"alg":null}`:                               false,
		`{"alg":["RS256"]}`:                          false,
		`{"ALG":"RS256"}`:                            false,
		`{"alg":"RS256","alg":"none"}`:               false,
		`{"alg":"RS256","kid":1}`:                    false,
		`{"alg":"RS256","kid":null}`:                 false,
		`{"alg":"RS256","kid":"a\u0000"}`:            false,
		`{"alg":"RS256","crit":["exp"]}`:             false,
		`{"alg":"RS256","crit":[]}`:                  false,
		`{"alg":"RS256","b64":false,"crit":["b64"]}`: false,
		`{"alg":"RS256","b64":true}`:                 false,
		`{"alg":"RS256","typ":"at+jwt"}`:             false,
		`{"alg":"RS256","typ":"application/jwt"}`:    false,
		`{"alg":"RS256","typ":""}`:                   false,
		`{"alg":"RS256","typ":null}`:                 false,
		`["alg"]`:                                    false,
		``:                                           false,
	} {
		t.Run(header, func(t *testing.T) {
			_, err := peek(encodeParts(header, goodPayload, "x"))
			if ok {
				wantKind(t, err, "")
			} else {
				wantKind(t, err, Malformed)
			}
		})
	}
}

// TestSerialisations runs the project's hostile spellings of a good token: one spelling is accepted.
func TestSerialisations(t *testing.T) {
	data, err := os.ReadFile("testdata/jws_serialisations.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct{ ID, Template, Expect string }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	token := newSigner(t, "k1", "RS256").sign(t, claims("https://issuer.example/t1/"), nil)
	wantKind(t, func() error { _, err := peek(token); return err }(), "")
	p := strings.Split(token, ".")
	signature, err := base64.RawURLEncoding.DecodeString(p[2])
	if err != nil {
		t.Fatal(err)
	}
	signature[0], signature[1], signature[2] = 0xff, 0xef, 0xbe // so that the two alphabets differ
	last := p[2][len(p[2])-1]
	alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	replace := strings.NewReplacer(
		"{{", "{", "}}", "}", "{tok}", token, "{h}", p[0], "{p}", p[1], "{s}", p[2],
		"{s_std}", base64.RawStdEncoding.EncodeToString(signature),
		"{s_bits}", p[2][:len(p[2])-1]+string(alphabet[strings.IndexByte(alphabet, last)+1]),
	)
	for _, vector := range file.Vectors {
		t.Run(vector.ID, func(t *testing.T) {
			text := replace.Replace(vector.Template)
			switch text {
			case "DOTS*1000000":
				text = strings.Repeat(".", 1_000_000)
			case "A*1000000":
				text = strings.Repeat("A", 1_000_000)
			}
			_, err := peek(text)
			wantKind(t, err, Malformed)
		})
	}
}

func TestPeekLengthIsBounded(t *testing.T) {
	payload := func(n int) string { return strings.Replace(goodPayload, "sa1", strings.Repeat("a", n), 1) }
	for n, want := range map[int]ErrKind{11_000: "", 13_000: Malformed} {
		_, err := peek(encodeParts(goodHeader, payload(n), "x"))
		wantKind(t, err, want)
	}
}

func TestPeekOfDotsAllocatesLittle(t *testing.T) {
	dots := strings.Repeat(".", 1_000_000)
	if n := testing.AllocsPerRun(10, func() { peek(dots) }); n > 10 {
		t.Errorf("%v allocations for a million dots", n)
	}
}

func FuzzPeek(f *testing.F) {
	f.Add(encodeParts(goodHeader, goodPayload, "x"))
	f.Add(encodeParts(`{"alg":"none","kid":"\ud83d\ude00"}`, `{"iss":"i","sub":"s","aud":"a","exp":1e3}`, "x"))
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		p, err := peek(token)
		if err != nil {
			if KindOf(err) != Malformed {
				t.Fatalf("an error of kind %q: %v", KindOf(err), err)
			}
			return
		}
		if len(token) > MaxToken || p.Issuer == "" || p.Subject == "" || len(p.Audiences) == 0 {
			t.Fatalf("accepted %+v", p)
		}
		for _, text := range append([]string{p.Issuer, p.Subject, p.KeyID, p.Algorithm}, p.Audiences...) {
			if strings.ContainsAny(text, "\x00") || strings.ToValidUTF8(text, "") != text {
				t.Fatalf("%q", text)
			}
		}
		parts, err := split(token)
		if err != nil {
			t.Fatal(err)
		}
		if again := encodeParts(string(parts.header), string(parts.payload), string(parts.signature)); again != token {
			t.Fatalf("%q has another spelling, %q", token, again)
		}
	})
}

func BenchmarkPeek(b *testing.B) {
	token := encodeParts(goodHeader, goodPayload, strings.Repeat("x", 256))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := peek(token); err != nil {
			b.Fatal(err)
		}
	}
}
