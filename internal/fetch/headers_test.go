package fetch_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-auth/gatehouse/internal/fetch"
)

var now = time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }

func TestJ7CacheLifetime(t *testing.T) {
	const day = 24 * time.Hour
	type h = http.Header
	cc := func(lines ...string) h { return h{"Cache-Control": lines} }
	for _, tt := range []struct {
		name   string
		header h
		want   time.Duration
		ok     bool
	}{
		{"nothing said", h{}, 0, false},
		{"no lifetime said", cc("public, must-revalidate"), 0, false},
		{"max-age", cc("public, max-age=300, must-revalidate"), 300 * time.Second, true},
		{"case and quotes", cc(`Max-Age="300"`), 300 * time.Second, true},
		{"white space", cc("public ,  max-age = 300 "), 300 * time.Second, true},
		{"zero", cc("max-age=0"), 0, true},
		{"a year", cc("max-age=31536000"), day, true},
		{"negative", cc("max-age=-1"), 0, true},
		{"above 31 bits", cc("max-age=4294967296"), day, true},
		{"above 64 bits", cc("max-age=99999999999999999999999"), day, true},
		{"fraction", cc("max-age=300.5"), 0, true},
		{"no value", cc("max-age"), 0, true},
		{"word", cc("max-age=soon"), 0, true},
		{"hexadecimal", cc("max-age=0x10"), 0, true},
		{"digits of another script", cc("max-age=\u0663\u0660"), 0, true},
		{"no-store", cc("max-age=300, no-store"), 0, true},
		{"no-cache", cc("no-cache"), 0, true},
		{"no-cache of one field", cc(`no-cache="Set-Cookie", max-age=300`), 0, true},
		{"twice: the shorter", cc("max-age=300, max-age=60, max-age=600"), 60 * time.Second, true},
		{"two lines: the shorter", cc("max-age=300", "max-age=60"), 60 * time.Second, true},
		{"shared caches' own", cc("s-maxage=60"), 0, false},
		{"another name", cc("x-max-age=60, max-age-x=60"), 0, false},
		{"Age", h{"Cache-Control": {"max-age=300"}, "Age": {"100"}}, 200 * time.Second, true},
		{"Age above", h{"Cache-Control": {"max-age=300"}, "Age": {"301"}}, 0, true},
		{"Age overflow", h{"Cache-Control": {"max-age=300"}, "Age": {"99999999999999999999"}}, 0, true},
		{"Age malformed", h{"Cache-Control": {"max-age=300"}, "Age": {"-100"}}, 300 * time.Second, true},
		{"Age alone", h{"Age": {"100"}}, 0, false},
		{"Expires", h{"Expires": {at(time.Minute)}}, time.Minute, true},
		{"Expires in the past", h{"Expires": {at(-time.Minute)}}, 0, true},
		{"Expires in a year", h{"Expires": {at(365 * day)}}, day, true},
		{"Expires 0", h{"Expires": {"0"}}, 0, true},
		{"Expires empty", h{"Expires": {""}}, 0, true},
		{"Expires after Date, server's clock an hour ahead", h{"Expires": {at(time.Hour + time.Minute)}, "Date": {at(time.Hour)}}, time.Minute, true},
		{"Expires, malformed Date", h{"Expires": {at(time.Minute)}, "Date": {"yesterday"}}, time.Minute, true},
		{"Expires and Age", h{"Expires": {at(time.Minute)}, "Age": {"20"}}, 40 * time.Second, true},
		{"max-age before Expires", h{"Cache-Control": {"max-age=60"}, "Expires": {at(time.Hour)}}, time.Minute, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, ok := fetch.CacheLifetime(tt.header, now)
			require.Equal(t, tt.want, d)
			require.Equal(t, tt.ok, ok)
		})
	}
}

var retryAfterRows = []struct {
	name, value string
	want        time.Duration
	ok          bool
}{
	{"seconds", "7", 7 * time.Second, true},
	{"zero", "0", 0, true},
	{"white space", " 7 ", 7 * time.Second, true},
	{"capped", "86400", 5 * time.Minute, true},
	{"overflow", "99999999999999999999", 5 * time.Minute, true},
	{"negative", "-7", 0, false},
	{"fraction", "7.5", 0, false},
	{"word", "soon", 0, false},
	{"empty", "", 0, false},
	{"date", at(90 * time.Second), 90 * time.Second, true},
	{"date in the past", at(-time.Hour), 0, true},
	{"date capped", at(24 * time.Hour), 5 * time.Minute, true},
	{"date far away", "Fri, 31 Dec 9999 23:59:59 GMT", 5 * time.Minute, true},
	{"RFC 850 date", "Thursday, 01-Jan-26 12:00:30 GMT", 30 * time.Second, true},
	{"malformed date", "Thu, 32 Jan 2026 12:00:30 GMT", 0, false},
}

func TestJ10RetryAfter(t *testing.T) {
	for _, tt := range retryAfterRows {
		t.Run(tt.name, func(t *testing.T) {
			d, ok := fetch.RetryAfter(http.Header{"Retry-After": {tt.value}}, now)
			require.Equal(t, tt.want, d)
			require.Equal(t, tt.ok, ok)
		})
	}
	_, ok := fetch.RetryAfter(nil, now)
	require.False(t, ok)
}

func TestJ10StatusErrorTellsRetryAfter(t *testing.T) {
	for _, tt := range retryAfterRows {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", tt.value)
				w.WriteHeader(http.StatusTooManyRequests)
			})
			_, err := client(t, func(c *fetch.Config) { c.Now = func() time.Time { return now } }).Get(t.Context(), s.URL, jwks)
			var asks interface{ RetryAfter() time.Duration }
			require.ErrorAs(t, err, &asks)
			require.Equal(t, tt.want, asks.RetryAfter())
		})
	}
}
