// Package intercept is a proxy for the programs of one command, to which it
// shows a service under the names that Azure has.
//
// Programs made for Azure know its hosts by heart, and several of their
// libraries trust no other. A host file or a DNS server would change that for
// the whole machine; an HTTP proxy changes it for those who have its address
// in their environment, and they need no more than to trust one more CA. So
// there is nothing to put back, and two commands can run side by side against
// two services.
//
// TLS ends here, with certificates for Azure's names only: the throw-away CA is
// constrained to them and its key is never written anywhere. Requests go on to
// the service under its own name, and what its answers say of that name, in
// links and in discovery documents and nowhere else, comes back as the name
// that was asked. Everything else on the network is refused unless it is
// passed by name.
package intercept
