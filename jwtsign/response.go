package jwtsign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// ModifyResponse rewrites an answer of a backend, for httputil.ReverseProxy. Its
// error, which wraps ErrAnswer, ErrClaims or ErrUnavailable, makes the proxy's
// ErrorHandler answer: 502 if that is nil. Without Fields, every answer is an error.
// A Go backend that names no Content-Type says text/plain, which passes: let it name
// JSON.
func (s *Signer) ModifyResponse(res *http.Response) error {
	if s.fields == nil {
		return fmt.Errorf("%w: the Config has no Fields", ErrAnswer)
	}
	if res.Request != nil && !slices.Contains(s.methods, res.Request.Method) {
		return nil
	}
	verdict := s.judge(res.StatusCode, res.Header)
	if verdict == untouched || res.Body == nil {
		return nil
	}
	if res.Request != nil && res.Request.Method == http.MethodHead {
		describe(res.Header)
		res.ContentLength = -1
		return nil
	}
	if verdict == unnamed {
		json, err := peek(res)
		if err != nil {
			s.reportAnswer(requestContext(res), err)
		}
		if err != nil || !json {
			return err
		}
	}
	var body strings.Builder
	_, err := io.Copy(&body, io.LimitReader(res.Body, maxBody+1))
	_ = res.Body.Close()
	switch {
	case err != nil:
		err = fmt.Errorf("%w: it could not be read", ErrAnswer)
	case body.Len() > maxBody:
		err = errTooLarge
	}
	ctx := requestContext(res)
	var out rewritten
	if err == nil {
		out, err = s.answer(ctx, res.StatusCode, res.Header, body.String())
	}
	if err != nil {
		s.reportAnswer(ctx, err)
		return err
	}
	res.Body = io.NopCloser(strings.NewReader(strings.Join(out, "")))
	res.ContentLength, res.TransferEncoding, res.Uncompressed = int64(out.size()), nil, false
	res.Header.Set("Content-Length", strconv.Itoa(out.size()))
	describe(res.Trailer)
	return nil
}

func requestContext(res *http.Response) context.Context {
	if res.Request == nil {
		return context.Background()
	}
	return res.Request.Context()
}

// peek looks at the beginning of a body without Content-Type, as little as tells.
func peek(res *http.Response) (json bool, err error) {
	var seen strings.Builder
	next, at := make([]byte, 1), 0
	for unsure := true; unsure; {
		n, err := res.Body.Read(next)
		if _, _ = seen.Write(next[:n]); n > 0 { // it never fails
			json, unsure = looksJSON(res.Header, seen.String(), &at)
		}
		if seen.Len() > maxBody {
			return false, errTooLarge
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false, fmt.Errorf("%w: it could not be read", ErrAnswer)
		}
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(strings.NewReader(seen.String()), res.Body), res.Body}
	return json, nil
}
