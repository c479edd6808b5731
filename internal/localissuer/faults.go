package localissuer

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"time"
)

// bombSize is what a GzipBomb grows to, in bytes, from some 64 KiB.
const bombSize = 64 << 20

// Faults is how an issuer misbehaves. The zero value is an issuer in good health; what is combined adds up, in the
// order of the fields. Padding is white space before a good document, so that a reader which takes no care of size
// would accept the answer and a test would notice.
type Faults struct {
	// On is the document that the faults below concern; "" means both.
	On Document
	// Hook is called before anything is answered, with the request. It may block: tests that hold a fetch open until
	// they have looked around need no clock.
	Hook func(*http.Request)
	// Delay passes before the answer begins, unless the client goes away first.
	Delay time.Duration
	// Hang answers nothing at all until the client goes away.
	Hang bool
	// Abort closes the connection (in HTTP/2 the stream) without an answer.
	Abort bool
	// Redirect is a Location; the status is 302 unless Status is set.
	Redirect string
	// Status replaces 200; the good document comes with it all the same.
	Status int
	// Header members replace those of the answer; an empty value removes one.
	Header http.Header
	// GzipBomb compresses the body and puts 64 MiB before the document, whether or not the client offered gzip.
	GzipBomb bool
	// Huge is the number of bytes before the document.
	Huge int
	// Body replaces the document, as it is.
	Body []byte
	// Drip is the pause after every single byte of the document.
	Drip time.Duration
	// Endless never ends the body, for as long as the client reads.
	Endless bool

	// DiscoveryIssuer is another issuer for the discovery document.
	DiscoveryIssuer string
	// JWKSURI is another jwks_uri for the discovery document.
	JWKSURI string
	// ExtraKeys stand before the good keys in the key set, byte for byte, valid or not.
	ExtraKeys []json.RawMessage
}

// SetFaults replaces the faults for all requests that come from now on; Faults{} heals.
func (i *Issuer) SetFaults(f Faults) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.faults = f
}

// answer writes document as the faults want it. An error of writing means that the client has gone.
func (f Faults) answer(w http.ResponseWriter, r *http.Request, document []byte) {
	if f.Hook != nil {
		f.Hook(r)
	}
	if !pause(r, f.Delay) {
		return
	}
	if f.Hang {
		<-r.Context().Done()
		return
	}
	if f.Abort {
		panic(http.ErrAbortHandler)
	}
	status := cmp.Or(f.Status, http.StatusOK)
	if f.Redirect != "" {
		w.Header().Set("Location", f.Redirect)
		status = cmp.Or(f.Status, http.StatusFound)
	}
	body := io.Writer(w)
	if f.GzipBomb {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		body, f.Huge = z, f.Huge+bombSize
	}
	maps.Copy(w.Header(), f.Header)
	w.WriteHeader(status)

	if pad(body, f.Huge) != nil {
		return
	}
	if f.Drip == 0 {
		_, _ = body.Write(document)
	}
	for n := 0; f.Drip > 0 && n < len(document); n++ {
		_, _ = body.Write(document[n : n+1])
		if http.NewResponseController(w).Flush() != nil || !pause(r, f.Drip) {
			return
		}
	}
	for f.Endless && pad(body, len(padding)) == nil {
	}
}

// pause reports whether the client is still there after d.
func pause(r *http.Request, d time.Duration) bool {
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
	return r.Context().Err() == nil
}

var padding = bytes.Repeat([]byte(" "), 32<<10)

func pad(w io.Writer, n int) error {
	for n > 0 {
		written, err := w.Write(padding[:min(n, len(padding))])
		if err != nil {
			return err
		}
		n -= written
	}
	return nil
}
