package token

import "github.com/entente-id/entente/internal/exchange"

// Told is how the endpoint tells a refusal: the AADSTS number and the text
// behind it, for those who explain a refusal besides the endpoint.
func Told(e *exchange.Error) (code int, text string) {
	a, ok := answers[e.Reason]
	if !ok {
		a = answers[broken]
	}
	return a.code, fill(a.text, e)
}
