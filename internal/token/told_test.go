package token

import (
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/exchange"
)

func TestTold(t *testing.T) {
	code, text := Told(&exchange.Error{Reason: exchange.IssuerMiss, Issuer: "https://issuer.example\u202e"})
	if code != 700211 || !strings.HasPrefix(text, "No matching federated identity record found for presented assertion issuer 'https://issuer.example\ufffd'.") {
		t.Errorf("%d %s", code, text)
	}
	if code, _ := Told(&exchange.Error{Reason: "unheard of"}); code != 50000 {
		t.Errorf("%d for a reason that nobody knows", code)
	}
}
