package db

// ForShare ends a SELECT of rows that nobody is to change before the
// transaction has ended, while others may read them so as well. On SQLite,
// which has one writer at a time, there is nothing to add.
func (d *DB) ForShare() string {
	if d.Engine == PostgreSQL {
		return ` FOR SHARE`
	}
	return ``
}
