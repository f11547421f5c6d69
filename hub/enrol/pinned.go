package enrol

import (
	"context"
	"reflect"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// keepPinsEvery is how often what agents say that they obey is written down. After an
// exchange all of them say something else at once.
const keepPinsEvery = 5 * time.Second

// Pinned notes whom the agent of a cluster says that it obeys.
func (d *Desk) Pinned(cluster fleet.ClusterName, pins wire.Pins) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, member := d.roll.Members[cluster]
	if !member || pins.Signing == "" || reflect.DeepEqual(m.Pins, pins) {
		return
	}
	d.roll, d.unwritten = d.roll.Pinned(cluster, pins), true
}

// Run writes down what agents say that they obey until ctx ends. It returns nil then,
// and not before.
func (d *Desk) Run(ctx context.Context) error {
	tick := time.NewTicker(keepPinsEvery)
	defer tick.Stop()
	for said := ""; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := d.keepPins()
		if err != nil && err.Error() != said {
			said = err.Error()
			d.config.Log.Error("cannot write down which keys agents obey", "err", err)
		}
	}
}

func (d *Desk) keepPins() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.unwritten {
		return nil
	}
	if err := writeRoll(d.config.File, d.roll); err != nil {
		return err
	}
	d.unwritten = false
	return nil
}
