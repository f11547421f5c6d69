package fleet

import "testing"

func TestAllowsDeletions(t *testing.T) {
	for name, test := range map[string]struct {
		message string
		want    bool
	}{
		"no message":                {"", false},
		"no trailer":                {"remove the shop\n\nIt is closed.\n", false},
		"the trailer":               {"remove the shop\n\nIt is closed.\n\nNavarch-Allow-Deletions: yes\n", true},
		"in any case":               {"remove the shop\n\nnavarch-allow-deletions:YES", true},
		"with lines of Windows":     {"remove the shop\r\n\r\nNavarch-Allow-Deletions: yes\r\n", true},
		"among others":              {"remove\n\nSigned-off-by: A <a@example.com>\nNavarch-Allow-Deletions: yes\n  \nnot more", false},
		"between others":            {"remove\n\nReviewed-by: B\nNavarch-Allow-Deletions: yes\nChange-Id: I1\n continued\n(cherry picked from commit 1)", true},
		"the subject":               {"Navarch-Allow-Deletions: yes", false},
		"below the subject":         {"remove\nNavarch-Allow-Deletions: yes", false},
		"quoted in a text":          {"remove\n\nThe last one had\nNavarch-Allow-Deletions: yes\nwhich was wrong", false},
		"not in the last paragraph": {"remove\n\nNavarch-Allow-Deletions: yes\n\nSigned-off-by: A", false},
		"no":                        {"remove\n\nNavarch-Allow-Deletions: no", false},
		"nothing":                   {"remove\n\nNavarch-Allow-Deletions:", false},
		"yes and no":                {"remove\n\nNavarch-Allow-Deletions: yes\nNavarch-Allow-Deletions: no", false},
		"yes, but":                  {"remove\n\nNavarch-Allow-Deletions: yes, but not the database", false},
		"as a continuation":         {"remove\n\nNote: x\n Navarch-Allow-Deletions: yes", false},
		"with a longer name":        {"remove\n\nX-Navarch-Allow-Deletions: yes", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := AllowsDeletions(test.message); got != test.want {
				t.Errorf("allows: %v, want %v", got, test.want)
			}
		})
	}
}
