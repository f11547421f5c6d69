package main

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestWitness: what must not be is seen, and nothing else.
func TestWitness(t *testing.T) {
	made := func(uid string) []appsv1.Deployment {
		return []appsv1.Deployment{{ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: types.UID(uid)}}}
	}
	for name, test := range map[string]struct {
		accepted []string
		made     []string
		want     []string
	}{
		"all is well":         {accepted: []string{`{"epoch":1,"sequence":2}`, `{"epoch":1,"sequence":2}`, `{"epoch":2,"sequence":1}`}, made: []string{"a", "a", "b"}},
		"a sequence back":     {accepted: []string{`{"epoch":1,"sequence":2}`, `{"epoch":1,"sequence":1}`}, want: []string{"one went from 1.2 back to 1.1"}},
		"an epoch back":       {accepted: []string{`{"epoch":2,"sequence":1}`, `{"epoch":1,"sequence":9}`}, want: []string{"one went from 2.1 back to 1.9"}},
		"made once too often": {made: []string{"a", "b", "c"}, want: []string{"Deployment one/shop was made 3 times, Git brought it 2 times"}},
	} {
		w := newWitness()
		for _, content := range test.accepted {
			w.sawAccepted("one", content)
		}
		for _, uid := range test.made {
			w.sawDeployments("one", made(uid))
		}
		if diff := cmp.Diff(test.want, w.violations(map[string]int{"one/shop": 2})); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// TestSeed: a seed says everything, and another says something else.
func TestSeed(t *testing.T) {
	faults := func(seed uint64) []fault {
		return schedule(seed, "link of one", linkFaults, 3*time.Minute, 15*time.Second)
	}
	if !slices.Equal(faults(7), faults(7)) || slices.Equal(faults(7), faults(8)) {
		t.Error("faults do not depend on the seed alone")
	}
	commits := func(seed uint64) (messages []string, files map[string]string) {
		r := newRepository(randomOf(seed, "commits"))
		for range 50 {
			messages = append(messages, r.step())
		}
		return messages, r.files()
	}
	messages, files := commits(7)
	again, sameFiles := commits(7)
	if diff := cmp.Diff(messages, again) + cmp.Diff(files, sameFiles); diff != "" {
		t.Errorf("commits do not depend on the seed alone:\n%s", diff)
	}
}
