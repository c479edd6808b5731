package db

import (
	"context"
	"database/sql"
	"sync"
)

// prepared is a pool that keeps its statements prepared. SQLite parses a
// statement each time it is run otherwise, which costs more than running it;
// pgx keeps them by itself.
//
// A read is not cancelled: it is of a local file, waits for nobody (WAL) and is
// short, while every context that can end costs it two goroutines.
type prepared struct {
	*sql.DB

	mu         sync.RWMutex
	statements map[string]*sql.Stmt
}

// mostStatements bounds what is kept. There are fewer texts than that, since
// values are never part of one; should that change, the rest is not kept.
const mostStatements = 200

// statement returns the prepared form of a query, or nil when it is not kept:
// the pool then runs it, and tells what is wrong with it.
func (p *prepared) statement(ctx context.Context, query string) *sql.Stmt {
	p.mu.RLock()
	s, kept := p.statements[query]
	full := len(p.statements) >= mostStatements
	p.mu.RUnlock()
	if kept || full {
		return s
	}
	s, err := p.PrepareContext(ctx, query)
	if err != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if other, kept := p.statements[query]; kept || len(p.statements) >= mostStatements {
		s.Close()
		return other
	}
	p.statements[query] = s
	return s
}

func (p *prepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if s := p.statement(ctx, query); s != nil {
		return s.ExecContext(ctx, args...)
	}
	return p.DB.ExecContext(ctx, query, args...)
}

func (p *prepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s := p.statement(ctx, query); s != nil {
		return s.QueryContext(context.WithoutCancel(ctx), args...)
	}
	return p.DB.QueryContext(ctx, query, args...)
}

func (p *prepared) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if s := p.statement(ctx, query); s != nil {
		return s.QueryRowContext(context.WithoutCancel(ctx), args...)
	}
	return p.DB.QueryRowContext(ctx, query, args...)
}
