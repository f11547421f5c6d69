package enrol

import "sync"

// watch is who wants to know of every change of a roll. It is told the newest roll,
// one after the other, also where two changes come at once.
type watch struct {
	telling sync.Mutex
	changed func(Roll)
}

func (w *watch) tell(newest func() Roll) {
	w.telling.Lock()
	defer w.telling.Unlock()
	if w.changed != nil {
		w.changed(newest())
	}
}

// Watch has a function told who has joined, now and after every change. The roll is
// not to be written to. There is one that watches.
func (d *Desk) Watch(changed func(Roll)) {
	d.telling.Lock()
	d.changed = changed
	d.telling.Unlock()
	d.tell(d.Roll)
}
