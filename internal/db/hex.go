package db

// HexHolds is the condition that the bytes of one text of hexadecimal digits
// hold those of another. Its cost is one pass over the first, whatever it is:
// names and what is searched in them are strangers' to choose.
func (d *DB) HexHolds(text, part string) string {
	if d.Engine == PostgreSQL {
		return `position(decode(` + part + `, 'hex') IN decode(` + text + `, 'hex')) > 0`
	}
	return `instr(unhex(` + text + `), unhex(` + part + `)) > 0`
}
