package directory

import (
	"crypto/subtle"
	"testing"
	"time"
)

// Who guesses a secret learns nothing from what the service does: as many
// comparisons of as many bytes, whether the client is there or not.
func TestJudgingASecretIsTheSameWork(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	one, text := newSecret("one", now.Add(-time.Hour), now.Add(time.Hour))
	old, oldText := newSecret("old", now.Add(-2*time.Hour), now.Add(-time.Hour))
	for _, c := range []struct {
		name        string
		secrets     []Secret
		text        string
		want        SecretResult
		comparisons int
	}{
		{"nobody", nil, text, SecretWrong, 1},
		{"nobody, without a text", nil, "", SecretWrong, 1},
		{"nobody, with the hash as the text", nil, nobodys[0].hash, SecretWrong, 1},
		{"wrong", []Secret{one}, oldText, SecretWrong, 1},
		{"wrong in its last character", []Secret{one}, text[:len(text)-1] + "~", SecretWrong, 1},
		{"expired", []Secret{old}, oldText, SecretExpired, 1},
		{"right", []Secret{one}, text, SecretOK, 1},
		{"right, the first of two", []Secret{one, old}, text, SecretOK, 2},
		{"right, the last of two", []Secret{old, one}, text, SecretOK, 2},
		{"wrong, of two", []Secret{old, one}, text + "x", SecretWrong, 2},
	} {
		comparisons := 0
		got := judge(c.secrets, c.text, now, func(x, y []byte) int {
			if comparisons++; len(x) != len(y) { // which ConstantTimeCompare would not compare
				t.Errorf("%s: %d bytes are compared with %d", c.name, len(x), len(y))
			}
			return subtle.ConstantTimeCompare(x, y)
		})
		if got != c.want || comparisons != c.comparisons {
			t.Errorf("%s: judged %s after %d comparisons, want %s after %d", c.name, got, comparisons, c.want, c.comparisons)
		}
	}
}
