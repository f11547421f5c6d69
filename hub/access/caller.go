package access

import (
	"context"
	"net/http"
)

// Caller is who makes a request, and what that one may do.
type Caller struct {
	Person
	Rights  Rights
	From    string // address that the request came from
	Via     string // what a proxy says that it came from: anybody can say that
	Session bool   // signed in with a browser, and can sign out
}

// Known tells whether it is known who asks.
func (c Caller) Known() bool { return c.By != "" }

type callerKey struct{}

// With returns a context of a request that a caller makes.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// Of returns who makes the request of a context. Where nobody said so it is somebody
// who may do nothing.
func Of(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller) // the zero value has no rights
	return c
}

// Route is a handler with what it asks of who asks. That a role is had anywhere is
// enough to come to the handler: it looks at the scope itself.
type Route struct {
	Pattern string // of [http.ServeMux]
	Need    Need
	Handler http.HandlerFunc
}
