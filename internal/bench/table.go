package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// table is Markdown. The first column is text, the others are numbers.
type table struct {
	head []string
	rows [][]string
}

func newTable(head ...string) *table { return &table{head: head} }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) String() string {
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var s strings.Builder
	line := func(cells []string) {
		for i, cell := range cells {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				s.WriteString("| " + cell + space + " |")
			} else {
				s.WriteString(" " + space + cell + " |")
			}
		}
		s.WriteString("\n")
	}
	line(t.head)
	for i, width := range widths {
		if i == 0 {
			s.WriteString("|" + strings.Repeat("-", width+2) + "|")
		} else {
			s.WriteString(strings.Repeat("-", width+1) + ":|")
		}
	}
	s.WriteString("\n")
	for _, row := range t.rows {
		line(row)
	}
	return s.String()
}

// none stands where there is no figure.
const none = "–"

func whole(f float64) string   { return fmt.Sprintf("%.0f", f) }
func hundred(f float64) string { return fmt.Sprintf("%.2f", f) }
func percent(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) }
