package fetch_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
)

func TestParsePin(t *testing.T) {
	want := bytes.Repeat([]byte{0xfb}, 32)
	std, web := strings.Repeat("+/v7", 10)+"+/s", strings.Repeat("-_v7", 10)+"-_s"
	for _, tt := range []struct {
		name, text string
		ok         bool
	}{
		{"standard alphabet", std + "=", true},
		{"standard alphabet, no padding", std, true},
		{"URL alphabet", web + "=", true},
		{"URL alphabet, no padding", web, true},
		{"empty", "", false},
		{"padding only", "=", false},
		{"31 bytes", base64.StdEncoding.EncodeToString(want[:31]), false},
		{"33 bytes", base64.StdEncoding.EncodeToString(append(want, 0)), false},
		{"SHA-1", base64.StdEncoding.EncodeToString(want[:20]), false},
		{"hexadecimal", strings.Repeat("fb", 32), false},
		{"last bits not zero", std[:42] + "t=", false},
		{"prefix of other tools", "sha256/" + std + "=", false},
		{"two of them", std + "=" + std + "=", false},
		{"padding in front", "=" + std, false},
		{"space in front", " " + std, false},
		{"space behind", std + "= ", false},
		{"space behind, no padding", std + " ", false},
		{"newline behind", std + "=\n", false},
		{"newline behind, no padding", std + "\n", false},
		{"newline before the padding", std + "\n=", false},
		{"carriage return within", std[:20] + "\r" + std[20:], false},
		{"tab within", std[:20] + "\t" + std[20:], false},
		{"NUL behind", std + "\x00", false},
		{"not ASCII", "\u00e4" + std[2:], false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pin, err := fetch.ParsePin(tt.text)
			if tt.ok {
				require.NoError(t, err)
				require.Equal(t, want, pin)
				return
			}
			require.EqualError(t, err, "fetch: pin: want the base64 of 32 bytes")
			require.Nil(t, pin)
		})
	}
}

// authority is a CA of its own.
type authority struct {
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	parent *authority // nil: a root
}

func newAuthority(t *testing.T, parent *authority) *authority {
	t.Helper()
	a := &authority{parent: parent}
	a.cert, a.key = issue(t, parent, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// leaf is a certificate for servers at 127.0.0.1, localhost and idp.test, with the
// chain up to, and not including, the root.
func (a *authority) leaf(t *testing.T) tls.Certificate {
	t.Helper()
	cert, key := issue(t, a, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost", "idp.test"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	out := tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
	for ; a.parent != nil; a = a.parent {
		out.Certificate = append(out.Certificate, a.cert.Raw)
	}
	return out
}

func issue(t *testing.T, by *authority, tmpl *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	tmpl.Subject = pkix.Name{CommonName: tmpl.SerialNumber.String()}
	tmpl.NotAfter = time.Now().Add(time.Hour)
	parent, signer := tmpl, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert, key
}

func pinOf(cert *x509.Certificate) []byte {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return sum[:]
}

func roots(list ...*authority) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, a := range list {
		pool.AddCert(a.cert)
	}
	return pool
}

// serveTLS is a key server with certificates of its own choice.
func serveTLS(t *testing.T, cfg *tls.Config, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = cfg
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func with(certs ...tls.Certificate) *tls.Config { return &tls.Config{Certificates: certs} }

func answer(w http.ResponseWriter, _ *http.Request) { writeJSON(w, `{"keys":[]}`) }

// pinning is a client that trusts a pool and wants one of the pins.
func pinning(t *testing.T, pool *x509.CertPool, pins ...[]byte) *fetch.Client {
	t.Helper()
	return client(t, func(c *fetch.Config) { c.RootCAs, c.PinnedSPKI = pool, pins })
}

func requirePinned(t *testing.T, c *fetch.Client, url string, ok bool) {
	t.Helper()
	res, err := c.Get(t.Context(), url, jwks)
	if ok {
		require.NoError(t, err)
		require.JSONEq(t, `{"keys":[]}`, string(res.Body))
		return
	}
	require.ErrorIs(t, err, fetch.ErrPin)
	require.EqualError(t, err, "fetch: server key is not pinned (GET "+url+")")
	require.Nil(t, res)
}

func TestPin(t *testing.T) {
	root := newAuthority(t, nil)
	intermediate := newAuthority(t, root)
	leaf, sibling := intermediate.leaf(t), intermediate.leaf(t)
	whole, key := sha256.Sum256(leaf.Leaf.Raw), pinOf(leaf.Leaf)
	s := serveTLS(t, with(leaf), answer)
	for _, tt := range []struct {
		name string
		pins [][]byte
		ok   bool
	}{
		{"the server's key", [][]byte{key}, true},
		{"the key of its CA", [][]byte{pinOf(intermediate.cert)}, true},
		{"the key of the root, which is not sent", [][]byte{pinOf(root.cert)}, true},
		{"the last of three", [][]byte{make([]byte, 32), whole[:], key}, true},
		{"a CA beside this one", [][]byte{pinOf(newAuthority(t, root).cert)}, false},
		{"another key of the same CA", [][]byte{pinOf(sibling.Leaf)}, false},
		{"the whole certificate", [][]byte{whole[:]}, false},
		{"one bit off", [][]byte{append(bytes.Clone(key[:31]), key[31]^1)}, false},
		{"zeros", [][]byte{make([]byte, 32)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requirePinned(t, pinning(t, roots(root), tt.pins...), s.URL+"/jwks", tt.ok)
		})
	}
}

// TestPinOnTheVerifiedChain: krakend-jose looks at whatever certificates were
// sent, so that a pinned one, which is public, can be sent along.
func TestPinOnTheVerifiedChain(t *testing.T) {
	root, foreign := newAuthority(t, nil), newAuthority(t, nil)
	intermediate := newAuthority(t, root)
	good, evil := intermediate.leaf(t), foreign.leaf(t)
	evil.Certificate = append(evil.Certificate, good.Certificate...)
	evil.Certificate = append(evil.Certificate, root.cert.Raw)
	s := serveTLS(t, with(evil), answer)
	for _, tt := range []struct {
		name string
		pin  *x509.Certificate
		ok   bool
	}{
		{"the server's key", good.Leaf, false},
		{"the key of its CA", intermediate.cert, false},
		{"the key of the root", root.cert, false},
		{"what was verified", evil.Leaf, true},
		{"its root", foreign.cert, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requirePinned(t, pinning(t, roots(root, foreign), pinOf(tt.pin)), s.URL, tt.ok)
		})
	}
	t.Run("a pin is no trust", func(t *testing.T) {
		_, err := pinning(t, roots(root), pinOf(evil.Leaf)).Get(t.Context(), s.URL, jwks)
		require.ErrorAs(t, err, new(x509.UnknownAuthorityError))
		require.NotErrorIs(t, err, fetch.ErrPin)
	})
}

func TestPinForNamesAndAddresses(t *testing.T) {
	resolve(t, map[string][]string{"idp.test": {"127.0.0.1"}})
	root := newAuthority(t, nil)
	leaf := root.leaf(t)
	s := serveTLS(t, with(leaf), answer)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	for _, host := range []string{"127.0.0.1", "localhost", "idp.test"} {
		t.Run(host, func(t *testing.T) {
			url := "https://" + net.JoinHostPort(host, port)
			requirePinned(t, pinning(t, roots(root), pinOf(leaf.Leaf)), url, true)
			requirePinned(t, pinning(t, roots(root), make([]byte, 32)), url, false)
		})
	}
}

// TestPinAfterARedirect: each answer on the way is one of a pinned server.
func TestPinAfterARedirect(t *testing.T) {
	root := newAuthority(t, nil)
	good, other := root.leaf(t), root.leaf(t)
	for _, tt := range []struct {
		name  string
		certs []tls.Certificate // one for each connection
		ok    bool
	}{
		{"pinned, pinned", []tls.Certificate{good, good}, true},
		{"pinned, another", []tls.Certificate{good, other}, false},
		{"another, pinned", []tls.Certificate{other, good}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var connections, asked atomic.Int32
			cfg := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				n := int(connections.Add(1))
				if n > len(tt.certs) {
					return nil, errors.New("one connection too many")
				}
				return with(tt.certs[n-1]), nil
			}}
			s := serveTLS(t, cfg, func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) == 1 {
					http.Redirect(w, r, "/moved", http.StatusFound)
					return
				}
				answer(w, r)
			})
			requirePinned(t, pinning(t, roots(root), pinOf(good.Leaf)), s.URL+"/jwks", tt.ok)
		})
	}
}

// connectProxy is a proxy for CONNECT that leads to target whatever host is
// asked for. With certificates it is one that is spoken to in TLS.
type connectProxy struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func startProxy(t *testing.T, target string, certs ...tls.Certificate) *connectProxy {
	t.Helper()
	p := &connectProxy{}
	var tunnels sync.WaitGroup
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked = append(p.asked, r.Method+" "+r.Host)
		p.mu.Unlock()
		if r.Method != http.MethodConnect || target == "" {
			http.Error(w, "not here", http.StatusBadGateway)
			return
		}
		near, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		far, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", target)
		if err != nil {
			t.Error(err)
			near.Close()
			return
		}
		_, _ = io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
		pipe := func(to, from net.Conn) {
			_, _ = io.Copy(to, from)
			near.Close()
			far.Close()
		}
		tunnels.Go(func() { pipe(far, near) })
		tunnels.Go(func() { pipe(near, far) })
	}))
	p.Config.ErrorLog = log.New(io.Discard, "", 0)
	if certs == nil {
		p.Start()
	} else {
		p.TLS = with(certs...)
		p.StartTLS()
	}
	t.Cleanup(func() { p.Close(); tunnels.Wait() })
	return p
}

func (p *connectProxy) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// TestPinThroughAProxy: the pin is on the key server, not on the proxy, whichever
// of the two has a pinned key.
func TestPinThroughAProxy(t *testing.T) {
	root := newAuthority(t, nil)
	good, evil, proxyCert := root.leaf(t), root.leaf(t), root.leaf(t)
	origin, impostor := serveTLS(t, with(good), answer), serveTLS(t, with(evil), answer)
	for _, tt := range []struct {
		name   string
		target *httptest.Server // where the proxy leads
		pin    tls.Certificate
		ok     bool
	}{
		{"right pin", origin, good, true},
		{"wrong pin", origin, evil, false},
		{"pin of the proxy", origin, proxyCert, false},
		{"proxy that leads elsewhere", impostor, good, false},
	} {
		for _, certs := range map[string][]tls.Certificate{"http": nil, "https": {proxyCert}} {
			proxy := startProxy(t, tt.target.Listener.Addr().String(), certs...)
			to, err := url.Parse(proxy.URL)
			require.NoError(t, err)
			t.Run(tt.name+", "+to.Scheme, func(t *testing.T) {
				for _, host := range []string{"idp.test", "127.0.0.1"} {
					c := pinning(t, roots(root), pinOf(tt.pin.Leaf))
					fetch.SetProxy(c, to)
					requirePinned(t, c, "https://"+host+"/jwks", tt.ok)
				}
				require.Equal(t, []string{"CONNECT idp.test:443", "CONNECT 127.0.0.1:443"}, proxy.seen())
			})
		}
	}
}

// TestPinnedAnswers: for a request without TLS through an https proxy, net/http
// tells the TLS of the proxy.
func TestPinnedAnswers(t *testing.T) {
	root := newAuthority(t, nil)
	verified := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{root.cert}}}
	for _, tt := range []struct {
		name, url string
		state     *tls.ConnectionState
		ok        bool
	}{
		{"https", "https://idp.test", verified, true},
		{"nothing verified", "https://idp.test", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{root.cert}}, false},
		{"no TLS", "https://idp.test", nil, false},
		{"http", "http://idp.test", verified, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := &closing{Reader: strings.NewReader("")}
			p := fetch.NewPinned(roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{TLS: tt.state, Body: body}, nil
			}), [][]byte{pinOf(root.cert)})
			res, err := p.RoundTrip(httptest.NewRequest(http.MethodGet, tt.url, nil))
			require.Equal(t, !tt.ok, body.closed)
			if tt.ok {
				require.NoError(t, err)
				require.NotNil(t, res)
				return
			}
			require.Equal(t, fetch.ErrPin, err)
			require.Nil(t, res)
		})
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

func TestOldTLSIsRefused(t *testing.T) {
	root := newAuthority(t, nil)
	for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		cfg := with(root.leaf(t))
		cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS10, version
		_, err := pinning(t, roots(root), pinOf(root.cert)).Get(t.Context(), serveTLS(t, cfg, answer).URL, jwks)
		require.Equal(t, ok, err == nil, "%s: %v", tls.VersionName(version), err)
	}
}

func TestPinSettings(t *testing.T) {
	pin := make([]byte, 32)
	for _, tt := range []struct {
		name string
		cfg  fetch.Config
		want string
	}{
		{"http", fetch.Config{PinnedSPKI: [][]byte{pin}, InsecureHTTP: true}, "fetch: PinnedSPKI: not together with InsecureHTTP"},
		{"a lent transport", fetch.Config{PinnedSPKI: [][]byte{pin}, Client: &http.Client{}}, "fetch: PinnedSPKI: not together with Client"},
		{"none", fetch.Config{PinnedSPKI: [][]byte{}}, "fetch: PinnedSPKI: empty"},
		{"too short", fetch.Config{PinnedSPKI: [][]byte{pin, pin[:31]}}, "fetch: PinnedSPKI: want 32 bytes each"},
		{"too long", fetch.Config{PinnedSPKI: [][]byte{make([]byte, 33)}}, "fetch: PinnedSPKI: want 32 bytes each"},
		{"nil", fetch.Config{PinnedSPKI: [][]byte{nil}}, "fetch: PinnedSPKI: want 32 bytes each"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := fetch.New(tt.cfg)
			require.EqualError(t, err, tt.want)
		})
	}
	c := pinning(t, nil, pin)
	_, err := c.Get(t.Context(), "http://127.0.0.1:1/jwks", jwks)
	require.EqualError(t, err, "fetch: URL not allowed: not https (InsecureHTTP allows http)")
}

// TestPinsAreCopied: what the caller does with its bytes afterwards has no effect.
func TestPinsAreCopied(t *testing.T) {
	root := newAuthority(t, nil)
	leaf := root.leaf(t)
	s := serveTLS(t, with(leaf), answer)
	pin := pinOf(leaf.Leaf)
	c := pinning(t, roots(root), pin)
	clear(pin)
	requirePinned(t, c, s.URL, true)
}
