package portal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/issuer"
)

// keysView is what is known of an issuer's keys, as the part "keys" shows it.
type keysView struct {
	Keys      []keyRow
	Problems  []string
	Uploaded  bool
	Unread    bool // nobody has needed them yet
	Hidden    bool // the caller may see no more of them than their ids
	ReadAt    time.Time
	Fresh     time.Time
	Failed    string // the last attempt to read them
	CheckPath string // where they are looked at now; empty: they are kept here
	Asked     *checkView
}

// keyRow is a key. Of one whose ids alone are known the other texts are empty.
type keyRow struct {
	ID, Type, Algorithm string
	Since               time.Time // that it has been seen; zero: not known
}

func keyRows(keys []issuer.Key) []keyRow {
	rows := make([]keyRow, len(keys))
	for i, k := range keys {
		rows[i] = keyRow{ID: k.ID, Type: fmt.Sprintf("%s, %d bits", k.Type, k.Bits), Algorithm: k.Algorithm}
		if k.Curve != "" {
			rows[i].Type = k.Type + ", " + k.Curve
		}
	}
	return rows
}

func problemTexts(problems []issuer.KeyProblem) []string {
	var texts []string
	for _, p := range problems {
		name := fmt.Sprintf("Key %d", p.Index+1)
		if p.KeyID != "" {
			name += " (" + clip(p.KeyID, 80) + ")"
		}
		texts = append(texts, name+" cannot be used: "+p.Reason+".")
	}
	return texts
}

// keys tells what is known of an issuer's keys without asking it. ids are those
// of uploaded keys, for whoever may not see how the issuer is registered.
func (c *call) keys(src issuer.Source, registered bool, ids []string, check string) (keysView, error) {
	v := keysView{Uploaded: src.Kind == issuer.Uploaded || len(ids) > 0, CheckPath: check}
	if !registered {
		v.Hidden = v.Uploaded
		for _, id := range ids {
			v.Keys = append(v.Keys, keyRow{ID: id})
		}
		if v.Unread = !v.Uploaded; v.Uploaded {
			v.CheckPath = ""
		}
		return v, nil
	}
	if v.Uploaded {
		v.CheckPath = ""
	}
	s, err := c.Issuers.Status(c, src)
	if err != nil {
		// An empty key set, which waits for its first keys, is no key set to the verifier.
		if issuer.KindOf(err) != "" {
			return v, nil
		}
		return v, err
	}
	v.Keys, v.Problems, v.ReadAt, v.Fresh = keyRows(s.Keys), problemTexts(s.Problems), s.FetchedAt, s.FreshUntil
	since, err := c.Issuers.Seen(c, src)
	if err != nil {
		return v, err
	}
	for i, k := range v.Keys {
		v.Keys[i].Since = since[k.ID]
	}
	v.Unread = !v.Uploaded && s.FetchedAt.IsZero()
	if s.Err != nil {
		v.Failed = sentence(whatFailed(s.Err))
	}
	return v, nil
}

// checkView is what an issuer said when it was asked.
type checkView struct {
	At       time.Time
	Good     bool
	Findings []finding
	Keys     []keyRow
}

// check asks an issuer for what it publishes, and says what that means.
func (c *call) check(src issuer.Source) *checkView {
	a, ok := c.inquiries.ask(c, c.session.ID, c.Surface, src)
	if !ok {
		return &checkView{At: c.Clock(), Findings: []finding{{Level: warn, Text: "It was not asked: there were many questions just now. Try again in a moment."}}}
	}
	return judgeCheck(src, a)
}

// judgeCheck puts what an issuer said into words.
func judgeCheck(src issuer.Source, a inquiry) *checkView {
	v := &checkView{At: a.at, Keys: keyRows(a.report.Keys)}
	say := func(level level, text, code string) {
		v.Findings = append(v.Findings, finding{Level: level, Text: text, Code: code})
	}
	kind := issuer.KindOf(a.err)
	switch kind {
	case issuer.Unreachable, issuer.InDoubt:
		say(bad, "It cannot be asked: "+whatFailed(a.err)+".", "")
	case issuer.AddressRefused:
		say(bad, "Its address is private, and this service does not ask private addresses. Whoever runs it can permit this one with the flag serve --issuer-allow; or upload the issuer's keys.", "")
	case "":
		if a.err == nil {
			say(good, "It answers.", "")
		} else {
			say(bad, "It was not asked to the end. Try again.", "")
		}
	}
	if said := a.report.DocumentIssuer; said != "" {
		if said == src.URL {
			say(good, "Its discovery document names exactly this issuer, byte by byte.", "")
		} else {
			text := "Its discovery document names another issuer. Tokens name that one too, and are not trusted under this URL."
			if d := compare(src.URL, said); credential.Slips(d) {
				text += " The difference: " + d[0].HintFor("this one", "the published one") + "."
			}
			say(bad, text, clip(said, 300))
		}
	}
	if kind == issuer.InvalidDocument {
		say(bad, "What it answered cannot be used: "+whatFailed(a.err)+".", "")
	}
	if a.err == nil {
		v.judgeKeys(src, a.report)
	}
	for _, text := range problemTexts(a.report.Problems) {
		say(warn, text, "")
	}
	v.Good = !slices.ContainsFunc(v.Findings, func(f finding) bool { return f.Level == bad })
	return v
}

// judgeKeys says whether keys fit the algorithms that are accepted of their issuer.
func (v *checkView) judgeKeys(src issuer.Source, r issuer.Report) {
	fitting, list := len(src.Usable(r.Keys)), strings.Join(src.Accepts(), ", ")
	f := finding{Level: good, Text: "It publishes " + plural(fitting, "key", "keys") + " that can be used."}
	switch {
	case len(r.Keys) == 0:
		f = finding{Level: bad, Text: "It publishes no key that can be used."}
	case fitting == 0:
		f = finding{Level: bad, Text: "None of its keys fits the algorithms that are accepted here (" + list + ")."}
	case fitting < len(r.Keys):
		f = finding{Level: warn, Text: fmt.Sprintf("%d of its %d keys fit the algorithms that are accepted here (%s).", fitting, len(r.Keys), list)}
	}
	if r.Lifetime > 0 && fitting > 0 {
		f.Text += " Keys are read again after " + span(r.Lifetime) + "."
	}
	v.Findings = append(v.Findings, f)
}

// whatFailed says why an issuer could not be asked, in words that hold nothing
// of what it answered.
func whatFailed(err error) string {
	if e, ok := errors.AsType[*issuer.Error](err); ok && e.Detail != "" {
		return e.Detail
	}
	return "it gave no answer"
}
