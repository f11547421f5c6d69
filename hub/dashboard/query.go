package dashboard

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/view"
)

// query is what the address of a page or of the API asks for.
type query struct {
	view.Filter
	Page int // from 1
	Size int // clusters per page
	Apps int // page of the matrix' columns, from 1
	Sort string
}

// The orders of clusters.
const (
	sortName  = "name"
	sortWorst = "worst"
)

// parseQuery reads a query. What makes no sense is an error for whoever typed it.
func parseQuery(values url.Values, size, most int) (query, error) {
	q := query{Page: 1, Size: size, Apps: 1, Sort: sortName}
	q.Text = values.Get("q")
	if app := values.Get("app"); app != "" {
		name, err := fleet.ParseAppName(app)
		if err != nil {
			return query{}, err
		}
		q.App = name
	}
	for _, word := range values["health"] {
		if word == "" {
			continue
		}
		h, err := view.ParseHealth(word)
		if err != nil {
			return query{}, err
		}
		q.Healths = append(q.Healths, h)
	}
	if s := values.Get("sort"); s != "" {
		if s != sortName && s != sortWorst {
			return query{}, fmt.Errorf("sort %q is not %s or %s", s, sortName, sortWorst)
		}
		q.Sort = s
	}
	for key, field := range map[string]*int{"page": &q.Page, "size": &q.Size, "apps": &q.Apps} {
		if s := values.Get(key); s != "" {
			n, err := strconv.Atoi(s)
			if err != nil || n < 1 {
				return query{}, fmt.Errorf("%s %q is not a number from 1", key, s)
			}
			*field = n
		}
	}
	q.Size = min(q.Size, most)
	return q, nil
}

// Filtered tells whether the query leaves anything out.
func (q query) Filtered() bool { return q.Text != "" || q.App != "" || len(q.Healths) > 0 }

// Health is the one health that is asked for, if it is one.
func (q query) Health() string {
	if len(q.Healths) != 1 {
		return ""
	}
	return q.Healths[0].String()
}

// pager is one page of many.
type pager struct {
	Page, Pages int
	First, Last int // items shown, from 1
	Total       int
	Prev, Next  string // addresses; empty where there is none
}

// pagerOf cuts total items into pages of a size. Its addresses repeat the values of
// the query but for key.
func pagerOf(total, page, size int, key string, values url.Values) pager {
	pages := max((total+size-1)/size, 1)
	p := pager{Page: min(page, pages), Pages: pages, Total: total}
	p.First = min((p.Page-1)*size+1, total)
	p.Last = min(p.Page*size, total)
	to := func(n int) string {
		next := url.Values{}
		for k, v := range values {
			next[k] = v
		}
		next.Set(key, strconv.Itoa(n))
		return "?" + next.Encode()
	}
	if p.Page > 1 {
		p.Prev = to(p.Page - 1)
	}
	if p.Page < pages {
		p.Next = to(p.Page + 1)
	}
	return p
}

// cut returns the items of one page.
func cut[T any](items []T, p pager) []T {
	if p.Total == 0 {
		return nil
	}
	return items[p.First-1 : p.Last]
}
