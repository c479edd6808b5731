// Package credential holds the rules of federated identity credentials: what a
// person may write into one, and when a token's issuer, subject and audience
// are those that it trusts.
//
// The rules stand alone, without storage, network or clock, because four
// callers must never disagree about them: the two management surfaces, the
// exchange, and the command line that checks a credential before it is sent.
// Comparing is byte for byte; whatever is lenient (case, slashes, look-alikes)
// lives in Nearest, which only explains a refusal and never lifts one.
package credential
