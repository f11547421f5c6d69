package dashboard

import (
	"net/url"
	"testing"
)

// FuzzParseQuery looks for an address that makes a page of no size, or of any size.
func FuzzParseQuery(f *testing.F) {
	f.Add("q=eu&health=Ready&sort=worst&page=2&size=50&apps=3&app=shop")
	f.Add("page=9223372036854775807&size=9223372036854775807")
	f.Fuzz(func(t *testing.T, raw string) {
		values, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		q, err := parseQuery(values, 50, 500)
		if err != nil {
			return
		}
		if q.Page < 1 || q.Apps < 1 || q.Size < 1 || q.Size > 500 {
			t.Fatalf("%+v", q)
		}
		items := make([]int, 7)
		if got := cut(items, pagerOf(len(items), q.Page, q.Size, "page", values)); len(got) > q.Size {
			t.Errorf("%d items on a page of %d", len(got), q.Size)
		}
	})
}
