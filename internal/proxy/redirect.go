package proxy

import (
	"errors"
	"fmt"
)

// Redirect is the rule that "entente-proxy init" writes: what programs of the pod
// send to the metadata address goes to the proxy, unless the proxy sends it.
type Redirect struct {
	Port int // of the proxy on this machine
	UID  int // that the proxy runs as; its own requests pass
}

// ProxyUID is the user that azure-workload-identity's proxy runs as, and ours.
const ProxyUID = 1501

func (r Redirect) check() error {
	if r.Port < 1 || r.Port > 65535 {
		return fmt.Errorf("the port %d is not between 1 and 65535", r.Port)
	}
	if r.UID < 1 || int64(r.UID) > 1<<32-2 {
		return fmt.Errorf("the user id %d is none that the proxy could run as", r.UID)
	}
	return nil
}

var (
	errNotPermitted = errors.New("writing the redirect needs the capability NET_ADMIN, which this process does not have: the container needs securityContext.capabilities.add [NET_ADMIN] and runAsUser 0 (privileged is not needed)")
	errNoNAT        = errors.New("this kernel has no nf_tables with NAT and redirect (CONFIG_NF_TABLES, CONFIG_NFT_NAT, CONFIG_NFT_REDIR)")
)
