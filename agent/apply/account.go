package apply

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ErrNoAccount means that an app is to be applied with a ServiceAccount that is not in
// the cluster.
var ErrNoAccount = errors.New("it is not in the cluster")

// Account is a ServiceAccount whose rights are used. Without a name it is the agent's
// own.
type Account struct{ Namespace, Name string }

// User is the account as the API server knows it.
func (a Account) User() string {
	return fmt.Sprintf("system:serviceaccount:%s:%s", a.Namespace, a.Name)
}

// As returns a client that has the rights of an account and shares everything else. The
// error is [ErrNoAccount] where the account is not in the cluster: what was granted to
// its name is not used then.
func (c *Client) As(ctx context.Context, account Account) (*Client, error) {
	if account.Name == "" {
		return c.own(), nil
	}
	var found metav1.PartialObjectMetadata
	err := c.own().read(ctx, c.rest.Get().AbsPath("/api/v1/namespaces", account.Namespace, "serviceaccounts", account.Name), metadataOnly, &found)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("ServiceAccount %s/%s, which the app is to be applied with: %w (create it, with the rights that the app needs, before the app comes: an app that does can be listed under dependsOn)", account.Namespace, account.Name, ErrNoAccount)
	}
	if err != nil {
		return nil, fmt.Errorf("look for ServiceAccount %s/%s, which the app is to be applied with: %w", account.Namespace, account.Name, err)
	}
	acting := *c
	acting.user = account.User()
	return &acting, nil
}

// own is the client with the agent's own rights.
func (c *Client) own() *Client {
	own := *c
	own.user = ""
	return &own
}
