package house_test

import (
	"go/scanner"
	"go/token"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// maxCommentRatio is in lines of comment to a line of code. Comments say why; a name or an Example says what.
const maxCommentRatio = 0.7

func TestCommentRatio(t *testing.T) {
	code, comment := map[string]int{}, map[string]int{}
	onlyDoc := map[string]bool{}
	for _, f := range tree(t) {
		if f.isTest() {
			continue
		}
		if _, seen := onlyDoc[f.dir()]; !seen {
			onlyDoc[f.dir()] = true
		}
		if path.Base(f.path) != "doc.go" {
			onlyDoc[f.dir()] = false
		}
		c, m := countLines(f.src)
		code[f.dir()] += c
		comment[f.dir()] += m
	}
	for dir := range code {
		if onlyDoc[dir] {
			continue
		}
		ratio := float64(comment[dir]) / float64(code[dir])
		assert.Less(t, ratio, maxCommentRatio, "%s: %d lines of comment, %d of code", dir, comment[dir], code[dir])
	}
}

func TestCountLines(t *testing.T) {
	code, comment := countLines([]byte(`// Package p
// has a comment.
package p

/* two
lines */
var a = 1 // beside code: code

var b = ` + "`raw\n\nstring`" + `
`))
	require.Equal(t, 5, code)
	require.Equal(t, 4, comment)
}

// countLines counts the lines that hold code, and those that hold comment and no code. Blank lines are neither.
func countLines(src []byte) (code, comment int) {
	var s scanner.Scanner
	fset := token.NewFileSet()
	file := fset.AddFile("", fset.Base(), len(src))
	s.Init(file, src, nil, scanner.ScanComments)
	hasCode, hasComment := map[int]bool{}, map[int]bool{}
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			break
		}
		lines := hasCode
		switch {
		case tok == token.COMMENT:
			lines = hasComment
		case tok == token.SEMICOLON && lit == "\n": // put in by the scanner
			continue
		}
		first := file.Line(pos)
		for n := range strings.Count(lit, "\n") + 1 {
			lines[first+n] = true
		}
	}
	for n := range hasComment {
		if !hasCode[n] {
			comment++
		}
	}
	return len(hasCode), comment
}
