package jwtvalidate

import (
	"bytes"
	"io"
	"maps"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// maxForm bounds the body that is read for InsecureForm, in bytes.
const maxForm = 1 << 20

// formBody is a body that was read, and is there again from its beginning.
type formBody struct {
	*strings.Reader
	io.Closer
	text string
}

func newFormBody(text string, closer io.Closer) *formBody {
	return &formBody{strings.NewReader(text), closer, text}
}

// failed is a body that could not be read.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

// bufferForm reads the body of a form and puts it back; empty for other bodies.
func bufferForm(r *http.Request) (string, error) {
	if again, ok := r.Body.(*formBody); ok {
		return again.text, nil
	}
	if r.Body == nil || r.Body == http.NoBody || !isForm(r) {
		return "", nil
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	if err != nil || len(text) > maxForm {
		rest := io.Reader(r.Body)
		if err != nil {
			rest = failed{err} // net/http tells only once that a body has ended early
		}
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(text), rest), r.Body}
		return "", ErrInvalidRequest
	}
	r.Body = newFormBody(string(text), r.Body)
	return string(text), nil
}

func isForm(r *http.Request) bool {
	if r.Method != http.MethodPost && r.Method != http.MethodPut && r.Method != http.MethodPatch {
		return false
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // as net/http does it, whatever else is odd
	return media == "application/x-www-form-urlencoded"
}

func hideForm(r *http.Request, body *formBody) {
	r.Body, r.GetBody, r.ContentLength, r.TransferEncoding = body, nil, body.Size(), nil
	if r.Header["Content-Length"] != nil {
		r.Header = maps.Clone(r.Header)
		r.Header["Content-Length"] = []string{strconv.FormatInt(body.Size(), 10)}
	}
}
