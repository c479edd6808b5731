package db

import "strings"

// Holds is the condition that one text holds another, byte for byte. Neither
// is a pattern.
func (d *DB) Holds(text, part string) string {
	if d.Engine == PostgreSQL {
		return `strpos(` + text + `, ` + part + `) > 0`
	}
	return `instr(` + text + `, ` + part + `) > 0`
}

// HoldsFolded is Holds for a text in any case and a part that went through
// Folded. Only ASCII letters have case here, on both engines.
func (d *DB) HoldsFolded(text, part string) string {
	return d.Holds(d.Lower(text), part)
}

// Lower is a text with its ASCII letters in lower case, as Folded returns it.
func (d *DB) Lower(text string) string {
	if d.Engine == PostgreSQL {
		return `lower(` + text + ` COLLATE "C")`
	}
	return `lower(` + text + `)`
}

// Together is one text of several, with a line break between each two.
func Together(texts ...string) string { return strings.Join(texts, " || '\n' || ") }

// Folded is s with its ASCII letters in lower case.
func Folded(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, s)
}
