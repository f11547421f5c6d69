package view

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/wire"
)

func TestJudge(t *testing.T) {
	type verdict struct {
		Health  Health
		Message string
	}
	old := wire.Applied{Revision: "main@sha1:aaaa", Overlay: "sha256:old", Base: "sha256:base"}
	desired := wire.Applied{Revision: "main@sha1:bbbb", Overlay: "sha256:new", Base: "sha256:base"}
	is := func(kind, status, message string) wire.Condition {
		return wire.Condition{Type: kind, Status: status, Reason: "Because", Message: message}
	}
	ready := is(wire.Ready, "True", "")
	tests := map[string]struct {
		report *wire.Report
		want   verdict
	}{
		"no report": {nil, verdict{Pending, "announced; the agent has not answered yet"}},
		"applied and ready": {
			&wire.Report{Attempted: desired, Applied: desired, Conditions: []wire.Condition{ready}},
			verdict{Ready, ""},
		},
		"ready with something to say": {
			&wire.Report{Attempted: desired, Applied: desired, Conditions: []wire.Condition{is(wire.Ready, "True", "not as applied: …")}},
			verdict{Ready, "not as applied: …"},
		},
		"ready under another revision with the same content": {
			&wire.Report{
				Attempted:  wire.Applied{Revision: "main@sha1:cccc", Overlay: desired.Overlay, Base: desired.Base},
				Applied:    wire.Applied{Revision: "main@sha1:cccc", Overlay: desired.Overlay, Base: desired.Base},
				Conditions: []wire.Condition{ready},
			},
			verdict{Ready, ""},
		},
		"ready with earlier content is not inherited": {
			&wire.Report{Attempted: old, Applied: old, Conditions: []wire.Condition{ready}},
			verdict{Pending, "announced; the agent's last word is about earlier content"},
		},
		"same overlay over another base is other content": {
			&wire.Report{
				Attempted:  wire.Applied{Overlay: desired.Overlay, Base: "sha256:other"},
				Applied:    wire.Applied{Overlay: desired.Overlay, Base: "sha256:other"},
				Conditions: []wire.Condition{ready},
			},
			verdict{Pending, "announced; the agent's last word is about earlier content"},
		},
		"failure of earlier content is not inherited either": {
			&wire.Report{Attempted: old, Conditions: []wire.Condition{is(wire.Stalled, "True", "no such image")}},
			verdict{Pending, "announced; the agent's last word is about earlier content"},
		},
		"ready cannot be when something else is applied": {
			&wire.Report{Attempted: desired, Applied: old, Conditions: []wire.Condition{ready}},
			verdict{Progressing, "reported ready, but not with what was announced"},
		},
		"back to what is applied while another attempt failed": {
			&wire.Report{Attempted: old, Applied: desired, Conditions: []wire.Condition{is(wire.Stalled, "True", "bad")}},
			verdict{Pending, "announced; the agent's last word is about earlier content"},
		},
		"a restarted agent that attempted nothing yet": {
			&wire.Report{Applied: desired, Conditions: []wire.Condition{ready}},
			verdict{Ready, ""},
		},
		"being applied": {
			&wire.Report{Attempted: desired, Applied: old, Conditions: []wire.Condition{
				is(wire.Ready, "False", "2 of 3 objects"), is(wire.Reconciling, "True", "waiting for Deployment web"),
			}},
			verdict{Progressing, "waiting for Deployment web"},
		},
		"stalled wins over reconciling": {
			&wire.Report{Attempted: desired, Conditions: []wire.Condition{
				is(wire.Reconciling, "True", "trying again"), is(wire.Stalled, "True", "admission refused Deployment web"),
			}},
			verdict{Failed, "admission refused Deployment web"},
		},
		"not ready and not getting there": {
			&wire.Report{Attempted: desired, Applied: desired, Conditions: []wire.Condition{is(wire.Ready, "False", "")}},
			verdict{Failed, "Because"},
		},
		"no conditions": {
			&wire.Report{Attempted: desired, Applied: desired},
			verdict{Unknown, "the agent does not say whether it is ready"},
		},
		"held or removed under an earlier index": {
			&wire.Report{Attempted: desired, Applied: desired, Held: true, Conditions: []wire.Condition{ready}},
			verdict{Pending, "announced; the agent has not answered yet"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got verdict
			got.Health, got.Message = judge(desired, test.report)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("judge (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHealthWords(t *testing.T) {
	for _, h := range Healths() {
		text, err := h.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back Health
		if err := back.UnmarshalText(text); err != nil || back != h {
			t.Errorf("%s reads back as %s, %v", text, back, err)
		}
	}
	if len(Healths()) != int(healths) {
		t.Errorf("Healths returns %d of %d", len(Healths()), healths)
	}
	if _, err := ParseHealth("splendid"); err == nil {
		t.Error("splendid is a health")
	}
	if got := (Counts{Ready: 5, NotHeard: 1, Progressing: 2}).Worst(); got != NotHeard {
		t.Errorf("worst is %s, want NotHeard", got)
	}
}
