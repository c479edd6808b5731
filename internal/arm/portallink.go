package arm

import (
	"net/http"
	"net/url"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

// portalPath is where the service has the page that uses a link up.
const portalPath = "/portal/link"

type portalLinkBody struct {
	Properties struct {
		LifetimeSeconds int64 `json:"lifetimeSeconds"` // 0: as long as may be
	} `json:"properties"`
}

// portalLink has no id: nobody can ask for it again.
type portalLink struct {
	Properties portalLinkProperties `json:"properties"`
}

type portalLinkProperties struct {
	URL       string `json:"url"` // opens the portal, once
	ExpiresAt string `json:"expiresAt"`
}

// makePortalLink makes a link for the caller. It leads to the configured URL
// that was asked, and never to what a header says.
func (s *Surface) makePortalLink(c *call, in portalLinkBody) (*answer, error) {
	const most = int64(directory.MaxPortalLinkLifetime / time.Second)
	seconds := max(-1, min(in.Properties.LifetimeSeconds, most+1)) // as seconds, others could be more than a Duration holds
	l, err := s.dir.MakePortalLink(c, c.caller, time.Duration(seconds)*time.Second)
	if err != nil {
		return nil, err
	}
	made := portalLink{portalLinkProperties{URL: c.base + portalPath + "?" + url.Values{"token": {l.Token}}.Encode(), ExpiresAt: stamp(l.ExpiresAt)}}
	return &answer{status: http.StatusCreated, body: made, header: map[string]string{"Cache-Control": "no-store"}}, nil
}
