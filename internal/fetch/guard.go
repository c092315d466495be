package fetch

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrAddress: the host has an address that is not a public one.
var ErrAddress = errors.New("fetch: address is not public")

// guard is a net.Dialer's Control: it sees the address that is about to be
// connected to, after every lookup and for each try, so that no name, redirect or
// second answer of a DNS server leads elsewhere.
func guard(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !public(at.Addr()) {
		return fmt.Errorf("%w: %s", ErrAddress, address)
	}
	return nil
}

var (
	globalIPv6 = netip.MustParsePrefix("2000::/3")
	nat64      = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: the last 32 bits are an IPv4 address

	// special are blocks in the ranges of public addresses that are not for public
	// hosts (the IANA special-purpose registries), or lead to another address.
	special = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"),    // shared by carriers; metadata of some clouds
		netip.MustParsePrefix("168.63.129.16/32"), // the host of a machine in Azure
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("192.88.99.0/24"), // 6to4 relays
		netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("240.0.0.0/4"), // with the broadcast address
		netip.MustParsePrefix("2001::/23"),   // Teredo among them
		netip.MustParsePrefix("2001:db8::/32"),
		netip.MustParsePrefix("2002::/16"), // 6to4
		netip.MustParsePrefix("3fff::/20"),
	}
)

// public reports whether an address is one of a host on the public internet.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if a.Zone() != "" || a.Is6() && !globalIPv6.Contains(a) || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, block := range special {
		if block.Contains(a) {
			return false
		}
	}
	return true
}
