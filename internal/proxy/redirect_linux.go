package proxy

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// redirectTable is a table of our own, so that nobody else's rules are touched and
// writing it again is replacing it.
const redirectTable = "entente-proxy"

// Apply writes the rule over netlink, into the network namespace of this process,
// in one transaction: afterwards there is one such rule, also when there was one
// before. It is what this says to nft:
//
//	table ip entente-proxy {
//		chain output {
//			type nat hook output priority dstnat;
//			ip daddr 169.254.169.254 tcp dport 80 meta skuid != 1501 redirect to :8000
//		}
//	}
func (r Redirect) Apply() error {
	if err := r.check(); err != nil {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return explain(err)
	}
	table := &nftables.Table{Name: redirectTable, Family: nftables.TableFamilyIPv4}
	c.AddTable(table) // so that there is one to delete
	c.DelTable(table)
	c.AddTable(table)
	chain := c.AddChain(&nftables.Chain{
		Name: "output", Table: table, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest,
	})
	address := metadataAddress.As4()
	const register = 1
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}, // destination, RFC 791
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: address[:]},
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, // destination port, RFC 9293
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: binaryutil.BigEndian.PutUint16(80)},
		&expr.Meta{Key: expr.MetaKeySKUID, Register: register},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: binaryutil.NativeEndian.PutUint32(uint32(r.UID))},
		&expr.Immediate{Register: register, Data: binaryutil.BigEndian.PutUint16(uint16(r.Port))},
		&expr.Redir{RegisterProtoMin: register},
	}})
	if err := c.Flush(); err != nil {
		return explain(err)
	}
	return nil
}

func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w (%w)", errNotPermitted, err)
	case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("%w (%w)", errNoNAT, err)
	}
	return fmt.Errorf("writing the redirect over netlink: %w", err)
}
