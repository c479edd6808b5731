package webhook

import (
	"errors"
	"testing"
	"time"
)

func TestSelfAdmissions(t *testing.T) {
	bad := errors.New("bad")
	for _, c := range []struct {
		name  string
		done  []error
		ready bool
	}{
		{"none", nil, false},
		{"a good one", []error{nil}, true},
		{"a bad one first", []error{bad}, false},
		{"a bad one after a good one", []error{nil, bad}, true},
		{"three bad ones", []error{nil, bad, bad, bad}, false},
		{"a good one after them", []error{nil, bad, bad, bad, nil}, true},
		{"good ones between", []error{nil, bad, bad, nil, bad, bad}, true},
	} {
		var s selfAdmission
		for _, err := range c.done {
			s.done(err)
		}
		if err := s.ready(); (err == nil) != c.ready {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	var s selfAdmission
	s.last.Store(&selfResult{good: time.Now().Add(-time.Minute)})
	if s.ready() == nil {
		t.Error("one of a minute ago still counts")
	}
}
