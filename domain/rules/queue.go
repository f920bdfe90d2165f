package rules

import (
	"time"
)

// question is what a rule comes back to when the grace has passed.
type question struct {
	Kind  occasion  `json:"kind"`
	Order string    `json:"order"`
	Due   time.Time `json:"due"`
	Count int64     `json:"count"`
	Asked mark      `json:"asked"` // the event that put it
	Names string    `json:"names,omitzero"`
}

// queue holds questions, the one that is due first at its head. It moves them only
// when half of its room is free: with thousands waiting, one comes due at each event.
type queue struct {
	questions []question
	head      int
}

func (q *queue) put(asked question) {
	if q.head > len(q.questions)/2 {
		n := copy(q.questions, q.questions[q.head:])
		clear(q.questions[n:])
		q.questions, q.head = q.questions[:n], 0
	}
	q.questions = append(q.questions, asked)
}

// due takes the question at the head if its grace has passed.
func (q *queue) due(now time.Time, seen int64) (question, bool) {
	if q.head < len(q.questions) {
		if first := q.questions[q.head]; first.Due.After(now) && first.Count > seen {
			return question{}, false
		}
	}
	return q.next()
}

// next takes the question at the head.
func (q *queue) next() (question, bool) {
	if q.head == len(q.questions) {
		return question{}, false
	}
	next := q.questions[q.head]
	q.questions[q.head] = question{}
	q.head++
	return next, true
}

// waiting lists what is not due yet.
func (q *queue) waiting() []question { return q.questions[q.head:] }
