package apply

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/navarch/navarch/fleet"
)

// Owned identifies the fields of an object that are still as the agent applied them,
// by what the API server records of its field manager. It changes whenever somebody
// else changes or removes one of these fields, and by nothing else: neither by the
// object's status nor by fields that the app does not set. Empty where the agent owns
// nothing.
func Owned(o metav1.Object) string {
	var fields any
	if whole, ok := o.(*unstructured.Unstructured); ok {
		fields = ownedOf(whole) // without converting what the others own
	} else if entry := ownEntry(o.GetManagedFields()); entry != nil && json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
		return ""
	}
	if fields == nil {
		return ""
	}
	canonical, err := json.Marshal(fields) // sorts, which the API server does in its own way
	if err != nil {
		return ""
	}
	return fleet.DigestOf(canonical).Hex()[:16]
}

func ownedOf(o *unstructured.Unstructured) any {
	entries, _, _ := unstructured.NestedFieldNoCopy(o.Object, "metadata", "managedFields")
	list, _ := entries.([]any)
	for _, each := range list {
		entry, _ := each.(map[string]any)
		if entry["manager"] == FieldManager && entry["operation"] == string(metav1.ManagedFieldsOperationApply) && entry["subresource"] == nil {
			return entry["fieldsV1"]
		}
	}
	return nil
}

func ownEntry(entries []metav1.ManagedFieldsEntry) *metav1.ManagedFieldsEntry {
	for i, e := range entries {
		if e.Manager == FieldManager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == "" && e.FieldsV1 != nil {
			return &entries[i]
		}
	}
	return nil
}

// fieldsOf decodes what an entry owns; nothing where it cannot be read.
func fieldsOf(entry *metav1.ManagedFieldsEntry) *fieldpath.Set {
	set := &fieldpath.Set{}
	if entry == nil || entry.FieldsV1 == nil || set.FromJSON(entry.FieldsV1.GetRawReader()) != nil {
		return &fieldpath.Set{}
	}
	return set
}

// Taken are fields that the agent had applied and that somebody else has taken.
type Taken struct {
	Fields []string // as in ".spec.replicas", sorted
	By     []string // the field managers that have them, sorted; none where a field was removed
}

// TakenFrom compares the metadata of an object before it is applied and as it is
// afterwards. Fields that the cluster may change for itself do not count.
func TakenFrom(id fleet.ObjectID, before, after metav1.ObjectMeta, ignore []fleet.IgnoredDifference) Taken {
	var pointers [][]string
	for _, rule := range ignore {
		if rule.Covers(id) {
			for _, pointer := range rule.JSONPointers {
				pointers = append(pointers, steps(pointer))
			}
		}
	}
	taken := fieldsOf(ownEntry(after.ManagedFields)).Difference(fieldsOf(ownEntry(before.ManagedFields))).Leaves()
	var t Taken
	by := map[string]bool{}
	for path := range taken.All() {
		if slices.ContainsFunc(pointers, func(steps []string) bool { return under(path, steps) }) {
			continue
		}
		t.Fields = append(t.Fields, path.String())
		for i := range before.ManagedFields {
			entry := &before.ManagedFields[i]
			if entry.Manager != FieldManager && fieldsOf(entry).Has(path) {
				by[entry.Manager] = true
			}
		}
	}
	slices.Sort(t.Fields)
	t.By = slices.Sorted(maps.Keys(by))
	return t
}

// under tells whether a field is what a pointer names, or in it. A number in a pointer
// is any item of a list.
func under(path fieldpath.Path, steps []string) bool {
	if len(path) < len(steps) {
		return false
	}
	for i, step := range steps {
		if name := path[i].FieldName; name != nil {
			if *name != step {
				return false
			}
		} else if _, err := strconv.Atoi(step); err != nil {
			return false
		}
	}
	return true
}

// othersOwn tells whether somebody else owns the field that steps lead to, so that it
// stays when the agent no longer sends it.
func othersOwn(entries []metav1.ManagedFieldsEntry, steps []string) bool {
	path := make(fieldpath.Path, 0, len(steps))
	for _, step := range steps {
		path = append(path, fieldpath.PathElement{FieldName: &step})
	}
	return slices.ContainsFunc(entries, func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager != FieldManager && fieldsOf(&e).Has(path)
	})
}
