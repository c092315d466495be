package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// row is one step of the demonstration, as it went.
type row struct {
	step, request, answer, why string
	surprise                   string // what should have been; empty: it went as it must
}

// table prints rows in columns. It returns how many of them were surprises.
func table(out io.Writer, rows []row) (surprises int, err error) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STEP\tREQUEST\tANSWER\tWHY")
	for _, r := range rows {
		if r.surprise != "" {
			surprises++
			r.why = "UNEXPECTED: " + r.surprise
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.step, r.request, r.answer, r.why)
	}
	return surprises, w.Flush()
}
