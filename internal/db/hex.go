package db

// HexHolds is the condition that the bytes of one text of hexadecimal digits
// hold those of another, which stands in the condition more than once. Its cost
// is one pass over the first, whatever it is: names and what is searched in them
// are strangers' to choose. Most texts do not even hold the digits, between
// bytes or not, and are told apart by that alone.
func (d *DB) HexHolds(text, part string) string {
	digits := d.Holds(text, part) + ` AND `
	if d.Engine == PostgreSQL {
		return `(` + digits + `position(decode(` + part + `, 'hex') IN decode(` + text + `, 'hex')) > 0)`
	}
	return `(` + digits + `instr(unhex(` + text + `), unhex(` + part + `)) > 0)`
}
