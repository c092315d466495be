package jwtsign

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse/internal/jose"
)

// field is a node of the tree of Fields.
type field struct {
	names    []string // of children
	children map[string]*field
	path     string // joined by dots
	shape    *shape // nil: an inner node
	Field
	limits jose.Limits
}

// maxBody bounds an answer that is rewritten, in bytes.
const maxBody = 1 << 20

func (f *field) add(of Field, shape *shape) error {
	if len(of.Path) == 0 || slices.ContainsFunc(of.Path, func(name string) bool { return name == "" || !utf8.ValidString(name) }) {
		return errors.New("required, without empty names, in UTF-8")
	}
	for i, name := range of.Path {
		if f.shape != nil {
			return errors.New("leads through another field")
		}
		child := f.children[name]
		if child == nil {
			child = &field{path: strings.Join(of.Path[:i+1], ".")}
			if f.children == nil {
				f.children = make(map[string]*field)
			}
			f.names, f.children[name] = append(f.names, name), child
			f.limits = jose.Limits{Bytes: maxBody, Depth: 64, Values: 1 << 16, Reserved: jose.Reserve(f.names...)}
		}
		f = child
	}
	if f.shape != nil || f.children != nil {
		return errors.New("stands there twice, or leads through another field")
	}
	of.Path = nil
	f.shape, f.Field = shape, of
	return nil
}

// splice is a part of a text and what stands in its place.
type splice struct {
	from, to int
	text     string
}

// rewritten is an answer in the parts that it was put together from.
type rewritten []string

func (r rewritten) size() (n int) {
	for _, part := range r {
		n += len(part)
	}
	return n
}

// rewrite signs the fields of an answer. Everything else in it stays as it is, to
// the byte.
func (s *Signer) rewrite(ctx context.Context, body string) (rewritten, error) {
	var cuts []splice
	if err := s.walk(ctx, s.fields, body, 0, &cuts); err != nil {
		return nil, err
	}
	slices.SortFunc(cuts, func(a, b splice) int { return a.from - b.from })
	out := make(rewritten, 0, 2*len(cuts)+1)
	at := 0
	for _, c := range cuts {
		out = append(out, body[at:c.from], c.text)
		at = c.to
	}
	return append(out, body[at:]), nil
}

// walk signs the fields in an object that stands at base of the answer.
func (s *Signer) walk(ctx context.Context, node *field, text string, base int, cuts *[]splice) error {
	object, err := jose.ParseObject(text, node.limits)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	for _, name := range node.names {
		child := node.children[name]
		from, to, has := object.Span(name)
		if !has || text[from] != '{' {
			if err := child.absent(); err != nil {
				return err
			}
			continue
		}
		inner := text[from:to]
		if child.shape == nil {
			if err := s.walk(ctx, child, inner, base+from, cuts); err != nil {
				return err
			}
			continue
		}
		token, err := s.sign(ctx, child.shape, inner, child.path)
		if err != nil {
			return err
		}
		if child.Flattened {
			token = flattened(token)
		} else {
			token = `"` + token + `"`
		}
		*cuts = append(*cuts, splice{base + from, base + to, token})
	}
	return nil
}

// absent reports whether an answer may do without the fields of a node.
func (f *field) absent() error {
	if f.shape != nil {
		if f.Optional {
			return nil
		}
		return fmt.Errorf("%w: %s is missing or no object", ErrAnswer, f.path)
	}
	for _, name := range f.names {
		if err := f.children[name].absent(); err != nil {
			return err
		}
	}
	return nil
}

// verdict is what becomes of an answer, as far as its header tells.
type verdict uint8

const (
	untouched verdict = iota
	unnamed           // no Content-Type: its first byte decides
	signable
)

// judge looks at the header of an answer to a request of one of the methods.
func (s *Signer) judge(status int, h http.Header) verdict {
	if s.statuses == nil && (status < 200 || status > 299) || s.statuses != nil && !slices.Contains(s.statuses, status) || !hasBody(status) {
		return untouched
	}
	verdict := unnamed
	for _, line := range h["Content-Type"] {
		for media := range strings.SplitSeq(line, ",") { // of several, each reader takes another
			media = strings.TrimLeft(media, " \t")
			if end := strings.IndexAny(media, "; \t"); end >= 0 {
				media = media[:end]
			}
			if isJSON(media) || status == http.StatusPartialContent && strings.EqualFold(media, "multipart/byteranges") {
				return signable // parts will be refused
			}
			if media != "" {
				verdict = untouched
			}
		}
	}
	return verdict
}

func isJSON(media string) bool {
	return strings.EqualFold(media, "application/json") || strings.EqualFold(media, "text/json") || hasSuffixFold(media, "+json")
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

// hasBody reports whether answers of that status have content (RFC 9110 section 6.4.1).
func hasBody(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified && status != http.StatusResetContent
}

// looksJSON reports whether a body without Content-Type begins as an object does;
// unsure: more of it is needed. seen is how far it has looked.
func looksJSON(h http.Header, body string, seen *int) (json, unsure bool) {
	switch coding(h) {
	case "", "identity":
	case "gzip", "x-gzip":
		const enough = 512
		r, err := gzip.NewReader(strings.NewReader(body))
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return true, len(body) < enough
		}
		if err != nil {
			break // it is not what it is said to be
		}
		plain := make([]byte, enough)
		n, _ := io.ReadFull(r, plain)
		json, unsure = looksJSON(nil, string(plain[:n]), new(int))
		return json || unsure, unsure && len(body) < enough && n < enough
	default:
		return true, len(body) == 0 // nobody here can tell
	}
	const mark = "\xef\xbb\xbf"
	for rest := body[*seen:]; ; rest = body[*seen:] {
		switch {
		case len(rest) < len(mark) && strings.HasPrefix(mark, rest):
			return false, true
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			*seen++
		case strings.HasPrefix(rest, mark):
			*seen += len(mark)
		default:
			return rest[0] == '{', false
		}
	}
}

// answer makes the body of a signable answer, and puts its header right.
func (s *Signer) answer(ctx context.Context, status int, h http.Header, body string) (rewritten, error) {
	if status == http.StatusPartialContent {
		return nil, fmt.Errorf("%w: a part of one", ErrAnswer)
	}
	plain, err := decoded(h, body)
	if err != nil {
		return nil, err
	}
	out, err := s.rewrite(ctx, plain)
	if err != nil {
		return nil, err
	}
	describe(h)
	unstorable(h)
	return out, nil
}

// describe removes what was said of a body that is another now, however it is spelled.
func describe(h http.Header) {
	for name := range h {
		switch http.CanonicalHeaderKey(name) {
		case "Accept-Ranges", "Content-Digest", "Content-Encoding", "Content-Length", "Content-Md5", "Content-Range", "Digest", "Etag", "Last-Modified", "Repr-Digest", "Trailer":
			delete(h, name)
		}
	}
}

// unstorable keeps an answer out of all caches, also those with a field of their own
// (RFC 9213).
func unstorable(h http.Header) {
	for name := range h {
		if hasSuffixFold(name, "Cache-Control") || strings.EqualFold(name, "Surrogate-Control") || strings.EqualFold(name, "X-Accel-Expires") {
			delete(h, name)
		}
	}
	h.Set("Cache-Control", "no-store")
}

func coding(h http.Header) string {
	return strings.ToLower(strings.TrimSpace(strings.Join(h["Content-Encoding"], ",")))
}

// decoded is the body without its coding. What is not understood is never signed.
func decoded(h http.Header, body string) (string, error) {
	switch coding(h) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
	default:
		return "", fmt.Errorf("%w: an unknown Content-Encoding", ErrAnswer)
	}
	r, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("%w: gzip", ErrAnswer)
	}
	var plain strings.Builder
	if _, err := io.Copy(&plain, io.LimitReader(r, maxBody+1)); err != nil {
		return "", fmt.Errorf("%w: gzip", ErrAnswer)
	}
	if plain.Len() > maxBody {
		return "", errTooLarge
	}
	return plain.String(), nil
}

var errTooLarge = fmt.Errorf("%w: larger than 1 MiB", ErrAnswer)
