package repo

// Nudged tells whether somebody has nudged since the last call.
func (r *Repo) Nudged() bool {
	select {
	case <-r.nudges:
		return true
	default:
		return false
	}
}

// SetCrowd makes a store be made anew when it has more packs than that.
func (r *Repo) SetCrowd(packs int) { r.crowd = packs }
