package intercept

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// maxAnswer bounds the JSON of the service that is read for its links. Its
// lists come in pages far smaller than that.
const maxAnswer = 16 << 20

// Members of an answer's outermost object that are addresses of the service.
// Everything else is somebody's data, and stays what it is: the issuer of a
// federated credential, for instance, may be one that the service hosts.
var links = map[string]bool{
	"nextLink": true, "@odata.nextLink": true, "@odata.deltaLink": true, "@odata.context": true,
}

// Those of a discovery document (OpenID Connect Discovery 1.0 section 3).
var discovery = map[string]bool{
	"issuer": true, "token_endpoint": true, "jwks_uri": true, "authorization_endpoint": true, "device_authorization_endpoint": true,
	"userinfo_endpoint": true, "end_session_endpoint": true, "tenant_discovery_endpoint": true, "cloud_instance_name": true, "msgraph_host": true,
}

// A rewriting is what becomes of one answer.
type rewriting struct {
	asked
	base, host string // the service's URL without a slash at its end, and its host
	every      bool   // every string is an address; else the members below
	members    map[string]bool
}

func (p *Proxy) rewritingOf(r *http.Request) rewriting {
	w := rewriting{asked: askedIn(r.Context()), base: p.base, host: p.service.Host, members: links}
	path := strings.ToLower(r.URL.Path)
	switch wellKnown := strings.Contains(path, "/.well-known/"); {
	case strings.HasPrefix(path, "/metadata/") || strings.HasSuffix(path, "/.well-known/webfinger"):
		w.every = true
	case wellKnown || strings.HasSuffix(path, instancePath):
		w.members = discovery
	}
	return w
}

// answer makes an answer of the service one of the host that was asked.
func (p *Proxy) answer(resp *http.Response) error {
	w := p.rewritingOf(resp.Request)
	for _, name := range []string{"Location", "Content-Location", "Azure-AsyncOperation", "Operation-Location"} {
		if v := resp.Header.Get(name); v != "" {
			resp.Header.Set(name, w.value("", v))
		}
	}
	for i, v := range resp.Header["Www-Authenticate"] {
		resp.Header["Www-Authenticate"][i] = strings.ReplaceAll(v, `="`+w.base+`/`, `="https://`+w.login[0]+`/`)
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if media != "application/json" || resp.Header.Get("Content-Encoding") != "" || resp.Request.Method == http.MethodHead {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	resp.Body.Close()
	if err != nil {
		return fmt.Errorf("read the service's answer: %w", err)
	}
	if len(body) > maxAnswer {
		return fmt.Errorf("the service's answer has more than %d bytes", maxAnswer)
	}
	body = w.document(body)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// value is a string in which the service named itself.
func (w rewriting) value(member, s string) string {
	if s == w.host {
		return strings.TrimPrefix(w.baseFor(member), "https://")
	}
	rest, ok := strings.CutPrefix(s, w.base)
	if !ok || rest != "" && rest[0] != '/' && rest[0] != '?' {
		return s
	}
	return w.baseFor(member) + rest
}

// document changes the strings that are addresses and no other byte. What is
// not JSON comes back as it is.
func (w rewriting) document(text []byte) []byte {
	if !bytes.Contains(text, []byte(w.host)) {
		return text
	}
	var out bytes.Buffer
	var nest []container
	member, done, before := "", int64(0), int64(0)
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err == io.EOF && len(nest) == 0 {
			break
		}
		if err != nil {
			return text
		}
		after := d.InputOffset()
		var in *container
		if len(nest) > 0 {
			in = &nest[len(nest)-1]
		}
		switch v := token.(type) {
		case json.Delim:
			switch v {
			case '{', '[':
				if in != nil {
					in.name = true
				}
				nest = append(nest, container{object: v == '{', name: true})
			default:
				nest = nest[:len(nest)-1]
			}
		case string:
			if in != nil && in.object && in.name {
				member, in.name = v, false
				break
			}
			if in != nil {
				in.name = true
			}
			if !w.every && (len(nest) != 1 || !in.object || !w.members[member]) {
				break
			}
			if changed := w.value(member, v); changed != v {
				start := before + int64(bytes.IndexByte(text[before:after], '"'))
				quoted, _ := json.Marshal(changed) // a string
				out.Write(text[done:start])
				out.Write(quoted)
				done = after
			}
		default:
			if in != nil {
				in.name = true
			}
		}
		before = after
	}
	out.Write(text[done:])
	return out.Bytes()
}

// container is an object or an array that is being read. In an object, name
// says that a member's name comes next.
type container struct{ object, name bool }

// problem is an error of the proxy itself, as the clients of a host read errors.
func (a asked) problem(text string) []byte {
	var body any = map[string]any{"error": map[string]string{"code": "BadGateway", "message": text}}
	if a.isLogin() {
		body = map[string]string{"error": "temporarily_unavailable", "error_description": text}
	}
	out, _ := json.Marshal(body) // strings
	return out
}
