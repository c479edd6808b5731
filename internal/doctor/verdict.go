package doctor

// stages are those at which an authority comes upon what a class is about.
var stages = map[Class]stage{
	Client: clientStage, Credential: matchStage, CredentialIssuer: matchStage, CredentialSubject: matchStage, CredentialAudience: matchStage,
	Token: timeStage, Network: keysStage, TLS: keysStage, IssuerDocument: keysStage, Keys: keysStage, Resource: resourceStage,
}

// judge weighs what was found here against what the authority did, which knows
// better: what it has gone past was no fault, and what it has not come to may be one.
func (x *exam) judge() {
	reached := noStage
	if x.refusal != nil {
		_, k, _ := codeOf(x.refusal.Codes)
		reached = k.stage
	}
	for i := range x.report.Checks[:exchangeCheck] {
		c := &x.report.Checks[i]
		for j := range c.Findings {
			x.weigh(c, &c.Findings[j], reached)
		}
		if len(c.Findings) > 0 {
			c.settle()
		}
	}
	x.compareSaid()
	x.report.decide(x.accepted)
}

func (x *exam) weigh(c *Check, f *Finding, reached stage) {
	at, judged := stages[f.Class]
	switch {
	case f.Cause == KeyPrivate:
		// That is a fault whether or not the exchange works.
	case x.accepted && c.Number > environmentCheck+1 && f.State == Unknown:
		f.State = Noted
	case f.State != Failed || !judged:
	case x.accepted:
		x.overrule(f, "; the exchange works all the same")
	case reached != noStage && at < reached && !(at == matchStage && reached == timeStage):
		x.overrule(f, "; the authority has gone past this, so it was not what stopped it")
	case x.refusal != nil && reached == at:
		// The authority says so too.
	case x.mayHaveKeys() && (f.Class == Network || f.Class == TLS || f.Class == Keys || f.Class == IssuerDocument):
		f.State = Unknown
		f.Text += "; whether the authority has keys of this issuer that were uploaded, and need not ask it, cannot be told"
	case x.refusal != nil && (f.Class == Network || f.Class == TLS):
		f.State = Unknown
		f.Text += "; whether it is so for the authority as well, which has not come to that, cannot be told"
	case f.Class == Network || f.Class == TLS:
		f.Text += ", seen from here"
	}
}

func (x *exam) overrule(f *Finding, why string) {
	f.State, f.Mends = Noted, nil
	f.Text += why
}

// mayHaveKeys says that the target may have keys of the issuer that the caller cannot see.
func (x *exam) mayHaveKeys() bool { return x.Target.Kind == Entente && !x.listed }

// decide draws the verdict from the checks.
func (r *Report) decide(accepted bool) {
	r.Verdict, r.ExitCode = Healthy, exitHealthy
	complete := accepted
	for _, c := range r.Checks {
		if f := c.failed(); f != nil {
			r.Verdict, r.Cause, r.Class, r.ExitCode = Faulty, f.Cause, f.Class, f.Cause.ExitCode()
			return
		}
		if c.State == Unknown {
			r.Verdict, r.ExitCode = Undetermined, exitUndetermined
		}
		complete = complete || c.Number == credentialCheck+1 && c.State == Passed
	}
	if !complete {
		r.Verdict, r.ExitCode = Undetermined, exitUndetermined
	}
}
