package fetch_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
)

// resolve answers this process's DNS queries with the addresses of a name, and
// with "no such name" for every other.
func resolve(t *testing.T, hosts map[string][]string) {
	t.Helper()
	before := net.DefaultResolver
	var servers sync.WaitGroup
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe() // a stream: messages have their length in front
		servers.Go(func() {
			defer far.Close()
			for {
				var size [2]byte
				if _, err := io.ReadFull(far, size[:]); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(far, query); err != nil {
					return
				}
				reply := dnsReply(query, hosts)
				if _, err := far.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
					return
				}
			}
		})
		return near, nil
	}}
	t.Cleanup(func() { net.DefaultResolver = before; servers.Wait() })
}

// dnsReply is RFC 1035 section 4.1, of one question.
func dnsReply(query []byte, hosts map[string][]string) []byte {
	var labels []string
	end := 12
	for query[end] != 0 {
		labels = append(labels, string(query[end+1:end+1+int(query[end])]))
		end += 1 + int(query[end])
	}
	kind := binary.BigEndian.Uint16(query[end+1:])
	end += 5
	addresses, known := hosts[strings.Join(labels, ".")]
	var records []byte
	count := 0
	for _, text := range addresses {
		a := netip.MustParseAddr(text)
		if want := map[bool]uint16{true: 1, false: 28}[a.Is4()]; want != kind {
			continue
		}
		records = append(records, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(a.BitLen()/8))
		records = append(records, a.AsSlice()...)
		count++
	}
	reply := append([]byte{}, query[:end]...)
	flags := uint16(0x8180) // a response, recursion desired and available
	if !known {
		flags |= 3
	}
	binary.BigEndian.PutUint16(reply[2:], flags)
	binary.BigEndian.PutUint16(reply[6:], uint16(count))
	binary.BigEndian.PutUint32(reply[8:], 0) // neither authorities nor additional records
	return append(reply, records...)
}

func TestGuard(t *testing.T) {
	for _, tt := range []struct {
		name, address string
		ok            bool
	}{
		{"public", "8.8.8.8", true},
		{"public, above 0/8", "1.0.0.0", true},
		{"public, below 10/8", "9.255.255.255", true},
		{"public, above 10/8", "11.0.0.0", true},
		{"public, below 100.64/10", "100.63.255.255", true},
		{"public, above 100.64/10", "100.128.0.0", true},
		{"public, above 127/8", "128.0.0.0", true},
		{"public, above 169.254/16", "169.255.0.0", true},
		{"public, below 172.16/12", "172.15.255.255", true},
		{"public, above 172.16/12", "172.32.0.0", true},
		{"public, beside the host of Azure", "168.63.129.17", true},
		{"public, above 192.0.2/24", "192.0.3.0", true},
		{"public, above 192.168/16", "192.169.0.0", true},
		{"public, below 198.18/15", "198.17.255.255", true},
		{"public, above 198.18/15", "198.20.0.0", true},
		{"public, below multicast", "223.255.255.255", true},
		{"public, IPv6", "2606:4700:4700::1111", true},
		{"public, the first of 2000::/3 not special", "2001:200::1", true},
		{"public, beside 6to4", "2003::1", true},
		{"public, beside the documentation", "2001:db9::1", true},
		{"public, above the newer documentation", "3fff:1000::1", true},
		{"public, mapped", "::ffff:8.8.8.8", true},
		{"public, NAT64", "64:ff9b::8.8.8.8", true},

		{"unspecified", "0.0.0.0", false},
		{"this network", "0.1.2.3", false},
		{"private 10/8", "10.0.0.1", false},
		{"private 10/8, last", "10.255.255.255", false},
		{"shared, first", "100.64.0.0", false},
		{"shared, last", "100.127.255.255", false},
		{"metadata of Alibaba", "100.100.100.200", false},
		{"loopback", "127.0.0.1", false},
		{"loopback, last", "127.255.255.255", false},
		{"metadata", "169.254.169.254", false},
		{"task metadata of AWS", "169.254.170.2", false},
		{"private 172.16/12", "172.16.0.1", false},
		{"private 172.16/12, last", "172.31.255.255", false},
		{"host of Azure", "168.63.129.16", false},
		{"protocol assignments", "192.0.0.1", false},
		{"metadata of Oracle", "192.0.0.192", false},
		{"documentation 1", "192.0.2.1", false},
		{"6to4 relays", "192.88.99.1", false},
		{"private 192.168/16", "192.168.1.1", false},
		{"benchmarks, first", "198.18.0.1", false},
		{"benchmarks, last", "198.19.255.255", false},
		{"documentation 2", "198.51.100.1", false},
		{"documentation 3", "203.0.113.1", false},
		{"multicast", "224.0.0.1", false},
		{"multicast, last", "239.255.255.255", false},
		{"reserved", "240.0.0.1", false},
		{"broadcast", "255.255.255.255", false},

		{"unspecified, IPv6", "::", false},
		{"loopback, IPv6", "::1", false},
		{"IPv4-compatible", "::127.0.0.1", false},
		{"IPv4-compatible, public", "::8.8.8.8", false},
		{"mapped private", "::ffff:10.0.0.1", false},
		{"mapped loopback", "::ffff:127.0.0.1", false},
		{"mapped metadata", "::ffff:a9fe:a9fe", false},
		{"mapped shared", "::ffff:100.64.0.1", false},
		{"IPv4-translated", "::ffff:0:8.8.8.8", false},
		{"NAT64 private", "64:ff9b::10.0.0.1", false},
		{"NAT64 loopback", "64:ff9b::7f00:1", false},
		{"NAT64 metadata", "64:ff9b::169.254.169.254", false},
		{"NAT64 shared", "64:ff9b::100.64.0.1", false},
		{"NAT64 unspecified", "64:ff9b::", false},
		{"NAT64 multicast", "64:ff9b::224.0.0.1", false},
		{"NAT64 beside the prefix", "64:ff9b::1:808:808", false},
		{"NAT64, local use", "64:ff9b:1::8.8.8.8", false},
		{"discard", "100::1", false},
		{"below 2000::/3", "1fff:ffff::1", false},
		{"above 2000::/3", "4000::1", false},
		{"Teredo", "2001::7f00:1", false},
		{"ORCHID", "2001:20::1", false},
		{"protocol assignments, last", "2001:1ff:ffff::1", false},
		{"documentation, IPv6", "2001:db8::1", false},
		{"6to4, private", "2002:a00:1::1", false},
		{"6to4, public", "2002:808:808::1", false},
		{"documentation, newer", "3fff::1", false},
		{"segment routing", "5f00::1", false},
		{"unique local", "fc00::1", false},
		{"metadata of AWS, IPv6", "fd00:ec2::254", false},
		{"metadata of Google, IPv6", "fd20:ce::254", false},
		{"link-local", "fe80::1", false},
		{"link-local with a zone", "fe80::1%eth0", false},
		{"public with a zone", "2606:4700:4700::1111%eth0", false},
		{"NAT64 with a zone", "64:ff9b::8.8.8.8%eth0", false},
		{"loopback with a zone", "::1%lo", false},
		{"site-local", "fec0::1", false},
		{"multicast, IPv6", "ff02::1", false},
		{"multicast, IPv6, global", "ff0e::1", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := fetch.Guard("tcp", net.JoinHostPort(tt.address, "443"), nil)
			if tt.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, fetch.ErrAddress)
		})
	}
	for _, odd := range []string{"", "8.8.8.8", "idp.example.com:443", "127.1:443", "8.8.8.8:http", "[8.8.8.8]", "/run/socket"} {
		require.ErrorIs(t, fetch.Guard("tcp", odd, nil), fetch.ErrAddress, odd)
	}
}

// TestJ4Guard: the address that is connected to decides, not the way the host is
// spelled or what a DNS server says.
func TestJ4Guard(t *testing.T) {
	resolve(t, map[string][]string{
		"rebound.test": {"127.0.0.1"},
		"several.test": {"10.0.0.1", "::1", "fd00:ec2::254", "169.254.169.254", "127.0.0.1"},
		"0x7f.1":       {"127.0.0.1"}, // as getaddrinfo reads it
		"0x7f000001":   {"127.0.0.1"},
	})
	root := newAuthority(t, nil)
	s := serveTLS(t, with(root.leaf(t)), func(w http.ResponseWriter, r *http.Request) {
		if _, refused := r.URL.Query()["refused"]; refused {
			t.Errorf("a request came through: %s", r.Host)
		}
		answer(w, r)
	})
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	open := client(t, func(c *fetch.Config) { c.RootCAs = roots(root) })
	guarded := client(t, func(c *fetch.Config) { c.RootCAs, c.PublicOnly = roots(root), true })
	pinned := client(t, func(c *fetch.Config) {
		c.RootCAs, c.PublicOnly, c.PinnedSPKI = roots(root), true, [][]byte{pinOf(root.cert)}
	})

	for _, host := range []string{
		"127.0.0.1", "localhost", "LOCALHOST", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0",
		"rebound.test", "several.test", "0x7f.1", "0x7f000001",
	} {
		t.Run(host, func(t *testing.T) {
			_, err := guarded.Get(t.Context(), "https://"+host+":"+port+"/?refused", jwks)
			require.ErrorIs(t, err, fetch.ErrAddress)
			require.ErrorContains(t, err, "fetch: address is not public: ")
			_, err = pinned.Get(t.Context(), "https://"+host+":"+port+"/?refused", jwks)
			require.ErrorIs(t, err, fetch.ErrAddress)
		})
	}
	// Go itself takes these for names that cannot be; where the C library resolves, they are 127.0.0.1. Without IPv6,
	// a dial of the last two ends before the guard.
	for _, host := range []string{"2130706433", "127.1", "0177.0.0.1", "017700000001", "127.0.0.1.", "[::1]", "[::]"} {
		t.Run(host, func(t *testing.T) {
			_, err := guarded.Get(t.Context(), "https://"+host+":"+port+"/?refused", jwks)
			require.Error(t, err)
		})
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		_, err := open.Get(t.Context(), "https://"+host+":"+port, jwks)
		require.NoError(t, err, "the same server without the guard")
	}
}

func TestGuardNeedsItsOwnTransport(t *testing.T) {
	_, err := fetch.New(fetch.Config{PublicOnly: true, Client: &http.Client{}})
	require.EqualError(t, err, "fetch: PublicOnly: not together with Client, whose Transport dials")
}

// TestProxyOfTheEnvironment runs itself again, in an environment with a proxy.
func TestProxyOfTheEnvironment(t *testing.T) {
	const again = "GATEHOUSE_TEST_PROXY"
	if os.Getenv(again) == "" {
		proxy := startProxy(t, "")
		program, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestProxyOfTheEnvironment$", "-test.count=1")
		cmd.Env = append(os.Environ(), again+"=1", "HTTPS_PROXY="+proxy.URL, "NO_PROXY=", "no_proxy=")
		text, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", text)
		require.Equal(t, []string{"CONNECT open.test:443"}, proxy.seen())
		return
	}
	resolve(t, map[string][]string{"open.test": {"127.0.0.1"}, "guarded.test": {"10.0.0.1"}})
	_, err := client(t).Get(t.Context(), "https://open.test/", jwks)
	require.Error(t, err)
	require.NotErrorIs(t, err, fetch.ErrAddress)
	_, err = client(t, func(c *fetch.Config) { c.PublicOnly = true }).Get(t.Context(), "https://guarded.test/", jwks)
	require.ErrorIs(t, err, fetch.ErrAddress)
	require.ErrorContains(t, err, " 10.0.0.1:443 ", "a proxy would connect to wherever it likes")
}
