package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// quiet is how long nobody may write before a scenario counts as over.
const quiet = 1500 * time.Millisecond

// install has all apps deployed for the first time.
func (b *bench) install(ctx context.Context) error {
	files := fleetFiles(b.fleet.Members)
	for _, name := range b.names {
		appFiles(files, name)
	}
	if err := b.fleet.Work.Write(files); err != nil {
		return err
	}
	return b.change(ctx, fmt.Sprintf("%d apps installed", len(b.names)), 1, func(int) []string { return b.names })
}

// changeOne changes one app of all, again and again, each time another.
func (b *bench) changeOne(ctx context.Context) error {
	return b.change(ctx, fmt.Sprintf("1 app of %d changed", len(b.names)), b.rounds, func(round int) []string {
		return []string{b.names[round%len(b.names)]}
	})
}

// changeAll changes every app at once.
func (b *bench) changeAll(ctx context.Context) error {
	return b.change(ctx, fmt.Sprintf("%d apps of %[1]d changed", len(b.names)), b.bulk, func(int) []string { return b.names })
}

// change has apps deployed, in every round after the floor and the rival.
func (b *bench) change(ctx context.Context, name string, rounds int, names func(round int) []string) error {
	var took, floor, rival []time.Duration
	var beside measurement
	err := b.measure(ctx, name, quiet, func(ctx context.Context, m *measurement) error {
		for round := range rounds {
			names, mark := names(round), b.nextMark()
			files := map[string]string{}
			for _, name := range names {
				files["apps/"+name+"/base/objects.yaml"] = objectsYAML(name, mark)
			}
			api, err := b.meter.leaveOut(func() error {
				t, err := b.floor(ctx, names, mark)
				floor = append(floor, t)
				return err
			})
			m.FloorAPI += api
			if err != nil {
				return err
			}
			if b.rival != nil {
				t, err := b.compete(ctx, &beside, names, mark)
				if err != nil {
					return err
				}
				rival = append(rival, t)
			}
			b.profileCPU(ctx, name)
			t, err := b.deploy(ctx, files, names, mark)
			if err != nil {
				return err
			}
			took = append(took, t)
		}
		m.times(took, floor)
		return nil
	})
	if err == nil && b.rival != nil {
		beside.Scenario = b.rival.name + ": " + name
		beside.times(rival, floor)
		b.results = append(b.results, beside)
	}
	return err
}

// changeNothing commits what no app is made of. The rival applies again what is there.
func (b *bench) changeNothing(ctx context.Context) error {
	if b.rival != nil {
		mark := b.nextMark()
		if _, err := b.compete(ctx, &measurement{}, b.names, mark); err != nil {
			return err
		}
		again := measurement{Scenario: b.rival.name + ": nothing changed"}
		took, err := b.compete(ctx, &again, b.names, mark)
		if err != nil {
			return err
		}
		again.times([]time.Duration{took}, nil)
		b.results = append(b.results, again)
	}
	return b.measure(ctx, "README changed", quiet, func(ctx context.Context, m *measurement) error {
		m.N, m.still = 1, true
		pushed, err := b.fleet.Work.Publish(ctx, "say more", map[string]string{"README.md": "# Measured again\n"})
		b.fleet.Pushed = pushed
		return err
	})
}

// repair deletes and edits objects behind the agent's back, one at a time.
func (b *bench) repair(ctx context.Context) error {
	return b.measure(ctx, "1 object deleted or edited", quiet, func(ctx context.Context, m *measurement) error {
		member, w := b.fleet.Members[0], b.watchers[0]
		var took []time.Duration
		for i := range b.rounds {
			service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: b.names[i%len(b.names)]}}
			key := "services/" + namespace + "/" + service.Name
			good, turn := w.turn(key)
			begin := time.Now()
			var err error
			if i%2 == 0 {
				err = member.Client.Delete(ctx, service)
			} else {
				err = member.Client.Patch(ctx, service, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"mark":"foreign"}}}`)))
			}
			if err != nil {
				return err
			}
			at, err := w.returns(ctx, key, good, turn)
			if err != nil {
				return err
			}
			took = append(took, at.Sub(begin))
		}
		m.times(took, nil)
		return nil
	})
}
