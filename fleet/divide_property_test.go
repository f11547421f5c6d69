package fleet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seatBySeat is Webster's method as it is told: one seat after the other, to whoever
// has the most votes for it.
func seatBySeat(parties []party, seats int64) {
	for range seats {
		best := 0
		for i := range parties {
			a, b := &parties[i], &parties[best]
			x, y := a.votes*(2*b.seats+1), b.votes*(2*a.seats+1)
			if x > y || x == y && (a.seats < b.seats || a.seats == b.seats && a.name < b.name) {
				best = i
			}
		}
		parties[best].seats++
	}
}

func TestWebsterEqualsOracle(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 11))
		parties := make([]party, 1+r.IntN(9))
		for i := range parties {
			parties[i] = party{name: ClusterName(fmt.Sprintf("c%d", i)), votes: int64(r.IntN(1 + int(seed%40)))}
			if seed%3 == 0 {
				parties[i].seats = int64(r.IntN(4))
			}
		}
		r.Shuffle(len(parties), func(i, j int) { parties[i], parties[j] = parties[j], parties[i] })
		seats := int64(r.IntN(200))
		want, got := slices.Clone(parties), slices.Clone(parties)
		seatBySeat(want, seats)
		webster(got, seats)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(party{})); diff != "" {
			t.Fatalf("seed %d, %d seats (-oracle +webster):\n%s", seed, seats, diff)
		}
	}
}

func FuzzWebster(f *testing.F) {
	f.Add(int64(10), int64(1), int64(2), int64(3))
	f.Add(int64(100_000), int64(1_000_000), int64(1), int64(0))
	f.Fuzz(func(t *testing.T, seats, a, b, c int64) {
		const most = 1 << 20
		if seats < 0 || seats > most || a < 0 || b < 0 || c < 0 || a > most || b > most || c > most {
			t.Skip("out of range")
		}
		want := []party{{"a", a, 0}, {"b", b, 0}, {"c", c, 0}}
		got := slices.Clone(want)
		seatBySeat(want, seats)
		webster(got, seats)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(party{})); diff != "" {
			t.Errorf("(-oracle +webster):\n%s", diff)
		}
	})
}

// divideByHand divides by what fits as Karmada's documentation tells it, for parts of
// one tier. Nil: they do not fit.
func divideByHand(d capacityDivision, parts []part, replicas int64) []int64 {
	counts := make([]int64, len(parts))
	var running int64
	for _, p := range parts {
		running += p.before
	}
	weights, left := make([]int64, len(parts)), replicas
	keep := !d.fresh && running <= replicas
	for i, p := range parts {
		switch {
		case d.fresh:
			weights[i] = p.room + p.before
		case keep:
			weights[i], counts[i] = p.room, p.before
			left -= p.before
		default:
			weights[i] = p.before
		}
	}
	if left == 0 {
		return counts
	}
	order := make([]int, len(parts))
	for i := range order {
		order[i] = i
	}
	if d.aggregated {
		slices.SortStableFunc(order, func(a, b int) int { return int(weights[b] - weights[a]) })
		slices.SortStableFunc(order, func(a, b int) int {
			first, second := 1, 1
			if keep && parts[a].before > 0 {
				first = 0
			}
			if keep && parts[b].before > 0 {
				second = 0
			}
			return first - second
		})
	}
	var parties []party
	var sum int64
	for _, i := range order {
		if d.aggregated && sum >= left {
			break
		}
		sum += weights[i]
		parties = append(parties, party{name: parts[i].name, votes: weights[i]})
	}
	if sum < left {
		return nil
	}
	seatBySeat(parties, left)
	for _, p := range parties {
		counts[slices.IndexFunc(parts, func(q part) bool { return q.name == p.name })] += p.seats
	}
	return counts
}

func TestCapacityDivisionEqualsOracle(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 13))
		parts := make([]part, 1+r.IntN(6))
		for i := range parts {
			parts[i] = part{name: ClusterName(fmt.Sprintf("c%d", i)), room: int64(r.IntN(8)), before: int64(r.IntN(2) * r.IntN(8))}
		}
		d := capacityDivision{aggregated: r.IntN(2) == 0, fresh: r.IntN(3) == 0}
		replicas := int64(r.IntN(30))
		want := divideByHand(d, parts, replicas)
		err := d.divide(parts, replicas)
		if (err != nil) != (want == nil) {
			t.Fatalf("seed %d: %v, by hand %v", seed, err, want)
		}
		got := make([]int64, len(parts))
		for i := range parts {
			got[i] = parts[i].count
		}
		if diff := cmp.Diff(want, got); err == nil && diff != "" {
			t.Fatalf("seed %d: %+v for %d of %+v (-by hand +divided):\n%s", seed, d, replicas, parts, diff)
		}
	}
}

// TestOverflowFillsTiers checks that a tier is used only when those before are full.
func TestOverflowFillsTiers(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 17))
		parts := make([]part, 2+r.IntN(6))
		for i := range parts {
			parts[i] = part{name: ClusterName(fmt.Sprintf("c%d", i)), tier: i * 3 / len(parts), room: int64(r.IntN(6)), before: int64(r.IntN(3))}
		}
		replicas := int64(r.IntN(25))
		err := capacityDivision{aggregated: r.IntN(2) == 0, fresh: r.IntN(2) == 0}.divide(parts, replicas)
		var fit, sum int64
		used := [4]int64{}
		room := [4]int64{}
		for _, p := range parts {
			fit += p.available()
			sum += p.count
			used[p.tier] += p.count
			room[p.tier] += p.available()
		}
		if (err != nil) != (fit < replicas) {
			t.Fatalf("seed %d: %v for %d of %d", seed, err, replicas, fit)
		}
		if err != nil {
			continue
		}
		if sum != replicas {
			t.Fatalf("seed %d: %d of %d replicas", seed, sum, replicas)
		}
		for tier := range 2 {
			if used[tier+1] > 0 && used[tier] < room[tier] {
				t.Fatalf("seed %d: tier %d has %d while %d of %d are used before", seed, tier+1, used[tier+1], used[tier], room[tier])
			}
		}
	}
}

// fitByHand places one replica after the other on nodes.
func fitByHand(nodes []NodeGroup, requests Resources) (fit int64) {
	for _, group := range nodes {
		for range group.Count {
			free := map[string]int64{}
			for name, n := range group.Free {
				free[name] = n
			}
			for {
				for name, n := range requests {
					free[name] -= n
				}
				free[pods]--
				if slices.ContainsFunc([]string{"cpu", "memory", pods}, func(name string) bool { return free[name] < 0 && (requests[name] > 0 || name == pods) }) {
					break
				}
				fit++
			}
		}
	}
	return fit
}

func TestFitsEqualsOracle(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 19))
		nodes := make([]NodeGroup, r.IntN(4))
		for i := range nodes {
			nodes[i] = NodeGroup{Count: int64(r.IntN(4)), Free: Resources{"cpu": int64(r.IntN(9) - 1), "memory": int64(r.IntN(9)), pods: int64(r.IntN(9) - 1)}}
		}
		requests := Resources{}
		if r.IntN(3) > 0 {
			requests["cpu"] = int64(r.IntN(4))
		}
		if r.IntN(3) > 0 {
			requests["memory"] = int64(r.IntN(4))
		}
		if want, got := fitByHand(nodes, requests), Fits(nodes, requests); want != got {
			t.Fatalf("seed %d: %d fit, by hand %d: %+v on %+v", seed, got, want, requests, nodes)
		}
	}
}
