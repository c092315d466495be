package jwtvalidate

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
)

// sameField reports whether two header names are one to any reader: case aside,
// and with all marks alike, since gateway interfaces fold them (RFC 3875 section 4.1.18).
func sameField(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if foldField(a[i]) != foldField(b[i]) {
			return false
		}
	}
	return true
}

func foldField(c byte) byte {
	if isAlphanumeric(c) {
		return c | 0x20
	}
	return '-'
}

// guard removes from a request of one's own the headers for which own says that
// only we may set them, whatever way they are written or announced. Connection and
// trailers cannot name those that are unlisted.
func guard(r *http.Request, own, unlisted func(name string) bool) {
	header, cloned := r.Header, false
	edit := func() {
		if !cloned {
			header, cloned = maps.Clone(header), true
		}
	}
	for name := range r.Header {
		if own(name) {
			edit()
			delete(header, name)
		}
	}
	if lines := header["Connection"]; namesOwn(lines, unlisted) {
		edit()
		header["Connection"] = nil
		for _, line := range lines {
			var kept strings.Builder
			for option := range strings.SplitSeq(line, ",") {
				if option = strings.Trim(option, " \t"); option != "" && !unlisted(option) {
					if kept.Len() > 0 {
						kept.WriteString(", ")
					}
					kept.WriteString(option)
				}
			}
			if kept.Len() > 0 {
				header["Connection"] = append(header["Connection"], kept.String())
			}
		}
	}
	r.Header = header
	if len(r.Trailer) > 0 {
		guardTrailer(r, unlisted)
	}
}

func namesOwn(lines []string, own func(string) bool) bool {
	for _, line := range lines {
		for option := range strings.SplitSeq(line, ",") {
			if own(strings.Trim(option, " \t")) {
				return true
			}
		}
	}
	return false
}

// guardTrailer gives r a Trailer of its own. The server fills the other one when
// it has read the body, also with fields that were not announced.
func guardTrailer(r *http.Request, own func(string) bool) {
	sent, kept := r.Trailer, make(http.Header, len(r.Trailer))
	r.Trailer = kept
	fill := func() {
		for name, values := range sent {
			if !own(name) {
				kept[name] = values
			}
		}
	}
	fill()
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &trailerBody{r.Body, fill}
	}
}

// trailerBody tells when a body has been read to its end.
type trailerBody struct {
	io.ReadCloser
	atEnd func()
}

func (b *trailerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.atEnd()
	}
	return n, err
}
