// Package house holds no code: its tests are the rules of this repository that a machine can check.
//
// They read the sources of all modules in the tree and fail, with the rule's number in CONTRIBUTING.md, when one of the
// five packages imports another, when jwx is seen outside internal/jose, when a dependency is added, when the exported
// API differs from its golden text or outgrows its budget, and when a folder has no doc.go or too much comment.
//
// They look at what is in the tree: a package that does not exist yet has nothing to hold.
package house
