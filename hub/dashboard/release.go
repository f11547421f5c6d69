package dashboard

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
)

// releaseRequest is the body of POST /api/v1/release, as JSON or as a form.
type releaseRequest struct {
	// Revision is the held commit. It has to be named in full, so that nobody agrees
	// to a newer one than they looked at.
	Revision string `json:"revision"`
}

// serveRelease takes a person's go for a held commit. A form is answered with a
// page, anything else with JSON.
func (d *Dashboard) serveRelease(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" {
		var request releaseRequest
		status, err := http.StatusBadRequest, decodeRelease(r, &request)
		if err == nil {
			if err = d.Release(r.Context(), request.Revision); err != nil {
				status = statusOf(err)
			}
		}
		if err != nil {
			writeJSON(w, status, errorJSON{Error: err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"released": request.Revision})
		return
	}
	if kind != "application/x-www-form-urlencoded" {
		writeJSON(w, http.StatusUnsupportedMediaType, errorJSON{Error: fmt.Sprintf("content type %q: send application/json", kind)})
		return
	}
	revision := r.PostFormValue("revision")
	if r.PostFormValue("agree") == "" {
		d.serveMessage(w, r, http.StatusBadRequest, "Not released", "Say that you agree to what will be deleted.")
		return
	}
	if err := d.Release(r.Context(), revision); err != nil {
		d.serveMessage(w, r, statusOf(err), "Not released", err.Error())
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func decodeRelease(r *http.Request, request *releaseRequest) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(request); err != nil {
		return fmt.Errorf("decode body: %w", err)
	}
	if request.Revision == "" {
		return errors.New(`no revision given: send {"revision": "main@sha1:…"}`)
	}
	return nil
}
