package portal

import (
	"time"

	"github.com/entente-id/entente/internal/keys"
)

var signingKeyPages = []route{
	{"GET " + signingKeysPath, (*call).signingKeys, false},
	{"GET " + signingKeysPath + "/rotate", (*call).confirmRotate, false},
	{"POST " + signingKeysPath + "/rotate", (*call).rotateKeys, false},
}

const (
	signingKeysPath  = Path + "/signing-keys"
	signingKeyAction = "Entente.Federation/signingKeys/"
)

type signingKeysView struct {
	Keys                     []signingKeyRow
	Issuer, Discovery, KeyAt string
	Rotate                   string // empty: the caller may not, or a next key waits
	Waits                    bool   // a next key does, and the caller may rotate
}

type signingKeyRow struct {
	ID, Algorithm string
	State, Level  string
	Created, From time.Time
	Until         time.Time // zero: no end was set
}

// signingKeys are the keys that this service signs the tenant's tokens with.
func (c *call) signingKeys() error {
	if err := c.Directory.Permit(c, c.caller, signingKeyAction+"read", "/"); err != nil {
		return err
	}
	list, waits, err := c.signingKeyRows()
	if err != nil {
		return err
	}
	at := c.URL + "/" + c.caller.TenantID
	v := signingKeysView{Keys: list, Issuer: at + "/v2.0", Discovery: at + "/v2.0/.well-known/openid-configuration", KeyAt: at + "/discovery/v2.0/keys"}
	if may := c.rights.Can(signingKeyAction+"rotate/action", "/"); may && waits {
		v.Waits = true
	} else if may {
		v.Rotate = signingKeysPath + "/rotate"
	}
	return c.show(page{template: "signing-keys", title: "Signing keys", wide: true, done: map[string]string{
		"rotated": "The next key is published. It signs from the time below.",
	}[c.query("done")]}, v)
}

func (c *call) signingKeyRows() (rows []signingKeyRow, waits bool, err error) {
	list, err := c.Keys.Keys(c, c.caller.TenantID)
	for _, k := range list {
		row := signingKeyRow{ID: k.ID, Algorithm: k.Algorithm, Created: k.CreatedAt, From: k.ActivateAt, Until: k.RetireAt}
		switch k.State {
		case keys.Next:
			row.State, row.Level, waits = "Signs next", "warn", true
		case keys.Current:
			row.State, row.Level = "Signs now", "good"
		case keys.Previous:
			row.State = "Has signed"
		}
		rows = append(rows, row)
	}
	return rows, waits, err
}

type rotateView struct {
	Waits        bool
	Current      string
	Action, Back string
}

func (c *call) confirmRotate() error {
	if err := c.Directory.Permit(c, c.caller, signingKeyAction+"rotate/action", "/"); err != nil {
		return err
	}
	list, waits, err := c.signingKeyRows()
	if err != nil {
		return err
	}
	v := rotateView{Waits: waits, Action: signingKeysPath + "/rotate", Back: signingKeysPath}
	for _, k := range list {
		if k.Level == "good" {
			v.Current = k.ID
		}
	}
	return c.show(page{template: "signing-keys-rotate", title: "Rotate the signing key?", above: "Signing keys", trail: []crumb{{"Signing keys", signingKeysPath}}}, v)
}

func (c *call) rotateKeys() error {
	if err := c.Directory.Permit(c, c.caller, signingKeyAction+"rotate/action", "/"); err != nil {
		return err
	}
	if err := c.Rotate(c, c.caller); err != nil {
		return err
	}
	return c.redirect(done(signingKeysPath, "rotated"))
}
