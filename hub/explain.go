package hub

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/access"
)

// explain answers why an app is where it is: GET /api/v1/explain/{app}, with
// ?cluster=NAME for one cluster.
func (d *deployer) explain(w http.ResponseWriter, r *http.Request) {
	name := fleet.AppName(r.PathValue("app"))
	decided := d.latest.Load()
	if decided == nil {
		refuse(w, http.StatusServiceUnavailable, "nothing is decided yet: no commit was accepted since the hub started")
		return
	}
	rights := access.Of(r.Context()).Rights
	if labels, _ := labelsOfApp(decided.reading.Definition, name); !rights.App(access.Viewer, labels) {
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no app %q in the commit", name)) // as of one that is absent
		return
	}
	explained, err := decided.reading.Explain(name, decided.state)
	if err != nil {
		refuse(w, http.StatusNotFound, err.Error())
		return
	}
	explained = narrowExplanation(explained, decided.reading, rights)
	if cluster := fleet.ClusterName(r.URL.Query().Get("cluster")); cluster != "" {
		only := explained.Verdicts[:0]
		for _, v := range explained.Verdicts {
			if v.Cluster == cluster {
				only = append(only, v)
			}
		}
		if explained.Verdicts = only; len(only) == 0 {
			refuse(w, http.StatusNotFound, fmt.Sprintf("the accepted commit has no cluster %q", cluster))
			return
		}
	}
	respond(w, http.StatusOK, explained)
}

// tellObserved answers what decides beside Git: GET /api/v1/observed. The command
// line takes it with --observed.
func (d *deployer) tellObserved(w http.ResponseWriter, r *http.Request) {
	decided := d.latest.Load()
	if decided == nil {
		refuse(w, http.StatusServiceUnavailable, "nothing is observed yet: no commit was accepted since the hub started")
		return
	}
	respond(w, http.StatusOK, narrowState(decided.state, decided.reading, access.Of(r.Context()).Rights))
}

func refuse(w http.ResponseWriter, status int, why string) {
	respond(w, status, map[string]string{"error": why})
}

func respond(w http.ResponseWriter, status int, value any) {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(content, '\n')) // whoever asked has gone
}
