package apply

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/navarch/navarch/fleet"
)

// FieldManager is who the agent is to server-side apply.
const FieldManager = "navarch-agent"

// atOnce is how many requests are in flight: more do not make one API server faster.
const atOnce = 16

// metadataOnly asks for an answer without the object's body, which nobody reads.
const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

// metadataListOnly is the same for lists.
const metadataListOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"

// Client sends objects to the cluster's API server. It is for any number of
// goroutines.
type Client struct {
	rest    rest.Interface
	mapper  meta.RESTMapper
	dynamic dynamic.Interface
	slots   chan struct{}
	foreign *foreign
	user    string // whose rights are used; empty: the agent's
	// namespaces are those that the client touches objects of; empty: the whole cluster.
	namespaces []string
	digest     []byte // key of the hashes of Secrets
	sealed     func(*unstructured.Unstructured) bool
}

// NewClient returns a client. The API server's own fairness is the only limit of
// its rate; a server that asks to wait is waited for.
func NewClient(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	http, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to the API server: %w", err)
	}
	raw, err := rest.UnversionedRESTClientForConfigAndClient(config, http)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to the API server: %w", err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, http)
	if err != nil {
		return nil, fmt.Errorf("prepare the discovery of the API server: %w", err)
	}
	watching, err := dynamic.NewForConfigAndClient(config, http)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to the API server: %w", err)
	}
	c := &Client{rest: raw, mapper: mapper, dynamic: watching, slots: make(chan struct{}, atOnce), foreign: &foreign{lists: map[place]*foreignList{}}}
	c.digest, c.sealed = make([]byte, sha256.Size), func(*unstructured.Unstructured) bool { return false }
	if _, err := rand.Read(c.digest); err != nil {
		return nil, fmt.Errorf("make a key for hashes: %w", err)
	}
	return c, nil
}

// Kind is a kind of the cluster's API.
type Kind struct {
	schema.GroupVersionKind
	Resource   schema.GroupVersionResource
	Namespaced bool
}

// Kind finds out how the API serves a kind. An empty version is any.
func (c *Client) Kind(group, version, kind string) (Kind, error) {
	var versions []string
	if version != "" {
		versions = append(versions, version)
	}
	mapping, err := c.mapper.RESTMapping(schema.GroupKind{Group: group, Kind: kind}, versions...)
	if err != nil {
		return Kind{}, err
	}
	return Kind{
		GroupVersionKind: mapping.GroupVersionKind,
		Resource:         mapping.Resource,
		Namespaced:       mapping.Scope.Name() == meta.RESTScopeNameNamespace,
	}, nil
}

// path is where the API server serves an object.
func (k Kind) path(namespace, name string) []string {
	segments := []string{"/api", k.Resource.Version}
	if k.Resource.Group != "" {
		segments = []string{"/apis", k.Resource.Group, k.Resource.Version}
	}
	if k.Namespaced {
		segments = append(segments, "namespaces", namespace)
	}
	segments = append(segments, k.Resource.Resource)
	if name != "" {
		segments = append(segments, name)
	}
	return segments
}

// Object is an object ready to be applied: what it is and the bytes to send.
type Object struct {
	ID          fleet.ObjectID
	Kind        Kind
	Body        []byte
	Labels      map[string]string
	Annotations map[string]string
	// Runs identifies what a Job runs that the cluster deletes by itself when it has
	// finished; empty for any other object.
	Runs string
	hash string // of what Git says, where that is not the hash of Body
	// sealed is Body as it was before it was decrypted; nil where it was not.
	sealed []byte
}

// Hash identifies what Git says of an object: the same bytes, the same hash.
func (o Object) Hash() string {
	if o.hash != "" {
		return o.hash
	}
	return fleet.DigestOf(o.Body).Hex()[:16]
}

// Prepare makes an object of what was built: its kind is looked up, and the
// namespace is taken off a cluster-scoped object and put on a namespaced one that
// has none.
func (c *Client) Prepare(built *unstructured.Unstructured) (Object, error) {
	gvk := built.GroupVersionKind()
	if err := pathSafe(IDOf(built)); err != nil {
		return Object{ID: IDOf(built)}, err
	}
	kind, err := c.Kind(gvk.Group, gvk.Version, gvk.Kind)
	if err != nil {
		return Object{ID: IDOf(built)}, err
	}
	built = built.DeepCopy()
	switch {
	case !kind.Namespaced:
		built.SetNamespace("")
	case built.GetNamespace() == "":
		built.SetNamespace(metav1.NamespaceDefault)
	}
	unstructured.RemoveNestedField(built.Object, "status")
	dropInjected(built)
	encodeStrings(built)
	body, err := json.Marshal(built.Object)
	if err != nil {
		return Object{ID: IDOf(built)}, fmt.Errorf("encode %s: %w", IDOf(built), err)
	}
	runs, err := runs(built)
	if err != nil {
		return Object{ID: IDOf(built)}, fmt.Errorf("encode what %s runs: %w", IDOf(built), err)
	}
	o := Object{ID: IDOf(built), Kind: kind, Body: body, Labels: built.GetLabels(), Annotations: built.GetAnnotations(), Runs: runs}
	if secret(o.ID) && !c.sealed(built) {
		o.hash = c.keyedHash(body)
	}
	return o, nil
}

// pathSafe refuses names that would make the path of an object that of another.
func pathSafe(id fleet.ObjectID) error {
	for _, part := range []string{id.Namespace, id.Name} {
		if wrong := content.IsPathSegmentName(part); len(wrong) > 0 {
			return apierrors.NewBadRequest(fmt.Sprintf("name %q %s", part, strings.Join(wrong, ", ")))
		}
	}
	return nil
}

// IDOf returns what an object is called. Its namespace is what the object says.
func IDOf(o *unstructured.Unstructured) fleet.ObjectID {
	gvk := o.GroupVersionKind()
	return fleet.ObjectID{Group: gvk.Group, Kind: gvk.Kind, Namespace: o.GetNamespace(), Name: o.GetName()}
}

// patch sends one server-side apply and returns the metadata of the result.
func (c *Client) patch(ctx context.Context, o Object) (metav1.ObjectMeta, error) {
	m, err := c.send(ctx, c.patchOf(o))
	return m, o.veil(err)
}

// dryRun asks what one server-side apply would make of an object, and changes nothing.
func (c *Client) dryRun(ctx context.Context, o Object) (metav1.ObjectMeta, error) {
	m, err := c.send(ctx, c.patchOf(o).Param("dryRun", metav1.DryRunAll))
	return m, o.veil(err)
}

func (c *Client) patchOf(o Object) *rest.Request {
	return c.rest.Patch(types.ApplyPatchType).
		AbsPath(o.Kind.path(o.ID.Namespace, o.ID.Name)...).
		Param("fieldManager", FieldManager).
		Param("force", "true").
		Body(o.Body)
}

// Look reads the metadata of an object.
func (c *Client) Look(ctx context.Context, kind Kind, id fleet.ObjectID) (metav1.ObjectMeta, error) {
	if pathSafe(id) != nil {
		return metav1.ObjectMeta{}, apierrors.NewNotFound(kind.Resource.GroupResource(), id.Name) // nothing has such a name
	}
	return c.send(ctx, c.rest.Get().AbsPath(kind.path(id.Namespace, id.Name)...))
}

// Delete deletes exactly the object with a UID; what depends on it is deleted by
// the cluster afterwards.
func (c *Client) Delete(ctx context.Context, kind Kind, id fleet.ObjectID, uid types.UID) error {
	background := metav1.DeletePropagationBackground
	options, err := json.Marshal(metav1.DeleteOptions{
		TypeMeta:          metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		PropagationPolicy: &background,
		Preconditions:     &metav1.Preconditions{UID: &uid},
	})
	if err != nil {
		return err
	}
	_, err = c.send(ctx, c.rest.Delete().AbsPath(kind.path(id.Namespace, id.Name)...).SetHeader("Content-Type", "application/json").Body(options))
	return err
}

// CreateNamespace creates a namespace unless it is there.
func (c *Client) CreateNamespace(ctx context.Context, name string) error {
	body, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"name": name, "labels": map[string]string{labelCreatedBy: createdBy}},
	})
	if err != nil {
		return err
	}
	_, err = c.send(ctx, c.rest.Post().AbsPath("/api/v1/namespaces").Param("fieldManager", FieldManager).SetHeader("Content-Type", "application/json").Body(body))
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// send sends a request and returns the metadata of the object that it is about.
func (c *Client) send(ctx context.Context, request *rest.Request) (metav1.ObjectMeta, error) {
	var answer metav1.PartialObjectMetadata
	err := c.read(ctx, request, metadataOnly, &answer)
	return answer.ObjectMeta, err
}

// read sends a request, when it is its turn, and decodes the answer.
func (c *Client) read(ctx context.Context, request *rest.Request, accept string, answer any) error {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.user != "" {
		request = request.SetHeader(transport.ImpersonateUserHeader, c.user)
	}
	raw, err := request.SetHeader("Accept", accept).Do(ctx).Raw()
	if err != nil {
		return readable(raw, err)
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fmt.Errorf("decode the API server's answer: %w", err)
	}
	return nil
}

// readable returns the API server's own words where an error hides them.
func readable(raw []byte, err error) error {
	var status metav1.Status
	if json.Unmarshal(raw, &status) == nil && status.Kind == "Status" && status.Status == metav1.StatusFailure {
		return &apierrors.StatusError{ErrStatus: status}
	}
	return err
}

// Permanent tells whether an error will come again until somebody changes
// something: the object is wrong, or the agent may not do this.
func Permanent(err error) bool {
	if terminating(err) {
		return false
	}
	if meta.IsNoMatchError(err) || apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) || errors.Is(err, ErrForeign) || errors.Is(err, ErrOutside) || errors.Is(err, ErrExists) || errors.Is(err, ErrNoAccount) {
		return true
	}
	var status apierrors.APIStatus
	return errors.As(err, &status) &&
		(status.Status().Code == http.StatusUnprocessableEntity || strings.HasPrefix(status.Status().Message, "failed to create typed patch object"))
}
