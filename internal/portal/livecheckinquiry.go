package portal

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/entente-id/entente/internal/issuer"
)

// inquiries bound what people in front of the portal can make the service ask
// of others: an issuer is asked by one session at a time once, and by all of
// them no more than a few times a second. The answer is kept for a moment, since
// the form is looked at with every pause in typing, and no longer: what issuers
// say may be large. The zero value is ready.
type inquiries struct {
	mu       sync.Mutex
	sessions map[string]*inquirer
	asked    []time.Time // by anybody, in the last second
	busy     int         // questions under way
}

type inquirer struct {
	busy    bool
	asked   []time.Time // in the last minute
	answers map[string]inquiry
	seen    time.Time
}

// inquiry is what an issuer said.
type inquiry struct {
	report   issuer.Report
	err      error
	at       time.Time
	revision int64
}

const (
	inquiryFresh    = 30 * time.Second
	mostPerMinute   = 20   // of one session
	mostPerSecond   = 5    // of all
	mostAtOnce      = 4    // of all; the exchanges of a tenant have a share of their own that is larger
	mostInquirers   = 1000 // sessions that are remembered
	inquiryPatience = 6 * time.Second
)

// known is an answer that is still fresh.
func (q *inquiries) known(session string, src issuer.Source, now time.Time) (inquiry, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s, ok := q.sessions[session]
	if !ok {
		return inquiry{}, false
	}
	a, ok := s.answers[src.URL]
	return a, ok && now.Sub(a.at) < inquiryFresh && a.revision == src.Revision
}

// ask asks an issuer, unless it is too soon or a question of the session is under way.
func (q *inquiries) ask(ctx context.Context, session string, of *Surface, src issuer.Source) (a inquiry, ok bool) {
	if !q.begin(session, of.Clock()) {
		return inquiry{}, false
	}
	asking, cancel := context.WithTimeout(ctx, inquiryPatience)
	defer cancel()
	a.revision = src.Revision
	defer func() {
		a.at = of.Clock()
		q.end(session, src.URL, a, ctx.Err() == nil)
	}()
	a.report, a.err = of.Issuers.Check(asking, src)
	return a, true
}

// end notes an answer, unless whoever asked has gone: then it says nothing of the issuer.
func (q *inquiries) end(session, url string, a inquiry, keep bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.sessions[session]
	s.busy = false
	q.busy--
	if !keep {
		return
	}
	s.answers[url] = a
}

func (q *inquiries) begin(session string, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sessions == nil {
		q.sessions = map[string]*inquirer{}
	}
	q.forget(now)
	s, ok := q.sessions[session]
	if !ok {
		if len(q.sessions) >= mostInquirers {
			return false
		}
		s = &inquirer{answers: map[string]inquiry{}}
		q.sessions[session] = s
	}
	s.seen = now
	s.asked, q.asked = since(s.asked, now.Add(-time.Minute)), since(q.asked, now.Add(-time.Second))
	if s.busy || len(s.asked) >= mostPerMinute || len(q.asked) >= mostPerSecond || q.busy >= mostAtOnce {
		return false
	}
	q.busy++
	s.busy, s.asked, q.asked = true, append(s.asked, now), append(q.asked, now)
	return true
}

// forget drops the answers that nobody is given any more, and the sessions that
// have not asked for a minute.
func (q *inquiries) forget(now time.Time) {
	for id, s := range q.sessions {
		maps.DeleteFunc(s.answers, func(_ string, a inquiry) bool { return now.Sub(a.at) >= inquiryFresh })
		if !s.busy && now.Sub(s.seen) > time.Minute {
			delete(q.sessions, id)
		}
	}
}

// since drops the times before a moment; they are in order.
func since(times []time.Time, moment time.Time) []time.Time {
	for len(times) > 0 && times[0].Before(moment) {
		times = times[1:]
	}
	return times
}
