package clientcreds_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/clientcreds"
)

// TestToken68InAChallenge: every character of one (RFC 9110 section 11.2), wherever it
// is, leaves the Bearer challenge beside it as it is.
func TestToken68InAChallenge(t *testing.T) {
	const dead, scope = `Bearer error="invalid_token"`, `Bearer error="insufficient_scope"`
	for _, tt := range []struct {
		name   string
		say    []string
		only   bool // ReplayNamedOnly
		status int
	}{
		{"plus", []string{`Negotiate YII+abc==, ` + dead}, true, 200},
		{"slash", []string{`Negotiate a/b, ` + dead}, true, 200},
		{"slash first", []string{`Negotiate /b, ` + dead}, true, 200},
		{"both, and padding", []string{`Negotiate YII/abc+def==, ` + dead}, true, 200},
		{"padding of one", []string{`NTLM TlRMTVNTUAAC/AAA= , ` + dead}, true, 200},
		{"other characters", []string{`Foo -._~+/, ` + dead}, true, 200},
		{"digits", []string{`Foo 0+9, ` + dead}, true, 200},
		{"two of them", []string{`Negotiate a/b, NTLM c+d=, ` + dead}, true, 200},
		{"before a bare Bearer", []string{`Negotiate a/b, Bearer`}, false, 200},
		{"before Bearer with a realm", []string{`Negotiate a/b, Bearer realm="x"`}, false, 200},
		{"in a line of its own", []string{`NTLM TlRMTVNTUAAC/AAA=`, dead}, true, 200},
		{"behind", []string{dead + `, Negotiate a/b`}, true, 200},
		{"of Bearer itself", []string{`Bearer a/b==`}, false, 200},

		{"slash, another error", []string{`Negotiate a/b, ` + scope}, false, 401},
		{"plus, another error", []string{`Negotiate a+b==, ` + scope}, false, 401},
		{"behind another error", []string{scope + `, Negotiate a/b`}, false, 401},
		{"between two errors", []string{dead + `, Negotiate a/b, ` + scope}, false, 401},
		{"before a bare Bearer, named only", []string{`Negotiate a/b, Bearer`}, true, 401},
		{"of Bearer itself, named only", []string{`Bearer a/b==`}, true, 401},
		{"alone", []string{`Negotiate a/b==`}, false, 401},
		{"a parameter, and no token68", []string{`Foo error="invalid_token", Foo a/b`}, false, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &api{say: tt.say}
				cfg := config(&idp{})
				cfg.ReplayNamedOnly = tt.only
				s := newSource(t, cfg)
				require.Equal(t, "token-1", tokenOf(t, s))
				a.reject("token-1")
				time.Sleep(time.Minute)
				status, _ := send(t, s.Transport(a), http.MethodGet, apiURL, nil)
				require.Equal(t, tt.status, status)
			})
		})
	}
}

// TestAnswerEndsInTheMiddle: the token endpoint dies while it answers. That is asked
// again within the same call, as one that cannot be reached is.
func TestAnswerEndsInTheMiddle(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	text := good(1, "")
	whole := fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(text), text)
	length := fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(text), text[:20])
	chunked := head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", 20, text[:20])
	for _, tt := range []struct {
		name    string
		answers []string
		asked   uint64
		reason  clientcreds.Reason // empty: a token
	}{
		{"whole", []string{whole}, 1, ""},
		{"no answer", []string{"", whole}, 2, ""},
		{"in the header", []string{head, whole}, 2, ""},
		{"Content-Length", []string{length, whole}, 2, ""},
		{"Content-Length, before the first byte", []string{length[:len(length)-20], whole}, 2, ""},
		{"chunked, between chunks", []string{chunked, whole}, 2, ""},
		{"chunked, in a chunk", []string{chunked[:len(chunked)-5], whole}, 2, ""},
		{"chunked, before the last chunk", []string{head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", len(text), text), whole}, 2, ""},

		{"twice", []string{length, chunked, whole}, 2, clientcreds.ReasonNetwork},
		{"with a time to come back", []string{head + "Retry-After: 30\r\n" + length[len(head):], whole}, 1, clientcreds.ReasonNetwork},
		{"whole, and half a text", []string{head + "Content-Length: 20\r\n\r\n" + text[:20], whole}, 1, clientcreds.ReasonMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Uint64
				wire := &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
					here, there := net.Pipe()
					go func() {
						defer there.Close()
						r, err := http.ReadRequest(bufio.NewReader(there))
						if err != nil {
							return
						}
						_, _ = io.Copy(io.Discard, r.Body)
						_, _ = io.WriteString(there, tt.answers[asked.Add(1)-1])
					}()
					return here, nil
				}}
				cfg := config(wire)
				cfg.TokenURL = "http://127.0.0.1/token"
				s := newSource(t, cfg)
				start := time.Now()
				if tt.reason == "" {
					require.Equal(t, "token-1", tokenOf(t, s))
				} else {
					failed := failureOf(t, s)
					require.Equal(t, tt.reason, failed.Reason)
					require.NotContains(t, failed.Error(), "token-1")
				}
				require.Equal(t, tt.asked, asked.Load())
				require.Equal(t, tt.asked, s.Status().Requests)
				require.LessOrEqual(t, time.Since(start), time.Second)
			})
		})
	}
}
