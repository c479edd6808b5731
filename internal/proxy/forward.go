package proxy

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// forwarder hands requests to the node's metadata service: the path and the query
// as they were judged, and of the headers only those that it reads.
func forwarder(target *url.URL, log *slog.Logger) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = target.Host
			r.Out.Header = http.Header{"Metadata": {"true"}, "User-Agent": r.In.Header["User-Agent"], "Accept": r.In.Header["Accept"]}
		},
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
			ResponseHeaderTimeout:  10 * time.Second,
			IdleConnTimeout:        10 * time.Second,
			MaxIdleConns:           1,
			MaxConnsPerHost:        4,
			MaxResponseHeaderBytes: 32 << 10,
		},
		ModifyResponse: func(a *http.Response) error {
			a.Body = &bounded{a.Body, 1 << 20}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			log.Warn("not forwarded", "path", cut(rawPath(r), 200), "error", err)
			(&refusal{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", description: "the node's metadata service does not answer", retryAfter: 2 * time.Second}).write(w)
		},
	}
}
