package webhook

import (
	"bytes"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var testNames = serviceNames(DefaultService, DefaultNamespace)

func testPair(t *testing.T, now time.Time) *pair {
	t.Helper()
	p, err := newPair(testNames, now, DefaultCertificateLifetime)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPair(t *testing.T) {
	now := time.Now()
	p, other := testPair(t, now), testPair(t, now)
	for _, c := range []struct {
		name                        string
		authority, certificate, key []byte
		names                       []string
		at                          time.Time
		wrong                       string
	}{
		{"as made", p.authority, p.certificate, p.key, testNames, now, ""},
		{"an hour behind", p.authority, p.certificate, p.key, testNames, now.Add(-59 * time.Minute), ""},
		{"with two authorities", append(bytes.Clone(other.authority), p.authority...), p.certificate, p.key, testNames, now, ""},
		{"expired", p.authority, p.certificate, p.key, testNames, now.Add(DefaultCertificateLifetime + time.Second), "expired"},
		{"of another authority", other.authority, p.certificate, p.key, testNames, now, "unknown authority"},
		{"with another key", p.authority, p.certificate, other.key, testNames, now, "private key"},
		{"for another service", p.authority, p.certificate, p.key, serviceNames("other", DefaultNamespace), now, "not other."},
		{"without an authority", nil, p.certificate, p.key, testNames, now, "no certificate of an authority"},
		{"not PEM", p.authority, []byte("x"), p.key, testNames, now, "PEM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readPair(c.authority, c.certificate, c.key, c.names, c.at)
			if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
				t.Errorf("%v, want %q", err, c.wrong)
			}
		})
	}
	if p.due(now) || p.due(now.Add(59*24*time.Hour)) || !p.due(now.Add(61*24*time.Hour)) {
		t.Error("a pair for 90 days is due after 60")
	}
	if strings.Count(string(p.key), "PRIVATE KEY") != 2 || bytes.Contains(p.authority, []byte("PRIVATE")) {
		t.Error("the only key is that of the certificate")
	}
	if testPair(t, now).parsed.Leaf.Issuer.CommonName == p.parsed.Leaf.Issuer.CommonName {
		t.Error("two authorities have one name")
	}
}

func TestStateSurvivesTheSecret(t *testing.T) {
	now := time.Now()
	a, b := testPair(t, now), testPair(t, now)
	for _, c := range []struct {
		state   certificateState
		phase   string
		trusted [][]byte
	}{
		{certificateState{serving: a}, "stable", [][]byte{a.authority}},
		{certificateState{serving: a, next: b}, "announced", [][]byte{a.authority, b.authority}},
		{certificateState{serving: b, previous: a.authority}, "switched", [][]byte{b.authority, a.authority}},
	} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Data: map[string][]byte{"ca.key": []byte("left over")}}
		c.state.write(secret)
		if secret.Data["ca.key"] != nil {
			t.Error("what is not of the state stays")
		}
		got, err := readState(secret, testNames, now)
		if err != nil {
			t.Fatal(err)
		}
		if got.phase() != c.phase || !bytes.Equal(got.trusted(), bytes.Join(c.trusted, nil)) || !bytes.Equal(got.serving.certificate, c.state.serving.certificate) {
			t.Errorf("%s came back as %s, trusting\n%s", c.phase, got.phase(), got.trusted())
		}
	}
	if _, err := readState(&corev1.Secret{}, testNames, now); err != errEmptySecret {
		t.Errorf("an empty Secret: %v", err)
	}
}

func TestHandshakesWithoutACertificate(t *testing.T) {
	if c, err := new(rotation).GetCertificate(&tls.ClientHelloInfo{}); c != nil || err == nil {
		t.Errorf("%v, %v", c, err)
	}
}

// Everybody may read what API servers trust: no key gets there, whoever put it
// into the Secret by hand.
func TestNoKeyIsAnnounced(t *testing.T) {
	now := time.Now()
	a, b := testPair(t, now), testPair(t, now)
	secret := &corev1.Secret{}
	certificateState{serving: a, next: b, previous: b.authority}.write(secret)
	for _, key := range []string{keyAuthority, keyNextAuthority, keyPreviousAuthority} {
		secret.Data[key] = bytes.Join([][]byte{[]byte("# by hand\n"), a.key, secret.Data[key], []byte("the end")}, nil)
	}
	s, err := readState(secret, testNames, now)
	if err != nil {
		t.Fatal(err)
	}
	if want := bytes.Join([][]byte{a.authority, b.authority, b.authority}, nil); !bytes.Equal(s.trusted(), want) {
		t.Errorf("trusted is\n%s", s.trusted())
	}
}

// A certificate of azure-workload-identity has one name; it serves until it is due.
func TestStateOfAnotherMaker(t *testing.T) {
	now := time.Now()
	p, err := newPair(testNames[:1], now, DefaultCertificateLifetime)
	if err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{Data: map[string][]byte{"ca.crt": p.authority, "ca.key": []byte("x"), "tls.crt": p.certificate, "tls.key": p.key}}
	if s, err := readState(secret, testNames, now); err != nil || s.phase() != "stable" {
		t.Errorf("%v", err)
	}
}
