package apply

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/fleet"
)

// Opened is the plain form of an object that is encrypted in Git, or why there is none.
type Opened struct {
	Object *unstructured.Unstructured
	Err    error
}

// secret tells whether what an object holds is secret by its kind.
func secret(id fleet.ObjectID) bool { return id.Group == "" && id.Kind == "Secret" }

// KeyHashes sets the key of the hashes of Secrets. The inventory keeps these hashes, for
// more people to read than may read Secrets: without the key nobody can try out what a
// short password could be. Hashes of another key are those of other content. Without this
// call the key is a random one. What sealed says is encrypted needs no key, and stays the
// same when the key is another. It is called before the client is used.
func (c *Client) KeyHashes(key []byte, sealed func(*unstructured.Unstructured) bool) {
	c.digest, c.sealed = key, sealed
}

// encodeStrings moves what a Secret has under stringData to data, where it has precedence.
// The API server does the same, but remembers the wrong fields as the agent's: it would
// not notice that somebody else has changed them, and not remove them with the app's.
func encodeStrings(o *unstructured.Unstructured) {
	texts, found, err := unstructured.NestedStringMap(o.Object, "stringData")
	if !secret(IDOf(o)) || !found || err != nil {
		return // what is no text, the API server refuses
	}
	data, found, err := unstructured.NestedMap(o.Object, "data")
	if err != nil {
		return
	}
	if !found || data == nil {
		data = map[string]any{}
	}
	for name, text := range texts {
		data[name] = base64.StdEncoding.EncodeToString([]byte(text))
	}
	o.Object["data"] = data
	delete(o.Object, "stringData")
}

func (c *Client) keyedHash(body []byte) string {
	hash := hmac.New(sha256.New, c.digest)
	hash.Write(body)
	return hex.EncodeToString(hash.Sum(nil))[:16]
}

// open returns what to send of an object that was encrypted; others as they are. What is
// encrypted in Git identifies it: whoever may read the inventory learns nothing by its
// hash, and what has not changed need not be decrypted.
func (c *Client) open(sealed Object, opened Opened) (Object, error) {
	if opened.Err != nil || opened.Object == nil {
		return sealed, opened.Err
	}
	o, err := c.Prepare(opened.Object)
	if err != nil {
		return sealed, err
	}
	if o.ID != sealed.ID || o.Labels[LabelApp] != sealed.Labels[LabelApp] {
		return sealed, errors.New("it is not the same object when it is decrypted")
	}
	o.hash, o.Runs, o.sealed = sealed.Hash(), sealed.Runs, sealed.Body
	return o, nil
}

// veil takes the secret values of an object out of an error of the API server, which
// likes to repeat what it does not understand.
func (o Object) veil(err error) error {
	if err == nil || !secret(o.ID) && o.sealed == nil {
		return err
	}
	hidden := newVeil(o.secrets())
	var status *apierrors.StatusError
	if !errors.As(err, &status) {
		return veiledError{hidden.over(err.Error())}
	}
	veiled := &apierrors.StatusError{ErrStatus: *status.ErrStatus.DeepCopy()}
	veiled.ErrStatus.Message = hidden.over(veiled.ErrStatus.Message)
	if details := veiled.ErrStatus.Details; details != nil {
		for i := range details.Causes {
			details.Causes[i].Message = hidden.over(details.Causes[i].Message)
		}
	}
	return veiled
}

// veiledError is an error of which only the words are left.
type veiledError struct{ words string }

func (e veiledError) Error() string { return e.words }

// secrets returns the secret values of an object: those of a Secret, and those that were
// decrypted.
func (o Object) secrets() []string {
	var is, was map[string]any
	if json.Unmarshal(o.Body, &is) != nil {
		return nil // it was made from a map
	}
	var values []string
	if secret(o.ID) {
		values = leaves(is["data"], nil, values)
		values = leaves(is["stringData"], nil, values)
		for _, value := range values {
			if decoded, err := base64.StdEncoding.DecodeString(value); err == nil {
				values = append(values, string(decoded))
			}
		}
	}
	if o.sealed != nil && json.Unmarshal(o.sealed, &was) == nil {
		delete(is, "apiVersion")
		values = leaves(is, was, values)
	}
	return values
}

// leaves appends the scalars in a value that are not the same in another, as text.
func leaves(value, other any, found []string) []string {
	switch value := value.(type) {
	case map[string]any:
		same, _ := other.(map[string]any)
		for key, child := range value {
			found = leaves(child, same[key], found)
		}
		return found
	case []any:
		same, _ := other.([]any)
		for i, child := range value {
			var was any
			if i < len(same) {
				was = same[i]
			}
			found = leaves(child, was, found)
		}
		return found
	case nil:
		return found
	case string:
		if value == other {
			return found
		}
		return append(found, value)
	}
	if value == other {
		return found
	}
	text, err := json.Marshal(value)
	if err != nil {
		return found // it came from JSON
	}
	return append(found, string(text))
}
