package fleet

import "container/heap"

// party takes part in a division: votes are its weight, seats what it has.
type party struct {
	name  ClusterName
	votes int64
	seats int64
}

// webster gives seats to parties by the method of Webster and Sainte-Laguë: each
// seat goes to whoever has the most votes per 2·seats+1. Where that is equal it goes
// to whoever has fewer seats, and then to the name that comes first. Seats that
// parties have already count. (karmada pkg/util/helper/webstermethod.go, whose last
// tie-break depends on a resource's UID; this is the one of an empty UID)
func webster(parties []party, seats int64) {
	if len(parties) == 0 || seats <= 0 {
		return
	}
	seats -= begin(parties, seats)
	q := make(quotients, len(parties))
	for i := range parties {
		q[i] = quotient{&parties[i], parties[i].quotient()}
	}
	heap.Init(&q)
	for range seats {
		q[0].seats++
		q[0].value = q[0].quotient()
		heap.Fix(&q, 0)
	}
}

// begin gives away the seats that are beyond doubt, and returns how many, so that a
// division takes as many steps as there are parties and not as there are seats. Every
// seat whose quotient is above some bound goes before any below it: so all of them
// may be given at once when there are seats enough for all.
func begin(parties []party, seats int64) (given int64) {
	var votes float64
	for i := range parties {
		if parties[i].seats != 0 {
			return 0
		}
		votes += float64(parties[i].votes)
	}
	spare := 2*seats - 3*int64(len(parties))
	if spare <= 0 || votes == 0 {
		return 0
	}
	// With this bound a party claims votes/(2·bound)+1/2 seats or fewer, which makes less
	// than seats in all; one below that is safe from rounding.
	bound := votes / float64(spare)
	for i := range parties {
		p := &parties[i]
		p.seats = max(0, int64((float64(p.votes)/bound+1)/2)-1)
		given += p.seats
	}
	return given
}

func (p *party) quotient() float64 { return float64(p.votes) / float64(2*p.seats+1) }

// quotient is a party with its claim to the next seat.
type quotient struct {
	*party
	value float64
}

// quotients is a heap, the strongest claim first.
type quotients []quotient

func (q quotients) Len() int      { return len(q) }
func (q quotients) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *quotients) Push(any)     {} // nobody comes late
func (q *quotients) Pop() any     { return nil }

func (q quotients) Less(i, j int) bool {
	a, b := q[i], q[j]
	switch {
	case a.value != b.value:
		return a.value > b.value
	case a.seats != b.seats:
		return a.seats < b.seats
	}
	return a.name < b.name
}
