package dashboard

import (
	"embed"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"

	"github.com/navarch/navarch/fleet"
)

//go:embed assets/*.css assets/*.js assets/*.svg
var assetFiles embed.FS

//go:embed templates/*.html
var templateFiles embed.FS

// assets is the style sheet, the script and the icon, by name.
type assets map[string]asset

type asset struct {
	content []byte
	version string // changes with the content, so that browsers may keep it for ever
}

func loadAssets() assets {
	loaded := assets{}
	names, err := fs.Glob(assetFiles, "assets/*")
	if err != nil {
		panic("constant pattern: " + err.Error())
	}
	for _, name := range names {
		content, err := assetFiles.ReadFile(name)
		if err != nil {
			panic("embedded file: " + err.Error())
		}
		loaded[path.Base(name)] = asset{content: content, version: fleet.DigestOf(content).Short()}
	}
	return loaded
}

// address is where a page finds an asset.
func (a assets) address(name string) string { return "/assets/" + name + "?v=" + a[name].version }

func (a assets) serve(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	found, ok := a[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Header().Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == found.version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(found.content) // the viewer is gone
}

// parsePages parses the templates: each page with the layout and the parts that
// all share.
func parsePages(a assets) map[string]*template.Template {
	shared := template.New("").Option("missingkey=error").Funcs(words()).Funcs(template.FuncMap{"asset": a.address})
	template.Must(shared.ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/alerts.html"))
	pages := map[string]*template.Template{}
	for _, name := range []string{"overview.html", "cluster.html", "app.html", "message.html", "signin.html", "add.html", "joining.html", "members.html", "audit.html"} {
		page := template.Must(shared.Clone())
		pages[name] = template.Must(page.ParseFS(templateFiles, "templates/"+name))
	}
	return pages
}
