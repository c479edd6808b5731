package signin

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/db"
)

const (
	perWrite   = 1024 // records in one transaction
	tries      = 60   // of one batch before it is given up
	writeLimit = 5 * time.Second
)

// Config says what a Recorder works with. Only DB is required.
type Config struct {
	DB      *db.DB
	Keep    time.Duration    // how long records are kept; default 30 days
	Most    int              // records kept of one tenant, the newest; default 1,000,000
	Buffer  int              // records in memory; default 4096
	Every   time.Duration    // between writes; default 1 s
	Clock   func() time.Time // default time.Now
	Log     *slog.Logger     // default: none
	Dropped func(int)        // is told how many records were lost; default: nobody
}

// Recorder takes records and writes them behind the back of the exchange. It is
// safe for concurrent use.
type Recorder struct {
	cfg     Config
	wake    chan struct{} // the buffer is half full
	writing chan struct{} // holds one token while a batch is being written

	mu      sync.Mutex
	pending []Record // not taken by a writer yet
	count   int      // pending and held

	// The following belong to whoever holds writing.
	held   []Record // taken, not written yet
	failed int      // attempts since the last write that worked
}

// New returns a Recorder; nothing is written until Run or Flush.
func New(cfg Config) *Recorder {
	if cfg.Keep <= 0 {
		cfg.Keep = 30 * 24 * time.Hour
	}
	if cfg.Most <= 0 {
		cfg.Most = 1_000_000
	}
	if cfg.Buffer <= 0 {
		cfg.Buffer = 4096
	}
	if cfg.Every <= 0 {
		cfg.Every = time.Second
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Dropped == nil {
		cfg.Dropped = func(int) {}
	}
	return &Recorder{cfg: cfg, wake: make(chan struct{}, 1), writing: make(chan struct{}, 1)}
}

// Keeps is how long records are kept.
func (r *Recorder) Keeps() time.Duration { return r.cfg.Keep }

// Record takes a record. It never blocks and never fails; when Config.Buffer
// records are waiting, this one is lost.
func (r *Recorder) Record(rec Record) {
	if rec.TenantID == "" {
		return
	}
	if rec.At.IsZero() {
		rec.At = r.cfg.Clock()
	}
	rec.own()
	r.mu.Lock()
	full := r.count >= r.cfg.Buffer
	if !full {
		r.pending = append(r.pending, rec)
		r.count++
	}
	wake := 2*len(r.pending) >= r.cfg.Buffer
	r.mu.Unlock()
	if full {
		r.cfg.Dropped(1)
	}
	if wake {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// Run writes what is recorded and deletes what is old until ctx ends, then
// writes what is left. Records that come later are not written, so let the
// server come to rest first.
func (r *Recorder) Run(ctx context.Context) error {
	var sweeping sync.WaitGroup
	sweeping.Go(func() { r.sweepRegularly(ctx) })
	defer sweeping.Wait()
	tick := time.NewTicker(r.cfg.Every)
	defer tick.Stop()
	wake := r.wake
	flush := func() error { // a batch that is being written when ctx ends is not cut off
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
		defer cancel()
		return r.Flush(ctx)
	}
	for {
		select {
		case <-ctx.Done():
			return flush()
		case <-tick.C:
		case <-wake:
		}
		wake = r.wake
		if flush() != nil { // it has been logged
			wake = nil // a database that is down is asked at the ticker's pace
		}
	}
}

// Flush writes every record that was taken before it was called. A batch that
// cannot be written is kept for the next Flush, but not for ever.
func (r *Recorder) Flush(ctx context.Context) error {
	select {
	case r.writing <- struct{}{}:
		defer func() { <-r.writing }()
	case <-ctx.Done():
		return fmt.Errorf("write sign-ins: %w", ctx.Err())
	}
	r.mu.Lock()
	taken := r.pending
	r.pending = nil
	r.mu.Unlock()
	for i := range taken {
		id, err := uuid.NewV7() // in the order of recording
		if err != nil {
			id = uuid.New()
		}
		taken[i].ID = id.String()
	}
	r.held = append(r.held, taken...)
	for len(r.held) > 0 {
		n := min(len(r.held), perWrite)
		err := r.write(ctx, r.held[:n])
		if err != nil {
			if r.failed == 0 {
				r.cfg.Log.ErrorContext(ctx, "sign-ins cannot be written; they are kept and tried again", "records", len(r.held), "error", err)
			}
			if r.failed++; r.failed >= tries {
				r.cfg.Log.ErrorContext(ctx, "sign-ins are given up", "records", n, "error", err)
				r.release(n)
				r.cfg.Dropped(n)
				r.failed = 0
			}
			return err
		}
		if r.failed > 0 {
			r.cfg.Log.InfoContext(ctx, "sign-ins are written again")
			r.failed = 0
		}
		r.release(n)
	}
	return nil
}

// release lets go of the first n records that are held.
func (r *Recorder) release(n int) {
	if r.held = r.held[n:]; len(r.held) == 0 {
		r.held = nil
	}
	r.mu.Lock()
	r.count -= n
	r.mu.Unlock()
}

// columns are those of a record, in the order of Record.arguments.
const columns = `id, at, code, tenant_id, client_id, principal_id, client_name, client_kind, credential_id, issuer, subject, audience, resource, method, reason, address, request_id, token_id`

const columnCount = 18

func (r *Record) arguments(args []any) []any {
	args = append(args, r.ID, r.At.UnixMilli(), r.Code)
	for _, s := range r.texts() {
		args = append(args, *s)
	}
	return args
}

// insert is the INSERT of n records. A record that is there already was written
// by an attempt whose answer was lost.
func insert(n int) string {
	var b strings.Builder
	b.WriteString(`INSERT INTO sign_ins (` + columns + `) VALUES `)
	for i := range n * columnCount {
		switch {
		case i == 0:
			b.WriteString(`(`)
		case i%columnCount == 0:
			b.WriteString(`), (`)
		default:
			b.WriteString(`, `)
		}
		b.WriteString(`$` + strconv.Itoa(i+1))
	}
	b.WriteString(`) ON CONFLICT (id) DO NOTHING`)
	return b.String()
}

// One statement for several records spares PostgreSQL the journeys. SQLite has
// none, and its driver takes a time that is quadratic in the parameters.
const severalRecords = 64

var insertOne, insertSeveral = insert(1), insert(severalRecords)

// write writes records in one transaction.
func (r *Recorder) write(ctx context.Context, records []Record) error {
	several := severalRecords
	if r.cfg.DB.Engine == db.SQLite {
		several = perWrite + 1
	}
	err := r.cfg.DB.Update(ctx, func(tx *sql.Tx) error {
		var args []any
		rest := records
		for ; len(rest) >= several; rest = rest[several:] {
			args = args[:0]
			for i := range rest[:several] {
				args = rest[i].arguments(args)
			}
			if _, err := tx.ExecContext(ctx, insertSeveral, args...); err != nil {
				return err
			}
		}
		one, err := tx.PrepareContext(ctx, insertOne)
		if err != nil {
			return err
		}
		defer one.Close()
		for i := range rest {
			if _, err := one.ExecContext(ctx, rest[i].arguments(args[:0])...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write sign-ins: %w", err)
	}
	return nil
}
