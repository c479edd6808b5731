package db

// Elements is a table of the elements of a JSON array, in its column value,
// of which value ->> 0 is the first member where that is an array again. So
// one parameter holds any number of rows, in one text of a statement; with a
// parameter for each value SQLite takes ten times as long.
func (d *DB) Elements(array string) string {
	if d.Engine == PostgreSQL {
		return `jsonb_array_elements(CAST(` + array + ` AS jsonb)) AS elements (value)`
	}
	return `json_each(` + array + `) AS elements`
}
